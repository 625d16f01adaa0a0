"""``labelpulse audit``: are the figures in the database those of the log?"""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.failures import ExitCode
from flows.cli.options import ClickhouseOption, ConfigOption, RecoveryOption, SetOption, settings_from

if TYPE_CHECKING:
    from flows.audit.audit import AuditReport
    from flows.audit.comparison import Difference

RECORDS_MAX = 5_000_000
DIFFERENCES_SHOWN = 20


class AuditFormat(StrEnum):
    """How the outcome is written."""

    TABLE = "table"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("audit")(audit)


def audit(
    log: Annotated[
        str, typer.Option("--log", metavar="LOG", help="kafka://HOST:PORT/TOPIC, file:PATH or archive:DIRECTORY.")
    ],
    clickhouse: ClickhouseOption = None,
    recovery: RecoveryOption = None,
    stream: Annotated[
        str | None,
        typer.Option(
            "--stream",
            metavar="NAME",
            help="What the database calls the log, if it lies elsewhere now.",
            show_default=False,
        ),
    ] = None,
    first: Annotated[
        int, typer.Option("--first", metavar="N", min=0, help="Differences to show one by one.")
    ] = DIFFERENCES_SHOWN,
    records_max: Annotated[
        int, typer.Option("--records-max", min=1, help="Most records to read: about 1.5 kB of memory each.")
    ] = RECORDS_MAX,
    form: Annotated[AuditFormat, typer.Option("--format", help="How to print the outcome.")] = AuditFormat.TABLE,
    config: ConfigOption = None,
    overrides: SetOption = None,
) -> int:
    """Recompute the figures from the raw log, by other code than the flow's, and compare them with the database.

    Reads the log as far as the flow has counted it, so the flow should be at
    rest: stopped, or with nothing coming in. --recovery takes over the settings
    that the flow runs under; without it they are those of the environment. The
    exit code is 0 if there is no difference, else 1.

    Examples:
      labelpulse audit --log file:events.jsonl
      labelpulse audit --log archive:/data/archive --recovery ./state --format json
    """  # fmt: skip
    from flows.audit.audit import audit as run_audit
    from flows.audit.opening import frozen_flags, limits_of, open_log, rules_of
    from flows.cli.database import opened_for_reading

    asked: dict[str, Any] = {"config": config, "overrides": overrides, "clickhouse": clickhouse, "recovery": recovery}
    flags, manifest = frozen_flags(_recovery_of(settings_from(**asked).settings.recovery, recovery))
    settings = settings_from(**asked, **flags).settings
    opened = open_log(log, settings)
    with opened_for_reading(settings.clickhouse) as client:
        report = run_audit(
            opened, client,
            rules=rules_of(settings), limits=limits_of(settings, manifest), records_max=records_max,
            differences_max=first, stream=stream, on_progress=_tell_progress,
        )  # fmt: skip
    if form is AuditFormat.JSON:
        print(json.dumps(_as_json(report), indent=2, ensure_ascii=False))
    else:
        _print(report)
    return ExitCode.FAILED if report.differences_total else ExitCode.OK


def _recovery_of(of_settings: Path | None, named: Path | None) -> Path | None:
    """Return the directory to take settings from; one that is only set and not there yet says nothing."""
    return named or (of_settings if of_settings is not None and of_settings.exists() else None)


def _tell_progress(records: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{records:,} records read", end="", file=sys.stderr, flush=True)


def _print(report: "AuditReport") -> None:
    from flows.cli.tables import output_console, rows_table

    console = output_console()
    columns = ("view", "expected", "found", "missing", "unexpected", "differing")
    tables = [{name: getattr(table, name) for name in columns} for table in report.tables]
    title = f"{report.stream}, generation {report.generation}: {report.records:,} records read again"
    console.print(rows_table(tables, columns=columns, title=title)[0])
    if report.differences:
        shown = [_row_of(difference) for difference in report.differences]
        console.print()
        title = f"The first {len(shown):,} differences; {report.differences_total:,} rows differ"
        console.print(rows_table(shown, columns=("view", "key", "figure", "log says", "database says"), title=title)[0])
    console.print()
    omitted: dict[tuple[str, str], list[str]] = {}
    for omission in report.omissions:
        omitted.setdefault((omission.view, omission.reason), []).append(omission.column or "all of it")
    rows = [
        {"not compared": view, "columns": ", ".join(names), "why": reason} for (view, reason), names in omitted.items()
    ]
    console.print(rows_table(rows, columns=("not compared", "columns", "why"))[0])
    for project, reason in report.left_out.items():
        print(f"left out: project {project}: {reason}")
    print(f"{report.differences_total:,} differences")


def _row_of(difference: "Difference") -> dict[str, str]:
    return {
        "view": difference.view,
        "key": ", ".join(str(value) for value in difference.key.values()),
        "figure": difference.column or "(row)",
        "log says": _side(difference.expected, difference.column),
        "database says": _side(difference.found, difference.column),
    }


def _side(value: Any, column: str | None) -> str:
    if column is None:
        return "there is none" if value is None else "there is one"
    return "-" if value is None else str(value)


def _as_json(report: "AuditReport") -> dict[str, Any]:
    return {
        "stream": report.stream,
        "generation": report.generation,
        "records": report.records,
        "differences_total": report.differences_total,
        "tables": [
            {
                "view": table.view, "expected": table.expected, "found": table.found, "missing": table.missing,
                "unexpected": table.unexpected, "differing": table.differing,
            }
            for table in report.tables
        ],
        "differences": [
            {
                "view": difference.view, "key": difference.key, "column": difference.column,
                "expected": difference.expected, "found": difference.found,
            }
            for difference in report.differences
        ],
        "not_compared": [
            {"view": omission.view, "column": omission.column, "reason": omission.reason}
            for omission in report.omissions
        ],
        "left_out": report.left_out,
    }  # fmt: skip
