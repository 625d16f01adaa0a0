"""``labelpulse archive``: keeps the raw records of a log as Parquet files."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.failures import note
from flows.cli.options import ConfigOption, SetOption, SourceOption, settings_from
from schemas.errors import ConfigurationError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("archive")(archive)


def archive(
    context: typer.Context,
    to: Annotated[Path, typer.Option("--to", metavar="DIRECTORY", help="Where the files go; one directory a log.")],
    source: SourceOption = None,
    until_eof: Annotated[
        bool | None,
        typer.Option("--until-eof", help="End when the source has been read to its end.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Keep the raw records of a topic or of files, by partition and offset, for as long as somebody may want to audit.

    Runs beside the flow, until the end of the source or Ctrl-C. A restart goes
    on where it was; no record is kept twice. A file is written for every 32 MB
    of records, and at each snapshot (snapshot_seconds).

    Example: labelpulse archive --source kafka://localhost:9092/labelpulse.events --to ./archive
    """
    settings = settings_from(config=config, overrides=overrides, source=source, until_eof=until_eof).settings
    if settings.source is None:
        raise ConfigurationError("no source of events is named", remedy="add --source, such as kafka://HOST:PORT/TOPIC")
    from flows.archive.run import run_archive
    from flows.engine_output import engine_output_held

    with nullcontext() if context.obj else engine_output_held():
        summary = run_archive(settings, to)
    note(
        f"{summary.records_read:,} records read, {summary.records_written:,} of them new, "
        f"in {summary.files_written:,} files below {to}"
    )
