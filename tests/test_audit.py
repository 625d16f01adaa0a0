"""The audit: figures that follow from the log pass, and whatever is not as the log says is found and told."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from clickhouse_connect.driver.client import Client

from flows.audit.audit import AuditReport, audit
from flows.audit.coverage import KEYS, omissions, uncompared_columns
from flows.audit.facts import store_facts
from flows.audit.figures import store_figures, store_intervals
from flows.audit.log import FileLog
from flows.audit.recount import Recount
from flows.cli.main import run_arguments
from flows.simulator.settings import SimulationSettings
from flows.simulator.simulation import simulate
from operators.project.settings import FoldSettings
from schemas.errors import ConfigurationError, IncompatibleStateError
from schemas.rows import TABLES
from tests.support.clickhouse_rows import migrated
from tests.support.filling import LIMITS, empty, fill, rules_of, write_log
from tests.support.folding import FOLD_SETTINGS, HOUR
from tests.support.logs import LogShape, random_log

WORKFLOW = LogShape(events=500, is_workflow=True)
SETTINGS = dataclasses.replace(FOLD_SETTINGS, has_agreement=True)
SHORT_MEMORY = dataclasses.replace(SETTINGS, retention=HOUR, annotator_retention=3 * HOUR)
"""Most of a log is forgotten by its end, so that what is late, absent or begun anew matters."""
SMALL_QUOTA = dataclasses.replace(SHORT_MEMORY, events_per_minute_max=4, new_items_per_day_max=60)
"""A good part of the log is refused."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Client]]:
    """A migrated database: its DSN and a connection."""
    with migrated(tmp_path_factory.mktemp("audit")) as opened:
        yield opened


def audited(
    engine: tuple[str, Client], path: Path, lines: list[bytes], *, settings: FoldSettings = SETTINGS
) -> AuditReport:
    """Fill the database from a log, and audit it."""
    empty(engine[1])
    write_log(path, lines)
    fill(engine[0], lines, stream=f"file:{path}", settings=settings)
    return report_of(engine[1], path, settings=settings)


def report_of(client: Client, path: Path, *, settings: FoldSettings = SETTINGS, **options: int) -> AuditReport:
    """Audit the database as it is."""
    limits = {"records_max": 1_000_000, "differences_max": 100, **options}
    return audit(FileLog(path), client, rules=rules_of(settings), limits=LIMITS, **limits)


def rows_compared(report: AuditReport) -> dict[str, int]:
    """Return how many rows of each view were compared."""
    return {table.view: table.expected for table in report.tables}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("settings", [SETTINGS, SHORT_MEMORY, SMALL_QUOTA], ids=["long", "short", "quota"])
def test_the_fold_of_a_random_log_passes(engine, tmp_path, seed, settings):
    """Whatever the log: what the fold has written is what the audit finds in the log, in all views."""
    lines = random_log(seed, dataclasses.replace(WORKFLOW, disorder_seconds=6_000))
    report = audited(engine, tmp_path / "log", lines, settings=settings)
    assert report.differences == [] and report.differences_total == 0
    assert report.records == len(lines)
    compared = rows_compared(report)
    assert compared["labels"] and (
        settings is SMALL_QUOTA or all(compared[view] for view in compared if view != "pairs")
    )


@pytest.mark.slow
def test_the_fold_of_a_simulated_log_passes(engine, tmp_path):
    """A log of the simulator, bad records included, passes."""
    lines = list(simulate(SimulationSettings(events=4_000, annotators=20, seed=3, bad_rate=0.01, gold_rate=0.5)))
    report = audited(engine, tmp_path / "log", lines)
    assert report.differences == []
    assert rows_compared(report)["labels"] > 3_000


@pytest.mark.slow
def test_pairs_of_annotators_pass(engine, tmp_path):
    """Pairs with enough items in common are compared, too: their agreement and kappa."""
    shape = LogShape(events=1_500, items=120, annotators=3, projects=1, is_workflow=True)
    report = audited(engine, tmp_path / "log", random_log(5, shape))
    assert report.differences == []
    assert rows_compared(report)["pairs"] == 3


TAMPERED = {
    "labels": "score", "skips": "duration_ms", "reviews": "waiting_ms", "items": "labels", "annotators": "gold_correct",
    "reviewers": "wrongly_refused", "step_windows": "done", "annotator_windows": "labels",
    "project_windows": "annotators", "class_windows": "labels",
    "confusion": "labels", "agreement": "items", "agreement_windows": "alpha", "projects": "gold_labels",
    "dead_letters": "payload_bytes",
}  # fmt: skip


@pytest.mark.slow
def test_a_figure_that_was_changed_is_found_in_every_view(engine, tmp_path):
    """One figure of one row changed in each view: the audit finds these, names them, and nothing else."""
    lines = random_log(1, WORKFLOW)
    assert audited(engine, tmp_path / "log", lines).differences == []
    for view, column in TAMPERED.items():
        engine[1].command(
            f"INSERT INTO {view}_versions "
            f"SELECT * REPLACE (coalesce({column}, 0) + 1 AS {column}, version + 1 AS version)"
            f" FROM {view}_versions FINAL WHERE is_deleted = 0 ORDER BY ALL LIMIT 1"
        )
    report = report_of(engine[1], tmp_path / "log")
    assert {(found.view, found.column) for found in report.differences} == set(TAMPERED.items())
    assert all(found.found == pytest.approx((found.expected or 0) + 1) for found in report.differences)
    assert {table.view: table.differing for table in report.tables if table.differences} == dict.fromkeys(TAMPERED, 1)


@pytest.mark.slow
def test_rows_too_few_and_too_many_are_found(engine, tmp_path):
    """A row that ceased and one that nobody earned are both told, with their keys."""
    audited(engine, tmp_path / "log", random_log(1, LogShape(events=200)))
    client = engine[1]
    first = "FROM (SELECT * FROM {table} FINAL WHERE is_deleted = 0 ORDER BY ALL LIMIT 1)"
    client.command(
        "INSERT INTO items_versions SELECT * REPLACE (1 AS is_deleted, version + 1 AS version) "
        + first.format(table="items_versions")
    )
    client.command(
        "INSERT INTO confusion_versions SELECT * REPLACE ('nobody' AS annotator_id) "
        + first.format(table="confusion_versions")
    )
    report = report_of(client, tmp_path / "log")
    missing, unexpected = report.differences
    assert (missing.view, missing.column, missing.found) == ("items", None, None)
    assert missing.expected["labels"] > 0
    assert (unexpected.view, unexpected.column, unexpected.expected) == ("confusion", None, None)
    assert unexpected.key["annotator_id"] == "nobody"


@pytest.mark.slow
def test_tiny_differences_of_computed_floats_are_none(engine, tmp_path):
    """Bounds of an interval that differ in their last bits are the same; in their ninth digit they are not."""
    audited(engine, tmp_path / "log", random_log(1, LogShape(events=200)))
    for change, differing in ((1e-12, 0), (1e-7, 1)):
        engine[1].command(
            "INSERT INTO annotators_versions SELECT * REPLACE (accuracy_low * {factor:Float64} AS accuracy_low, "
            "version + 1 AS version) FROM annotators_versions FINAL WHERE gold_labels > 0 ORDER BY ALL LIMIT 1",
            {"factor": 1 + change},
        )
        assert report_of(engine[1], tmp_path / "log").differences_total == differing


def test_a_log_that_begins_too_late_is_refused(engine, tmp_path):
    """A log whose first records are gone cannot tell what the figures should be: refused, with what is lacking."""
    lines = random_log(1, LogShape(events=60))
    audited(engine, tmp_path / "log", lines)
    write_log(tmp_path / "log", lines[10:])
    with pytest.raises(
        IncompatibleStateError, match="begins after the generation did.*holds 50 up to offset 59.*read 60"
    ):
        report_of(engine[1], tmp_path / "log")


@pytest.mark.slow
def test_what_the_flow_has_not_read_yet_is_left_out(engine, tmp_path):
    """Records behind the last one that the flow has counted do not matter."""
    lines = random_log(1, LogShape(events=60))
    audited(engine, tmp_path / "log", lines)
    write_log(tmp_path / "log", [*lines, *random_log(9, LogShape(events=50))])
    report = report_of(engine[1], tmp_path / "log")
    assert (report.records, report.differences) == (60, [])


def test_another_log_or_one_too_large_is_refused(engine, tmp_path):
    """A log that the database knows nothing of is refused, and so is one that would not fit into memory."""
    audited(engine, tmp_path / "log", random_log(1, LogShape(events=60)))
    other = write_log(tmp_path / "other", [b"{}"])
    with pytest.raises(ConfigurationError, match="holds no figures of file:.*other, but of file:.*log"):
        report_of(engine[1], other)
    with pytest.raises(ConfigurationError, match="has read 60 records; .* at most 59"):
        report_of(engine[1], tmp_path / "log", records_max=59)


@pytest.mark.parametrize("view", KEYS)
def test_every_column_is_compared_or_named(view):
    """No column of a covered view is passed over in silence, and no view."""
    with duckdb.connect() as database:
        store_facts(database, Recount())
        store_intervals(database)
        store_figures(database, window=1, stream="s")
        compared = {row[0] for row in database.sql(f"DESCRIBE expected_{view}").fetchall()}
    assert uncompared_columns(view, compared) == []
    named = {omission.view for omission in omissions() if omission.column is None}
    assert {name.removesuffix("_versions") for name in TABLES} == set(KEYS) | named


@pytest.mark.slow
def test_the_command_tells_and_ends_with_its_code(engine, tmp_path, capsys):
    """No difference: exit code 0; a difference: 1, with the figure by both accounts; no log: 3."""
    path = tmp_path / "log"
    audited(engine, path, random_log(1, LogShape(events=200)))
    command = ["audit", "--clickhouse", engine[0], "--log", f"file:{path}"]
    assert run_arguments(command) == 0
    assert "0 differences" in capsys.readouterr().out
    engine[1].command(
        "INSERT INTO projects_versions SELECT * REPLACE (labels + 5 AS labels, version + 1 AS version) "
        "FROM projects_versions FINAL ORDER BY ALL LIMIT 1"
    )
    assert run_arguments([*command, "--format", "json"]) == 1
    told = json.loads(capsys.readouterr().out)
    [difference] = told["differences"]
    assert (difference["view"], difference["column"], difference["key"]) == ("projects", "labels", {"project_id": "p0"})
    assert difference["found"] == difference["expected"] + 5
    assert {"view": "drift", "column": None} in [{k: o[k] for k in ("view", "column")} for o in told["not_compared"]]
    assert run_arguments(command) == 1
    assert "1 differences" in capsys.readouterr().out
    assert run_arguments([*command[:-1], "file:/nowhere"]) == 3
