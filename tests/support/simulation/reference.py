"""The undisturbed run of a history: one worker, batches of one, nothing that fails; and what must hold beside it."""

from collections.abc import Iterator, Mapping
from typing import Any

from operators.decode import Decoder
from operators.shard import Shard, ShardState
from schemas.alerts import ALERTS_NAME, AlertState
from schemas.records import RecordBatch
from schemas.rows import DEAD_LETTERS, PROGRESS, TABLES, row_version
from tests.support.simulation.history import History

Row = tuple[Any, ...]


class Reference:
    """Each version of each row that a log gives.

    Parameters
    ----------
    history
        The history.
    stream
        Name of its log.
    """

    def __init__(self, history: History, stream: str) -> None:
        self._generation = history.fold.generation
        self._rows: dict[str, dict[Row, dict[int, Row]]] = {name: {} for name in TABLES}
        self._partitions: dict[str, dict[Row, int]] = {name: {} for name in TABLES}
        decoder, shards = Decoder(history.decode), {}
        for batch in _batches_of_one(history, stream):
            for key, value in decoder([batch]):
                shard = shards.get(key) or shards.setdefault(key, Shard(ShardState({}, {}), history.fold))
                self._take(shard.take([value]).rows, batch.partition)

    def _take(self, tables: Mapping[str, list[Row]], partition: int) -> None:
        for name, rows in tables.items():
            width = len(TABLES[name].key)
            for row in rows:
                self._rows[name].setdefault(row[:width], {})[row[-2]] = row
                self._partitions[name][row[:width]] = partition

    def require_row(self, table: str, row: Row) -> None:
        """Raise unless the undisturbed run writes just this row under this version."""
        versions = self._rows[table].get(row[: len(TABLES[table].key)])
        expected = versions.get(row[-2]) if versions is not None else None
        assert expected is not None, f"a row of {table} that the log does not give: {row}"
        assert expected == row, f"a row of {table} is not reproducible: {_differences(table, expected, row)}"

    def require_written(self, table: str, versions: Mapping[Row, int], next_offsets: Mapping[int, int]) -> None:
        """Raise unless a table holds all that the log up to these offsets gives, or what is newer."""
        partitions = self._partitions[table]
        limits = self._limits(next_offsets)
        for key, rows in self._rows[table].items():
            limit = limits.get(partitions[key], 0)
            due = [version for version in rows if version < limit]
            if due:
                assert versions.get(key, 0) >= max(due), f"lost: a row of {table}, {rows[max(due)]}"

    def require_balance(self, next_offsets: Mapping[int, int]) -> None:
        """Raise unless the accounts of the log up to these offsets balance."""
        require_balance(dict(self._until(PROGRESS.name, next_offsets)))

    def in_force(self, table: str) -> dict[Row, Row]:
        """Return the last version of each row."""
        return {key: rows[max(rows)] for key, rows in self._rows[table].items()}

    def letters(self, next_offsets: Mapping[int, int]) -> set[bytes]:
        """Return the keys of the messages about refused records up to these offsets."""
        return {":".join(map(str, key)).encode() for key, _ in self._until(DEAD_LETTERS.name, next_offsets)}

    def alerts_told(self, next_offsets: Mapping[int, int]) -> set[tuple[str, str]]:
        """Return id and kind of what a receiver is told: each firing, and the end of it, up to these offsets."""
        columns = TABLES[ALERTS_NAME].columns
        state, alert_id = columns.index("state"), columns.index("alert_id")
        rows = [row for _, row in self._until(ALERTS_NAME, next_offsets) if not row[-1]]
        return {(row[alert_id], "firing" if row[state] == AlertState.FIRING else "resolved") for row in rows}

    def _until(self, table: str, next_offsets: Mapping[int, int]) -> Iterator[tuple[Row, Row]]:
        """Yield key and row of all versions of a table up to these offsets."""
        limits = self._limits(next_offsets)
        for key, rows in self._rows[table].items():
            limit = limits.get(self._partitions[table][key], 0)
            yield from ((key, row) for version, row in rows.items() if version < limit)

    def _limits(self, next_offsets: Mapping[int, int]) -> dict[int, int]:
        return {number: row_version(generation=self._generation, offset=each) for number, each in next_offsets.items()}


def require_balance(progress: Mapping[Row, Row]) -> None:
    """Raise unless, of each partition, what came in is what was folded, a duplicate, late or dead."""
    columns = PROGRESS.columns
    incoming = columns.index("events_in")
    parts = [columns.index(name) for name in ("folded", "duplicate", "late", "dead")]
    balances: dict[Row, int] = {}
    for row in progress.values():
        balances[row[:2]] = balances.get(row[:2], 0) + row[incoming] - sum(row[part] for part in parts)
    assert not any(balances.values()), f"accounts that do not balance: {balances}"


def _batches_of_one(history: History, stream: str) -> Iterator[RecordBatch]:
    for number, log in history.logs.items():
        for count, record in enumerate(log, 1):
            stamps = None if record.stamp is None else [record.stamp]
            yield RecordBatch(stream, number, [record.offset], [record.payload], count, stamps)


def _differences(table: str, expected: Row, found: Row) -> str:
    names = TABLES[table].columns
    told = [f"{name} {a!r} → {b!r}" for name, a, b in zip(names, expected, found, strict=True) if a != b and a is not b]
    return f"{expected[: len(TABLES[table].key)]}, version {expected[-2]}: {', '.join(told)}"
