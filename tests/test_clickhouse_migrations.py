"""Migrations: applied once and in order, complete, explained, and never altered afterwards."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from schemas.errors import IncompatibleStateError, UnavailableError
from schemas.rows import TABLES, Table
from sinks.clickhouse import migrate
from sinks.clickhouse.client import connect
from tests.support.clickhouse_front import ClickHouseFront, Fault, FaultKind

OWN_TABLES = (*TABLES, "generations", "schema_migrations")


CREATED = re.compile(r"CREATE (?:OR REPLACE VIEW|TABLE IF NOT EXISTS) (\w+)")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the engine: a process can have one open."""
    return tmp_path_factory.mktemp("migrations")


@pytest.fixture(scope="module")
def database(path: Path) -> Iterator[Client]:
    """A migrated database that no test changes."""
    with connect(f"chdb://{path}") as client:
        migrate.apply(client, "labelpulse")
        yield client


@pytest.fixture
def empty(path: Path) -> Iterator[Client]:
    """A connection to a database that does not exist yet."""
    with connect(f"chdb://{path}?database=other") as client:
        yield client
        client.command("DROP DATABASE IF EXISTS other", use_database=False)


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_tables_are_those_of_the_contract(database: Client, table: Table) -> None:
    """Each table has the contract's columns in its order, and is sorted by exactly its key and the generation."""
    rows = database.query(
        "SELECT name, is_in_sorting_key FROM system.columns "
        "WHERE database = 'labelpulse' AND table = {table:String} ORDER BY position",
        {"table": table.name},
    ).result_rows
    assert tuple(name for name, _ in rows) == table.columns
    assert {name for name, is_key in rows if is_key} == {*table.key, "generation"}
    engine = database.command(
        "SELECT engine_full FROM system.tables WHERE database = 'labelpulse' AND name = {table:String}",
        {"table": table.name},
    )
    assert str(engine).startswith("ReplacingMergeTree(version, is_deleted)")
    assert "TTL" not in str(engine), "a TTL would bring older versions back to life"
    assert "PARTITION BY" not in str(engine)


def test_everything_is_explained(database: Client) -> None:
    """Each table and view has a comment, and so has each column of a table."""
    silent = database.query("SELECT name FROM system.tables WHERE database = 'labelpulse' AND comment = ''").result_rows
    assert silent == []
    silent = database.query(
        "SELECT table, name FROM system.columns "
        "WHERE database = 'labelpulse' AND comment = '' AND table IN {tables:Array(String)}",
        {"tables": list(OWN_TABLES)},
    ).result_rows
    assert silent == []


def test_each_table_has_its_view(database: Client) -> None:
    """For each table of versions there is a view of the rows in force, without the suffix."""
    names = {
        name for (name,) in database.query("SELECT name FROM system.tables WHERE database = 'labelpulse'").result_rows
    }
    assert {table.removesuffix("_versions") for table in TABLES} <= names


def test_applying_again_changes_nothing(database: Client) -> None:
    """A second application finds nothing to do, and the database is up to date."""
    before = database.query("SELECT * FROM schema_migrations ORDER BY number").result_rows
    assert migrate.apply(database, "labelpulse") == []
    migrate.require_current(database, "labelpulse")
    assert database.query("SELECT * FROM schema_migrations ORDER BY number").result_rows == before
    assert [row[0] for row in before] == [migration.number for migration in migrate.migrations()]


def test_a_database_without_migrations_is_refused_with_what_to_do(empty: Client) -> None:
    """At start, what is missing is named and the remedy is the command."""
    assert migrate.pending(empty, "other") == list(migrate.migrations())
    with pytest.raises(IncompatibleStateError, match="0001 tables") as refused:
        migrate.require_current(empty, "other")
    assert "labelpulse migrate" in refused.value.remedy


def test_an_altered_migration_is_refused(empty: Client) -> None:
    """A migration that was applied in another wording is an error at start and at the next application."""
    migrate.apply(empty, "other")
    empty.command("INSERT INTO schema_migrations VALUES (1, 'tables', 'another', now64(6) + 1)")
    for check in (migrate.require_current, migrate.apply):
        with pytest.raises(IncompatibleStateError, match="0001 tables.*differs"):
            check(empty, "other")


def test_a_migration_that_was_cut_short_is_applied_again(path: Path) -> None:
    """Whichever statement the server fails at, a second application completes the migrations."""
    statements = [statement for migration in migrate.migrations() for statement in migration.statements]
    made = [found[1] for statement in statements if (found := CREATED.match(statement))]
    with ClickHouseFront(path) as front, connect(front.dsn) as client:
        for number in (0, 9, len(made) - 1):
            front.inject(Fault(FaultKind.STATUS, "CREATE", after=2 + number, status=500, code=999))
            with pytest.raises(UnavailableError, match="cannot be migrated"):
                migrate.apply(client, "third")
            migrate.apply(client, "third")
            migrate.require_current(client, "third")
            tables = client.command("SELECT count() FROM system.tables WHERE database = 'third'")
            assert tables == len(set(made)) + 1
            client.command("DROP DATABASE third", use_database=False)


def test_no_comment_of_a_view_can_be_taken_for_an_alias() -> None:
    """ClickHouse 25 reads COMMENT after the name of a table as its alias: every view's SELECT is in parentheses."""
    views = [one for migration in migrate.migrations() for one in migration.statements if " VIEW " in one]
    assert views
    assert all(re.search(r"AS\n\(\n.*\n\)\nCOMMENT '[^\n]*'\Z", view, flags=re.DOTALL) for view in views)
