"""``labelpulse monitor``: the dashboard and the HTTP API over a database."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.failures import note
from flows.cli.options import ClickhouseOption, ConfigOption, RecoveryOption, SetOption, settings_from

if TYPE_CHECKING:
    from flows.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("monitor")(monitor)


def monitor(
    clickhouse: ClickhouseOption = None,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="ADDRESS", help="Where to listen. Default: 127.0.0.1.", show_default=False),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65_535, help="Port; 0 for a free one. Default: 8321.", show_default=False),
    ] = None,
    tokens: Annotated[
        Path | None,
        typer.Option(
            "--tokens",
            metavar="FILE",
            help="Tokens, a line each: NAME TOKEN PROJECT,PROJECT (or *) [act].",
            show_default=False,
        ),
    ] = None,
    recovery: RecoveryOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Serve the dashboard and the HTTP API until Ctrl-C.

    The embedded database can be open in one process only: beside a running flow, use `labelpulse run --monitor`.

    Examples:
      labelpulse monitor --clickhouse clickhouse://localhost:8123/labelpulse
      labelpulse monitor --clickhouse chdb:///data/lp --port 9000
      labelpulse monitor --host 0.0.0.0 --tokens ./tokens.txt
    """  # fmt: skip
    loaded = settings_from(
        config=config,
        overrides=overrides,
        clickhouse=clickhouse,
        recovery=recovery,
        monitor_host=host,
        monitor_port=port,
        monitor_tokens=tokens,
    )
    _serve(loaded.settings)


def _serve(settings: "Settings") -> None:
    from flows.cli.database import opened_for_reading
    from flows.cli.logs import configure_logging
    from flows.monitor import monitor_server

    configure_logging(level=settings.log_level, form=settings.log_format, stream=sys.stderr)
    ended = threading.Event()
    with opened_for_reading(settings.clickhouse), monitor_server(settings) as server, _ended_by_signals(ended):
        note(f"the monitor is at {server.url} (Ctrl-C ends it)")
        ended.wait()


@contextmanager
def _ended_by_signals(ended: threading.Event) -> Iterator[None]:
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
