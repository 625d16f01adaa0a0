"""Rows that wait to be written: plain bookkeeping, without threads, clock or database."""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from schemas.rows import LABELS, TABLES

Row = tuple[Any, ...]
RowLists = dict[str, list[Sequence[Row]]]

LARGE_SHARE = 10
"""A table fills the buffer if it has at least one of so many rows."""
_GENERATION, _VERSION = -3, -2
SELDOM_REPEATED = frozenset({LABELS.name})
"""Tables whose keys hardly come twice in a flush, so that looking for superseded rows costs more than writing them."""


class RowBuffer:
    """Rows by table, in the order of arrival.

    Parameters
    ----------
    flush_seconds
        All rows are due so many seconds after the first of them came.
    flush_rows
        The buffer is full when it holds so many rows, over all tables.
    """

    def __init__(self, *, flush_seconds: float, flush_rows: int) -> None:
        self._flush_seconds = flush_seconds
        self._flush_rows = flush_rows
        self._lists: RowLists = {}
        self._counts: dict[str, int] = {}
        self.rows = 0
        self.due_at: float | None = None

    @property
    def is_full(self) -> bool:
        """Whether there are as many rows as may wait."""
        return self.rows >= self._flush_rows

    def add(self, tables: Mapping[str, Sequence[Row]], *, now: float) -> None:
        """Take rows in, by table; the lists are kept, not copied.

        Parameters
        ----------
        now
            Seconds of a monotonic clock.
        """
        for table, rows in tables.items():
            if rows:
                assert table in TABLES, f"there is no table {table}"
                self._lists.setdefault(table, []).append(rows)
                self._counts[table] = self._counts.get(table, 0) + len(rows)
                self.rows += len(rows)
        if self.rows and self.due_at is None:
            self.due_at = now + self._flush_seconds

    def take_all(self) -> RowLists:
        """Return the lists of rows by table, and be empty."""
        taken, self._lists, self._counts = self._lists, {}, {}
        self.rows, self.due_at = 0, None
        return taken

    def take_most(self) -> RowLists:
        """Return the lists of the tables that fill the buffer; what other tables have stays until it is due.

        An insertion costs as much as thousands of rows, so a busy flow should not write its small tables at each one.
        """
        large = [table for table, count in self._counts.items() if count * LARGE_SHARE >= self.rows]
        count = sum(self._counts[table] for table in large)
        if 2 * count < self.rows or count == self.rows:
            return self.take_all()
        self.rows -= count
        for table in large:
            del self._counts[table]
        return {table: self._lists.pop(table) for table in large}


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
