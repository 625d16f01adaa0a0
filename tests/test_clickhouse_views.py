"""The views: rows in force of the active generation, whether windows are final, accounts; and what reading costs."""

import re
from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client

from monitor.queries.catalogue import QUERIES
from monitor.queries.named import NamedQuery
from schemas.rows import (
    ANNOTATOR_WINDOWS,
    CLASS_WINDOWS,
    CONFUSION,
    DEAD_LETTERS,
    ITEMS,
    PROGRESS,
    PROJECT_WINDOWS,
    PROJECTS,
    TABLES,
    Table,
)  # fmt: skip
from tests.support.class_bias import class_biases
from tests.support.clickhouse_rows import MINUTE, NINE, empty_tables, migrated, row, write

GRANULES = re.compile(r"Granules: (\d+)/(\d+)")
ROWS_OF_A_GRANULE = 8192
GRANULES_FILLED = 40
ONE_PROJECT = [
    name
    for name, query in QUERIES.items()
    if "project" in query.parameters and f"{name.replace('-', '_')}_versions" in TABLES and name != "dead-letters"
]
"""Queries of one view that can be asked about one project; dead letters are sorted by their place in the log."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Client]]:
    """A migrated database: its DSN and a connection."""
    with migrated(tmp_path_factory.mktemp("views")) as opened:
        yield opened


@pytest.fixture
def client(engine: tuple[str, Client]) -> Client:
    """A connection to the database, whose tables are empty."""
    empty_tables(engine[1])
    return engine[1]


@pytest.fixture
def dsn(engine: tuple[str, Client]) -> str:
    """The DSN of the database."""
    return engine[0]


def activate(client: Client, scope: str, generation: int, version: int) -> None:
    """Let the views show a generation."""
    client.command(
        "INSERT INTO generations VALUES ({scope:String}, {generation:UInt16}, now64(6), {version:UInt64})",
        {"scope": scope, "generation": generation, "version": version},
    )


def test_views_show_the_active_generation(client: Client, dsn: str) -> None:
    """Generation 0 until another one is activated, for all projects or for one, which then goes its own way."""

    def shown() -> dict[str, int]:
        return dict(client.query("SELECT project_id, labels FROM items ORDER BY project_id").result_rows)

    rows = [
        row(ITEMS, project_id=project, labels=generation * 10, generation=generation, version=(generation << 48) + 1)
        for generation in (0, 1, 2)
        for project in ("a", "b")
    ]
    write(dsn, {ITEMS: rows})
    assert shown() == {"a": 0, "b": 0}
    activate(client, "a", 1, 1)
    assert shown() == {"a": 10, "b": 0}
    activate(client, "", 2, 1)
    assert shown() == {"a": 10, "b": 20}
    activate(client, "a", 2, 2)
    assert shown() == {"a": 20, "b": 20}
    activate(client, "", 0, 2)
    assert shown() == {"a": 20, "b": 0}


@pytest.mark.parametrize("table", [DEAD_LETTERS, PROGRESS], ids=lambda table: table.name)
def test_accounts_are_of_one_generation(client: Client, dsn: str, table: Table) -> None:
    """Accounts and dead letters belong to no project and follow the generation of all projects."""
    view = table.name.removesuffix("_versions")
    write(dsn, {table: [row(table, offset=3), row(table, offset=7, generation=1, version=2**48)]})
    assert client.query(f"SELECT `offset` FROM {view}").result_rows == [(3,)]
    activate(client, "p", 1, 1)
    assert client.query(f"SELECT `offset` FROM {view}").result_rows == [(3,)]
    activate(client, "", 1, 1)
    assert client.query(f"SELECT `offset` FROM {view}").result_rows == [(7,)]


@pytest.mark.parametrize("table", [ANNOTATOR_WINDOWS, PROJECT_WINDOWS, CLASS_WINDOWS], ids=lambda table: table.name)
def test_windows_are_final_once_the_clock_has_passed(client: Client, dsn: str, table: Table) -> None:
    """A window is final when its project's clock, or another's in the same partition, has reached its end."""
    clocks = {
        ("quiet", "log", 1): -60,  # an hour behind, but its partition goes on
        ("busy", "log", 1): 15,
        ("ahead", "log", 2): 14,
        ("other", "other log", 1): -60,
    }
    projects = [
        row(PROJECTS, project_id=project, stream=stream, partition=partition, clock_at=NINE + minutes * MINUTE)
        for (project, stream, partition), minutes in clocks.items()
    ]
    windows = [
        row(table, project_id=project, window_start=NINE + start * MINUTE, window_end=NINE + (start + 15) * MINUTE)
        for project in ("quiet", "busy", "ahead", "other", "unknown")
        for start in (0, 15)
    ]
    write(dsn, {PROJECTS: projects, table: windows})
    view = table.name.removesuffix("_versions")
    final = client.query(f"SELECT project_id, toMinute(window_start) FROM {view} WHERE is_final ORDER BY 1").result_rows
    assert final == [("busy", 0), ("quiet", 0)]
    assert client.command(f"SELECT count() FROM {view}") == len(windows)
    one = client.query(f"SELECT is_final FROM {view} WHERE project_id = 'quiet' ORDER BY window_start").result_rows
    assert one == [(True,), (False,)], "the same when the project alone is asked for"


def test_progress_sums_the_parts_of_a_partition(client: Client, dsn: str) -> None:
    """What was read is counted by the source, what became of it by the shards; a partition is one row."""
    write(
        dsn,
        {
            PROGRESS: [
                row(PROGRESS, part="source", offset=99, events_in=100, dead=5, version=100),
                row(PROGRESS, part="shard-1", offset=97, folded=60, duplicate=2, late=1, version=98),
                row(PROGRESS, part="shard-2", offset=99, folded=30, dead=2, version=100),
                row(PROGRESS, part="shard-2", offset=50, folded=10, version=51),
                row(PROGRESS, part="source", partition=1, offset=4, events_in=5),
            ]
        },
    )
    columns = "`partition`, `offset`, events_in, folded, duplicate, late, dead"
    read = client.query(f"SELECT {columns} FROM progress ORDER BY `partition`").result_rows
    assert read == [(0, 99, 100, 90, 2, 1, 7), (1, 4, 5, 0, 0, 0, 0)]


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_PROJECT)
def test_a_query_about_one_project_reads_its_rows_only(client: Client, name: str) -> None:
    """The project goes through the view down to the primary key: of 20 projects' granules, few are read."""
    table = TABLES[f"{name.replace('-', '_')}_versions"]
    fill(client, table, projects=1_000_000 if table is PROJECTS else 20)
    read, of = granules(client, QUERIES[name], project="p0000007")
    assert of >= GRANULES_FILLED
    assert read <= GRANULES_FILLED // 20 + 2


def test_a_query_about_a_time_reads_its_windows_only(client: Client) -> None:
    """Within a project, windows lie in order of time: an hour of a project is a few granules."""
    fill(client, ANNOTATOR_WINDOWS, projects=1)
    latest = client.command("SELECT max(window_start) - INTERVAL 1 HOUR FROM annotator_windows_versions")
    read, of = granules(client, QUERIES["annotator-windows"], project="p0000000", since=str(latest))
    assert of >= GRANULES_FILLED
    assert read <= 3


def granules(client: Client, query: NamedQuery, **given: str) -> tuple[int, int]:
    """Return how many granules of its own table a query reads, and of how many."""
    values = {name: parameter.default for name, parameter in query.parameters.items()}
    values |= {"database": "labelpulse", "scope": [], "limit": 10, **given}
    plan = str(client.command(f"EXPLAIN indexes = 1 {query.sql}", values))
    found = GRANULES.search(plan)
    assert found is not None, plan
    return int(found[1]), int(found[2])


def fill(client: Client, table: Table, *, projects: int) -> None:
    """Fill a table with rows of different keys, evenly over projects, as one part."""
    is_by_window = "window_start" in table.columns
    expressions = {
        "project_id": f"'p' || leftPad(toString(number % {projects}), 7, '0')",
        "item_id": "toString(number)",
        "annotator_id": f"'w' || toString(intDiv(number, {projects}){' % 50' if is_by_window else ''})",
        "window_start": f"toDateTime64('2026-01-05 09:00:00', 6, 'UTC') + INTERVAL intDiv(number, {projects}) MINUTE",
        "label": "toString(number % 100)",
        **dict.fromkeys(
            ("annotation_id", "alert_id", "option", "reviewer_id", "other_annotator_id"), "toString(number)"
        ),
        **({"question_id": "toString(number)"} if table.key == ("project_id", "question_id") else {}),
        "sequence": "number",
        "version": "1",
    }
    columns = [name for name in expressions if name in table.columns]
    client.command(
        f"INSERT INTO {table.name} ({', '.join(columns)}) "
        f"SELECT {', '.join(expressions[name] for name in columns)} FROM numbers({GRANULES_FILLED * ROWS_OF_A_GRANULE})"
    )
    client.command(f"OPTIMIZE TABLE {table.name} FINAL")


def test_bias_towards_classes_is_the_published_interval(client: Client, dsn: str) -> None:
    """Bias and bounds of the view are those computed by hand, for classes given and true, only given, only true."""
    confusion = {"cat": {"cat": 40, "dog": 20}, "dog": {"dog": 40, "cat": 3}, "hen": {"cat": 2}}
    cells = [(truth, label, labels) for truth, held in confusion.items() for label, labels in held.items()]
    write(dsn, {CONFUSION: [row(CONFUSION, truth=t, label=given, labels=labels) for t, given, labels in cells]})
    columns = "label, share_given, share_true, bias, bias_low, bias_high"
    found = client.query(f"SELECT {columns} FROM class_bias ORDER BY label").result_rows
    expected = class_biases(confusion)
    assert [tuple(one)[0] for one in found] == [one.label for one in expected]
    for got, wanted in zip(found, expected, strict=True):
        assert got[1:] == pytest.approx(wanted[1:], abs=1e-12)
