"""The outbox: what is taken in once, what is delivered, in which order, and what becomes of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.alerts import DELIVERY_KEY, DELIVERY_VALUES, Alert
from schemas.errors import ConfigurationError, IncompatibleStateError
from sinks.hooks import store
from sinks.hooks.notification import Answer, Outcome
from sinks.hooks.traits import MICROSECONDS
from tests.support.alerts import BROKEN, NOW, OK, Bench, alert_of, resolved

HOUR = 3_600 * MICROSECONDS
DAY = 24 * HOUR
GONE = Answer(Outcome.GONE, 410, "410 Gone")
REFUSED = Answer(Outcome.REFUSED, 400, "400 Bad Request")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An outbox with one hook."""
    return Bench(tmp_path)


def test_an_alert_that_is_taken_in_again_is_not_sent_again(bench: Bench) -> None:
    """Whatever the flow writes again after a crash, in any order, is known by its sequence."""
    first = alert_of(5)
    end = resolved(first, sequence=9)
    bench.take(first, end)
    assert bench.send_all() == [f"{first.alert_id}_firing", f"{first.alert_id}_resolved"]
    assert bench.take(first, end) == set()
    assert bench.take(end) == bench.take(first) == set()
    assert bench.send_all() == []


def test_a_condition_that_fires_again_is_a_new_alert(bench: Bench) -> None:
    """The same fingerprint with a higher sequence and another id is sent; one with a lower sequence is history."""
    first, second = alert_of(5), alert_of(12)
    assert first.fingerprint == second.fingerprint and first.alert_id != second.alert_id
    bench.take(second)
    bench.take(first)
    assert bench.send_all() == [f"{second.alert_id}_firing"]


def test_one_record_may_end_an_alert_and_raise_the_next(bench: Bench) -> None:
    """A record that resolves a rule and lets it fire again tells both, under one sequence; a repeat of it is known."""
    first, again = alert_of(5), alert_of(9)
    bench.take(first)
    assert bench.take(resolved(first, sequence=9), again) == {"ops"}
    sent = [f"{first.alert_id}_firing", f"{first.alert_id}_resolved", f"{again.alert_id}_firing"]
    assert bench.send_all() == sent
    assert bench.take(first, resolved(first, sequence=9), again) == set()
    assert bench.send_all() == []


def test_more_evidence_for_what_fires_already_is_no_news(bench: Bench) -> None:
    """A firing row of a known alert with a higher sequence is not sent, and its resolution still is."""
    first = alert_of(5)
    bench.take(first)
    bench.send_all()
    assert bench.take(replace(first, sequence=7)) == set()
    bench.take(resolved(first, sequence=8))
    assert bench.send_all() == [f"{first.alert_id}_resolved"]


def test_old_alerts_are_suppressed_and_their_resolutions_too(bench: Bench) -> None:
    """What fired longer ago than an hour is recorded and pages nobody; at exactly an hour it is delivered."""
    old, young = alert_of(1, fired_at=NOW - HOUR - 1), alert_of(2, annotator="b", fired_at=NOW - HOUR)
    bench.take(old, young, resolved(old, sequence=3, resolved_at=NOW))
    assert bench.send_all() == [f"{young.alert_id}_firing"]
    assert bench.states() == [("firing", "suppressed"), ("firing", "delivered"), ("resolved", "suppressed")]


def test_who_was_told_of_an_alert_is_told_of_its_end_however_late(bench: Bench) -> None:
    """A resolution of a delivered alert is delivered even if it is older than the limit: it pages nobody."""
    alert = alert_of(1)
    bench.take(alert)
    bench.send_all()
    bench.now += DAY
    bench.take(resolved(alert, sequence=2, resolved_at=NOW + HOUR))
    assert bench.send_all() == [f"{alert.alert_id}_resolved"]


def test_a_replay_sends_nothing(tmp_path: Path) -> None:
    """Of a replay everything is recorded as suppressed, even what is young, and even ends of delivered alerts."""
    alert = alert_of(1)
    Bench(tmp_path).take(alert)
    Bench(tmp_path).send_all()
    replay = Bench(tmp_path, is_replay=True)
    replay.take(alert, resolved(alert, sequence=2), alert_of(3, annotator="b"))
    assert replay.send_all() == []
    assert replay.states() == [("firing", "delivered"), ("resolved", "suppressed"), ("firing", "suppressed")]


def test_a_resolution_waits_for_its_firing(bench: Bench) -> None:
    """While a firing is being tried again, its resolution is not sent before it; others are."""
    alert, other = alert_of(1), alert_of(2, annotator="b")
    bench.take(alert, resolved(alert, sequence=3), other)
    message = bench.next()
    assert message is not None
    assert bench.settle(message, BROKEN, pause_seconds=60) == "retrying"
    assert bench.send_all() == [f"{other.alert_id}_firing"]
    assert bench.next_due_at() == NOW + 60 * MICROSECONDS
    bench.now += 60 * MICROSECONDS
    assert bench.send_all() == [f"{alert.alert_id}_firing", f"{alert.alert_id}_resolved"]


@pytest.mark.parametrize(("answer", "state"), [(REFUSED, "dead"), (GONE, "disabled")])
def test_who_was_not_told_of_an_alert_is_not_told_of_its_end(bench: Bench, answer: Answer, state: str) -> None:
    """A resolution whose firing was refused is suppressed, whether it waits already or comes later."""
    waiting, later = alert_of(1), alert_of(2, annotator="b")
    bench.take(waiting, later, resolved(waiting, sequence=3))
    bench.send_all(answer)
    bench.take(resolved(later, sequence=4))
    assert bench.send_all() == []
    assert [found for kind, found in bench.states() if kind == "firing"] == [state, state]
    assert {found for kind, found in bench.states() if kind == "resolved"} == {"suppressed"}


def test_an_alert_that_cannot_be_delivered_is_dead_after_a_time(tmp_path: Path) -> None:
    """Attempts go on until the time is over, then the alert is a dead letter with the reason, and the rest goes on."""
    bench = Bench(tmp_path, {"ops": {"give_up_seconds": 100.0}})
    alert = alert_of(1)
    bench.take(alert)
    for _ in range(10):
        message = bench.next()
        assert message is not None
        bench.settle(message, BROKEN)
        bench.now += 10 * MICROSECONDS
    bench.now += 1
    assert bench.next() is None
    (row,) = bench.report()
    delivery = dict(zip((*DELIVERY_KEY, *DELIVERY_VALUES), row, strict=False))
    assert (delivery["state"], delivery["attempts"], delivery["status_code"]) == ("dead", 10, 500)
    assert delivery["error"] == "given up: 500 Internal Server Error"
    assert (delivery["first_attempt_at"], delivery["last_attempt_at"]) == (NOW, NOW + 90 * MICROSECONDS)


def test_a_receiver_that_is_gone_disables_its_hook_until_it_is_configured_otherwise(tmp_path: Path) -> None:
    """410 ends all deliveries of the hook, what waits included; another configuration, or a person, begins anew."""
    bench = Bench(tmp_path, {"ops": {"configuration": "a"}, "other": {}})
    first, second = alert_of(1), alert_of(2, annotator="b")
    bench.take(first, second)
    message = bench.next()
    assert message is not None and bench.settle(message, GONE) == "disabled"
    third = alert_of(3, annotator="c", hooks="ops,other")
    assert bench.take(third) == {"ops", "other"}
    assert bench.send_all() == [] and bench.send_all(hook="other") == [f"{third.alert_id}_firing"]
    assert [state for _, state in bench.states()] == ["disabled", "disabled", "disabled", "delivered"]
    bench = Bench(tmp_path, {"ops": {"configuration": "b"}, "other": {}})
    fourth = alert_of(4, annotator="d")
    bench.take(fourth)
    assert bench.send_all() == [f"{fourth.alert_id}_firing"]


def test_an_alert_for_a_hook_that_does_not_exist_is_told(bench: Bench) -> None:
    """It is dead at once, with the reason, and other hooks of the alert get it."""
    bench.take(alert_of(1, hooks="nobody,ops"))
    assert len(bench.send_all()) == 1
    assert bench.states() == [("firing", "dead"), ("firing", "delivered")]


def test_a_hook_without_resolutions_gets_none(tmp_path: Path) -> None:
    """send_resolved: false leaves them out, without a delivery."""
    bench = Bench(tmp_path, {"ops": {"send_resolved": False}})
    bench.take(alert_of(1), resolved(alert_of(1), sequence=2))
    assert bench.send_all() == [f"{alert_of(1).alert_id}_firing"]
    assert bench.states() == [("firing", "delivered")]


def test_alerts_of_a_group_go_out_together_and_stay_together(tmp_path: Path) -> None:
    """What waits and agrees goes out in one message, which is tried again as it was, though more came meanwhile."""
    bench = Bench(tmp_path, {"ops": {"group_by": ("project_id",), "group_seconds": 5.0}})
    alerts = [alert_of(n, annotator=f"ann-{n}") for n in range(1, 4)]
    bench.take(*alerts, alert_of(9, project_id="p2"))
    assert bench.next() is None
    bench.now += 5 * MICROSECONDS
    message = bench.next()
    assert message is not None
    assert [one.alert.annotator_id for one in message.notifications] == ["ann-1", "ann-2", "ann-3"]
    bench.settle(message, BROKEN, pause_seconds=60)
    bench.take(alert_of(20, annotator="ann-20"), alert_of(21, annotator="ann-21"), resolved(alerts[0], sequence=22))
    bench.now += 5 * MICROSECONDS
    told = []
    for _ in range(2):
        other = bench.next()
        assert other is not None and bench.settle(other) == "delivered"
        told.append([(one.alert.annotator_id, one.type_name) for one in other.notifications])
    firing = "alert.firing"
    assert told == [[("ann-17", firing)], [("ann-20", firing), ("ann-21", firing)]]
    bench.now += 60 * MICROSECONDS
    again = bench.next()
    assert again is not None
    assert (again.message_id, again.delivery_ids) == (message.message_id, message.delivery_ids)
    bench.settle(again)
    rest = bench.next()
    assert rest is not None and rest.message_id == f"{alerts[0].alert_id}_resolved"


def test_a_group_that_was_under_way_at_a_crash_is_sent_the_same(tmp_path: Path) -> None:
    """The id and what it tells are kept before the first attempt, whose outcome a crash has hidden."""
    options: dict[str, Any] = {"ops": {"group_by": ("project_id",)}}
    bench = Bench(tmp_path, options)
    bench.take(alert_of(1), alert_of(2, annotator="b"))
    sent = bench.next()
    assert sent is not None
    after = Bench(tmp_path, options)
    after.take(alert_of(3, annotator="c"))
    again = after.next()
    assert again is not None
    assert (again.message_id, again.delivery_ids) == (sent.message_id, sent.delivery_ids)


def test_two_hooks_have_each_their_own_message(tmp_path: Path) -> None:
    """The same group at two hooks is two messages: what one of them got, the other is still sent."""
    bench = Bench(tmp_path, {"a": {"group_by": ()}, "b": {"group_by": ()}})
    bench.take(*(alert_of(n, annotator=f"ann-{n}", hooks="a,b") for n in range(1, 4)))
    for hook in ("a", "b"):
        message = bench.next(hook)
        assert message is not None and bench.settle(message, BROKEN, hook=hook) == "retrying"
    bench.now += 10 * MICROSECONDS
    for hook in ("a", "b"):
        message = bench.next(hook)
        assert message is not None and len(message.notifications) == 3
        bench.settle(message, hook=hook)
    assert [state for _, state in bench.states()] == ["delivered"] * 6


def test_one_alert_to_blame_does_not_take_its_group_with_it(tmp_path: Path) -> None:
    """A group that is refused is sent one by one: who is refused alone is dead, the others arrive."""
    bench = Bench(tmp_path, {"ops": {"group_by": ()}})
    bench.take(*(alert_of(n, annotator=f"ann-{n}") for n in range(1, 4)))
    message = bench.next()
    assert message is not None and len(message.notifications) == 3
    assert bench.settle(message, REFUSED) == "retrying"
    for answer in (OK, REFUSED, OK):
        alone = bench.next()
        assert alone is not None and len(alone.notifications) == 1
        bench.settle(alone, answer)
    assert [state for _, state in bench.states()] == ["delivered", "dead", "delivered"]


def test_what_fires_is_sent_again_and_what_is_resolved_for_a_while(tmp_path: Path) -> None:
    """Where a hook wants it: every minute while it fires, and five minutes after its end, over a restart too."""
    options: dict[str, Any] = {"ops": {"resend_seconds": 60.0, "resend_resolved_seconds": 300.0, "group_by": ()}}
    bench = Bench(tmp_path, options)
    alert = alert_of(1)
    bench.take(alert)
    assert len(bench.send_all()) == 1
    for _ in range(3):
        bench.now += 60 * MICROSECONDS
        bench = _restarted(bench, options)
        assert bench.send_all(BROKEN) == [f"{alert.alert_id}_firing"]
    bench.take(resolved(alert, sequence=2))
    sent = []
    for _ in range(20):
        sent += bench.send_all()
        bench.now += 60 * MICROSECONDS
    assert sent == [f"{alert.alert_id}_resolved"] * 6
    assert bench.next_due_at() is None
    assert [row[4] for row in bench.report()] == ["delivered", "delivered"]


def _restarted(bench: Bench, options: dict[str, Any]) -> Bench:
    after = Bench(bench.path.parent, options)
    after.now = bench.now
    return after


def test_a_newer_generation_ends_what_the_older_one_sent_again(tmp_path: Path) -> None:
    """An alert of a flow that was begun anew is not sent for ever: nobody would resolve it."""
    bench = Bench(tmp_path, {"ops": {"resend_seconds": 60.0, "group_by": ()}})
    bench.take(alert_of(1))
    bench.send_all()
    bench.take(alert_of(2, annotator="b", generation=1))
    bench.send_all()
    bench.now += 60 * MICROSECONDS
    assert bench.send_all() == [f"{alert_of(2, annotator='b', generation=1).alert_id}_firing"]


def test_an_alert_that_ends_while_it_is_being_sent_is_not_sent_again(tmp_path: Path) -> None:
    """Its end is told next, and is the last that is told."""
    bench = Bench(tmp_path, {"ops": {"resend_seconds": 60.0, "group_by": ()}})
    alert = alert_of(1)
    bench.take(alert)
    message = bench.next()
    assert message is not None
    bench.take(resolved(alert, sequence=2))
    bench.settle(message)
    bench.now += 60 * MICROSECONDS
    assert bench.send_all() == [f"{alert.alert_id}_resolved"]


def test_an_outcome_that_changes_while_it_is_reported_is_reported_again(bench: Bench) -> None:
    """What was read is noted as reported only as far as it was read."""
    bench.take(alert_of(1))
    message = bench.next()
    assert message is not None
    bench.settle(message, BROKEN, pause_seconds=0)
    (row,) = bench.report(meanwhile=lambda: bench.settle(message))
    assert row[4] == "retrying"
    assert [row[4] for row in bench.report()] == ["delivered"]


def test_the_outbox_is_bounded(tmp_path: Path) -> None:
    """Of more alerts than it holds, the oldest are dead, with the reason; the flow never waits for a receiver."""
    bench = Bench(tmp_path, waiting_max=3)
    bench.take(*(alert_of(n, annotator=f"ann-{n}") for n in range(10)))
    assert bench.send_all() == [f"{alert_of(n, annotator=f'ann-{n}').alert_id}_firing" for n in (7, 8, 9)]
    assert [state for _, state in bench.states()] == ["dead"] * 7 + ["delivered"] * 3


def test_each_change_is_reported_with_a_higher_version(bench: Bench) -> None:
    """A delivery is reported once for each state, with versions that grow, so that the last one is in force."""
    bench.take(alert_of(1), alert_of(2, annotator="b", fired_at=NOW - DAY))
    assert [row[4] for row in bench.report()] == ["suppressed"]
    message = bench.next()
    assert message is not None
    bench.settle(message, BROKEN, pause_seconds=0)
    (retrying,) = bench.report()
    bench.send_all()
    (delivered,) = bench.report()
    assert (retrying[:6], delivered[:6]) == (
        ("p1", alert_of(1).alert_id, "ops", 1, "retrying", 1),
        ("p1", alert_of(1).alert_id, "ops", 1, "delivered", 2),
    )
    assert delivered[-2] > retrying[-2]
    assert bench.report() == []


def test_what_is_over_is_forgotten_and_what_fires_is_not(bench: Bench) -> None:
    """After a week what is over is gone, and still known as history; what fires can still be resolved."""
    over, firing = alert_of(1), alert_of(2, annotator="b")
    bench.take(over, firing, resolved(over, sequence=3))
    bench.send_all()
    bench.report()
    bench.now += 8 * DAY
    bench.prune()
    assert bench.states() == [("firing", "delivered")]
    assert bench.take(over, resolved(over, sequence=3)) == set()
    bench.take(resolved(firing, sequence=4))
    assert bench.send_all() == [f"{firing.alert_id}_resolved"]


def test_a_replayed_year_leaves_nothing_but_marks(tmp_path: Path) -> None:
    """What was suppressed is forgotten once it was reported, and is known as history all the same."""
    replay = Bench(tmp_path, is_replay=True)
    alerts = [alert_of(n, annotator=f"ann-{n}") for n in range(1, 51)]
    replay.take(*alerts, *(resolved(alert, sequence=alert.sequence + 100) for alert in alerts))
    assert len(replay.report()) == 100
    assert replay.states() == [] and replay.rows("SELECT * FROM alerts") == []
    live = Bench(tmp_path)
    assert live.take(*alerts) == set()
    assert live.take(resolved(alerts[0], sequence=500)) == {"ops"}
    assert live.send_all() == [] and [row[4] for row in live.report()] == ["suppressed"]


def test_what_was_not_reported_is_not_forgotten(bench: Bench) -> None:
    """While the database is down, outcomes wait for it."""
    bench.take(alert_of(1, fired_at=NOW - DAY))
    bench.now += 30 * DAY
    bench.prune()
    assert [row[4] for row in bench.report()] == ["suppressed"]


def test_a_file_that_is_no_outbox_is_refused(tmp_path: Path) -> None:
    """A file of something else, of another format, or in a folder that cannot be, is told in plain words."""
    (tmp_path / "text").write_text("no database, but long enough to be looked at as if it might be one" * 20)
    with pytest.raises(ConfigurationError, match="cannot be used"):
        store.connect(tmp_path / "text")
    with pytest.raises(ConfigurationError, match="cannot be used"):
        store.connect(tmp_path / "text" / "alerts.sqlite3")
    connection = store.connect(tmp_path / "newer")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(IncompatibleStateError, match="format 99"):
        store.connect(tmp_path / "newer")


def _history(draw: st.DrawFn) -> list[Alert]:
    """Return alerts of a few conditions as a log gives them: firing, resolved, firing again."""
    alerts: list[Alert] = []
    open_by_annotator: dict[str, Alert] = {}
    for sequence, annotator in enumerate(draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=12)), start=1):
        if annotator in open_by_annotator:
            alerts.append(resolved(open_by_annotator.pop(annotator), sequence=sequence))
        else:
            alerts.append(alert_of(sequence, annotator=annotator))
            open_by_annotator[annotator] = alerts[-1]
    return alerts


@given(st.data())
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_happens_each_alert_is_delivered_in_order(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Replays of any part of the log, failures and restarts in any order: each notification arrives, in log order of
    its condition, under one id, and as often as its receiver failed to say so."""
    bench = Bench(tmp_path_factory.mktemp("outbox"))
    alerts = _history(data.draw)
    arrived: list[str] = []
    taken = 0
    while taken < len(alerts):
        start = data.draw(st.integers(0, taken))
        taken = data.draw(st.integers(taken + 1, len(alerts)))
        bench.take(*alerts[start:taken])
        for answer in data.draw(st.lists(st.sampled_from([OK, BROKEN]), max_size=4)):
            if (message := bench.next()) is not None:
                arrived += [message.message_id] if answer is OK else []
                bench.settle(message, answer)
            bench.now += 3 * MICROSECONDS
    bench.now += 60 * MICROSECONDS
    arrived += bench.send_all()
    expected = [f"{alert.alert_id}_{alert.state}" for alert in alerts]
    assert sorted(arrived) == sorted(expected)
    for annotator in "abc":
        of_one = {f"{alert.alert_id}_{alert.state}" for alert in alerts if alert.annotator_id == annotator}
        assert [name for name in arrived if name in of_one] == [name for name in expected if name in of_one]
