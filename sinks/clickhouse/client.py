"""Connections to the database: the engine inside this process, or a server, through the one client."""

import fcntl
import logging
import os
import re
from pathlib import Path
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from schemas.errors import ConfigurationError, LabelpulseError, UnavailableError
from sinks.clickhouse.dsn import MEMORY_PATH, Dsn, parse_dsn
from sinks.clickhouse.failures import AUTHENTICATION_CODES, plain_message

CONNECT_TIMEOUT_SECONDS = 5
SEND_RECEIVE_TIMEOUT_SECONDS = 60
SESSION_SETTINGS = {
    "async_insert": 0,
    "deduplicate_insert": "disable",
    "insert_deduplicate": 0,
    "optimize_on_insert": 0,
    "materialize_statistics_on_insert": 0,
}
"""Set where the server has them. Batches are ours, so no asynchronous inserts. Blocks are never dropped for being the
same as an earlier one: versions make a repetition harmless, a dropped block could be one that is needed. The last two
save up to half of an insert: versions are merged away later in any case, and no query here needs statistics."""

_CLIENT_NAME = "labelpulse"
_LOCK_FILE = "status"
"""The engine locks this file and writes its process into it."""
_PID = re.compile(r"PID: (\d+)")

for _name in ("clickhouse_connect", "urllib3"):
    logging.getLogger(_name).setLevel(logging.ERROR)  # what they warn of, our own errors say


def connect(dsn: str) -> Client:
    """Open a connection; folders of an embedded database are made.

    The client's default database is the DSN's, which need not exist yet (until it does, calls need
    ``use_database=False``). An embedded engine can be opened by one process at a time, and a process can open one;
    clients in that process share it. A client of a server may be used by several threads at a time; calls on an
    embedded one wait for one another.

    Parameters
    ----------
    dsn
        See `sinks.clickhouse.dsn.parse_dsn`.

    Raises
    ------
    ConfigurationError
        If the DSN is wrong, or the server does not let the user in.
    UnavailableError
        If the engine or server cannot be reached or used.
    """
    target = parse_dsn(dsn)
    client = _connect_server(target) if target.path is None else _connect_embedded(target.path)
    for name, value in SESSION_SETTINGS.items():
        known = client.server_settings.get(name)
        if known is not None and not known.readonly:
            client.set_client_setting(name, value)
    client.database = target.database
    return client


def is_embedded(client: Client) -> bool:
    """Return whether a client's engine runs inside this process."""
    return client.uri.startswith("chdb:")


def _connect_embedded(path: str) -> Client:
    if path != MEMORY_PATH:
        _make_folder(Path(path))
        _require_free(Path(path))
    try:
        return clickhouse_connect.get_client(interface="chdb", path=path)
    except ImportError as error:
        raise ConfigurationError(
            "the embedded database needs the package chdb, which is not installed",
            remedy="install chdb, or use a ClickHouse server (clickhouse://HOST:8123)",
        ) from error
    except ClickHouseError as error:
        raise _embedded_error(path, error) from error


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(
            f"the embedded database cannot have its folder {path}: {error.strerror}",
            remedy="choose another path in --clickhouse chdb:///PATH",
        ) from error


def _require_free(path: Path) -> None:
    """Raise if another process has the engine open, before the engine finds out and writes of it to standard error."""
    try:
        with (path / _LOCK_FILE).open() as lock:
            holder = _PID.search(lock.read())
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        if holder is None or int(holder[1]) != os.getpid():
            raise UnavailableError(
                f"the embedded database {path} is open in another process",
                remedy="end that process, or use a ClickHouse server, which several processes can use",
            ) from None
    except OSError:
        return  # no engine has been here, or the engine will say what is wrong


def _embedded_error(path: str, error: ClickHouseError) -> UnavailableError:
    if "already initialized with path" in str(error):
        return UnavailableError(
            f"the embedded database {path} cannot be opened: this process has another one open",
            remedy="use one path for all of a process, or a ClickHouse server",
        )
    return UnavailableError(
        f"the embedded database {path} cannot be opened: {plain_message(error)}",
        remedy="check that the folder is writable and holds nothing but this database",
    )


def _connect_server(target: Dsn) -> Client:
    arguments: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "send_receive_timeout": SEND_RECEIVE_TIMEOUT_SECONDS,
        **target.options,
    }
    try:
        return clickhouse_connect.get_client(
            interface=target.interface, host=target.host, port=target.port or 0, username=target.username,
            password=target.password, client_name=_CLIENT_NAME, autogenerate_session_id=False, **arguments,
        )  # fmt: skip
    except ClickHouseError as error:
        raise _server_error(target, error) from error
    except (ValueError, TypeError, OSError) as error:
        raise ConfigurationError(f"the options of the ClickHouse address are wrong: {error}") from error


def _server_error(target: Dsn, error: ClickHouseError) -> LabelpulseError:
    code = error.code if isinstance(error, Error) else None
    if code in AUTHENTICATION_CODES:
        return ConfigurationError(
            f"ClickHouse at {target.place} does not let the user {target.username or 'default'!r} in",
            remedy="check user and password in --clickhouse clickhouse://USER:PASSWORD@HOST:8123/DATABASE",
        )
    return UnavailableError(
        f"ClickHouse at {target.place} cannot be used: {plain_message(error)}",
        remedy="check that the server runs and that host, port and scheme are right (HTTP port, usually 8123)",
    )
