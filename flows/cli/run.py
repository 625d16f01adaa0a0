"""``labelpulse run``: the flow, what it shows while it runs, and a summary at its end."""

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.failures import ExitCode, note, warn
from flows.cli.options import (
    ClickhouseOption,
    ConfigOption,
    RecoveryOption,
    SetOption,
    SourceOption,
    settings_from,
)
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from flows.run_state import RunState, RunSummary
    from flows.settings import LoadedSettings, Settings

SUPERVISE_FLAG = "--supervise"

SuperviseOption = Annotated[
    bool, typer.Option(SUPERVISE_FLAG, help="Run in a process of its own, and start it again after a failure.")
]
MonitorOption = Annotated[
    bool | None,
    typer.Option("--monitor", help="Serve the dashboard and the HTTP API as well.", show_default=False),
]
MonitorPortOption = Annotated[
    int | None,
    typer.Option("--monitor-port", min=0, max=65_535, help="Port of the monitor. Default: 8321.", show_default=False),
]
HooksOption = Annotated[
    bool | None,
    typer.Option("--hooks/--no-hooks", help="Deliver alerts, or send nothing. Default: deliver.", show_default=False),
]
ReplayOption = Annotated[
    bool | None,
    typer.Option(
        "--replay", help="Read an old log again: alerts are recorded, and delivered to nobody.", show_default=False
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers", metavar="N", help="Run in so many processes of this machine. Default: 1.", show_default=False
    ),
]
ProcessIdOption = Annotated[
    int | None,
    typer.Option(
        "--process-id",
        metavar="I",
        help="Be process I, from 0 on, of a cluster; needs --addresses.",
        show_default=False,
    ),
]
AddressesOption = Annotated[
    str | None,
    typer.Option(
        "--addresses",
        metavar="HOST:PORT;…",
        help="Where each process of the cluster listens for the others, by number.",
        show_default=False,
    ),
]
ReportToOption = Annotated[int | None, typer.Option("--report-to", hidden=True)]
ProgressOption = Annotated[
    bool | None,
    typer.Option(
        "--live/--log",
        help="Show a live table, or a log line now and then. Default: a table where standard error is a terminal.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


def run(
    context: typer.Context,
    source: SourceOption = None,
    clickhouse: ClickhouseOption = None,
    recovery: RecoveryOption = None,
    until_eof: Annotated[
        bool | None,
        typer.Option("--until-eof", help="End when the source has been read to its end.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    supervise: SuperviseOption = False,
    monitor: MonitorOption = None,
    monitor_port: MonitorPortOption = None,
    hooks: HooksOption = None,
    replay: ReplayOption = None,
    progress: ProgressOption = None,
    workers: WorkersOption = None,
    process_id: ProcessIdOption = None,
    addresses: AddressesOption = None,
    report_to: ReportToOption = None,
) -> int | None:
    """Read events and keep the figures in the database up to date, until the end of the source or Ctrl-C.

    Ctrl-C and SIGTERM end it cleanly: what was read is written, state is kept
    where --recovery says, and the exit code is 0.

    Examples:
      labelpulse run --source simulate:events=200000,seed=7 --until-eof
      labelpulse run --source file:events.jsonl --clickhouse chdb:///data/lp
      labelpulse run --source kafka://localhost:9092/events --recovery ./state
      labelpulse run --source kafka://localhost:9092/events --recovery ./state \\
        --workers 3 --clickhouse clickhouse://localhost:8123/labelpulse
    """
    loaded = settings_from(
        config=config,
        overrides=overrides,
        source=source,
        clickhouse=clickhouse,
        recovery=recovery,
        until_eof=until_eof,
        monitor=monitor,
        monitor_port=monitor_port,
        hooks=hooks,
        replay=replay,
        workers=workers,
        process_id=process_id,
        addresses=addresses,
    )
    settings = loaded.settings
    if settings.source is None:
        raise ConfigurationError(
            "no source of events is named", remedy="labelpulse run --source simulate:events=200000,seed=7 --until-eof"
        )
    if report_to is not None:
        return _work(settings, report_to=report_to, is_debugging=bool(context.obj))
    if supervise:
        return _supervised(settings)
    if settings.recovery is None:
        note("no state is kept, as no --recovery directory is named: the next start reads the log from its beginning")
    is_live = sys.stderr.isatty() if progress is None else progress
    _run_and_tell(loaded, is_live=is_live, is_debugging=bool(context.obj))
    return None


def _supervised(settings: "Settings") -> int:
    """Run this very command, without its option to supervise, under a supervisor."""
    from flows.supervisor import RestartLimits, Supervisor

    if settings.recovery is None or settings.source == "-":
        raise ConfigurationError(
            "a flow that is to be started again needs a --recovery directory and a source that can be read again",
            remedy="add --recovery DIRECTORY; instead of standard input name a file or topic",
        )
    supervisor = Supervisor(
        own_command(without=SUPERVISE_FLAG),
        limits=RestartLimits(
            restarts_max=settings.supervise_restarts_max,
            window_seconds=settings.supervise_window_seconds,
            backoff_seconds_max=settings.supervise_backoff_seconds_max,
        ),
        final_codes=frozenset({ExitCode.OK, ExitCode.USAGE, ExitCode.REFUSED}),
        tell=warn,
    )
    return supervisor.run()


def own_command(*, without: str = "") -> list[str]:
    """Return what runs this very command once more, without one of its flags."""
    return [sys.executable, "-m", "flows.cli.main", *(word for word in sys.argv[1:] if word != without)]


def _work(settings: "Settings", *, report_to: int, is_debugging: bool) -> int:
    """Be a worker: what there is to be told goes to the process that started this one."""
    from flows.cli.worker import work

    return work(settings, report_to=report_to, is_debugging=is_debugging)


def _run_and_tell(loaded: "LoadedSettings", *, is_live: bool, is_debugging: bool) -> None:
    settings = loaded.settings
    try:
        from flows.cli.summary import print_summary
        from flows.engine_output import engine_output_held
        from flows.run_state import RunState

        state = RunState()
        # what native code writes is held back first, so that our own streams are opened on the terminal behind it
        with nullcontext() if is_debugging else engine_output_held(), _shown(state, settings, is_live=is_live):
            summary = _run_flow(settings, state)
    except KeyboardInterrupt:
        # once it reads, the flow itself takes the signal and ends in order
        note("stopped before anything was read")
        return
    if settings.process_id:
        note(f"process {settings.process_id} has ended; process 0 shows the figures")
        return
    print_summary(summary, settings, names_database=loaded.origins["clickhouse"] == "flag")


def _run_flow(settings: "Settings", state: "RunState") -> "RunSummary":
    if settings.workers > 1 and settings.process_id is None:
        from flows.cluster_run import run_cluster

        return run_cluster(settings, own_command(), state=state)
    from flows.run import run as run_flow

    return run_flow(settings, state=state)


def _shown(state: "RunState", settings: "Settings", *, is_live: bool) -> AbstractContextManager[None]:
    from flows.cli.display import ConsoleStream, LiveDisplay, LogDisplay, terminal_console
    from flows.cli.logs import configure_logging

    level, form = settings.log_level, settings.log_format
    if not is_live:
        configure_logging(level=level, form=form, stream=sys.stderr)
        return LogDisplay(state, seconds=settings.progress_seconds).shown()
    console = terminal_console()
    configure_logging(level=level, form=form, stream=ConsoleStream(console), has_colors=console.is_terminal)
    shown = settings.shown()
    return LiveDisplay(state, source=shown["source"], clickhouse=shown["clickhouse"], console=console).shown()
