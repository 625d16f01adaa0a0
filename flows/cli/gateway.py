"""``labelpulse gateway``: takes annotation tools' webhooks and native events over HTTP."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.failures import note, warn
from flows.cli.options import ConfigOption, SetOption, settings_from


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("gateway")(gateway)


def gateway(
    kafka: Annotated[
        str | None,
        typer.Option("--kafka", metavar="URL", help="Topic to write to: kafka://HOST:PORT/TOPIC.", show_default=False),
    ] = None,
    spool_only: Annotated[
        bool | None,
        typer.Option("--spool-only", help="Write to the spool directory, which run can read.", show_default=False),
    ] = None,
    spool: Annotated[
        Path | None,
        typer.Option(
            "--spool",
            metavar="DIRECTORY",
            help="Where events are kept, with --kafka while no broker answers. Default: ./labelpulse-data/spool.",
            show_default=False,
        ),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option("--listen", metavar="HOST:PORT", help="Default: 127.0.0.1:8080.", show_default=False),
    ] = None,
    sources: Annotated[
        Path | None,
        typer.Option(
            "--sources", metavar="FILE", help="Further sources and their settings, as TOML.", show_default=False
        ),
    ] = None,
    is_open: Annotated[
        bool | None,
        typer.Option(
            "--open", help="Sources without a secret take from anybody; on loopback only.", show_default=False
        ),
    ] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Take webhooks at /v1/ingest/TOOL and native events at /v1/events, until SIGTERM or Ctrl-C.

    A request is answered once its events are durable: acknowledged by Kafka,
    or synced to the spool. Secrets come from the environment, such as
    LABELPULSE_GATEWAY_SECRET_LABEL_STUDIO, or from secret files.

    Examples:
      labelpulse gateway --spool-only --open
      labelpulse gateway --kafka kafka://localhost:9092/labelpulse.events
    """
    settings = settings_from(
        config=config,
        overrides=overrides,
        gateway_kafka=kafka,
        gateway_spool_only=spool_only,
        gateway_spool=spool,
        gateway_listen=listen,
        gateway_sources=sources,
        gateway_open=is_open,
    ).settings
    from flows.cli.logs import configure_logging
    from flows.gateway.server import serve

    configure_logging(level=settings.log_level, form=settings.log_format, stream=sys.stderr)
    if settings.gateway_open:
        warn("sources without a secret take events from anybody on this machine")

    def tell(address: str) -> None:
        note(f"listening on {address}")
        if settings.gateway_spool_only:
            note(f"read what comes in with: labelpulse run --source file:{settings.gateway_spool}")

    serve(settings, on_ready=tell)
