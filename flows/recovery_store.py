"""What is in a recovery directory: positions in the log, shards and their projects; and how it is emptied.

Inspecting changes nothing, and reads no state: the figures are part of the snapshot.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec.structs import asdict

from flows.engine_store import KeptValue, kept_values, replace_values, resume_epoch
from flows.recovery import MANIFEST_NAME, Manifest, read_manifest, write_manifest
from flows.recovery_lock import LOCK_NAME
from flows.segment_files import SHARDS_FOLDER, SegmentFolder
from operators.segments import ProjectFigures, Reference, encode_reference, read_reference
from operators.shard import figures_of
from operators.snapshot import FORMAT_VERSION, decode_whole_state, encode_state, format_of
from schemas.errors import ConfigurationError
from schemas.timestamps import MICROSECONDS_PER_SECOND

FOLD_STEP = "fold"
SOURCE_STEP = "source"


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
    """A shard: format and bytes of its state, and how many projects live in it."""

    name: str
    format: int
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
    _, snapshot_at = resume_epoch(path)
    for kept in kept_values(path):
        if kept.step == SOURCE_STEP:
            positions += _positions(kept.value)
        elif kept.step == FOLD_STEP and kept.value:
            found, size = _figures(kept.value, manifest)
            shards.append(ShardSummary(kept.key, format_of(kept.value), size, len(found)))
            projects += [ProjectSummary(shard=kept.key, **asdict(project)) for project in found]
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


def migrate_recovery(path: Path) -> int:
    """Bring the state in a recovery directory up to the present format; return how many shards were of an older one.

    An older version cannot resume from it afterwards. What is cut short may be done again.

    Raises
    ------
    ConfigurationError
        If it is no recovery directory, or a flow has it open.
    IncompatibleStateError
        If what it holds cannot be read.
    """
    manifest = _manifest(path)
    with _locked(path) as is_free:
        if not is_free:
            raise ConfigurationError(f"a flow is running on {path}", remedy="stop it first")
        older = [
            kept
            for kept in kept_values(path)
            if kept.step == FOLD_STEP and kept.value and format_of(kept.value) < FORMAT_VERSION
        ]
        replace_values([(kept, _upgraded(path, kept, manifest)) for kept in older])
        write_manifest(path, Manifest(manifest.created_at, {**manifest.frozen, "state_format": FORMAT_VERSION}))
    return len(older)


def _upgraded(path: Path, kept: KeptValue, manifest: Manifest) -> bytes:
    """Write an older state as a base; return the reference to it."""
    state = decode_whole_state(kept.value, window=_window(manifest))
    store = SegmentFolder(path / SHARDS_FOLDER / kept.key)
    base = store.write_base(store.last_number() + 1, lambda: encode_state(state)).segment
    figures = tuple(figures_of(project) for project in state.projects.values())
    return encode_reference(Reference(FORMAT_VERSION, kept.key, base, (), figures))


def _figures(value: bytes, manifest: Manifest) -> tuple[list[ProjectFigures], int]:
    """Return the projects of a shard, and the bytes of its state."""
    if format_of(value) < FORMAT_VERSION:
        state = decode_whole_state(value, window=_window(manifest))
        return [figures_of(project) for project in state.projects.values()], len(value)
    reference = read_reference(value)
    segments = (*((reference.base,) if reference.base is not None else ()), *reference.journals)
    return list(reference.projects), sum(segment.length for segment in segments)


def _window(manifest: Manifest) -> int:
    return int(manifest.frozen["window_seconds"]) * MICROSECONDS_PER_SECOND


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


def _positions(state: dict[str, Any]) -> Iterator[PartitionPosition]:
    for partition, (next_offset, records_in) in state["partitions"].items():
        yield PartitionPosition(state["stream"], partition, next_offset, records_in)
