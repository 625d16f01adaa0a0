"""Named queries on real rows: each figure, in each format, from the embedded engine and from a server."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from clickhouse_connect.driver.client import Client

from monitor.queries.catalogue import QUERIES
from monitor.queries.of_views import QUERIES_OF_VIEWS
from monitor.queries.run import FORMATS, run_query
from schemas.rows import (
    ANNOTATOR_WINDOWS,
    ANNOTATORS,
    CLASS_WINDOWS,
    CONFUSION,
    DEAD_LETTERS,
    DRIFT,
    ITEMS,
    LABELS,
    PROGRESS,
    PROJECT_WINDOWS,
    PROJECTS,
)  # fmt: skip
from sinks.clickhouse.client import connect
from tests.support.clickhouse_front import ClickHouseFront
from tests.support.clickhouse_rows import MINUTE, NINE, migrated, row, write

NINE_TEXT, QUARTER_TEXT, HALF_TEXT = (f"2026-01-05T09:{minute}:00.000000Z" for minute in ("00", "15", "30"))
QUARTER = 15 * MINUTE
KEY = {"project_id": "p", "question_id": "q"}
WINDOW = {"window_start": NINE_TEXT, "window_end": QUARTER_TEXT, "is_final": True}
LATER_WINDOW = {"window_start": QUARTER_TEXT, "window_end": HALF_TEXT, "is_final": False}
NO_ACCURACY = {"gold_labels": 0, "gold_correct": 0, "accuracy": None, "accuracy_low": None, "accuracy_high": None}
SOME_ACCURACY = {"gold_labels": 4, "gold_correct": 3, "accuracy": 0.75, "accuracy_low": 0.25, "accuracy_high": 0.9}
LATER = {"window_start": NINE + QUARTER, "window_end": NINE + 2 * QUARTER}

ROWS = {
    PROJECTS: [
        row(PROJECTS, clock_at=NINE + QUARTER, last_at=NINE + QUARTER, labels=7, items=3, annotators=2, truth_items=1,
            gold_labels=4, gold_correct=2.5, unmatched_retractions=1),
        row(PROJECTS, project_id="new", partition=1, clock_at=NINE, last_at=NINE, is_unordered=1),
    ],
    ANNOTATORS: [
        row(ANNOTATORS, labels=5, **SOME_ACCURACY, judgements=4, accuracy_decayed=0.8, decayed_low=0.4,
            decayed_high=0.9, accuracy_adaptive=0.75, adaptive_low=0.25, adaptive_high=0.9, adaptive_judgements=4,
            timed_labels=3, duration_ms_p50=1500.5, duration_ms_p90=4000.0, drifts=1, last_at=NINE + QUARTER),
        row(ANNOTATORS, annotator_id="v", labels=2, first_at=None, last_at=None),
        row(ANNOTATORS, annotator_id="gone", version=2, is_deleted=1),
        row(ANNOTATORS, project_id="new", annotator_id="w", labels=1),
    ],
    ANNOTATOR_WINDOWS: [
        row(ANNOTATOR_WINDOWS, labels=4, **SOME_ACCURACY, timed_labels=2, duration_ms_sum=3001),
        row(ANNOTATOR_WINDOWS, annotator_id="v", labels=1),
        row(ANNOTATOR_WINDOWS, **LATER, labels=1),
    ],
    PROJECT_WINDOWS: [
        row(PROJECT_WINDOWS, labels=5, annotators=2, **SOME_ACCURACY, timed_labels=2, duration_ms_sum=3001),
        row(PROJECT_WINDOWS, **LATER, labels=1, annotators=1),
    ],
    CLASS_WINDOWS: [
        row(CLASS_WINDOWS, label="yes", labels=4), row(CLASS_WINDOWS, label="no", labels=1),
        row(CLASS_WINDOWS, label="yes", **LATER, labels=1),
    ],
    CONFUSION: [
        row(CONFUSION, truth="yes", label="yes", labels=3), row(CONFUSION, truth="yes", label="no", labels=1),
        row(CONFUSION, truth="no", label="no", labels=2), row(CONFUSION, annotator_id="v", labels=9),
    ],
    ITEMS: [
        row(ITEMS, labels=2, annotators=2, top_label="yes", top_share=0.5, last_at=NINE + QUARTER),
        row(ITEMS, item_id="known", truth="no", first_at=None, last_at=None),
    ],
    LABELS: [
        row(LABELS, score=1.0, duration_ms=1500, revision=2, occurred_at=NINE + QUARTER),
        row(LABELS, item_id="j", annotation_id="b", annotator_id="v", label="na\u00efve, \"quoted\"\n", truth=None),
    ],
    DRIFT: [
        row(DRIFT, sequence=5, before=0.9, after=0.6, judgements_after=40, detected_at=NINE + QUARTER),
        row(DRIFT, sequence=1, direction="better", changed_at=None),
    ],
    DEAD_LETTERS: [
        row(DEAD_LETTERS, offset=7, payload=b'{"a\xff', payload_bytes=4, project_id=None),
        row(DEAD_LETTERS, offset=3, stage="fold", error_code="late", error="too old", payload=b"{}", payload_bytes=2),
    ],
    PROGRESS: [
        row(PROGRESS, offset=99, events_in=100, dead=5), row(PROGRESS, part="shard-1", offset=98, folded=80, late=2),
        row(PROGRESS, part="shard-2", offset=99, folded=10, duplicate=1, dead=2),
        row(PROGRESS, partition=1, offset=2**53 + 1, events_in=2**53 + 1),
    ],
}  # fmt: skip

EXPECTED: dict[str, list[dict[str, Any]]] = {
    "projects": [
        {"project_id": "new", "labels": 0, "items": 0, "annotators": 0, "truth_items": 0, "gold_labels": 0,
         "gold_correct": 0, "accuracy": None, "clock_at": NINE_TEXT, "last_at": NINE_TEXT, "stream": "log",
         "partition": 1, "unmatched_retractions": 0, "is_unordered": True},
        {"project_id": "p", "labels": 7, "items": 3, "annotators": 2, "truth_items": 1, "gold_labels": 4,
         "gold_correct": 2.5, "accuracy": 0.625, "clock_at": QUARTER_TEXT, "last_at": QUARTER_TEXT, "stream": "log",
         "partition": 0, "unmatched_retractions": 1, "is_unordered": False},
    ],
    "annotators": [
        {"project_id": "new", "question_id": "q", "annotator_id": "w", "labels": 1, **NO_ACCURACY, "judgements": 0,
         "accuracy_decayed": None, "decayed_low": None, "decayed_high": None,
         "accuracy_adaptive": None, "adaptive_low": None, "adaptive_high": None, "adaptive_judgements": 0,
         "timed_labels": 0, "duration_ms_p50": None, "duration_ms_p90": None, "drifts": 0,
         "first_at": NINE_TEXT, "last_at": NINE_TEXT},
        {**KEY, "annotator_id": "v", "labels": 2, **NO_ACCURACY, "judgements": 0,
         "accuracy_decayed": None, "decayed_low": None, "decayed_high": None,
         "accuracy_adaptive": None, "adaptive_low": None, "adaptive_high": None, "adaptive_judgements": 0,
         "timed_labels": 0, "duration_ms_p50": None, "duration_ms_p90": None, "drifts": 0,
         "first_at": None, "last_at": None},
        {**KEY, "annotator_id": "w", "labels": 5, **SOME_ACCURACY, "judgements": 4,
         "accuracy_decayed": 0.8, "decayed_low": 0.4, "decayed_high": 0.9,
         "accuracy_adaptive": 0.75, "adaptive_low": 0.25, "adaptive_high": 0.9, "adaptive_judgements": 4,
         "timed_labels": 3, "duration_ms_p50": 1500.5, "duration_ms_p90": 4000, "drifts": 1,
         "first_at": NINE_TEXT, "last_at": QUARTER_TEXT},
    ],
    "annotator-windows": [
        {**KEY, "annotator_id": "v", **WINDOW, "labels": 1, **NO_ACCURACY, "timed_labels": 0, "duration_ms_mean": None},
        {**KEY, "annotator_id": "w", **WINDOW, "labels": 4, **SOME_ACCURACY, "timed_labels": 2,
         "duration_ms_mean": 1500.5},
        {**KEY, "annotator_id": "w", **LATER_WINDOW, "labels": 1, **NO_ACCURACY, "timed_labels": 0,
         "duration_ms_mean": None},
    ],
    "project-windows": [
        {**KEY, **WINDOW, "labels": 5, "annotators": 2, **SOME_ACCURACY, "timed_labels": 2, "duration_ms_mean": 1500.5},
        {**KEY, **LATER_WINDOW, "labels": 1, "annotators": 1, **NO_ACCURACY, "timed_labels": 0,
         "duration_ms_mean": None},
    ],
    "class-windows": [
        {**KEY, **WINDOW, "label": "no", "labels": 1}, {**KEY, **WINDOW, "label": "yes", "labels": 4},
        {**KEY, **LATER_WINDOW, "label": "yes", "labels": 1},
    ],
    "confusion": [
        {**KEY, "annotator_id": "v", "truth": "yes", "label": "yes", "labels": 9, "share": 1},
        {**KEY, "annotator_id": "w", "truth": "no", "label": "no", "labels": 2, "share": 1},
        {**KEY, "annotator_id": "w", "truth": "yes", "label": "no", "labels": 1, "share": 0.25},
        {**KEY, "annotator_id": "w", "truth": "yes", "label": "yes", "labels": 3, "share": 0.75},
    ],
    "items": [
        {**KEY, "item_id": "i", "labels": 2, "annotators": 2, "top_label": "yes", "top_share": 0.5, "truth": "yes",
         "first_at": NINE_TEXT, "last_at": QUARTER_TEXT},
        {**KEY, "item_id": "known", "labels": 0, "annotators": 0, "top_label": None, "top_share": None, "truth": "no",
         "first_at": None, "last_at": None},
    ],
    "labels": [
        {**KEY, "item_id": "i", "annotation_id": "a", "annotator_id": "w", "step": "annotate", "revision": 2,
         "label": "yes", "truth": "yes", "score": 1, "duration_ms": 1500, "occurred_at": QUARTER_TEXT,
         "first_at": NINE_TEXT},
        {**KEY, "item_id": "j", "annotation_id": "b", "annotator_id": "v", "step": "annotate", "revision": 0,
         "label": "na\u00efve, \"quoted\"\n", "truth": None, "score": None, "duration_ms": 0, "occurred_at": NINE_TEXT,
         "first_at": NINE_TEXT},
    ],
    "drift": [
        {**KEY, "annotator_id": "w", "signal": "accuracy", "detector": "adwin", "direction": "worse",
         "detected_at": QUARTER_TEXT, "changed_at": NINE_TEXT, "before": 0.9, "after": 0.6, "judgements_after": 40,
         "sequence": 5},
        {**KEY, "annotator_id": "w", "signal": "accuracy", "detector": "adwin", "direction": "better",
         "detected_at": NINE_TEXT, "changed_at": None, "before": None, "after": None, "judgements_after": 0,
         "sequence": 1},
    ],
    "dead-letters": [
        {"stream": "log", "partition": 0, "offset": 7, "stage": "decode", "error_code": "not_json", "error": "no JSON",
         "project_id": None, "payload_bytes": 4, "payload": '{"a\ufffd', "payload_base64": "eyJh/w=="},
        {"stream": "log", "partition": 0, "offset": 3, "stage": "fold", "error_code": "late", "error": "too old",
         "project_id": "p", "payload_bytes": 2, "payload": "{}", "payload_base64": "e30="},
    ],
    "progress": [
        {"stream": "log", "partition": 0, "offset": 99, "events_in": 100, "folded": 90, "duplicate": 1, "late": 2,
         "dead": 7, "unaccounted": 0},
        {"stream": "log", "partition": 1, "offset": 2**53 + 1, "events_in": 2**53 + 1, "folded": 0, "duplicate": 0,
         "late": 0, "dead": 0, "unaccounted": 2**53 + 1},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseFront]:
    """A server over a database with the rows above, and rows that they have superseded."""
    path = tmp_path_factory.mktemp("results")
    with migrated(path) as (dsn, _):
        write(dsn, {table: list(reversed(rows)) for table, rows in ROWS.items()})
        write(dsn, {ITEMS: [row(ITEMS, labels=99, version=0)], ANNOTATORS: [row(ANNOTATORS, annotator_id="gone")]})
        with ClickHouseFront(path) as front:
            yield front


@pytest.fixture(scope="module", params=["embedded", "server"])
def client(front: ClickHouseFront, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A connection to the database, in this process and over HTTP."""
    with connect(front.dsn if request.param == "server" else f"chdb://{front.path}") as client:
        yield client


def asked(client: Client, name: str, **parameters: Any) -> list[dict[str, Any]]:
    """Return the result of a query as Python values."""
    return json.loads(run_query(client, name, format="json", parameters=parameters))


def test_all_queries_of_one_view_are_tested_here() -> None:
    """The rows of every view that a query shows as they are have expected values."""
    assert set(EXPECTED) == {query.name for query in QUERIES_OF_VIEWS}


@pytest.mark.parametrize("name", EXPECTED)
def test_json_is_exact(client: Client, name: str) -> None:
    """Every value is as expected: counts are whole, missing is null, times end in Z, superseded rows are gone."""
    text = run_query(client, name, format="json")
    assert json.loads(text) == EXPECTED[name]
    whole = {column for column in QUERIES[name].columns if column in ("labels", "events_in", "offset", "gold_labels")}
    assert all(type(held[column]) is int for held in json.loads(text) for column in whole)


@pytest.mark.parametrize("name", EXPECTED)
def test_csv_says_the_same(client: Client, name: str) -> None:
    """CSV has a header and the same values; missing is an empty field."""
    read = list(csv.reader(io.StringIO(run_query(client, name, format="csv").decode(), newline="")))
    assert read[0] == list(QUERIES[name].columns)
    assert read[1:] == [[as_csv(held[column]) for column in read[0]] for held in EXPECTED[name]]


def as_csv(value: Any) -> str:
    """Return a value as CSV shows it."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("format_name", ["parquet", "arrow"])
def test_columnar_formats_say_the_same(client: Client, name: str, format_name: str) -> None:
    """Parquet and Arrow hold the same values, timestamps as such in UTC, text as text."""
    data = run_query(client, name, format=format_name)
    table = pa.parquet.read_table(io.BytesIO(data)) if format_name == "parquet" else pa.ipc.open_stream(data).read_all()
    assert table.column_names == list(QUERIES[name].columns)
    assert table.to_pylist() == [{column: as_arrow(value) for column, value in held.items()} for held in EXPECTED[name]]


def as_arrow(value: Any) -> Any:
    """Return a value as Arrow holds it."""
    return datetime.fromisoformat(value).astimezone(UTC) if isinstance(value, str) and value[:5] == "2026-" else value


@pytest.mark.parametrize("format_name", FORMATS)
def test_an_unknown_project_has_no_rows(client: Client, format_name: str) -> None:
    """A project that nobody has heard of gives an empty result with its columns, not an error."""
    data = run_query(client, "annotators", format=format_name, parameters={"project": "nobody"})
    if format_name == "json":
        assert json.loads(data) == []
    elif format_name == "csv":
        assert len(data.splitlines()) == 1
    else:
        reader = pa.parquet.read_table if format_name == "parquet" else lambda file: pa.ipc.open_stream(file).read_all()
        assert reader(io.BytesIO(data)).shape == (0, len(QUERIES["annotators"].columns))


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("annotators", {"project": "p"}, [1, 2]),
        ("annotators", {"project": "p", "annotator": "w"}, [2]),
        ("annotators", {"question": "other"}, []),
        ("annotators", {"since": "2026-01-05T09:15:00Z"}, [2]),
        ("annotators", {"limit": 2}, [0, 1]),
        ("annotator-windows", {"annotator": "w"}, [1, 2]),
        ("annotator-windows", {"since": "2026-01-05T09:00:00.000001Z"}, [2]),
        ("annotator-windows", {"until": "2026-01-05T09:15:00Z"}, [0, 1]),
        ("annotator-windows", {"since": "2026-01-05T11:15:00+02:00", "until": "2026-01-06"}, [2]),
        ("confusion", {"annotator": "w"}, [1, 2, 3]),
        ("items", {"since": "2026-01-05"}, [0]),
        ("labels", {"annotator": "v", "project": "p", "question": "q"}, [1]),
        ("drift", {"since": "2026-01-05T09:01:00Z", "project": "p"}, [0]),
        ("dead-letters", {"project": "p"}, [1]),
        ("projects", {"project": "new"}, [0]),
        ("progress", {"limit": 1}, [0]),
    ],
    ids=str,
)
def test_parameters_choose_rows(client: Client, name: str, parameters: dict[str, Any], expected: list[int]) -> None:
    """Each parameter leaves exactly the rows that it should, its bounds included and excluded as documented."""
    assert asked(client, name, **parameters) == [EXPECTED[name][index] for index in expected]
