"""The file of the outbox: SQLite, written with full durability, shared by threads and processes of one machine."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from schemas.errors import ConfigurationError, IncompatibleStateError

STORE_FORMAT = 1
BUSY_SECONDS = 30.0

_SCHEMA = """
CREATE TABLE alerts (
    alert_id TEXT NOT NULL, sequence INTEGER NOT NULL, fingerprint TEXT NOT NULL, state TEXT NOT NULL,
    content TEXT NOT NULL, taken_at INTEGER NOT NULL, PRIMARY KEY (alert_id, sequence)
) WITHOUT ROWID;
CREATE TABLE marks (
    fingerprint TEXT PRIMARY KEY, sequence INTEGER NOT NULL, seen_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY, hook TEXT NOT NULL, alert_id TEXT NOT NULL, sequence INTEGER NOT NULL, kind TEXT NOT NULL,
    project_id TEXT NOT NULL, fingerprint TEXT NOT NULL, group_key TEXT NOT NULL, generation INTEGER NOT NULL,
    state TEXT NOT NULL, due_at INTEGER, taken_at INTEGER NOT NULL, error TEXT NOT NULL, version INTEGER NOT NULL,
    acted_by TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, first_attempt_at INTEGER, last_attempt_at INTEGER,
    delivered_at INTEGER, status_code INTEGER, message_id TEXT, is_reported INTEGER NOT NULL DEFAULT 0,
    UNIQUE (alert_id, sequence, hook, kind)
);
CREATE INDEX deliveries_due ON deliveries (hook, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_open ON deliveries (hook, fingerprint, id) WHERE state IN ('waiting', 'retrying');
CREATE INDEX deliveries_message ON deliveries (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX deliveries_unreported ON deliveries (id) WHERE is_reported = 0;
CREATE INDEX deliveries_taken ON deliveries (taken_at);
CREATE TABLE acknowledgements (
    alert_id TEXT PRIMARY KEY, acted_at INTEGER NOT NULL, acted_by TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE silences (
    silence_id TEXT PRIMARY KEY, matchers TEXT NOT NULL, until INTEGER NOT NULL, acted_by TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE hooks (
    name TEXT PRIMARY KEY, configuration TEXT NOT NULL, disabled_at INTEGER, error TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE positions (name TEXT PRIMARY KEY, position TEXT NOT NULL) WITHOUT ROWID;
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open the outbox, made if there is none; each thread needs a connection of its own.

    Raises
    ------
    ConfigurationError
        If the file cannot be made or used.
    IncompatibleStateError
        If another version of the outbox wrote it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(path, error) from error
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise _unusable(path, error) from error
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all or nothing; what is written is on the disk when the block has ended."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    with transaction(connection):
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found == 0:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {STORE_FORMAT}")
    if found not in (0, STORE_FORMAT):
        raise IncompatibleStateError(
            f"the outbox {path} has format {found}, this version uses {STORE_FORMAT}",
            remedy="go on with the version that wrote it, or name a new file: alerts of the last hour may come again",
        )


def _unusable(path: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"the outbox of alerts {path} cannot be used: {error}",
        remedy="name a file in a writable directory on a local disk with the setting `outbox`",
    )
