"""What a running flow shows, on a terminal and elsewhere."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from rich.console import Console

from flows.cli.display import ConsoleStream, LiveDisplay, LogDisplay, RateMeter, duration_text
from flows.cli.logs import configure_logging
from flows.run_state import DRIFTS_SHOWN_MAX, DriftSeen, RunState

DRIFT_AT = 1_767_600_000_000_000


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Put logging back: streams of a test end with it."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def state() -> RunState:
    """A run half way through."""
    state = RunState(records_expected=3_000, annotators=41, projects=2, dead=3, late=1, rows_written=9_876)
    state.intake.records_read = 1_500
    state.intake.lag = {("kafka:t", 0): 7, ("kafka:t", 1): 5}
    state.clocks = {"b": DRIFT_AT + 60_000_000, "a": DRIFT_AT}
    state.add_drift(DriftSeen(DRIFT_AT, "a", "q", "ann-[7]", "worse", 0.91, 0.7))
    return state


def rendered(state: RunState, *, width: int) -> str:
    """Return the live table as it stands on a terminal, without styles."""
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(LiveDisplay(state, source="simulate:…", clickhouse="chdb:///x", console=console).render())
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_table_shows_what_matters_at_any_width(state: RunState, width: int) -> None:
    """Rate, progress, lag, watermark, annotators, alerts, refused and written are there, and the last drift."""
    shown = rendered(state, width=width)
    for text in ("1,500 of 3,000", "2026-01-05 08:00:00Z", "41", "9,876", "12", "drift alerts", "dead letters"):
        assert text in shown
    assert "drift at" in shown and "worse" in shown and "0.91 → 0.70" in shown
    assert "━━━" in shown


def test_names_are_shown_as_they_are(state: RunState) -> None:
    """Brackets in an annotator's id are text, not markup."""
    assert "ann-[7]" in rendered(state, width=120)


def test_an_unreachable_broker_is_told_in_the_table(state: RunState) -> None:
    """Why nothing comes in stands in the table."""
    state.intake.notice = "no broker answers"
    assert "no broker answers" in rendered(state, width=100)


def test_a_source_that_does_not_know_its_lag_says_so() -> None:
    """An unknown lag is not shown as 0."""
    assert "not known" in rendered(RunState(), width=100)


def test_the_watermark_is_the_clock_of_the_project_behind_all_others(state: RunState) -> None:
    """The clock that is shown is one that every project has reached."""
    assert state.clock_at == DRIFT_AT
    assert RunState().clock_at is None


def test_only_the_last_drifts_are_kept() -> None:
    """All are counted, a few are shown: memory does not grow with alerts."""
    state = RunState()
    for number in range(100):
        state.add_drift(DriftSeen(number, "p", "q", "a", "better", 0.1, 0.2))
    assert (state.drifts_total, len(state.drifts)) == (100, DRIFTS_SHOWN_MAX)
    assert state.drifts[-1].detected_at == 99


def test_the_rate_looks_back_a_few_seconds_only() -> None:
    """A burst long ago does not count for the rate now, and memory is bounded."""
    rate = RateMeter(seconds=5.0)
    rate.update(at=0.0, records=0)
    rate.update(at=1.0, records=1_000_000)
    rates = [rate.update(at=2.0 + second, records=1_000_000 + 100 * second) for second in range(20)]
    assert rates[-1] == pytest.approx(100.0)


def test_a_log_line_holds_the_counters(state: RunState) -> None:
    """Where nobody watches, a JSON line carries the same figures; secrets have no place in it."""
    stream = io.StringIO()
    configure_logging(level="info", form="json", stream=stream)
    LogDisplay(state, seconds=10.0).write()
    line = json.loads(stream.getvalue())
    assert line["event"] == "progress"
    assert (line["records_read"], line["lag_records"], line["annotators"], line["drift_alerts"]) == (1_500, 12, 41, 1)
    assert line["watermark"] == "2026-01-05T08:00:00+00:00"


def test_lines_come_while_a_block_runs_and_end_with_it(state: RunState) -> None:
    """The thread that writes lines ends with the block."""
    stream = io.StringIO()
    configure_logging(level="info", form="json", stream=stream)
    display = LogDisplay(state, seconds=0.01)
    with display.shown():
        while "progress" not in stream.getvalue():
            pass
    lines = len(stream.getvalue().splitlines())
    display.write()
    assert len(stream.getvalue().splitlines()) == lines + 1


@pytest.mark.parametrize("form", ["text", "json"])
def test_both_kinds_of_loggers_end_up_in_one_stream(form: str) -> None:
    """Lines of structlog and of the standard library have the same form, one line each, and respect the level."""
    stream = io.StringIO()
    configure_logging(level="warning", form=form, stream=stream)
    structlog.get_logger("labelpulse").warning("ours", count=3)
    structlog.get_logger("labelpulse").info("too quiet")
    logging.getLogger("labelpulse.kafka").error("theirs %s", "x")
    logging.getLogger("labelpulse.kafka").info("too quiet")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert "ours" in lines[0] and "theirs x" in lines[1]
    if form == "json":
        assert [json.loads(line)["level"] for line in lines] == ["warning", "error"]


def test_log_lines_appear_on_the_console_of_the_table() -> None:
    """With a live table, log lines are printed through its console, brackets untouched."""
    console = Console(file=io.StringIO(), width=40)
    configure_logging(level="info", form="json", stream=ConsoleStream(console))
    structlog.get_logger("labelpulse").info("a [bold]line[/bold]", long="x" * 100)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert json.loads(printed)["event"] == "a [bold]line[/bold]"


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (59.9, "0:59"), (3600, "1:00:00")])
def test_durations_are_read_at_a_glance(seconds: float, text: str) -> None:
    """Minutes and seconds, and hours where there are any."""
    assert duration_text(seconds) == text
