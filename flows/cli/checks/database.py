"""The database: can it be reached, is its clock ours, does it have the tables of this build."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from flows.cli.checks.finding import Finding, failure, ok, warning
from flows.setting_values import hidden_dsn
from schemas.errors import LabelpulseError
from sinks.clickhouse.client import connect
from sinks.clickhouse.dsn import MEMORY_PATH, Dsn, parse_dsn
from sinks.clickhouse.migrate import pending

CLOCK_SECONDS_MAX = 5.0


def check_database(dsn: str) -> Iterator[Finding]:
    """Yield what is found about the database of a DSN; nothing is made or changed in it."""
    try:
        target = parse_dsn(dsn)
        if target.path is not None and _is_new(target.path):
            yield ok("database", f"{hidden_dsn(dsn)} will be made at the first start")
            return
        with connect(dsn) as client:
            yield from _check(client, target)
    except LabelpulseError as error:
        if "another process" in error.message:
            yield warning("database", error.message, remedy="none is needed if that process is the flow")
        else:
            yield failure("database", error.message, remedy=error.remedy)
    except ClickHouseError as error:
        yield failure("database", str(error).partition("\n")[0], remedy="see the log of the server")


def _is_new(path: str) -> bool:
    folder = Path(path)
    return path == MEMORY_PATH or not folder.exists() or not any(folder.iterdir())


def _check(client: Client, target: Dsn) -> Iterator[Finding]:
    yield ok("database", f"ClickHouse {client.server_version} at {target.place}")
    if target.path is None:
        yield _clock(client)
    missing = pending(client, target.database)
    if not missing:
        yield ok("migrations", f"database {target.database!r} is up to date")
    elif target.path is not None:
        yield ok("migrations", f"{len(missing)} will be applied at the next start")
    else:
        yield failure(
            "migrations",
            f"database {target.database!r} lacks {', '.join(migration.name for migration in missing)}",
            remedy="labelpulse migrate --clickhouse DSN",
        )


def _clock(client: Client) -> Finding:
    """Compare the server's clock with this machine's: nothing depends on it but what people read."""
    theirs = int(client.command("SELECT toUnixTimestamp64Micro(now64(6))", use_database=False)) / 1e6
    seconds = datetime.now(UTC).timestamp() - theirs
    if abs(seconds) > CLOCK_SECONDS_MAX:
        return warning(
            "clock", f"the server's differs by {seconds:+.0f} s from this machine's", remedy="synchronise both with NTP"
        )
    return ok("clock", f"within {CLOCK_SECONDS_MAX:g} s of the server's")
