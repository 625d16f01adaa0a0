"""Events of a chunk that is still open, and what they make of an item."""

from typing import Any

ADD, REPLACE, REMOVE, KNOWN, UNKNOWN, FORGET = range(6)
Event = tuple[Any, ...]
"""One of these, the item, and what it needs: annotator, class and key; class and key; key; class weights; nothing."""
Row = tuple[str, str, str]
"""Annotator, class, key."""


def applied(
    rows: list[Row], known: dict[str, float] | None, events: list[Event]
) -> tuple[list[Row], dict[str, float] | None]:
    """Labels and known answer of an item after some events."""
    rows = list(rows)
    for event in events:
        if event[0] == ADD:
            rows.append(event[2:])
        elif event[0] == REPLACE:
            rows = [(row[0], event[2], row[2]) if row[2] == event[3] else row for row in rows]
        elif event[0] == REMOVE:
            rows = [row for row in rows if row[2] != event[2]]
        elif event[0] == KNOWN:
            known = event[2]
        elif event[0] == UNKNOWN:
            known = None
        else:
            rows, known = [], None
    return rows, known
