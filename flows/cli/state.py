"""``labelpulse state``: what a recovery directory holds, how it is brought up to date, and how it is emptied."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.failures import note
from flows.cli.options import ConfigOption, RecoveryOption, SetOption, settings_from
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from flows.recovery_store import RecoveryContents

PROJECTS_SHOWN_MAX = 50


class StateAction(StrEnum):
    """What to do with a recovery directory."""

    INSPECT = "inspect"
    MIGRATE = "migrate"
    RESET = "reset"


class StateFormat(StrEnum):
    """How the contents are written."""

    TABLE = "table"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("state")(state)


def state(
    action: Annotated[
        StateAction, typer.Argument(help="inspect it, migrate it to this version, or reset it.", show_default=False)
    ],
    recovery: RecoveryOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do reset: offsets and state are lost.")] = False,
    form: Annotated[StateFormat, typer.Option("--format", help="How to print it.")] = StateFormat.TABLE,
    config: ConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Show what a recovery directory holds, bring it up to date, or take everything out of it.

    A flow takes over the state that an older version left; migrate does so
    without starting it. The older version cannot go on from it afterwards.

    After a reset the next run reads the log from its beginning. Give it a
    generation of its own (--set generation=N) if the log no longer begins where
    it did, or the rows of before are to stay apart.

    Examples:
      labelpulse state inspect --recovery ./state
      labelpulse state migrate --recovery ./state
      labelpulse state reset --recovery ./state --yes
    """
    path = settings_from(config=config, overrides=overrides, recovery=recovery).settings.recovery
    if path is None:
        raise ConfigurationError("no recovery directory is named", remedy="add --recovery DIRECTORY")
    if action is StateAction.INSPECT:
        _inspect(path, form)
    elif action is StateAction.MIGRATE:
        _migrate(path)
    else:
        _reset(path, is_meant=yes)


def _migrate(path: Path) -> None:
    from flows.recovery_store import migrate_recovery
    from operators.snapshot import FORMAT_VERSION

    migrated = migrate_recovery(path)
    print(f"{migrated} shards brought up to format {FORMAT_VERSION}" if migrated else "all is of this version already")


def _reset(path: Path, *, is_meant: bool) -> None:
    from flows.recovery_store import inspect_recovery, reset_recovery

    if not is_meant:
        generation = inspect_recovery(path).manifest.frozen.get("generation", 0)
        raise ConfigurationError(
            f"a reset takes all offsets and state of generation {generation} out of {path}",
            remedy=f"labelpulse state reset --recovery {path} --yes",
        )
    removed = reset_recovery(path)
    print(f"removed {len(removed)} files from {path}")


def _inspect(path: Path, form: StateFormat) -> None:
    from flows.recovery_store import inspect_recovery

    contents = inspect_recovery(path)
    if form is StateFormat.JSON:
        print(json.dumps(_as_json(contents), indent=2, ensure_ascii=False))
    else:
        _print(path, contents)


def _as_json(contents: "RecoveryContents") -> dict[str, Any]:
    from dataclasses import asdict

    from schemas.timestamps import moment_of

    return {
        "created_at": contents.manifest.created_at.isoformat(),
        "snapshot_at": contents.snapshot_at.isoformat() if contents.snapshot_at else None,
        "is_running": contents.is_running,
        "bytes_on_disk": contents.bytes_on_disk,
        "made_under": contents.manifest.frozen,
        "positions": [asdict(position) for position in contents.positions],
        "shards": [asdict(shard) for shard in contents.shards],
        "projects": [
            {**asdict(project), "newest_at": moment_of(project.newest_at).isoformat()} for project in contents.projects
        ],
    }


def _print(path: Path, contents: "RecoveryContents") -> None:
    from dataclasses import asdict

    from flows.cli.tables import output_console, rows_table

    console = output_console()
    frozen = contents.manifest.frozen
    facts = {
        "directory": str(path),
        "in use": "a flow is running on it" if contents.is_running else "no",
        "made": f"{contents.manifest.created_at:%Y-%m-%d %H:%M:%S}Z",
        "last snapshot": f"{contents.snapshot_at:%Y-%m-%d %H:%M:%S}Z" if contents.snapshot_at else "none yet",
        "on disk": f"{contents.bytes_on_disk:,} bytes",
        "state": f"{sum(shard.bytes for shard in contents.shards):,} bytes in {len(contents.shards)} shards, the "
        f"largest {max((shard.bytes for shard in contents.shards), default=0):,}",
        **{name: json.dumps(value) for name, value in frozen.items()},
    }
    console.print(rows_table([{"": name, "is": value} for name, value in facts.items()], columns=("", "is"))[0])
    _print_rows(console, "Read so far", [asdict(position) for position in contents.positions])
    projects = [asdict(project) for project in contents.projects]
    for project in projects:
        del project["newest_at"]
    _print_rows(console, "Projects", projects[:PROJECTS_SHOWN_MAX])
    if len(projects) > PROJECTS_SHOWN_MAX:
        note(f"the first {PROJECTS_SHOWN_MAX} of {len(projects):,} projects; --format json shows all")


def _print_rows(console: Any, title: str, rows: list[dict[str, Any]]) -> None:
    from flows.cli.tables import rows_table

    if rows:
        console.print()
        console.print(rows_table(rows, columns=tuple(rows[0]), title=title)[0])
