"""Delivery as a whole: threads, a receiver that misbehaves, several publishers on one outbox, the engine's sink."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bytewax import operators as op
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSource, run_main

from flows.hooks import AlertDelivery, wall_clock
from schemas.alerts import ALERTS_NAME, Alert
from schemas.errors import LabelpulseError, TerminalSinkError, TransientSinkError
from schemas.records import RowBatch
from sinks.hooks import store
from sinks.hooks.intake import Intake
from sinks.hooks.notification import Answer, Notification, Outcome
from sinks.hooks.outbox import Outbox
from sinks.hooks.publisher import Delivery, Publisher
from sinks.hooks.sink import AlertSink
from sinks.hooks.traits import MICROSECONDS, HookTraits, Suppression
from tests.support.alerts import NOW, Bench, alert_of, resolved
from tests.support.hooks_process import webhook_delivery
from tests.support.receiver import running_receiver

WAIT_SECONDS = 30.0


def fresh(number: int, **columns: Any) -> Alert:
    """Return an alert that fires now."""
    return alert_of(number, annotator=f"ann-{number}", fired_at=wall_clock(), **columns)


def id_of(alert: Alert) -> str:
    """Return the id of the message about an alert."""
    return f"{alert.alert_id}_{alert.state}"


@contextmanager
def delivering(folder: Path, deliveries: dict[str, Delivery], **options: Any) -> Iterator[AlertDelivery]:
    """Deliver while the block runs."""
    delivery = AlertDelivery(folder / "alerts.sqlite3", deliveries, **{"suppression": Suppression(), **options})
    try:
        yield delivery
    finally:
        delivery.stop(seconds=WAIT_SECONDS)


class Clock:
    """A clock that stands still unless the test moves it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        """Return the microseconds since the epoch."""
        return self.now


def test_each_alert_arrives_whatever_the_receiver_does(tmp_path: Path) -> None:
    """Errors, hangs, resets, endless answers, refusals for being too many, lost answers: each arrives at least once,
    and once by id."""
    faults = [500, "hang", 204, "reset", {"Retry-After": "0"}, "lost", "drip", 503, "lost", 404, "hang", 500]
    alerts = [fresh(number) for number in range(1, 21)]
    ends = [resolved(alert, sequence=100 + alert.sequence) for alert in alerts[:5]]
    with running_receiver(*faults) as receiver:
        with delivering(tmp_path, webhook_delivery(receiver.url, timeout_seconds=0.2)) as delivery:
            for alert in (*alerts, *ends):
                delivery.intake.add_alerts([alert])
            receiver.wait_until(len(alerts) + len(ends) + faults.count("lost"))
        acted_on: dict[str, bytes] = {request.headers["webhook-id"]: request.body for request in receiver.accepted}
        bodies = {(request.headers["webhook-id"], request.body) for request in receiver.requests}
    assert set(acted_on) == {id_of(alert) for alert in (*alerts, *ends)}
    assert len(bodies) == len(acted_on), "what is sent again is the same to the byte"


def test_a_receiver_that_hangs_holds_up_neither_the_flow_nor_other_hooks(tmp_path: Path) -> None:
    """Alerts are kept, and delivered to others, while one hook waits for an answer that never comes."""
    with running_receiver(*["hang"] * 99) as hanging, running_receiver() as well:
        deliveries = webhook_delivery(hanging.url, name="stuck") | webhook_delivery(well.url, name="well")
        delivery = AlertDelivery(tmp_path / "alerts.sqlite3", deliveries, suppression=Suppression())
        for number in range(1, 11):
            delivery.intake.add_alerts([fresh(number, hooks="stuck,well")])
        delivery.intake.flush()
        well.wait_until(10)
        hanging.wait_for_requests(1)
        assert len(hanging.requests) == 1 and hanging.accepted == []
        hanging.ended.set()
        delivery.stop(seconds=0.1)


def test_retry_after_is_kept(tmp_path: Path) -> None:
    """A receiver that asks to be left alone is, with all alerts, until that time; then they arrive."""
    clock, bench = Clock(), Bench(tmp_path)
    with running_receiver({"Retry-After": "120"}) as receiver:
        publisher = Publisher(bench.path, webhook_delivery(receiver.url), clock=clock)
        bench.take(alert_of(1), alert_of(2, annotator="b"))
        publisher.wake_all()
        receiver.wait_for_requests(1)
        assert publisher.drain(WAIT_SECONDS)
        clock.now += 119 * MICROSECONDS
        publisher.wake_all()
        assert publisher.drain(WAIT_SECONDS)
        assert len(receiver.requests) == 1
        clock.now += 1 * MICROSECONDS
        publisher.wake_all()
        receiver.wait_until(2)
        publisher.stop(WAIT_SECONDS)


def test_410_ends_all_requests_to_a_hook(tmp_path: Path) -> None:
    """Nothing more is sent there, whatever waits or comes; other hooks go on."""
    with running_receiver(410) as gone, running_receiver() as well:
        deliveries = webhook_delivery(gone.url, name="gone") | webhook_delivery(well.url, name="well")
        with delivering(tmp_path, deliveries) as delivery:
            delivery.intake.add_alerts([fresh(number, hooks="gone,well") for number in range(1, 6)])
            well.wait_until(5)
            gone.wait_for_requests(1)
            delivery.intake.add_alerts([fresh(7, hooks="gone,well")])
            well.wait_until(6)
        assert len(gone.requests) == 1
    bench = Bench(tmp_path, {"gone": {}, "well": {}})
    assert {row["state"] for row in bench.rows("SELECT state FROM deliveries WHERE hook = 'gone'")} == {"disabled"}


def test_a_rate_limit_sends_what_is_too_much_later_and_together(tmp_path: Path) -> None:
    """Of a storm the first alert goes out at once, the rest in one message when the rate allows the next."""
    clock, bench = Clock(), Bench(tmp_path, {"ops": {"group_by": ("project_id",)}})
    with running_receiver() as receiver:
        options = {"rate_per_minute": 1.0, "burst": 1, "group_by": ["project_id"]}
        publisher = Publisher(bench.path, webhook_delivery(receiver.url, **options), clock=clock)
        bench.take(alert_of(1))
        publisher.wake_all()
        receiver.wait_until(1)
        bench.take(*(alert_of(number, annotator=f"ann-{number}") for number in range(2, 30)))
        publisher.wake_all()
        assert not publisher.drain(0.2)
        clock.now += 61 * MICROSECONDS
        publisher.wake_all()
        receiver.wait_until(2)
        assert publisher.drain(WAIT_SECONDS)
        publisher.stop(WAIT_SECONDS)
        assert len(receiver.requests) == 2 and receiver.requests[1].body.count(b'"alert_id"') == 28


def test_of_several_processes_one_delivers_and_another_takes_over(tmp_path: Path) -> None:
    """Two publishers on one outbox send each alert once; when the first is gone, the second goes on."""
    bench = Bench(tmp_path)
    with running_receiver() as receiver:
        first, second = (Publisher(bench.path, webhook_delivery(receiver.url), clock=lambda: NOW) for _ in range(2))
        bench.take(*(alert_of(number, annotator=f"ann-{number}") for number in range(1, 11)))
        first.wake_all(), second.wake_all()
        receiver.wait_until(10)
        first.stop(WAIT_SECONDS)
        bench.take(*(alert_of(number, annotator=f"ann-{number}") for number in range(11, 21)))
        second.wake_all()
        receiver.wait_until(20)
        second.stop(WAIT_SECONDS)
    assert len(receiver.requests) == 20


def test_outcomes_are_reported_until_somebody_has_written_them(tmp_path: Path) -> None:
    """A database that is down is told again, after the end of the run too; each outcome arrives."""
    written: list[tuple[Any, ...]] = []
    is_down = threading.Event()
    is_down.set()

    def record(rows: list[tuple[Any, ...]]) -> None:
        if is_down.is_set():
            raise TransientSinkError("the database is down")
        written.extend(rows)

    with running_receiver() as receiver:
        with delivering(tmp_path, webhook_delivery(receiver.url), record=record) as delivery:
            delivery.intake.add_alerts([fresh(1), alert_of(2, annotator="old", fired_at=NOW - 10**15)])
            receiver.wait_until(1)
        assert written == []
        is_down.clear()
        with delivering(tmp_path, webhook_delivery(receiver.url), record=record):
            pass
    assert sorted(row[4] for row in written) == ["delivered", "suppressed"]
    assert len(receiver.requests) == 1


class Failing:
    """A receiver with a bug."""

    def __init__(self) -> None:
        self.calls = 0
        self.has_been_called = threading.Event()

    def deliver(self, notifications: list[Notification], *, message_id: str, now: float) -> Answer:
        """Fail once."""
        self.calls += 1
        if self.calls == 1:
            raise ZeroDivisionError
        self.has_been_called.set()
        return Answer(Outcome.DELIVERED)

    def close(self) -> None:
        """Nothing is held."""


def test_a_bug_in_a_receiver_loses_nothing(tmp_path: Path) -> None:
    """The alert is kept and tried again; the thread lives on."""
    receiver = Failing()
    traits = HookTraits("ops", retry_seconds=0.01)
    with delivering(tmp_path, {"ops": Delivery(traits, lambda: receiver)}) as delivery:
        delivery.intake.add_alerts([fresh(1)])
        assert receiver.has_been_called.wait(WAIT_SECONDS)
    assert receiver.calls == 2


def test_a_disk_that_fails_stops_the_flow(tmp_path: Path) -> None:
    """An outbox that cannot be written to is told to whoever adds next, and to the snapshot."""

    def open_outbox() -> Outbox:
        connection = store.connect(tmp_path / "alerts.sqlite3")
        outbox = Outbox(connection, hooks={}, suppression=Suppression())
        connection.execute("PRAGMA query_only = 1")
        return outbox

    intake = Intake(open_outbox, on_commit=lambda hooks: None, clock=wall_clock)
    intake.add_alerts([fresh(1)])
    with pytest.raises(TerminalSinkError, match="cannot be written to the outbox"):
        intake.flush()
    with pytest.raises(TerminalSinkError, match="cannot be written to the outbox"):
        intake.add_alerts([fresh(2)])
    intake.close()


@pytest.mark.parametrize("crash_at", [3, 8])
def test_the_engine_loses_no_alert_at_a_crash(tmp_path: Path, crash_at: int) -> None:
    """Run by the engine, ended by a crash and resumed: each alert is in the outbox, once."""
    recovery = tmp_path / "recovery"
    recovery.mkdir()
    init_db_dir(recovery, 1)
    alerts = [alert_of(number, annotator=f"ann-{number}") for number in range(1, 11)]
    rows: list[Any] = [
        ("shard-0", RowBatch({"labels_versions": [("other",)], ALERTS_NAME: [alert.to_row()]})) for alert in alerts
    ]
    rows.insert(crash_at, TestingSource.ABORT())
    source, bench = TestingSource(rows, batch_size=2), Bench(tmp_path)

    def open_outbox() -> Outbox:
        return Outbox(store.connect(bench.path), hooks=bench.hooks, suppression=bench.suppression)

    for _ in range(2):
        intake = Intake(open_outbox, on_commit=lambda hooks: None, clock=lambda: NOW)
        flow = Dataflow("alerts")
        items = op.input("alerts_in", flow, source)
        op.output("alerts_out", items, AlertSink(lambda shared=intake: shared, slots=2))
        run_main(flow, epoch_interval=timedelta(0), recovery_config=RecoveryConfig(recovery))
        intake.close()
    assert bench.send_all() == [id_of(alert) for alert in alerts]


def test_what_is_wrong_with_the_outbox_is_told_at_the_start(tmp_path: Path) -> None:
    """Not by a thread, later."""
    (tmp_path / "file").write_text("")
    with pytest.raises(LabelpulseError):
        AlertDelivery(tmp_path / "file" / "alerts.sqlite3", {}, suppression=Suppression())
