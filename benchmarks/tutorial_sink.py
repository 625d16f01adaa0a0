"""Tables and sink of the tutorial's version: rows of a key by version, inserted by the ten thousand."""

from collections.abc import Iterable
from typing import Any

from bytewax.outputs import DynamicSink, StatelessSinkPartition
from clickhouse_connect.driver.client import Client

DATABASE = "tutorial"
INSERT_ROWS_MIN = 10_000

Row = tuple[Any, ...]
TableRow = tuple[str, Row]

_QUESTION = ("project_id LowCardinality(String)", "question_id LowCardinality(String)")
_ANNOTATOR = "annotator_id LowCardinality(String)"
_CLASS = "label LowCardinality(String)"
_START = "window_start DateTime64(3, 'UTC')"
_COUNTS = ("labels UInt64", "gold_labels UInt64", "gold_correct Float64")
_WINDOW_COUNTS = (*_COUNTS, "duration_ms_sum UInt64")

TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "labels": (
        (*_QUESTION, "item_id String", "annotation_id String"),
        (
            _ANNOTATOR, _CLASS, "occurred_at DateTime64(3, 'UTC')", "duration_ms Nullable(UInt32)",
            "truth LowCardinality(Nullable(String))", "score Nullable(Float64)",
        ),
    ),
    "annotators": (
        (*_QUESTION, _ANNOTATOR),
        (
            *_COUNTS, "accuracy Nullable(Float64)", "accuracy_decayed Nullable(Float64)",
            "accuracy_adaptive Nullable(Float64)", "duration_ms_p50 Nullable(Float64)",
            "duration_ms_p90 Nullable(Float64)", "drifts UInt64",
        ),
    ),
    "confusion": ((*_QUESTION, _ANNOTATOR, "truth LowCardinality(String)", _CLASS), ("labels UInt64",)),
    "drift": (
        (*_QUESTION, _ANNOTATOR, "sequence UInt64"),
        ("direction LowCardinality(String)", "detected_at DateTime64(3, 'UTC')"),
    ),
    "annotator_windows": ((*_QUESTION, _ANNOTATOR, _START), _WINDOW_COUNTS),
    "project_windows": ((*_QUESTION, _START), _WINDOW_COUNTS),
    "class_windows": ((*_QUESTION, _CLASS, _START), _WINDOW_COUNTS),
    "dead_letters": ((), ("payload String", "error String")),
}  # fmt: skip
"""Columns of each table: those of its key, and the others; where there is a key, a version follows."""


def create_tables(client: Client) -> None:
    """Make the database and its tables."""
    client.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
    for table, (key, values) in TABLES.items():
        columns = ", ".join((*key, *values, "version UInt64") if key else values)
        engine = "ReplacingMergeTree(version)" if key else "MergeTree"
        order = ", ".join(column.split()[0] for column in key)
        client.command(f"CREATE TABLE {DATABASE}.{table} ({columns}) ENGINE = {engine} ORDER BY ({order})")


class ClickHouseSink(DynamicSink[TableRow]):
    """Inserts rows of several tables through one client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def build(self, step_id: str, worker_index: int, worker_count: int) -> "ClickHousePartition":
        """Return the worker's inserter."""
        return ClickHousePartition(self._client)


class ClickHousePartition(StatelessSinkPartition[TableRow]):
    """Keeps rows until a table has enough for an insert."""

    def __init__(self, client: Client) -> None:
        self._rows: dict[str, list[Row]] = {table: [] for table in TABLES}
        self._client = client
        self._contexts = {
            table: client.create_insert_context(table, database=DATABASE, column_oriented=True) for table in TABLES
        }

    def write_batch(self, items: Iterable[TableRow]) -> None:
        """Keep rows, and insert those of tables that have enough."""
        rows = self._rows
        for table, row in items:
            rows[table].append(row)
        for table, waiting in rows.items():
            if len(waiting) >= INSERT_ROWS_MIN:
                self._insert(table)

    def close(self) -> None:
        """Insert what is left."""
        for table, waiting in self._rows.items():
            if waiting:
                self._insert(table)

    def _insert(self, table: str) -> None:
        context = self._contexts[table]
        context.data = list(zip(*self._rows[table], strict=True))
        self._client.insert(context=context)
        self._rows[table] = []
