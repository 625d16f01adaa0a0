"""The command ``labelpulse``: gathers the commands, parses, and ends with a documented exit code."""

import sys
from typing import Annotated

import typer

import flows.single_thread  # noqa: F401
from flows.cli import (
    archive,
    audit,
    convert,
    dead_letters,
    doctor,
    gateway,
    generation,
    hooks,
    migrate,
    monitor,
    policy,
    query,
    reconcile,
    run,
    schema,
    settings,
    simulate,
    state,
    version,
)
from flows.cli.failures import EXIT_CODE_MEANINGS, ExitCode, guarded, tell

DEBUG_FLAG = "--debug"

EPILOG = "\n".join(
    [
        "[bold]Examples[/bold]",
        "  labelpulse run --source simulate:events=200000,seed=7 --until-eof",
        "  labelpulse run --source file:events.jsonl --until-eof",
        "  labelpulse run --source kafka://localhost:9092/labelpulse.events",
        "  labelpulse query annotators --format json",
        "",
        "[bold]Exit codes[/bold]",
        *(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODE_MEANINGS.items()),
    ]
)

app = typer.Typer(
    name="labelpulse",
    help="Turns events of annotation tools into annotator accuracy, drift and windowed quality metrics in ClickHouse.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    run, monitor, gateway, hooks, query, audit, archive, dead_letters, state, generation, policy, simulate, convert,
    reconcile, schema, migrate, doctor, settings, version,
):  # fmt: skip
    module.register(app)


@app.callback()
def _options_of_all(
    debug: Annotated[bool, typer.Option(DEBUG_FLAG, help="Show the traceback of an error; goes anywhere.")] = False,
) -> None:
    del debug  # taken out of the arguments before they are parsed, so that it may stand after the command as well


def main() -> None:
    """Entry point of the command."""
    sys.exit(run_arguments(sys.argv[1:]))


def run_arguments(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    kept = [argument for argument in arguments if argument != DEBUG_FLAG]
    is_debugging = len(kept) < len(arguments)
    return guarded(lambda: _parsed_and_run(kept, is_debugging=is_debugging), shows_traceback=is_debugging)


def _parsed_and_run(arguments: list[str], *, is_debugging: bool) -> int | None:
    try:
        return app(arguments, prog_name="labelpulse", standalone_mode=False, obj=is_debugging)
    except typer.TyperException as error:
        if not str(error.format_message()):
            return ExitCode.USAGE  # no command was given: the help has been shown
        context = getattr(error, "ctx", None)
        tell(error.format_message(), remedy=f"{context.command_path if context else 'labelpulse'} --help")
        return ExitCode.USAGE
    except SystemExit as ended:
        # typer ends the program at a broken pipe; what that means is for the caller to say
        if isinstance(ended.__context__, OSError):
            raise ended.__context__ from None
        raise


if __name__ == "__main__":
    main()
