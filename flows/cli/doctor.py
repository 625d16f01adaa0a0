"""``labelpulse doctor``: looks at everything a flow needs, and says how to mend what is wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from flows.cli.failures import ExitCode
from flows.cli.options import (
    ClickhouseOption,
    ConfigOption,
    RecoveryOption,
    SetOption,
    SourceOption,
    settings_from,
)
from schemas.errors import LabelpulseError

if TYPE_CHECKING:
    from flows.cli.checks.finding import Finding
    from flows.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    source: SourceOption = None,
    clickhouse: ClickhouseOption = None,
    recovery: RecoveryOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
) -> int:
    """Check this machine, the settings, the source, the database and the recovery directory; change nothing.

    One line a check: ok, warn (runs, but perhaps not as meant) or fail (cannot
    run), and how to mend it. The exit code is 1 if a check failed, else 0.

    Example: labelpulse doctor --source kafka://localhost:9092/labelpulse.events
    """
    from flows.cli.checks.finding import Level

    worst = ExitCode.OK
    for finding in _findings(
        config=config, overrides=overrides, source=source, clickhouse=clickhouse, recovery=recovery
    ):
        _print(finding)
        if finding.level is Level.FAIL:
            worst = ExitCode.FAILED
    return worst


def _findings(*, config: Path | None, overrides: list[str] | None, **flags: Any) -> "Iterator[Finding]":
    from flows.cli.checks.finding import failure, ok
    from flows.cli.checks.machine import check_machine

    yield from check_machine()
    try:
        settings = settings_from(config=config, overrides=overrides, **flags).settings
    except LabelpulseError as error:
        for line in error.message.splitlines():
            yield failure("settings", line, remedy=error.remedy)
        return
    yield ok("settings", "all fit")
    yield from _of_settings(settings)


def _of_settings(settings: "Settings") -> "Iterator[Finding]":
    from flows.cli.checks.database import check_database
    from flows.cli.checks.recovery import check_recovery
    from flows.cli.checks.source import check_source

    yield from check_source(settings)
    yield from check_database(settings.clickhouse)
    yield from check_recovery(settings)


def _print(finding: "Finding") -> None:
    print(f"{finding.level:<5} {finding.subject}: {finding.message}", flush=True)
    if finding.remedy:
        print(f"      try: {finding.remedy}", flush=True)
