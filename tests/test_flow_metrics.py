"""The flow's own metrics: each that is declared is told, projects are bounded, a stalled flow says so."""

import signal
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
import urllib3
from prometheus_client.parser import text_string_to_metric_families

from flows import metrics as declared
from flows.metrics import PROJECTS_MAX, STALLED_SECONDS, FlowMetrics
from flows.metrics_server import served_metrics
from flows.run_state import RunState
from schemas.errors import ConfigurationError, UnavailableError
from sinks.clickhouse.writer import WriterStatus
from tests.support.command import start

STATUS = WriterStatus(
    rows_waiting=3, rows_written=100, rows_superseded=7, flushes=4, flush_seconds=0.5, failures=2, last_flush_at=10.0,
    last_error=None,
)  # fmt: skip
NAMES = {
    *(f"{declared.PREFIX}{name}" for name in (*declared.COUNTERS, *declared.GAUGES, *declared.LABELLED)),
}


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 20.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def told(metrics: FlowMetrics) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the samples of a page by family and values of labels."""
    return {
        family.name: {tuple(sample.labels.values()): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(metrics.page().decode())
    }


def counted() -> RunState:
    """Return counters of a flow under way."""
    state = RunState(events_in=10, folded=6, duplicate=2, late=1, dead=1, projects=2, annotators=5, drifts_total=3)
    state.intake.records_read, state.intake.bytes_read, state.intake.lag = 11, 2_000, {("log", 0): 4}
    state.clocks = {"a": 1_767_603_600_000_000, "b": 1_767_603_660_000_000}
    return state


def test_every_declared_metric_is_told_with_its_value() -> None:
    """Counters, gauges and figures by label are on the page, and nothing else is."""
    hooks = {"ops": {"state": "in use", "waiting": 2, "delivered": 9, "dead": 1}}
    page = told(FlowMetrics(counted(), writer=lambda: STATUS, hooks=lambda: hooks, clock=Clock()))
    assert set(page) == NAMES
    assert page["labelpulse_events"] == {("folded",): 6, ("duplicate",): 2, ("late",): 1, ("dead",): 1}
    assert page["labelpulse_events_in"] == {(): 10} and page["labelpulse_lag_records"] == {(): 4}
    assert page["labelpulse_flush_seconds"] == {(): 0.5} and page["labelpulse_flush_age_seconds"] == {(): 10}
    assert page["labelpulse_project_clock_timestamp_seconds"] == {("a",): 1_767_603_600, ("b",): 1_767_603_660}
    assert page["labelpulse_hook_deliveries"][("ops", "waiting")] == 2


def test_of_many_projects_those_furthest_behind_are_told() -> None:
    """A page stays short however many projects there are."""
    state = RunState(clocks={f"p{number}": 1_000_000 * number for number in range(3 * PROJECTS_MAX)})
    clocks = told(FlowMetrics(state, writer=lambda: None))["labelpulse_project_clock_timestamp_seconds"]
    assert clocks == {(f"p{number}",): number for number in range(PROJECTS_MAX)}


def test_a_stalled_flow_answers_503_with_the_reason() -> None:
    """A database or source that is away for a minute makes the flow unhealthy, until it is back."""
    clock, state, status = Clock(), RunState(), STATUS
    metrics = FlowMetrics(state, writer=lambda: status, clock=clock)
    pool = urllib3.PoolManager(retries=False)
    with served_metrics("127.0.0.1:0", metrics) as url:
        health = url.replace("/metrics", "/healthz")
        assert pool.request("GET", health).json() == {"status": "ok", "reason": ""}
        status = replace(STATUS, last_error="no room")
        assert pool.request("GET", health).status == 200
        clock.now += STALLED_SECONDS
        answer = pool.request("GET", health)
        assert answer.status == 503 and "no room" in answer.json()["reason"]
        assert b"labelpulse_stalled 1.0" in pool.request("GET", url).data
        status, state.intake.notice = STATUS, "no broker answers"
        assert pool.request("GET", health).status == 200
        clock.now += STALLED_SECONDS
        assert pool.request("GET", health).json()["reason"] == "no broker answers"
        assert pool.request("GET", url.replace("/metrics", "/else")).status == 404


def test_a_wrong_address_is_told_plainly() -> None:
    """No address, and one that is taken."""
    metrics = FlowMetrics(RunState(), writer=lambda: None)
    with pytest.raises(ConfigurationError, match="no address"), served_metrics("somewhere", metrics):
        pass
    with served_metrics("127.0.0.1:0", metrics) as url:
        taken = url.removeprefix("http://").removesuffix("/metrics")
        with pytest.raises(UnavailableError, match="cannot be served"), served_metrics(taken, metrics):
            pass


@pytest.mark.slow
def test_a_running_flow_tells_its_metrics(tmp_path: Path) -> None:
    """Counters grow while it runs, at the address that is set and at the monitor's."""
    ports = [free_port(), free_port()]
    process = start(
        "run", "--source", "simulate:events=100000000,annotators=20,seed=7,rate=3000", "--clickhouse",
        f"chdb://{tmp_path}/db", "--monitor", "--monitor-port", str(ports[1]), metrics=f"127.0.0.1:{ports[0]}",
    )  # fmt: skip
    pool = urllib3.PoolManager(retries=urllib3.Retry(300, backoff_factor=0.2, backoff_max=0.5))
    try:
        for port in ports:
            before = 0.0
            for _ in range(2):
                before = grown(pool, f"http://127.0.0.1:{port}/metrics", beyond=before)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.communicate()


def grown(pool: urllib3.PoolManager, url: str, *, beyond: float) -> float:
    """Wait until more events have been counted than before; return how many."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        families = text_string_to_metric_families(pool.request("GET", url).data.decode())
        [count] = [one.samples[0].value for one in families if one.name == "labelpulse_events_in"]
        if count > beyond:
            return count
    raise AssertionError("no event was counted")


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]
