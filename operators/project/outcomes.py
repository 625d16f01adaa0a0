"""What became of an event."""

FOLDED = "folded"
DUPLICATE = "duplicate"
Outcome = str
"""FOLDED, DUPLICATE, or the ErrorCode for which an event was refused."""
