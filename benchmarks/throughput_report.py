"""Prints what was measured, for people."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.measure import BYTES_PER_MB
from benchmarks.throughput_parts import FLOOR, FLOW, FLOW_KAFKA, TUTORIAL

TITLES = {
    FLOW: "this flow, from a file of JSON lines into chDB",
    FLOW_KAFKA: "this flow, from Kafka into chDB (the broker's own CPU is not counted)",
    TUTORIAL: "the same job written from the tutorials, from the file into chDB",
    FLOOR: "reading the file and decoding each record, nothing else",
}


def print_report(document: dict[str, Any], *, console: Console | None = None) -> None:
    """Print the figures of a whole measurement.

    Parameters
    ----------
    document
        What ``--json`` writes.
    """
    console = console or Console(highlight=False, soft_wrap=True)
    log, machine = document["log"], document["machine"]
    console.print(
        f"[bold]Log[/bold]  {log['events']:,} records, {log['bytes'] / BYTES_PER_MB:.1f} MB: {log['simulation']}"
    )
    console.print(f"     sha256 {log['sha256']}\n")
    console.print(_table_of(document["parts"]))
    console.print(_legend(document["parts"]), end="\n\n")
    _print_ratios(document, console)
    _print_results(document, console)
    for line in document["left_out"]:
        console.print(f"[bold]Left out[/bold]  {line}")
    console.print(
        f"[bold]Machine[/bold]  {machine['processor']}, {machine['cores']} cores, {machine['system']}, "
        f"Python {machine['python']}, load {machine['load_average'][0]}"
    )


def _table_of(parts: dict[str, Any]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 0), collapse_padding=True)
    table.add_column("part", no_wrap=True)
    for column in ("rounds", "events/s", "CPU µs/event", "seconds", "peak MB", "start-up s"):
        table.add_column(column, justify="right", min_width=len(column) + 1)
    for part in TITLES:
        if part in parts:
            cost = parts[part]
            table.add_row(
                part,
                str(len(cost["rounds"])),
                f"{cost['events_per_second']:,.0f}",
                f"{cost['cpu_us_per_event']:.2f}",
                f"{cost['seconds']:.2f}",
                f"{cost['peak_memory_mb']:,.0f}",
                f"{cost['startup_seconds']:.2f}",
            )
    return table


def _legend(parts: dict[str, Any]) -> str:
    return "\n".join(f"{part}: {title}" for part, title in TITLES.items() if part in parts)


def _print_ratios(document: dict[str, Any], console: Console) -> None:
    ratio, target = document["ratio_to_tutorial"], document["target_ratio_to_tutorial"]
    colour = "green" if ratio >= target else "red"
    console.print(
        f"[bold]ratio_to_tutorial {ratio:.2f}[/bold] [{colour}](target: at least {target:.0f})[/{colour}]: throughput "
        f"against {TUTORIAL}; {document['ratio_to_tutorial_with_startup']:.2f} with the start-up, "
        f"{document['ratio_to_tutorial_cpu']:.2f} in CPU"
    )
    console.print(
        f"[bold]ratio_to_floor {document['ratio_to_floor']:.2f}[/bold]: CPU per event against {FLOOR}", end="\n\n"
    )


def _print_results(document: dict[str, Any], console: Console) -> None:
    compared = ", ".join(f"{table} {rows:,}" for table, rows in document["rows_compared"].items())
    if document["are_results_equal"]:
        console.print(f"[bold]Results[/bold]  equal (rows compared: {compared})")
        return
    console.print("[bold red]RESULTS DIFFER[/bold red], so the figures above compare different jobs:")
    for line in document["differences"]:
        console.print(f"  {line}", markup=False)
