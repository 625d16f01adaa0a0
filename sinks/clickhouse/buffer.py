"""Rows that wait to be written: plain bookkeeping, without threads, clock or database."""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from schemas.rows import LABELS, TABLES

Row = tuple[Any, ...]

_GENERATION, _VERSION = -3, -2
SELDOM_REPEATED = frozenset({LABELS.name})
"""Tables whose keys hardly come twice in a flush, so that looking for superseded rows costs more than writing them."""


class RowBuffer:
    """Rows by table, in the order of arrival.

    Parameters
    ----------
    flush_seconds
        Rows are due at the latest so many seconds after the first of them came.
    flush_rows
        Rows are due when there are so many, over all tables.
    """

    def __init__(self, *, flush_seconds: float, flush_rows: int) -> None:
        self._flush_seconds = flush_seconds
        self._flush_rows = flush_rows
        self._lists: dict[str, list[Sequence[Row]]] = {}
        self._first_at = 0.0
        self.rows = 0

    def add(self, tables: Mapping[str, Sequence[Row]], *, now: float) -> None:
        """Take rows in, by table; the lists are kept, not copied.

        Parameters
        ----------
        now
            Seconds of a monotonic clock.
        """
        if self.rows == 0:
            self._first_at = now
        for table, rows in tables.items():
            if rows:
                assert table in TABLES, f"there is no table {table}"
                self._lists.setdefault(table, []).append(rows)
                self.rows += len(rows)

    def seconds_until_due(self, *, now: float) -> float | None:
        """Return in how many seconds the rows are due: 0 if they are now, None if there are none."""
        if self.rows == 0:
            return None
        if self.rows >= self._flush_rows:
            return 0.0
        return max(0.0, self._first_at + self._flush_seconds - now)

    def take(self) -> dict[str, list[Sequence[Row]]]:
        """Return the lists of rows by table, and be empty."""
        lists, self._lists, self.rows = self._lists, {}, 0
        return lists


def rows_to_write(table: str, lists: Iterable[Sequence[Row]]) -> list[Row]:
    """Join the rows of a table, without those that a row of the same key and a higher version supersedes.

    Leaving rows out saves their conversion and insertion, but not where keys hardly repeat (see `SELDOM_REPEATED`).
    """
    rows = [row for part in lists for row in part]
    return rows if table in SELDOM_REPEATED else latest(rows, key_width=len(TABLES[table].key))


def latest(rows: list[Row], *, key_width: int) -> list[Row]:
    """Return the row with the highest version of each key and generation; of equal versions the last.

    Parameters
    ----------
    rows
        Rows that end in generation, version and is_deleted; sorted in place by version.
    key_width
        How many of the first columns are the key.
    """
    rows.sort(key=itemgetter(_VERSION))
    if rows[0][_GENERATION] == rows[-1][_GENERATION]:
        return list({row[:key_width]: row for row in rows}.values())
    return list({(*row[:key_width], row[_GENERATION]): row for row in rows}.values())
