"""The database as the read side of the command line sees it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from flows.setting_values import hidden_dsn
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


@contextmanager
def opened_for_reading(dsn: str) -> "Iterator[Client]":
    """Connect to a database that is there already; an embedded one is not made for the asking.

    Raises
    ------
    ConfigurationError
        If the DSN is wrong, or there is no embedded database there.
    UnavailableError
        If the database cannot be reached.
    """
    from sinks.clickhouse.client import connect
    from sinks.clickhouse.dsn import parse_dsn

    path = parse_dsn(dsn).path
    if path is not None and not Path(path).exists():
        raise ConfigurationError(
            f"there is no database at {hidden_dsn(dsn)} yet",
            remedy="start `labelpulse run` first, or name another with --clickhouse",
        )
    client = connect(dsn)
    try:
        yield client
    finally:
        client.close()
