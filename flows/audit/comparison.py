"""The figures of the log and those of the database, side by side."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from flows.audit.coverage import DERIVED, KEYS, LEFT_OUT
from schemas.errors import UnavailableError
from sinks.clickhouse.failures import plain_message

TOLERANCE = 1e-9
"""Relative difference up to which two floating-point numbers are the same: what libraries may differ in."""

SMALL = 1e-3
"""Smaller numbers are compared as if they were so large: a difference of two shares may be next to nothing."""

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure, or a row (then `column` is None), that the two sides do not agree on.

    Parameters
    ----------
    expected, found
        What the log says and what the database holds; None on the side that lacks the row.
    """

    view: str
    key: dict[str, Any]
    column: str | None
    expected: Any
    found: Any


@dataclass(frozen=True, slots=True)
class TableComparison:
    """How the rows of one view compare.

    Parameters
    ----------
    expected, found
        Rows of each side.
    missing, unexpected, differing
        Rows that the database lacks, that it has and should not, and that differ in a figure.
    """

    view: str
    expected: int
    found: int
    missing: int
    unexpected: int
    differing: int

    @property
    def differences(self) -> int:
        """Rows that are not as they should be."""
        return self.missing + self.unexpected + self.differing


class Comparison:
    """Compares views of the database with the figures of the log.

    Parameters
    ----------
    database
        Holds a table ``expected_VIEW`` for each view.
    client
        Connection to ClickHouse.
    left_out
        Projects that are not compared.
    partitions
        Stream and partitions that are.
    """

    def __init__(self, database: duckdb.DuckDBPyConnection, client: Client, *, left_out: set[str], stream: str) -> None:
        self._database = database
        self._client = client
        self._left_out = sorted(left_out)
        self._stream = stream

    def compare(self, view: str) -> TableComparison:
        """Fetch a view and compare it."""
        columns = self._columns(view)
        self._fetch(view, columns)
        keys = ", ".join(f'"{key}"' for key in KEYS[view])
        checks = [self._differs(name, kind) for name, kind in columns.items() if name not in KEYS[view]]
        self._database.execute(
            f"""CREATE TABLE compared_{view} AS
            SELECT {keys}, e.is_there AS in_log, f.is_there AS in_database, {", ".join(checks)}
            FROM (SELECT *, true AS is_there FROM expected_{view}) AS e
            FULL JOIN (SELECT *, true AS is_there FROM found_{view}) AS f USING ({keys})"""
        )
        differs = " OR ".join(f'"{name}"' for name in columns if name not in KEYS[view])
        row = self._database.sql(
            f"""SELECT count(in_log), count(in_database), count(*) FILTER (in_database IS NULL),
                count(*) FILTER (in_log IS NULL),
                count(*) FILTER (in_log AND in_database AND ({differs}))
            FROM compared_{view}"""
        ).fetchall()[0]

        return TableComparison(view, *row)

    def differences(self, view: str, limit: int) -> Iterator[Difference]:
        """Yield the first differences of a view that was compared, in the order of its key."""
        keys = KEYS[view]
        values = [name for name in self._columns(view) if name not in keys]
        key_list = ", ".join(f'"{key}"' for key in keys)
        sides = ", ".join(f'e."{name}", f."{name}", c."{name}"' for name in values)
        rows = self._database.sql(
            f"""SELECT {key_list}, c.in_log, c.in_database, {sides}
            FROM (
                SELECT * FROM compared_{view}
                WHERE in_log IS NULL OR in_database IS NULL OR {" OR ".join(f'"{name}"' for name in values)}
                ORDER BY {key_list} LIMIT {limit}) AS c
            LEFT JOIN expected_{view} AS e USING ({key_list})
            LEFT JOIN found_{view} AS f USING ({key_list})
            ORDER BY {key_list}"""
        ).fetchall()
        for row in rows:
            yield from _differences_of(view, keys, values, row)

    def _columns(self, view: str) -> dict[str, str]:
        described = self._database.sql(f"DESCRIBE expected_{view}").fetchall()
        return {row[0]: row[1] for row in described}

    def _differs(self, name: str, kind: str) -> str:
        if kind != "DOUBLE":
            return f'e."{name}" IS DISTINCT FROM f."{name}" AS "{name}"'
        size = f'greatest(abs(e."{name}"), abs(f."{name}"), {SMALL})'
        near = f'abs(e."{name}" - f."{name}") <= {TOLERANCE} * {size}'
        return f'(e."{name}" IS DISTINCT FROM f."{name}" AND NOT coalesce({near}, false)) AS "{name}"'

    def _fetch(self, view: str, columns: dict[str, str]) -> None:
        """Copy the compared columns of a view, in blocks."""
        self._database.execute(f"CREATE TABLE found_{view} AS FROM expected_{view} LIMIT 0")
        selected = ", ".join(f"{_as_plain(view, name, kind)} AS `{name}`" for name, kind in columns.items())
        if "project_id" in KEYS[view]:
            condition, parameters = "project_id NOT IN {left_out:Array(String)}", {"left_out": self._left_out}
        else:
            condition, parameters = "stream = {stream:String}", {"stream": self._stream}
        query = f"SELECT {selected} FROM {view} WHERE {condition}"
        try:
            with self._client.query_arrow_stream(query, parameters, use_strings=True) as blocks:
                for block in blocks:
                    self._append(view, block)
            if view in LEFT_OUT:
                self._database.execute(f"DELETE FROM found_{view} WHERE {LEFT_OUT[view]}")
        except ClickHouseError as error:
            raise UnavailableError(
                f"the view {view} cannot be read: {plain_message(error)}", remedy="run `labelpulse doctor`"
            ) from error

    def _append(self, view: str, block: pa.Table | pa.RecordBatch) -> None:
        self._database.register("block", block)
        self._database.execute(f"INSERT INTO found_{view} BY NAME FROM block")
        self._database.unregister("block")


def _as_plain(view: str, name: str, kind: str) -> str:
    """Return a column of a view as a plain text or number."""
    expression = DERIVED.get((view, name), f"{view}.`{name}`")
    if kind == "VARCHAR":
        return f"CAST({expression} AS Nullable(String))"
    if name.endswith(("_at", "_start", "_end")):
        return f"toUnixTimestamp64Micro({expression})"
    if kind == "BIGINT":
        return f"CAST({expression} AS Nullable(Int64))"
    return f"CAST({expression} AS Bool)" if kind == "BOOLEAN" else expression


def _differences_of(view: str, keys: tuple[str, ...], values: list[str], row: Key) -> Iterator[Difference]:
    key = dict(zip(keys, row, strict=False))
    in_log, in_database = row[len(keys) : len(keys) + 2]
    sides = row[len(keys) + 2 :]
    expected = {name: sides[3 * index] for index, name in enumerate(values)}
    found = {name: sides[3 * index + 1] for index, name in enumerate(values)}
    if not in_log or not in_database:
        yield Difference(view, key, None, expected if in_log else None, found if in_database else None)
        return
    for index, name in enumerate(values):
        if sides[3 * index + 2]:
            yield Difference(view, key, name, expected[name], found[name])
