"""What a run says at its end: what came in, what came out, where it is, and what to do next."""

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from flows.cli.database import opened_for_reading
from flows.cli.display import duration_text
from flows.cli.failures import note, warn
from flows.cli.tables import output_console, rows_table
from flows.generations import ALL_PROJECTS, active_generations
from flows.run_state import RunSummary
from flows.setting_values import default_clickhouse, hidden_dsn
from flows.settings import Settings
from monitor.queries.run import fetch_rows
from schemas.errors import LabelpulseError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

PROJECTS_SHOWN_MAX = 12
ANNOTATORS_READ_MAX = 20_000
ANNOTATORS_SHOWN_MAX = 5
DRIFTS_READ_MAX = 5_000
DRIFTS_SHOWN_MAX = 8
ACCOUNTS = ("folded", "duplicate", "late", "dead")

Row = dict[str, Any]


def print_summary(summary: RunSummary, settings: Settings, *, names_database: bool) -> None:
    """Print how a run ended, and the figures in the database.

    Parameters
    ----------
    summary
        How it ended.
    settings
        What it ran with.
    names_database
        Whether commands need to name the database, as neither environment nor default does.
    """
    console = output_console()
    _print_end(console, summary)
    try:
        with opened_for_reading(settings.clickhouse) as client:
            project = _print_figures(console, client)
            shown = active_generations(client)[ALL_PROJECTS]
    except LabelpulseError as error:
        warn(f"the figures cannot be shown: {error.message}")
        return
    _print_places(console, settings)
    if shown != summary.state.generation:
        note(
            f"rows were written of generation {summary.state.generation}; what is shown is generation {shown}, until "
            f"`labelpulse generation switch {summary.state.generation}`"
        )
    _print_next(console, _database_option(settings.clickhouse, is_named=names_database), project=project)


def _print_end(console: Console, summary: RunSummary) -> None:
    records, seconds = summary.state.records_read, max(summary.seconds, 1e-9)
    ended = "The log was read to its end" if summary.ended_by == "end" else "Stopped as asked"
    console.print(
        f"{ended}: {records:,} records in {duration_text(seconds)}, {records / seconds:,.0f} a second", style="bold"
    )


def _print_figures(console: Console, client: "Client") -> str | None:
    """Print the tables; return a project to ask more about."""
    _print_accounts(console, fetch_rows(client, "progress", limit=100_000).rows)
    projects = fetch_rows(client, "projects", limit=PROJECTS_SHOWN_MAX)
    _print_table(
        console, projects.rows, "Projects",
        ("project_id", "labels", "items", "annotators", "gold_labels", "accuracy", "clock_at"),
    )  # fmt: skip
    annotators = fetch_rows(client, "annotators", limit=ANNOTATORS_READ_MAX).rows
    lowest, highest = lowest_and_highest(annotators)
    columns = ("project_id", "question_id", "annotator_id", "labels", "gold_labels", "accuracy", "interval")
    _print_table(console, lowest, "Annotators of lowest accuracy, by the upper end of the 95 % interval", columns)
    _print_table(console, highest, "Annotators of highest accuracy, by the lower end of the 95 % interval", columns)
    drifts = fetch_rows(client, "drift", limit=DRIFTS_READ_MAX).rows
    latest = sorted(drifts, key=lambda row: row["detected_at"], reverse=True)[:DRIFTS_SHOWN_MAX]
    _print_table(
        console, latest, f"Drift: {len(drifts):,} changes, the latest first",
        ("detected_at", "project_id", "question_id", "annotator_id", "signal", "direction", "before", "after"),
    )  # fmt: skip
    return max(projects.rows, key=lambda row: row["labels"])["project_id"] if projects.rows else None


def _print_accounts(console: Console, progress: Sequence[Row]) -> None:
    totals = {name: sum(row[name] for row in progress) for name in ("events_in", *ACCOUNTS)}
    parts = " + ".join(f"{totals[name]:,} {name}" for name in ACCOUNTS)
    console.print(f"Accounts: {totals['events_in']:,} events in = {parts}")
    if totals["events_in"] != sum(totals[name] for name in ACCOUNTS):
        warn("the accounts do not balance: report it as a bug")


def _print_table(console: Console, rows: Sequence[Row], title: str, columns: Sequence[str]) -> None:
    if rows:
        width = console.width if console.is_terminal else None
        console.print()
        console.print(rows_table(rows, columns=columns, title=title, width=width)[0])


def lowest_and_highest(annotators: Sequence[Row], *, shown: int = ANNOTATORS_SHOWN_MAX) -> tuple[list[Row], list[Row]]:
    """Return the annotators who are surely the least and the most accurate, none of them twice.

    Ranked by the end of the interval that speaks for the others, so that few judgements make nobody best or worst.

    >>> rows = [{"accuracy": a, "accuracy_low": a - 0.1, "accuracy_high": a + 0.1} for a in (0.5, 0.9, 0.7)]
    >>> lowest, highest = lowest_and_highest(rows, shown=1)
    >>> lowest[0]["accuracy"], highest[0]["accuracy"]
    (0.5, 0.9)
    """
    judged = [
        {**row, "interval": f"{row['accuracy_low']:.3f} – {row['accuracy_high']:.3f}"}
        for row in annotators
        if row["accuracy"] is not None
    ]
    lowest = sorted(judged, key=lambda row: row["accuracy_high"])[: min(shown, (len(judged) + 1) // 2)]
    highest = sorted(judged, key=lambda row: row["accuracy_low"], reverse=True)
    return lowest, [row for row in highest if row not in lowest][:shown]


def _print_places(console: Console, settings: Settings) -> None:
    console.print()
    console.print(Text(f"Rows are in {hidden_dsn(settings.clickhouse)}"), soft_wrap=True)
    if settings.recovery is not None:
        console.print(Text(f"State is in {settings.recovery}; the next run goes on there"), soft_wrap=True)


def _print_next(console: Console, database: list[str], *, project: str | None) -> None:
    of_project = ["--project", project] if project is not None else []
    console.print("Next, try:", style="bold")
    for arguments in (["annotators", *of_project], ["annotator-windows", *of_project], ["drift"]):
        command = shlex.join([*_own_command(), "query", *arguments, *database])
        console.print(Text(f"  {command}"), soft_wrap=True)


def _own_command() -> list[str]:
    """Return how this program is called from here."""
    called = Path(sys.argv[0])
    if called.name != "labelpulse":
        return [sys.executable, "-m", "flows.cli.main"]
    if (found := shutil.which("labelpulse")) and os.path.samefile(found, called):
        return ["labelpulse"]
    relative = os.path.relpath(called)
    return [str(called) if relative.startswith("..") else relative]


def _database_option(dsn: str, *, is_named: bool) -> list[str]:
    """Return the option that names the database; a password is left for the person to fill in."""
    return ["--clickhouse", hidden_dsn(dsn)] if is_named and dsn != default_clickhouse() else []
