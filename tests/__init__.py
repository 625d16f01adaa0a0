"""Tests: each one's docstring states its claim."""
