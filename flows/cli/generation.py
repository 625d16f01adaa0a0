"""``labelpulse generation``: begin a new generation of rows beside the old ones, and switch to it."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from flows.cli.options import ClickhouseOption, ConfigOption, RecoveryOption, SetOption, settings_from
from schemas.errors import ConfigurationError


class GenerationAction(StrEnum):
    """What to do with generations."""

    LIST = "list"
    NEW = "new"
    SWITCH = "switch"


ProjectsOption = Annotated[
    list[str] | None,
    typer.Option("--project", metavar="NAME", help="Switch this project only; as often as needed.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("generation")(generation)


def generation(
    action: Annotated[
        GenerationAction,
        typer.Argument(help="list those in the database, begin a new one, or switch to one.", show_default=False),
    ],
    number: Annotated[
        int | None, typer.Argument(min=0, help="The generation to switch to.", show_default=False)
    ] = None,
    clickhouse: ClickhouseOption = None,
    recovery: RecoveryOption = None,
    projects: ProjectsOption = None,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Switch even if it has not caught up, or nothing can be compared.")
    ] = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Build figures anew beside the old ones, after partitions, policy or code have changed, and switch to them.

    new wants the flow on the recovery directory to be stopped. The next run on
    it reads the log from its beginning, under the settings it is given then,
    and writes rows of the next generation; what is shown stays as it is until
    switch.

    Examples:
      labelpulse generation new --recovery ./state
      labelpulse generation list
      labelpulse generation switch 1
    """
    settings = settings_from(config=config, overrides=overrides, clickhouse=clickhouse, recovery=recovery).settings
    if action is GenerationAction.NEW:
        _begin(settings)
    elif action is GenerationAction.LIST:
        _list(settings.clickhouse)
    else:
        _switch(settings.clickhouse, number, projects or [], is_checked=not unchecked)


def _begin(settings: Any) -> None:
    from flows.generations import begin_generation

    if settings.recovery is None:
        raise ConfigurationError("no recovery directory is named", remedy="add --recovery DIRECTORY")
    number, folder = begin_generation(settings.recovery)
    print(f"The next run on {settings.recovery} reads the log from its beginning, as generation {number}.")
    print(f"The state of generation {number - 1} is in {folder}: a flow may go on with it until you switch.")
    print(f"Once it has caught up: labelpulse generation switch {number}")


def _list(dsn: str) -> None:
    from flows.cli.database import opened_for_reading
    from flows.cli.tables import output_console, rows_table
    from flows.generations import ALL_PROJECTS, active_generations, positions

    with opened_for_reading(dsn) as client:
        found, active = positions(client), active_generations(client)
    rows = []
    for number in sorted({at.generation for at in found} | set(active.values())):
        of_it = [at for at in found if at.generation == number]
        shown = [scope or "all projects" for scope in sorted(active) if active[scope] == number]
        if number == active[ALL_PROJECTS] and len(active) > 1:
            shown[0] = "all other projects"
        streams = sorted({at.stream for at in of_it})
        rows.append(
            {
                "generation": number,
                "shown_for": ", ".join(shown),
                "records": sum(at.records for at in of_it),
                "partitions": len(of_it),
                "log": ", ".join(streams),
            }
        )
    output_console().print(rows_table(rows, columns=tuple(rows[0]), title="Generations")[0])


def _switch(dsn: str, number: int | None, projects: list[str], *, is_checked: bool) -> None:
    from flows.cli.database import opened_for_reading
    from flows.generations import switch

    if number is None:
        raise ConfigurationError("no generation is named", remedy="labelpulse generation switch 1")
    with opened_for_reading(dsn) as client:
        switch(client, generation=number, projects=projects, is_checked=is_checked)
    print(f"{', '.join(projects) or 'all projects'}: generation {number} is shown from now on")
