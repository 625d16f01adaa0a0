"""What people say about alerts and hooks, carried out in the outbox."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.timestamps import moment_of
from sinks.hooks.notification import Answer, Outcome
from sinks.hooks.traits import MICROSECONDS
from tests.support.alerts import NOW, Bench, alert_of, resolved

HOUR = 3_600 * MICROSECONDS
GONE = Answer(Outcome.GONE, 410, "410 Gone")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An outbox with one hook."""
    return Bench(tmp_path)


def control(kind: str, *, name: str = "c1", at: int = NOW, **fields: Any) -> bytes:
    """Return a control event."""
    common = {"type": kind, "event_id": name, "occurred_at": moment_of(at).isoformat(), "by": "kim"}
    return json.dumps({**common, **fields}).encode()


def silence(*, until: int, name: str = "s1", **matchers: str) -> bytes:
    """Return a silence."""
    return control("alerts.silenced", name=name, until=moment_of(until).isoformat(), **matchers)


def test_a_person_can_have_a_hook_used_again(bench: Bench) -> None:
    """After hook.enabled, what came meanwhile is delivered; an event from before it was disabled changes nothing."""
    bench.take(alert_of(1))
    bench.send_all(GONE)
    bench.say(control("hook.enabled", at=NOW - 1, hook="ops"))
    assert bench.send_all() == []
    bench.say(control("hook.enabled", hook="ops"))
    assert bench.send_all() == [f"{alert_of(1).alert_id}_firing"]


def test_a_silenced_alert_is_not_sent_until_the_silence_ends(bench: Bench) -> None:
    """Silences hold back what comes and what waits; what still fires at their end is sent, what does not is not."""
    waiting, coming, ending = alert_of(1), alert_of(2, annotator="b"), alert_of(3, annotator="c")
    other = alert_of(4, annotator="d", rule="no-events")
    bench.take(waiting)
    bench.say(silence(until=NOW + HOUR, rule="accuracy-drop", project_id="p1"))
    bench.take(coming, ending, other)
    assert bench.send_all() == [f"{other.alert_id}_firing"]
    bench.take(resolved(ending, sequence=5))
    bench.now += HOUR
    assert set(bench.send_all()) == {f"{waiting.alert_id}_firing", f"{coming.alert_id}_firing"}
    assert ("resolved", "silenced") in bench.states()


def test_a_silence_can_be_ended_and_another_go_on(bench: Bench) -> None:
    """silence.ended frees what only that silence held."""
    bench.say(silence(until=NOW + HOUR, annotator_id="a"), silence(until=NOW + HOUR, name="s2", annotator_id="b"))
    bench.take(alert_of(1, annotator="a"), alert_of(2, annotator="b"))
    bench.say(control("silence.ended", silence_id="s1"))
    assert bench.send_all() == [f"{alert_of(1, annotator='a').alert_id}_firing"]


def test_an_acknowledgement_reaches_hooks_that_take_it_once(tmp_path: Path) -> None:
    """It follows the firing at hooks that were told of it; said again, by whomever, it changes nothing."""
    bench = Bench(tmp_path, {"ops": {"takes_acknowledgements": True}, "chat": {}})
    alert = alert_of(1, hooks="ops,chat")
    bench.take(alert)
    bench.say(control("alert.acknowledged", alert_id=alert.alert_id))
    bench.say(control("alert.acknowledged", name="c2", alert_id=alert.alert_id))
    firing, acknowledged = bench.next(), None
    assert firing is not None and bench.settle(firing) == "delivered"
    acknowledged = bench.next()
    assert acknowledged is not None
    assert (acknowledged.message_id, acknowledged.notifications[0].by) == (f"{alert.alert_id}_acknowledged", "kim")
    bench.settle(acknowledged)
    assert bench.next() is None and bench.send_all(hook="chat") == [f"{alert.alert_id}_firing"]
    assert sorted((row[2], row[4]) for row in bench.report()) == [("chat", "acknowledged"), ("ops", "acknowledged")]


def test_an_acknowledgement_of_a_delivered_alert_is_reported(bench: Bench) -> None:
    """The delivery is reported once more, with a higher version and the new state; its resolution is its own row."""
    alert = alert_of(1)
    bench.take(alert)
    bench.send_all()
    (before,) = bench.report()
    bench.say(control("alert.acknowledged", alert_id=alert.alert_id))
    (after,) = bench.report()
    assert (before[4], after[4], after[-2] > before[-2]) == ("delivered", "acknowledged", True)
    bench.take(resolved(alert, sequence=2))
    bench.send_all()
    assert [(row[3], row[4]) for row in bench.report()] == [(2, "delivered")]


def test_control_events_that_mean_nothing_are_left_out(bench: Bench) -> None:
    """What is no JSON, of unknown type, or about unknown things does not keep the next event from being carried out."""
    bench.say(
        b"{", b'{"type":"coffee.made"}', control("alerts.silenced", until=moment_of(NOW).isoformat()),
        control("hook.enabled", hook="nobody"), control("alert.acknowledged", alert_id="nothing"),
        silence(until=NOW + HOUR, annotator_id="a"),
    )  # fmt: skip
    bench.take(alert_of(1, annotator="a"))
    assert bench.send_all() == []
