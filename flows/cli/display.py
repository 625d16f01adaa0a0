"""What a running flow shows: a live table where standard error is a terminal, else a log line now and then."""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from flows.run_state import DriftSeen, RunState
from schemas.timestamps import moment_of

REFRESHES_PER_SECOND = 4
RATE_SECONDS = 5.0
CELL_WIDTH = 22


class RateMeter:
    """Records a second over the last few seconds.

    Parameters
    ----------
    seconds
        How far back the rate looks.

    Examples
    --------
    >>> rate = RateMeter(seconds=5.0)
    >>> rate.update(at=0.0, records=0), rate.update(at=2.0, records=300)
    (0.0, 150.0)
    """

    def __init__(self, *, seconds: float = RATE_SECONDS) -> None:
        self._seconds = seconds
        self._seen: deque[tuple[float, int]] = deque()

    def update(self, *, at: float, records: int) -> float:
        """Take the count at a moment, and return the rate."""
        self._seen.append((at, records))
        while len(self._seen) > 2 and self._seen[1][0] <= at - self._seconds:
            self._seen.popleft()
        began, before = self._seen[0]
        return (records - before) / (at - began) if at > began else 0.0


class LiveDisplay:
    """A table of a run's counters, drawn anew a few times a second.

    Parameters
    ----------
    state
        The counters.
    source, clickhouse
        What is read and where rows go, without secrets.
    console
        The terminal.
    """

    def __init__(self, state: RunState, *, source: str, clickhouse: str, console: Console) -> None:
        self._state = state
        self._places = [("from ", source), ("into ", clickhouse)]
        self._rate = RateMeter()
        self._console = console

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the table while the block runs, and take it away at its end."""
        with Live(
            get_renderable=self.render,
            console=self._console,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        ):
            yield

    def render(self) -> RenderableType:
        """Return the table as it is now."""
        now = time.monotonic()
        state = self._state
        rate = self._rate.update(at=now, records=state.records_read)
        parts: list[RenderableType] = [
            Text.assemble((word, "dim"), place, no_wrap=True, overflow="ellipsis") for word, place in self._places
        ]
        if state.monitor_url:
            parts.append(Text.assemble(("open ", "dim"), (state.monitor_url, "bold underline")))
        parts.append(Columns(_cells(state, rate=rate), width=CELL_WIDTH))
        if state.records_expected:
            bar = ProgressBar(total=state.records_expected, completed=state.records_read)
            parts.append(Padding(bar, 0))  # a bar by itself does not end its line
        if state.notice:
            parts.append(Text(state.notice, style="yellow"))
        if state.drifts:
            parts.append(_drift_table(list(state.drifts)))
        elapsed = duration_text(now - state.started_at)
        return Panel(Group(*parts), title="labelpulse", subtitle=f"{elapsed} · Ctrl-C ends", title_align="left")


def _cells(state: RunState, *, rate: float) -> list[Text]:
    read = f"{state.records_read:,}" + (f" of {state.records_expected:,}" if state.records_expected else "")
    alert_style = "bold red" if state.drifts_total else ""
    return [
        _cell("events/s", f"{rate:,.0f}"),
        _cell("records read", read),
        _cell("lag", _lag_text(state)),
        _cell("watermark", time_text(state.clock_at)),
        _cell("projects", f"{state.projects:,}"),
        _cell("annotators", f"{state.annotators:,}"),
        _cell("drift alerts", f"{state.drifts_total:,}", style=alert_style),
        _cell("dead letters", f"{state.dead:,}", style="yellow" if state.dead else ""),
        _cell("late", f"{state.late:,}"),
        _cell("duplicates", f"{state.duplicate:,}"),
        _cell("rows written", f"{state.rows_written:,}"),
    ]


def _lag_text(state: RunState) -> str:
    if state.lag_records is not None:
        return f"{state.lag_records:,}"
    return "-" if state.records_expected else "not known"


def _cell(label: str, value: str, *, style: str = "") -> Text:
    return Text.assemble((label, "dim"), "\n", (value, style or "bold"))


def _drift_table(drifts: list[DriftSeen]) -> Table:
    table = Table(
        "drift at", "project", "annotator", "", "accuracy", box=None, pad_edge=False, header_style="dim", expand=False
    )
    for drift in reversed(drifts):
        style = "red" if drift.direction == "worse" else "green"
        table.add_row(
            time_text(drift.detected_at),
            Text(drift.project_id),
            Text(drift.annotator_id),
            Text(drift.direction, style=style),
            f"{drift.before:.2f} → {drift.after:.2f}",
        )
    return table


def time_text(microseconds_since_epoch: int | None) -> str:
    """Return a moment for people, to the second.

    >>> time_text(0), time_text(None)
    ('1970-01-01 00:00:00Z', '-')
    """
    if microseconds_since_epoch is None:
        return "-"
    return f"{moment_of(microseconds_since_epoch):%Y-%m-%d %H:%M:%S}Z"


def duration_text(seconds: float) -> str:
    """Return a duration for people.

    >>> duration_text(75), duration_text(3675)
    ('1:15', '1:01:15')
    """
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"


class LogDisplay:
    """A log line of a run's counters now and then.

    Parameters
    ----------
    state
        The counters.
    seconds
        Between two lines.
    """

    def __init__(self, state: RunState, *, seconds: float) -> None:
        self._state = state
        self._seconds = seconds
        self._rate = RateMeter(seconds=seconds)
        self._log = structlog.get_logger("labelpulse")

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Write lines, from a thread of their own, while the block runs."""
        ended = threading.Event()
        thread = threading.Thread(target=self._write_until, args=(ended,), name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def write(self) -> None:
        """Write one line."""
        state = self._state
        rate = self._rate.update(at=time.monotonic(), records=state.records_read)
        fields: dict[str, Any] = {
            "events_per_second": round(rate),
            "records_read": state.records_read,
            "lag_records": state.lag_records,
            "watermark": None if state.clock_at is None else moment_of(state.clock_at).isoformat(),
            "annotators": state.annotators,
            "drift_alerts": state.drifts_total,
            "dead": state.dead,
            "rows_written": state.rows_written,
        }
        if state.monitor_url:
            fields["monitor"] = state.monitor_url
        if state.notice:
            fields["notice"] = state.notice
        self._log.info("progress", **{name: value for name, value in fields.items() if value is not None})

    def _write_until(self, ended: threading.Event) -> None:
        self._rate.update(at=time.monotonic(), records=self._state.records_read)
        while not ended.wait(self._seconds):
            self.write()


class ConsoleStream:
    """Takes log lines for a terminal on which a table is drawn: they appear above it.

    Parameters
    ----------
    console
        The terminal.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> None:
        """Show text; an empty end of line is left to the console."""
        if line := text.rstrip("\n"):
            self._console.print(Text.from_ansi(line), soft_wrap=True)

    def flush(self) -> None:
        """Do nothing: a console shows at once."""


def terminal_console() -> Console:
    """Return a console on what is standard error now, whatever takes its place while the engine runs."""
    stream = os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8", errors="backslashreplace")
    return Console(file=stream, highlight=False)
