"""Named queries: what they may do, what they take, and how mistakes are answered."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from clickhouse_connect.driver.client import Client

from monitor.queries.catalogue import QUERIES
from monitor.queries.columns import COLUMNS
from monitor.queries.named import LIMIT, SINCE, NamedQuery
from monitor.queries.run import fetch_rows, run_query
from schemas.errors import ConfigurationError, IncompatibleStateError
from schemas.rows import ITEMS, LABELS
from sinks.clickhouse.client import connect
from tests.support.clickhouse_rows import migrated, row, write

NAMES = {
    "projects", "annotators", "annotator-windows", "project-windows", "class-windows", "confusion", "items", "labels",
    "drift", "dead-letters", "progress",
}  # fmt: skip
LEAST_COLUMNS = {
    "annotators": "project_id question_id annotator_id labels gold_labels gold_correct accuracy accuracy_low "
    "accuracy_high",
    "annotator-windows": "project_id question_id annotator_id window_start window_end is_final labels gold_labels "
    "gold_correct accuracy accuracy_low accuracy_high",
    "drift": "project_id question_id annotator_id signal detector direction detected_at changed_at",
    "progress": "stream partition events_in folded duplicate late dead",
}
PLACEHOLDER = re.compile(r"\{(\w+):([^}]*)\}")
WRITING = re.compile(
    r"\b(INSERT|ALTER|CREATE|DROP|DELETE|TRUNCATE|RENAME|OPTIMIZE|GRANT|SYSTEM|KILL|ATTACH|DETACH|EXCHANGE|UPDATE|INTO)\b",
    flags=re.IGNORECASE,
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Client]]:
    """A database with some items: its DSN and a connection."""
    with migrated(tmp_path_factory.mktemp("catalogue")) as (dsn, client):
        write(dsn, {ITEMS: [row(ITEMS, item_id=f"i{number}") for number in range(5)], LABELS: [row(LABELS)]})
        yield dsn, client


@pytest.fixture
def client(engine: tuple[str, Client]) -> Client:
    """A connection to the database."""
    return engine[1]


def test_the_names_are_those_that_programs_rely_on() -> None:
    """Every promised name is there."""
    assert set(QUERIES) >= NAMES
    assert all(query.name == name and query.title for name, query in QUERIES.items())


@pytest.mark.parametrize("name", LEAST_COLUMNS)
def test_the_promised_columns_are_there(name: str) -> None:
    """Columns that programs rely on are in the result; more may follow."""
    assert set(LEAST_COLUMNS[name].split()) <= set(QUERIES[name].columns)


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_query_only_selects_and_binds_its_parameters(query: NamedQuery) -> None:
    """Each is one SELECT, every placeholder is a documented parameter of the type it says, and rows have an order."""
    assert re.match(r"SELECT\s", query.sql)
    assert ";" not in query.sql
    assert WRITING.search(query.sql) is None
    placeholders = dict(PLACEHOLDER.findall(query.sql))
    assert placeholders.pop("database") == "Identifier"
    assert placeholders.pop("scope", "Array(String)") == "Array(String)"
    assert query.is_scoped or "project" not in query.parameters
    assert placeholders == {name: parameter.type for name, parameter in query.parameters.items()}
    assert all(parameter.meaning for parameter in query.parameters.values())
    assert "\nORDER BY " in query.sql


def test_reading_needs_no_right_to_write(engine: tuple[str, Client]) -> None:
    """All queries run on a connection that the database lets only read."""
    with connect(engine[0]) as reader:
        reader.set_client_setting("readonly", 2)
        with pytest.raises(Exception, match="readonly"):
            reader.command("TRUNCATE TABLE items_versions")
        for name in QUERIES:
            run_query(reader, name, format="json")


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_the_columns_are_those_that_are_explained(client: Client, query: NamedQuery) -> None:
    """A result has exactly the documented columns in their order, and each has a meaning."""
    header = run_query(client, query.name, format="csv").decode().splitlines()[0]
    assert header.replace('"', "").split(",") == list(query.columns)
    assert all(query.columns.values())


def test_no_meaning_is_left_over() -> None:
    """The list of meanings has no column that no query has."""
    assert set(COLUMNS) == {column for query in QUERIES.values() for column in query.columns}


@pytest.mark.parametrize("value", ["' OR 1 = 1 --", "\\' OR 1 = 1 --", "{database:Identifier}", "p' ; DROP TABLE x"])
def test_values_are_never_sql(client: Client, value: str) -> None:
    """A value is compared as it stands, whatever is in it."""
    assert run_query(client, "items", format="json", parameters={"project": value}) == b"[\n\n]\n"


def test_a_limit_cuts_and_its_absence_does_not(client: Client) -> None:
    """A limit gives the first rows; without one, and with 0, all come; for showing, it is said if more would follow."""
    assert run_query(client, "items", format="json", parameters={"limit": 2}).count(b"item_id") == 2
    for parameters in ({}, {"limit": 0}, {"limit": None}):
        assert run_query(client, "items", format="json", parameters=parameters).count(b"item_id") == 5
    few = fetch_rows(client, "items", limit=4)
    assert ([held["item_id"] for held in few.rows], few.is_truncated) == (["i0", "i1", "i2", "i3"], True)
    assert few.columns == tuple(QUERIES["items"].columns)
    assert not fetch_rows(client, "items", limit=5).is_truncated


def test_a_result_that_is_too_large_is_an_error(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a limit a result is whole or refused, never cut in silence."""
    monkeypatch.setattr("monitor.queries.run.ROWS_MAX", 4)
    monkeypatch.setattr("monitor.queries.run._WHOLE_SETTINGS", "max_result_rows = 4, result_overflow_mode = 'throw'")
    for name_of_format in ("json", "csv", "parquet", "arrow"):
        with pytest.raises(ConfigurationError, match="more than 4 rows"):
            run_query(client, "items", format=name_of_format)
    assert run_query(client, "items", format="json", parameters={"limit": 5}).count(b"item_id") == 5


@pytest.mark.parametrize(
    ("value", "bound"),
    [
        ("2026-01-05", "2026-01-05 00:00:00.000000"),
        ("2026-01-05T09:00:00Z", "2026-01-05 09:00:00.000000"),
        ("2026-01-05T09:00:00.000001+02:00", "2026-01-05 07:00:00.000001"),
        (datetime(2026, 1, 5, 9, tzinfo=UTC), "2026-01-05 09:00:00.000000"),
        (datetime(2026, 1, 5, 9, tzinfo=timezone(timedelta(hours=-1))), "2026-01-05 10:00:00.000000"),
    ],
)
def test_times_are_understood(value: str | datetime, bound: str) -> None:
    """Times with a zone, and dates as UTC midnight."""
    assert SINCE.bound(value) == bound


@pytest.mark.parametrize(
    ("parameter", "value"),
    [(SINCE, "yesterday"), (SINCE, "2026-01-05T09:00:00"), (SINCE, datetime(2026, 1, 5)), (LIMIT, -1), (LIMIT, "many")],
)
def test_values_that_do_not_fit_are_refused(parameter: object, value: object) -> None:
    """A wrong value is an error of configuration that names the parameter."""
    with pytest.raises(ConfigurationError, match=parameter.name) as refused:  # type: ignore[attr-defined]
        parameter.bound(value)  # type: ignore[attr-defined]
    assert "\n" not in refused.value.message + refused.value.remedy


def test_mistakes_are_answered_plainly(client: Client) -> None:
    """Unknown queries, parameters, formats and databases are told in one line, with what there is."""
    with pytest.raises(ConfigurationError, match="no query 'annotaters'") as refused:
        run_query(client, "annotaters", format="json")
    assert refused.value.remedy == "did you mean 'annotators'?"
    with pytest.raises(ConfigurationError, match="no parameter 'annotator'") as refused:
        run_query(client, "items", format="json", parameters={"annotator": "w"})
    assert "project, question, item, since, until, limit" in refused.value.remedy
    with pytest.raises(ConfigurationError, match="no format 'xml'"):
        run_query(client, "items", format="xml")
    with pytest.raises(IncompatibleStateError, match="'elsewhere' lacks") as lacking:
        run_query(client, "items", format="json", database="elsewhere")
    assert "labelpulse migrate" in lacking.value.remedy
