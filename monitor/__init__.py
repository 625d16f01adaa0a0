"""The read side: named queries."""
