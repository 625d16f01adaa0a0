"""Numbered migrations: the tables and views, applied in order, each once, and recorded in the database.

A migration is a file ``NNNN_title.sql`` of statements that each end with a semicolon at the end of a line. ClickHouse
has no transactions for these, so every statement can be run again (IF NOT EXISTS, OR REPLACE): a migration that was cut
short is simply applied again. Names in it are those of the database that it is applied to.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from schemas.errors import IncompatibleStateError, UnavailableError
from sinks.clickhouse.failures import UNKNOWN_DATABASE, UNKNOWN_TABLE, plain_message

_FILE_NAME = re.compile(r"(\d{4})_(\w+)\.sql")
_STATEMENT_END = re.compile(r";[ \t]*$", flags=re.MULTILINE)
_VIEW = re.compile(r"\A(CREATE OR REPLACE VIEW \w+ AS)\n(.*)\n(COMMENT '.*')\Z", flags=re.DOTALL)
_REMEDY = "run `labelpulse migrate --clickhouse DSN`"

_CREATE_RECORDS = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number UInt32 COMMENT 'Number of the migration',
    title String COMMENT 'What it does',
    sha256 String COMMENT 'Digest of its statements',
    applied_at DateTime64(6, 'UTC') COMMENT 'When it was applied'
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY number
COMMENT 'Migrations that have been applied to this database'
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from an empty database to the present tables and views.

    Parameters
    ----------
    number
        Its place in the order, from 1.
    title
        What it does, in a few words.
    sql
        Its statements.
    """

    number: int
    title: str
    sql: str

    @property
    def name(self) -> str:
        """Number and title."""
        return f"{self.number:04d} {self.title}"

    @property
    def sha256(self) -> str:
        """Digest of the statements, by which an altered migration is known."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """The statements, without their semicolons.

        The SELECT of a view is put in parentheses: ClickHouse 25 takes COMMENT after a table's name for its alias.
        """
        found = [statement.strip() for statement in _STATEMENT_END.split(self.sql) if statement.strip()]
        return [_VIEW.sub(r"\1\n(\n\2\n)\n\3", statement) for statement in found]


@cache
def migrations() -> tuple[Migration, ...]:
    """Return all migrations of this build, in order."""
    found = []
    for file in resources.files("sinks.clickhouse").joinpath("migrations").iterdir():
        name = _FILE_NAME.fullmatch(file.name)
        if name is not None:
            found.append(Migration(int(name[1]), name[2].replace("_", " "), file.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.number)
    assert [migration.number for migration in found] == list(range(1, len(found) + 1)), "numbers without gaps"
    return tuple(found)


def apply(client: Client, database: str) -> list[Migration]:
    """Apply the migrations that are missing; return them. The database is made if need be.

    The client's default database is `database` afterwards.

    Raises
    ------
    IncompatibleStateError
        If an applied migration is not this build's.
    UnavailableError
        If a statement fails.
    """
    client.database = database
    try:
        client.command(
            "CREATE DATABASE IF NOT EXISTS {database:Identifier}", {"database": database}, use_database=False
        )
        client.command(_CREATE_RECORDS)
        missing = pending(client, database)
        for migration in missing:
            _apply_one(client, migration)
    except ClickHouseError as error:
        raise UnavailableError(
            f"database {database!r} cannot be migrated: {plain_message(error)}",
            remedy="check that the user may create databases, tables and views, then run `labelpulse migrate` again",
        ) from error
    return missing


def pending(client: Client, database: str) -> list[Migration]:
    """Return the migrations that have not been applied, in order.

    Raises
    ------
    IncompatibleStateError
        If an applied migration is not this build's.
    UnavailableError
        If the database does not answer.
    """
    applied = _applied(client, database)
    for migration in migrations():
        if applied.get(migration.number, migration.sha256) != migration.sha256:
            raise IncompatibleStateError(
                f"migration {migration.name} of database {database!r} differs from the one in this build",
                remedy="use the build that the database was made with, or another database",
            )
    return [migration for migration in migrations() if migration.number not in applied]


def require_current(client: Client, database: str) -> None:
    """Check that all migrations have been applied.

    Raises
    ------
    IncompatibleStateError
        If one is missing, or is not this build's.
    UnavailableError
        If the database does not answer.
    """
    missing = pending(client, database)
    if missing:
        names = ", ".join(migration.name for migration in missing)
        raise IncompatibleStateError(f"database {database!r} lacks migrations: {names}", remedy=_REMEDY)


def _applied(client: Client, database: str) -> dict[int, str]:
    query = "SELECT number, sha256 FROM {database:Identifier}.schema_migrations FINAL"
    try:
        body = client.raw_query(query, {"database": database}, fmt="TSV", use_database=False)
    except ClickHouseError as error:
        if isinstance(error, Error) and error.code in (UNKNOWN_DATABASE, UNKNOWN_TABLE):
            return {}
        raise UnavailableError(f"database {database!r} cannot be read: {plain_message(error)}") from error
    records = (line.split("\t") for line in body.decode().splitlines())
    return {int(number): sha256 for number, sha256 in records}


def _apply_one(client: Client, migration: Migration) -> None:
    for statement in migration.statements:
        client.command(statement)
    client.command(
        "INSERT INTO schema_migrations SELECT {number:UInt32}, {title:String}, {sha256:String}, now64(6)",
        {"number": migration.number, "title": migration.title, "sha256": migration.sha256},
    )
