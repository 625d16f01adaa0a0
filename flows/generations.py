"""Generations: rows of one reading of the log under one policy, built beside those of another, and switched to."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from clickhouse_connect.driver.client import Client

from flows.recovery import GENERATION_PREFIX, is_beside, read_manifest, write_manifest
from flows.recovery_lock import DirectoryLock
from flows.settings import Settings
from operators.accounts import SOURCE_PART
from schemas.errors import ConfigurationError

ALL_PROJECTS = ""
GENERATION_MAX = 2**15 - 1
COLUMNS = ("scope", "generation", "activated_at", "version")

_POSITIONS = """
SELECT generation, stream, `partition`, `offset`, events_in FROM progress_versions FINAL
WHERE part = {part:String} ORDER BY generation, stream, `partition`
"""
_ACTIVE = "SELECT scope, generation FROM generations FINAL ORDER BY scope"


def with_generation(settings: Settings) -> Settings:
    """Return settings with the generation that a flow on their recovery directory has, unless they name one."""
    if settings.generation is not None:
        return settings
    manifest = read_manifest(settings.recovery) if settings.recovery is not None else None
    return settings.model_copy(
        update={"generation": 0 if manifest is None else int(manifest.frozen.get("generation", 0))}
    )


def begin_generation(path: Path) -> tuple[int, Path]:
    """Make a recovery directory ready for the next generation; what it held goes into a folder inside of it.

    That folder is a recovery directory itself: a flow may go on with it while the next generation is built. What was
    interrupted half-way is completed by another call.

    Returns
    -------
    generation, folder
        Number of the next generation, and where the state of the one before is now.

    Raises
    ------
    ConfigurationError
        If it is no recovery directory, or a flow is running on it.
    """
    manifest = read_manifest(path) if path.is_dir() else None
    if manifest is None:
        raise ConfigurationError(
            f"{path} is not a recovery directory", remedy="name the one that `labelpulse run --recovery` was given"
        )
    before = int(manifest.frozen.get("generation", 0))
    if not manifest.has_begun:
        raise ConfigurationError(
            f"generation {before} of {path} has not begun yet", remedy="start it with `labelpulse run`"
        )
    if before + 1 > GENERATION_MAX:
        raise ConfigurationError(f"generation {before} is the last one", remedy="name a new database")
    lock, folder = DirectoryLock(path), path / f"{GENERATION_PREFIX}{before}"
    try:
        folder.mkdir(exist_ok=True)
        for entry in sorted(path.iterdir()):
            if not is_beside(entry.name):
                os.replace(entry, folder / entry.name)
        write_manifest(folder, manifest)
        write_manifest(path, replace(manifest, frozen={**manifest.frozen, "generation": before + 1}, has_begun=False))
    finally:
        lock.close()
    return before + 1, folder


@dataclass(frozen=True, slots=True)
class Position:
    """How far a generation has come in a partition: offset of the last record read, and how many were read."""

    generation: int
    stream: str
    partition: int
    offset: int
    records: int


def positions(client: Client) -> list[Position]:
    """Return how far each generation has come in each partition."""
    return [Position(*row) for row in client.query(_POSITIONS, parameters={"part": SOURCE_PART}).result_rows]


def active_generations(client: Client) -> dict[str, int]:
    """Return the generation that the views show, by project; under the empty name that of all other projects."""
    return {ALL_PROJECTS: 0, **dict(client.query(_ACTIVE).result_rows)}


def behind(found: Iterable[Position], *, generation: int, active: int) -> list[str]:
    """Return in what a generation is behind the one that is shown, a line a partition.

    Examples
    --------
    >>> old, new = Position(0, "kafka:t", 2, 99, 100), Position(1, "kafka:t", 2, 49, 50)
    >>> behind([old, new], generation=1, active=0)
    ['partition 2 of kafka:t: offset 49, to reach 99']
    """
    all_positions = list(found)
    reached = {(at.stream, at.partition): at.offset for at in all_positions if at.generation == generation}
    wanted = {(at.stream, at.partition): at.offset for at in all_positions if at.generation == active}
    return [
        f"partition {partition} of {stream}: "
        + (f"offset {reached[stream, partition]:,}" if (stream, partition) in reached else "not begun")
        + f", to reach {offset:,}"
        for (stream, partition), offset in sorted(wanted.items())
        if reached.get((stream, partition), -1) < offset
    ]


def switch(client: Client, *, generation: int, projects: Iterable[str] = (), is_checked: bool = True) -> None:
    """Let the views show a generation from now on.

    Parameters
    ----------
    projects
        Only of these projects; none: of all projects, those with an entry of their own included.
    is_checked
        Whether to refuse a generation that is behind the one shown.

    Raises
    ------
    ConfigurationError
        If there are no rows of the generation, or it has not caught up.
    """
    found, active, scopes = positions(client), active_generations(client), list(projects)
    if generation not in {at.generation for at in found}:
        raise ConfigurationError(
            f"the database holds no rows of generation {generation}", remedy="`labelpulse generation list` shows those"
        )
    shown = {active.get(scope, active[ALL_PROJECTS]) for scope in scopes or active} - {generation}
    late = [line for before in sorted(shown) for line in behind(found, generation=generation, active=before)]
    if late and is_checked:
        raise ConfigurationError(
            f"generation {generation} has not caught up: {'; '.join(late[:3])}{' …' if len(late) > 3 else ''}",
            remedy="wait for it; if the log is another one, so that nothing can be compared, add --unchecked",
        )
    version = int(client.query("SELECT max(version) FROM generations").result_rows[0][0]) + 1
    rows = [(scope, generation, datetime.now(UTC), version) for scope in scopes or sorted(active)]
    client.insert("generations", rows, column_names=COLUMNS)
