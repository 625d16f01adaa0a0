"""The recovery directory: offsets and state of one flow, locked by one process, with what they were made under."""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bytewax.recovery import RecoveryConfig, init_db_dir

from flows.cluster import Member
from flows.engine_store import discard_incomplete
from flows.recovery_lock import DirectoryLock
from flows.segment_files import ShardFolders
from operators.kept_shard import Keeping
from operators.snapshot import READABLE_VERSIONS
from schemas.control import CONTROL_FILE
from schemas.errors import ConfigurationError, IncompatibleStateError

MANIFEST_NAME = "labelpulse.json"
MANIFEST_STEM = "labelpulse"
GENERATION_PREFIX = "generation-"
MANIFEST_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a recovery directory was made under.

    Parameters
    ----------
    created_at
        When the flow started for the first time.
    frozen
        Settings that decide how the log becomes rows and where state lives; they may not change.
    has_begun
        Whether anything was made under them: if not, only the generation counts, and the first run fixes the rest.
    """

    created_at: datetime
    frozen: dict[str, Any]
    has_begun: bool = True


class RecoveryDirectory:
    """Opens a recovery directory, or makes one, and holds its lock until closed.

    Bytewax itself takes no lock and would let two instances run on one store, and resumes onto a changed flow.

    Parameters
    ----------
    path
        The directory; its parents are made if need be.
    frozen
        Settings as they are now, by name; plain JSON values.
    started_at
        The moment that is noted as the first start if the directory is new.
    member
        Which process of a cluster this is; None for a flow in one process.
    wait_seconds
        How long to wait for the lock, as the processes of a cluster end within a moment of each other.

    Raises
    ------
    ConfigurationError
        If the directory cannot be used, or another process holds it.
    IncompatibleStateError
        If it was made under other settings.
    """

    def __init__(
        self,
        path: Path,
        *,
        frozen: dict[str, Any],
        started_at: datetime,
        member: Member | None = None,
        wait_seconds: float = 0.0,
    ) -> None:
        self.path = path
        self._folders = ShardFolders(path)
        self._lock = DirectoryLock(path, member=member, wait_seconds=wait_seconds)
        try:
            with self._lock.opening():
                self.manifest = self._open(frozen, started_at)
        except BaseException:
            self.close()
            raise

    @property
    def config(self) -> RecoveryConfig:
        """The directory as Bytewax wants it."""
        return RecoveryConfig(str(self.path))

    @property
    def keeping(self) -> Keeping:
        """Where the shards of this worker are kept."""
        return self._folders.keeping

    def close(self) -> None:
        """Close all files, and give the lock back."""
        self._folders.close()
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, frozen: dict[str, Any], started_at: datetime) -> Manifest:
        found = read_manifest(self.path)
        if found is not None and not found.has_begun:
            self._require_generation(found, frozen)
            found = None
        if found is None:
            return self._create(Manifest(started_at, frozen))
        if found.frozen.get("state_format") in READABLE_VERSIONS:
            found = Manifest(found.created_at, {**found.frozen, "state_format": frozen.get("state_format")})
        changed = [name for name in sorted({*frozen, *found.frozen}) if frozen.get(name) != found.frozen.get(name)]
        if changed:
            told = ", ".join(f"{name} was {found.frozen.get(name)!r}, is {frozen.get(name)!r}" for name in changed)
            raise IncompatibleStateError(
                f"the recovery directory {self.path} was made under other settings: {told}",
                remedy="go back to those settings, or start a new recovery directory with a higher generation",
            )
        write_manifest(self.path, found)
        discard_incomplete(self.path)
        return found

    def _require_generation(self, found: Manifest, frozen: dict[str, Any]) -> None:
        if frozen.get("generation") != found.frozen["generation"]:
            raise IncompatibleStateError(
                f"the recovery directory {self.path} is ready for generation {found.frozen['generation']}, not for "
                f"{frozen.get('generation')}",
                remedy="leave the setting generation out: the directory knows it",
            )

    def _create(self, manifest: Manifest) -> Manifest:
        strangers = sorted(entry.name for entry in self.path.iterdir() if not is_beside(entry.name))
        if strangers and not all(name.startswith("part-") for name in strangers):
            raise ConfigurationError(
                f"the recovery directory {self.path} holds other files ({', '.join(strangers[:3])} …)",
                remedy="name an empty or new directory",
            )
        if not strangers:
            init_db_dir(str(self.path), 1)
        write_manifest(self.path, manifest)
        return manifest


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest of a recovery directory, unless it has it already: all of it or nothing."""
    content = {"format": MANIFEST_FORMAT, "created_at": manifest.created_at.isoformat(), "frozen": manifest.frozen}
    text = json.dumps(content if manifest.has_begun else {**content, "has_begun": False}, indent=2)
    file = path / MANIFEST_NAME
    if not file.exists() or file.read_text() != text:
        unfinished = path / (MANIFEST_NAME + ".new")
        unfinished.write_text(text)
        os.replace(unfinished, file)


def read_manifest(path: Path) -> Manifest | None:
    """Return the manifest of a recovery directory, or None if it has none.

    Raises
    ------
    IncompatibleStateError
        If it cannot be read, or is of another format.
    """
    file = path / MANIFEST_NAME
    if not file.exists():
        return None
    try:
        content = json.loads(file.read_text())
        if content["format"] != MANIFEST_FORMAT:
            raise ValueError(f"format {content['format']}")
        return Manifest(
            datetime.fromisoformat(content["created_at"]).astimezone(UTC),
            content["frozen"],
            content.get("has_begun", True),
        )
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise IncompatibleStateError(
            f"{file} cannot be read: {error}", remedy="go on with the version that wrote it, or name a new directory"
        ) from error


def is_beside(name: str) -> bool:
    """Return whether a file may lie in a recovery directory that holds nothing yet."""
    is_ours = name.startswith(MANIFEST_STEM) and name.endswith((".lock", ".drain", MANIFEST_NAME))
    return is_ours or name == CONTROL_FILE or name.startswith(GENERATION_PREFIX)
