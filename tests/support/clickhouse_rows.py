"""Rows for tests: only what a test is about needs to be said."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from schemas.records import RowBatch
from schemas.rows import TABLES, Table
from sinks.clickhouse import migrate
from sinks.clickhouse.client import connect
from sinks.clickhouse.writer import RowWriter

SECOND = 1_000_000
MINUTE = 60 * SECOND
NINE = 1_767_603_600 * SECOND
"""2026-01-05T09:00:00Z in microseconds."""

_TEXT = {
    "project_id": "p", "question_id": "q", "item_id": "i", "annotation_id": "a", "annotator_id": "w",
    "step": "annotate", "label": "yes", "truth": "yes", "stream": "log", "part": "source", "signal": "accuracy",
    "detector": "adwin", "direction": "worse", "stage": "decode", "error_code": "not_json", "error": "no JSON",
    "payload": b"{", "review_id": "v", "reviewer_id": "r", "decision": "accept", "level": "nominal",
    "alert_id": "c", "rule": "drift", "severity": "warning", "label_class": "", "state": "firing",
    "summary": "errors", "evidence": "{}", "action": "check", "hooks": "", "hook": "log",
    "consensus": "yes", "status": "settled", "posterior": {"yes": 0.9}, "option": "yes", "other_annotator_id": "x",
    "attributes": {"team": "red"},
}  # fmt: skip
_TIMES = ("fired_at", "occurred_at", "first_at", "last_at", "window_start", "clock_at", "detected_at", "changed_at")
_MISSING = (
    "accuracy", "score", "duration_ms_p", "decayed_", "adaptive_low", "adaptive_high", "top_", "before", "after",
    "truth_standing", "kind", "adjudicator_id", "started_at", "finished_at", "correction", "agreement", "leniency",
    "waiting_ms_p", "estimate_", "fast_", "longest_run_label", "alpha", "ac1", "percent", "kappa", "confidence",
    "longest_run_chance", "consensus_accuracy", "consensus_low", "consensus_high", "deviation", "false_alarm",
    "resolved_at", "first_attempt_at", "last_attempt_at", "status_code",
)  # fmt: skip


def row(table: Table, **values: Any) -> tuple[Any, ...]:
    """Return a row of a table, with a plausible value in each column that is not given; version 1 by default."""
    unknown = values.keys() - set(table.columns)
    assert not unknown, f"{table.name} has no {unknown}"
    return tuple(values[name] if name in values else _default(name) for name in table.columns)


def _default(name: str) -> Any:
    if name in _TEXT:
        return _TEXT[name]
    if name in _TIMES:
        return NINE
    if name == "window_end":
        return NINE + 15 * MINUTE
    if name == "version":
        return 1
    return None if name.startswith(_MISSING) else 0


def write(client_dsn: str, rows: Mapping[Table, list[tuple[Any, ...]]]) -> None:
    """Write rows and wait until they are there."""
    writer = RowWriter(connect(client_dsn))
    writer.add(RowBatch({table.name: list(of_table) for table, of_table in rows.items()}))
    writer.flush()
    writer.close()


@contextmanager
def migrated(path: Path) -> Iterator[tuple[str, Client]]:
    """Make an embedded database; yields its DSN and a connection."""
    dsn = f"chdb://{path}"
    with connect(dsn) as client:
        migrate.apply(client, "labelpulse")
        yield dsn, client


def empty_tables(client: Client) -> None:
    """Take all rows out of a database."""
    for name in (*TABLES, "generations"):
        client.command(f"TRUNCATE TABLE {name}")
