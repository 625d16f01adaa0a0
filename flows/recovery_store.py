"""What is in a recovery directory: positions in the log, shards and their projects; and how it is emptied.

Reads the store of Bytewax without the engine, and without changing anything.
"""

import fcntl
import os
import pickle
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.recovery import MANIFEST_NAME, Manifest, read_manifest
from flows.recovery_lock import LOCK_NAME
from operators.project.state import ProjectRecord
from operators.snapshot import decode_state
from schemas.errors import ConfigurationError, IncompatibleStateError
from schemas.timestamps import MICROSECONDS_PER_SECOND

FOLD_STEP = "fold"
SOURCE_STEP = "source"
_STORES = "part-*.sqlite3"
_SNAPSHOTS = """
SELECT step_id, state_key, ser_change FROM (
    SELECT step_id, state_key, ser_change,
        row_number() OVER (PARTITION BY step_id, state_key ORDER BY snap_epoch DESC) AS age
    FROM snaps WHERE snap_epoch < ?)
WHERE age = 1 AND ser_change IS NOT NULL
ORDER BY step_id, state_key
"""


@dataclass(frozen=True, slots=True)
class PartitionPosition:
    """How far a partition has been read: the next offset, and the records so far."""

    stream: str
    partition: int
    next_offset: int
    records_in: int


@dataclass(frozen=True, slots=True)
class ProjectSummary:
    """A project as the state holds it; `newest_at` is its newest event in microseconds since the epoch."""

    project_id: str
    shard: str
    questions: int
    items: int
    labels: int
    annotators: int
    windows: int
    newest_at: int


@dataclass(frozen=True, slots=True)
class ShardSummary:
    """A shard: bytes of its state, and how many projects live in it."""

    name: str
    bytes: int
    projects: int


@dataclass(frozen=True, slots=True)
class RecoveryContents:
    """Everything that a recovery directory holds.

    Parameters
    ----------
    manifest
        What it was made under.
    is_running
        Whether a flow has it open.
    snapshot_at
        When the last snapshot was completed; None before the first.
    bytes_on_disk
        Size of its files.
    positions, shards, projects
        What the last complete snapshot holds.
    """

    manifest: Manifest
    is_running: bool
    snapshot_at: datetime | None
    bytes_on_disk: int
    positions: list[PartitionPosition]
    shards: list[ShardSummary]
    projects: list[ProjectSummary]


def inspect_recovery(path: Path) -> RecoveryContents:
    """Read a recovery directory.

    Raises
    ------
    ConfigurationError
        If it is none.
    IncompatibleStateError
        If what it holds cannot be read.
    """
    manifest = _manifest(path)
    positions: list[PartitionPosition] = []
    shards: list[ShardSummary] = []
    projects: list[ProjectSummary] = []
    snapshot_at, snapshots = _last_snapshots(path)
    window = int(manifest.frozen["window_seconds"]) * MICROSECONDS_PER_SECOND
    for step, key, data in snapshots:
        name = step.split(".")[1] if "." in step else step
        if name == SOURCE_STEP:
            positions += _positions(pickle.loads(data))  # noqa: S301 - as trusted as the code
        elif name == FOLD_STEP:
            state = decode_state(pickle.loads(data), window=window)  # noqa: S301
            shards.append(ShardSummary(key, len(data), len(state.projects)))
            projects += [_project(project, key) for project in state.projects.values()]
    positions.sort(key=lambda position: (position.stream, position.partition))
    projects.sort(key=lambda project: project.project_id)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    with _locked(path) as is_free:
        return RecoveryContents(manifest, not is_free, snapshot_at, size, positions, shards, projects)


def reset_recovery(path: Path) -> list[Path]:
    """Take everything out of a recovery directory but its lock; return what was removed.

    Raises
    ------
    ConfigurationError
        If it is no recovery directory, or a flow has it open.
    """
    _manifest(path)
    with _locked(path) as is_free:
        if not is_free:
            raise ConfigurationError(f"a flow is running on {path}", remedy="stop it first")
        files = sorted(file for file in path.rglob("*") if file.is_file() and file.name != LOCK_NAME)
        # the manifest goes last: what is left of a reset that was cut short is still known for what it is
        for file in sorted(files, key=lambda file: file.name == MANIFEST_NAME):
            file.unlink()
        for folder in sorted((entry for entry in path.rglob("*") if entry.is_dir()), reverse=True):
            folder.rmdir()
    return files


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Try to hold the lock of a directory while the block runs; yields whether no flow had it."""
    lock = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(lock)


def _manifest(path: Path) -> Manifest:
    manifest = read_manifest(path) if path.is_dir() else None
    if manifest is None:
        raise ConfigurationError(
            f"{path} is not a recovery directory", remedy="name the one that `labelpulse run --recovery` was given"
        )
    return manifest


def _last_snapshots(path: Path) -> tuple[datetime | None, list[tuple[str, str, bytes]]]:
    """Return when the last snapshot was completed, and step, key and value of each state in it."""
    found: list[tuple[str, str, bytes]] = []
    epoch, at = _resume_epoch(path)
    for store in sorted(path.glob(_STORES)):
        found += _rows(store, _SNAPSHOTS, epoch)
    return at, found


def _resume_epoch(path: Path) -> tuple[int, datetime | None]:
    """Return the epoch that a resume begins with: the earliest one that a worker of the last execution had reached."""
    executions: list[tuple[int, int]] = []
    fronts: dict[int, list[tuple[int, str]]] = {}
    for store in sorted(path.glob(_STORES)):
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


def _rows(store: Path, query: str, *parameters: Any) -> list[Any]:
    # where nobody has it open SQLite would make files beside the store, even to read it
    mode = "mode=ro" if store.with_name(store.name + "-wal").exists() else "immutable=1"
    try:
        with closing(sqlite3.connect(f"{store.absolute().as_uri()}?{mode}", uri=True)) as connection:
            return connection.execute(query, parameters).fetchall()
    except sqlite3.Error as error:
        raise IncompatibleStateError(
            f"the recovery store {store} cannot be read: {error}",
            remedy="restore it from a copy, or reset the directory and begin a new generation",
        ) from error


def _positions(state: dict[str, Any]) -> Iterator[PartitionPosition]:
    for partition, (next_offset, records_in) in state["partitions"].items():
        yield PartitionPosition(state["stream"], partition, next_offset, records_in)


def _project(project: ProjectRecord, shard: str) -> ProjectSummary:
    questions = project.questions.values()
    return ProjectSummary(
        project.project_id,
        shard,
        len(questions),
        sum(len(question.items) for question in questions),
        sum(len(item.labels) for question in questions for item in question.items.values()),
        sum(len(question.annotators) for question in questions),
        sum(len(question.windows) for question in questions),
        project.newest_at,
    )
