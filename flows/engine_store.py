"""The store of Bytewax in a recovery directory: which snapshot it resumes from, and what that holds.

Read without the engine; changed only while no flow runs.
"""

import pickle
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schemas.errors import IncompatibleStateError

_STORES = "part-*.sqlite3"
_SNAPSHOTS = """
SELECT step_id, state_key, snap_epoch, ser_change FROM (
    SELECT step_id, state_key, snap_epoch, ser_change,
        row_number() OVER (PARTITION BY step_id, state_key ORDER BY snap_epoch DESC) AS age
    FROM snaps WHERE snap_epoch < ?)
WHERE age = 1 AND ser_change IS NOT NULL
ORDER BY step_id, state_key
"""


@dataclass(frozen=True, slots=True)
class KeptValue:
    """What the engine keeps for a key of a step: in which file, as of which epoch, and the value itself."""

    store: Path
    step_id: str
    key: str
    epoch: int
    value: Any

    @property
    def step(self) -> str:
        """The step by the name that the dataflow gives it."""
        return self.step_id.split(".")[1] if "." in self.step_id else self.step_id


def kept_values(path: Path) -> list[KeptValue]:
    """Return what the last complete snapshot in a directory holds.

    Raises
    ------
    IncompatibleStateError
        If the store cannot be read.
    """
    epoch, _ = resume_epoch(path)
    return [
        KeptValue(store, step, key, of_epoch, pickle.loads(data))  # noqa: S301 - as trusted as the code
        for store in _stores(path)
        for step, key, of_epoch, data in _rows(store, _SNAPSHOTS, epoch)
    ]


def resume_epoch(path: Path) -> tuple[int, datetime | None]:
    """Return the epoch that a resume begins with, the earliest one that a worker of the last execution had reached,
    and when that was; None before the first.

    Raises
    ------
    IncompatibleStateError
        If the store cannot be read.
    """
    executions: list[tuple[int, int]] = []
    fronts: dict[int, list[tuple[int, str]]] = {}
    for store in _stores(path):
        executions += _rows(store, "SELECT ex_num, resume_epoch FROM exs")
        for execution, front, at in _rows(store, "SELECT ex_num, worker_frontier, created_at FROM fronts"):
            fronts.setdefault(execution, []).append((front, at))
    if not executions:
        return 0, None
    last, began = max(executions)
    reached = fronts.get(last)
    if not reached:
        return began, None
    front, at = min(reached)
    return front, datetime.fromisoformat(at).replace(tzinfo=UTC)


def discard_incomplete(path: Path) -> None:
    """Delete what an execution wrote of a snapshot that it did not complete; nobody may have the store open.

    The engine would leave it, and take it for complete once it has come as far again without touching the key.

    Raises
    ------
    IncompatibleStateError
        If the store cannot be changed.
    """
    epoch, _ = resume_epoch(path)
    for store in _stores(path):
        _change(store, [("DELETE FROM snaps WHERE snap_epoch >= ?", (epoch,))])


def replace_values(values: list[tuple[KeptValue, Any]]) -> None:
    """Put other values in the place of some, all of a file or none; nobody may have the store open.

    Raises
    ------
    IncompatibleStateError
        If the store cannot be changed.
    """
    for store in sorted({kept.store for kept, _ in values}):
        changes = [
            (
                "UPDATE snaps SET ser_change = ? WHERE step_id = ? AND state_key = ? AND snap_epoch = ?",
                (pickle.dumps(value), kept.step_id, kept.key, kept.epoch),
            )
            for kept, value in values
            if kept.store == store
        ]
        _change(store, changes)


def _stores(path: Path) -> list[Path]:
    return sorted(path.glob(_STORES))


def _rows(store: Path, query: str, *parameters: Any) -> Iterator[Any]:
    # where nobody has it open SQLite would make files beside the store, even to read it
    mode = "mode=ro" if store.with_name(store.name + "-wal").exists() else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{store.absolute().as_uri()}?{mode}", uri=True)) as connection:
            yield from connection.execute(query, parameters).fetchall()
    except sqlite3.Error as error:
        raise _unreadable(store, error) from error


def _change(store: Path, changes: list[tuple[str, tuple[Any, ...]]]) -> None:
    try:
        with closing(sqlite3.connect(store)) as connection, connection:
            for statement, parameters in changes:
                connection.execute(statement, parameters)
    except sqlite3.Error as error:
        raise _unreadable(store, error) from error


def _unreadable(store: Path, error: sqlite3.Error) -> IncompatibleStateError:
    return IncompatibleStateError(
        f"the recovery store {store} cannot be read: {error}",
        remedy="restore it from a copy, or reset the directory and begin a new generation",
    )
