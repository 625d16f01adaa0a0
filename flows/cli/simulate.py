"""``labelpulse simulate``: a simulated log, and the truth about it."""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from flows.simulator.simulation import Simulation


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("simulate")(simulate)


def simulate(
    parts: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME=VALUE]…", help="What the stream is like; --describe lists the names."),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option("--truth", metavar="FILE", help="Write what is true about the stream here, as JSON."),
    ] = None,
    describe: Annotated[bool, typer.Option("--describe", help="List the names, with defaults and meanings.")] = False,
) -> None:
    """Write a simulated log to standard output: known accuracies, drift at known times, disorder, bad records.

    The same names and values give the same bytes.

    Example:
      labelpulse simulate events=100000,seed=7 --truth truth.json > events.jsonl
    """
    if describe:
        _describe()
        return
    from flows.simulator.settings import parse_simulation
    from flows.simulator.simulation import Simulation

    simulation = Simulation(parse_simulation(",".join(parts or [])))
    with ExitStack() as files:
        truth_file = None if truth is None else files.enter_context(_opened(truth))
        _write_records(simulation)
        if truth_file is not None:
            json.dump(simulation.truth, truth_file, indent=2, ensure_ascii=False)
            truth_file.write("\n")
    print(f"{simulation.settings.events:,} records", file=sys.stderr)


def _write_records(simulation: "Simulation") -> None:
    output = sys.stdout.buffer
    for record in simulation.records():
        output.write(record)
        output.write(b"\n")
    output.flush()


def _opened(path: Path) -> IO[str]:
    """Open the file of the truth before the stream is drawn, so that a wrong path is told at once."""
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}", remedy="check the path") from error


def _describe() -> None:
    from rich.table import Table

    from flows.cli.tables import cell_text, output_console
    from flows.simulator.settings import SimulationSettings

    defaults = SimulationSettings().model_dump(mode="json")
    table = Table("name", "default", "meaning", box=None, pad_edge=False)
    for name, field in SimulationSettings.model_fields.items():
        table.add_row(name, cell_text(defaults[name]), field.description)
    output_console().print(table)
