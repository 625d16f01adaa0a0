"""Rules: firing and resolving, evidence, hysteresis, cool-down, scope, and the same alerts after any restart."""

import json
import random

import pytest

from operators.rules.causes import Evidence
from operators.rules.state import DriftFinding
from schemas.alerts import AlertState, alert_id_of
from tests.support.rules import DAY, HOUR, MINUTE, SECOND, START, RuleBench

LOW = {"name": "low", "when": {"signal": "accuracy", "below": 0.7}}


def worse(at: int = START, annotator: str = "a", **changes) -> DriftFinding:
    """Return a finding of more errors."""
    values = {"signal": "accuracy", "direction": "worse", "at": at, "changed_at": at - HOUR, "before": 0.04}
    values |= {"after": 0.19, "judgements_after": 46, "evidence": 2e5}
    return DriftFinding(**(values | changes))


def states(alerts) -> list[str]:
    """Return the states of alerts."""
    return [alert.state for alert in alerts]


def test_fires_once_and_is_resolved_once():
    """A rule fires when its condition comes to hold, is silent while it holds, and is resolved when it ceases."""
    bench = RuleBench(LOW)
    assert bench.annotator(accuracy=0.8) == []
    (fired,) = bench.annotator(accuracy=0.6, at=START + MINUTE)
    assert bench.annotator(accuracy=0.5) == []
    (resolved,) = bench.annotator(accuracy=0.75, at=START + HOUR)
    assert bench.annotator(accuracy=0.8) == []
    assert (fired.state, resolved.state) == (AlertState.FIRING, AlertState.RESOLVED)
    assert fired.alert_id == resolved.alert_id
    assert fired.alert_id == alert_id_of(generation=0, rule="low", key=("p", "q", "a", "", ""), sequence=2)
    assert (fired.sequence, resolved.sequence) == (2, 4)
    assert (resolved.fired_at, resolved.resolved_at) == (START + MINUTE, START + HOUR)
    assert fired.summary == "a in 'q': accuracy is 60 % (below 70 %)"
    assert resolved.summary.startswith("resolved after 59m: a in 'q'")
    assert json.loads(fired.evidence) == {"accuracy": 0.6}


def test_firing_again_is_a_new_alert_of_the_same_fingerprint():
    """A second firing has an id of its own."""
    bench = RuleBench(LOW)
    (first,) = bench.annotator(accuracy=0.6)
    bench.annotator(accuracy=0.9)
    (second,) = bench.annotator(accuracy=0.6)
    assert first.alert_id != second.alert_id
    assert first.fingerprint == second.fingerprint


def test_hysteresis_keeps_it_firing():
    """While it fires, the bound is easier to stay beyond by the hysteresis; before, it is not."""
    bench = RuleBench({"name": "low", "when": {"signal": "accuracy", "below": 0.7, "hysteresis": 0.05}})
    assert bench.annotator(accuracy=0.72) == []
    assert states(bench.annotator(accuracy=0.69)) == ["firing"]
    assert bench.annotator(accuracy=0.74) == []
    assert states(bench.annotator(accuracy=0.75)) == ["resolved"]


def test_cool_down_counts_from_firing_by_the_projects_clock():
    """Within the cool-down it does not fire again; after it, the next evaluation does."""
    bench = RuleBench(LOW | {"cool_down": "1h"})
    assert states(bench.annotator(accuracy=0.6)) == ["firing"]
    assert states(bench.annotator(accuracy=0.9, at=START + MINUTE)) == ["resolved"]
    assert bench.annotator(accuracy=0.6, at=START + 59 * MINUTE) == []
    assert states(bench.annotator(accuracy=0.6, at=START + HOUR)) == ["firing"]


def test_evidence_is_needed_to_fire_and_not_to_stay():
    """Too few counts keep it silent; once it fires, they play no part."""
    bench = RuleBench(LOW | {"evidence": {"gold_labels": 20}})
    assert bench.annotator(accuracy=0.6, gold_labels=19) == []
    (fired,) = bench.annotator(gold_labels=20)
    assert json.loads(fired.evidence) == {"gold_labels": 20, "accuracy": 0.6}
    assert bench.annotator(gold_labels=3) == []


def test_what_is_not_known_lies_beyond_no_bound():
    """An unknown figure neither fires nor keeps firing."""
    bench = RuleBench(LOW)
    assert bench.annotator(accuracy=None) == []
    assert states(bench.annotator(accuracy=0.1)) == ["firing"]
    assert states(bench.annotator(accuracy=None)) == ["resolved"]


@pytest.mark.parametrize(
    ("kind", "low", "slow", "fires"),
    [("all", 0.6, 9000, True), ("all", 0.6, 1000, False), ("any", 0.9, 9000, True), ("any", 0.9, 1000, False)],
)
def test_conditions_are_joined_by_and_and_or(kind, low, slow, fires):
    """All of several, or any of them; the sentence names those that hold."""
    parts = [{"signal": "accuracy", "below": 0.7}, {"signal": "duration_ms_p50", "above": "5s"}]
    bench = RuleBench({"name": "both", "when": {kind: parts}})
    alerts = bench.annotator(accuracy=low, duration_ms_p50=slow)
    assert bool(alerts) is fires
    if fires:
        assert "the median time per answer is 9.0 s (above 5.0 s)" in alerts[0].summary
        assert ("accuracy" in alerts[0].summary) is (low < 0.7)


def test_resolution_waits_and_starts_again():
    """With resolve_after, it is resolved at the tick after the condition has not held for so long at a stretch."""
    bench = RuleBench(LOW | {"resolve_after": "30m"})
    bench.annotator(accuracy=0.6)
    assert bench.annotator(accuracy=0.9, at=START + MINUTE) == []
    assert bench.annotator(accuracy=0.6, at=START + 20 * MINUTE) == []
    assert bench.annotator(accuracy=0.9, at=START + 25 * MINUTE) == []
    assert bench.engine.on_tick(START + 54 * MINUTE, bench.next_version()) == []
    bench.restart()
    assert states(bench.engine.on_tick(START + 55 * MINUTE, bench.next_version())) == ["resolved"]


def test_ends_of_an_interval_are_asked_for_only_where_they_can_matter():
    """The interval is not computed where the share within it does not lie beyond the bound."""
    bench = RuleBench({"name": "low", "when": {"signal": "accuracy_high", "below": 0.7}})
    bench.annotator(accuracy=0.9, accuracy_high=0.95)
    assert bench.asked == ["accuracy"]
    assert states(bench.annotator(accuracy=0.5, accuracy_high=0.65)) == ["firing"]


def test_rules_are_limited_to_projects_and_questions():
    """A rule of another project is none, one of another question is not asked."""
    elsewhere = LOW | {"projects": ["other-*"]}
    assert RuleBench(elsewhere).annotator(accuracy=0.1) == []
    bench = RuleBench(LOW | {"questions": ["tox*"]})
    assert bench.annotator(accuracy=0.1) == []
    bench.figures["tox", "a", "", "", "accuracy"] = 0.1
    assert states(bench.engine.on_annotator("tox", "a", START, 9)) == ["firing"]


def test_scopes_have_keys_of_their_own():
    """Rules of a question, a step and a class fire for these, at a tick, with their names in the sentence."""
    bench = RuleBench(
        {"name": "of-project", "scope": "project", "when": {"signal": "agreement", "below": 0.667}},
        {"name": "of-step", "scope": "step", "steps": ["ann*"], "when": {"signal": "skip_rate", "above": 0.2}},
        {"name": "of-other-step", "scope": "step", "steps": ["rev*"], "when": {"signal": "skip_rate", "above": 0.2}},
        {"name": "of-class", "scope": "class", "when": {"signal": "accuracy", "below": 0.5}},
        {"name": "share", "scope": "class", "when": {"signal": "class_share", "above": 0.6}, "evidence": {"labels": 3}},
    )
    bench.figures = {("agreement",): 0.5}
    engine = bench.engine
    assert engine.on_tick(START, bench.next_version()) == []
    for value in ("mild", "mild", "mild", "none"):
        assert engine.on_submission("q", "a", "annotate", value, None, START, bench.next_version()) == []
    engine.on_judgement("q", "a", "mild", "none", False, START, bench.next_version())
    for _ in range(2):
        engine.on_skip("q", "a", "annotate", START, bench.next_version())
    bench.restart()
    project, step, *classes = bench.engine.on_tick(START + MINUTE, bench.next_version())
    assert project.summary == "project p in 'q': agreement is 0.50 (below 0.67)"
    assert (step.rule, step.step) == ("of-step", "annotate")
    assert "the share skipped is 33.3 % (above 20 %)" in step.summary
    assert [(alert.rule, alert.label_class) for alert in classes] == [("of-class", "mild"), ("share", "mild")]
    assert classes[1].summary == "class 'mild' in 'q': the share of the class is 75 % (above 60 %)"
    bench.engine.on_submission("q", "a", "annotate", "none", None, START, bench.next_version())
    bench.engine.on_review("q", "a", True, START, bench.next_version())
    assert bench.state.parts["", "review", ""].labels == 1
    (resolved,) = bench.engine.on_tick(START + 2 * MINUTE, bench.next_version())
    assert (resolved.rule, resolved.state) == ("share", "resolved")


def test_drift_is_told_with_what_changed():
    """An alarm becomes an alert with levels, time and the confusion that makes most of the errors."""
    bench = RuleBench({"name": "drift", "when": {"drift": "accuracy", "direction": "worse"}, "action": "check"})
    for index in range(46):
        truth, value = ("mild", "none") if index % 5 == 0 else ("mild", "mild")
        assert bench.engine.on_judgement("q", "a", truth, value, truth == value, START, bench.next_version()) == []
    (fired,) = bench.engine.on_drift("q", "a", worse(), bench.next_version())
    assert fired.summary == (
        "a in 'q': errors 4 % → 19 % since about 07:00 UTC on 2026-01-05, 46 judgements after the change; "
        "mostly 'mild' labelled 'none'"
    )
    assert (fired.signal, fired.direction, fired.changed_at) == ("accuracy", "worse", START - HOUR)
    assert (fired.action, fired.false_alarm_value) == ("check", 2e5)


def test_drift_is_over_by_the_opposite_or_by_time():
    """A change to the better resolves it, and so does time; another signal or direction does not fire it."""
    bench = RuleBench({"name": "drift", "when": {"drift": "accuracy", "direction": "worse", "holds_for": "6h"}})
    assert bench.engine.on_drift("q", "a", worse(direction="better"), 1) == []
    assert bench.engine.on_drift("q", "a", worse(signal="speed", direction="faster"), 2) == []
    assert states(bench.engine.on_drift("q", "a", worse(), 3)) == ["firing"]
    assert states(bench.engine.on_drift("q", "a", worse(direction="better"), 4)) == ["resolved"]
    assert states(bench.engine.on_drift("q", "a", worse(), 5)) == ["firing"]
    bench.engine.on_tick(START + 5 * HOUR, 6)
    bench.restart()
    assert states(bench.engine.on_tick(START + 6 * HOUR, 7)) == ["resolved"]
    assert bench.state.drifts == {}
    bench.engine.on_tick(START + 7 * HOUR, 8)
    assert bench.state.standings == {}


CAUSE = {"name": "cause", "scope": "project", "when": {"common_cause": "accuracy", "direction": "worse"}}
DRIFT = {"name": "drift", "when": {"drift": "accuracy", "direction": "worse"}}


def many(count: int, changed: int, evidence: float = 9e3) -> Evidence:
    """Return evidence of annotators a0, a1 … of whom the first have changed."""
    keys = [("q", f"a{index}") for index in range(count)]
    values = [evidence if index < changed else 1.0 for index in range(count)]
    return Evidence(keys, values, [True] * count, [START - HOUR] * count)


def test_a_common_cause_is_one_alert_that_lists_the_annotators():
    """Many that change together raise one alert; those told before are resolved by it, later ones join it silently."""
    bench = RuleBench(CAUSE, DRIFT)
    bench.evidence = many(20, 0)
    assert [alert.rule for alert in bench.engine.on_drift("q", "a0", worse(), 1)] == ["drift"]
    bench.evidence = many(20, 12)
    alerts = bench.engine.on_drift("q", "a1", worse(START + MINUTE), 2)
    assert [(alert.rule, alert.state, alert.annotator_id) for alert in alerts] == [
        ("cause", "firing", ""),
        ("drift", "resolved", "a0"),
    ]
    assert "12 of 20 annotators make more errors" in alerts[0].summary
    assert json.loads(alerts[0].evidence)["members"][:2] == [["q", "a0"], ["q", "a1"]]
    assert bench.engine.on_drift("q", "a15", worse(START + 2 * MINUTE), 3) == []
    bench.restart()
    assert bench.engine.on_drift("q", "a16", worse(START + 3 * MINUTE), 4) == []
    assert states(bench.engine.on_tick(START + DAY + MINUTE, 5)) == ["resolved"]


def test_a_change_of_one_is_no_common_cause():
    """One annotator's change is told as such."""
    bench = RuleBench(CAUSE, DRIFT)
    bench.evidence = many(20, 1)
    assert [alert.rule for alert in bench.engine.on_drift("q", "a0", worse(), 1)] == ["drift"]


def test_error_control_lets_through_what_is_declared():
    """With an error control over all annotators an alarm is told only at or below its level."""
    for level, fires in ((1e-3, True), (1e-5, False)):
        bench = RuleBench(DRIFT, error_control={"level": level})
        bench.evidence = many(20, 0)
        assert bool(bench.engine.on_drift("q", "a0", worse(evidence=2e5), 1)) is fires


def test_silence_of_an_annotator_is_told_at_a_tick():
    """No event for longer than the bound fires at the next tick, and the next event resolves it."""
    bench = RuleBench({"name": "silent", "when": {"signal": "no_events_for", "above": "2h"}})
    for annotator in ("a", "b"):
        assert bench.engine.on_submission("q", annotator, "annotate", "x", None, START, bench.next_version()) == []
    bench.engine.on_submission("q", "b", "annotate", "x", None, START + HOUR, bench.next_version())
    assert bench.engine.on_tick(START + 2 * HOUR, bench.next_version()) == []
    bench.restart()
    (fired,) = bench.engine.on_tick(START + 2 * HOUR + MINUTE, bench.next_version())
    assert (fired.annotator_id, fired.fired_at) == ("a", START + 2 * HOUR + MINUTE)
    assert "the time without any event is 2h 1m (above 2h)" in fired.summary
    bench.engine.on_skip("q", "a", "annotate", START + 2 * HOUR + 90 * SECOND, bench.next_version())
    assert states(bench.engine.on_tick(START + 2 * HOUR + 2 * MINUTE, bench.next_version())) == ["resolved"]


def test_a_drop_of_throughput_is_told_when_its_window_closes():
    """A window with less than half of what is usual fires for the step, and a usual one resolves it."""
    when = {"signal": "throughput_ratio", "below": 0.5, "window": "10m"}
    bench = RuleBench({"name": "drop", "scope": "step", "when": when})
    alerts = []
    for window, labels in enumerate((20, 20, 22, 18, 4, 20, 20)):
        for label in range(labels):
            at = START + window * 10 * MINUTE + label * SECOND
            if at >= bench.engine.next_tick:
                alerts += bench.engine.on_tick(at, bench.next_version())
            alerts += bench.engine.on_submission("q", "a", "annotate", "x", None, at, bench.next_version())
    assert states(alerts) == ["firing", "resolved"]
    assert alerts[0].step == "annotate"
    assert "throughput, of what is usual, is 20 % (below 50 %)" in alerts[0].summary
    assert alerts[0].fired_at == START + 50 * MINUTE


def test_forgotten_annotators_begin_anew():
    """After an annotator is forgotten nothing of the earlier behaviour counts."""
    bench = RuleBench({"name": "skips", "when": {"signal": "skips_in_a_row", "at_least": 3}})
    for _ in range(2):
        bench.engine.on_skip("q", "a", "annotate", START, bench.next_version())
    bench.engine.forget("q", "a")
    assert bench.engine.on_skip("q", "a", "annotate", START, bench.next_version()) == []
    assert bench.state.behaviours["q", "a"].skips_in_a_row == 1


EVERYTHING = (
    {"name": "skips", "when": {"signal": "skips_in_a_row", "at_least": 3}, "cool_down": "5m"},
    {"name": "repeats", "when": {"signal": "repeated_answers", "at_least": 4}},
    {"name": "fast", "when": {"signal": "too_fast_share", "last": 5, "above": 0.5, "faster_than": "2s"}},
    {"name": "gold", "when": {"signal": "accuracy", "last": 6, "below": 0.6, "hysteresis": 0.1}, "resolve_after": "2m"},
    {"name": "silent", "when": {"signal": "no_events_for", "above": "4m"}},
    {"name": "drop", "scope": "project", "when": {"signal": "throughput_ratio", "below": 0.6, "window": "3m"}},
    DRIFT | {"when": {"drift": "accuracy", "holds_for": "10m"}},
    CAUSE | {"when": {"common_cause": "accuracy", "share_min": 0.5, "holds_for": "20m"}},
)


def _told(bench: RuleBench, rng: random.Random, restarts: random.Random | None) -> list:
    """Tell a random log to an engine, with restarts in between or without; return all alerts."""
    alerts, at = [], START
    for _ in range(1500):
        at += rng.randrange(8 * SECOND)
        version, annotator, kind = bench.next_version(), f"a{rng.randrange(6)}", rng.random()
        if at >= bench.engine.next_tick:
            alerts += bench.engine.on_tick(at, version)
        bench.evidence = many(6, rng.randrange(7))
        if kind < 0.5:
            duration = rng.choice((None, 500, 5000))
            value = rng.choice("xxy")
            alerts += bench.engine.on_submission("q", annotator, "annotate", value, duration, at, version)
        elif kind < 0.75:
            alerts += bench.engine.on_skip("q", annotator, "annotate", at - rng.randrange(MINUTE), version)
        elif kind < 0.98:
            alerts += bench.engine.on_judgement("q", annotator, "x", "y", rng.random() < 0.6, at, version)
        else:
            finding = worse(at, direction=rng.choice(("worse", "better")))
            alerts += bench.engine.on_drift("q", annotator, finding, version)
        if restarts is not None and restarts.random() < 0.1:
            bench.restart()
    return alerts


@pytest.mark.parametrize("seed", range(4))
def test_restarts_change_no_alert(seed):
    """A log gives the same alerts, in the same order, wherever the state was written to bytes and read back."""
    whole = _told(RuleBench(*EVERYTHING), random.Random(seed), None)
    assert _told(RuleBench(*EVERYTHING), random.Random(seed), random.Random(seed + 100)) == whole
    assert {alert.rule for alert in whole} >= {"skips", "repeats", "fast", "gold", "drift"}
    assert len({(alert.alert_id, alert.sequence) for alert in whole}) == len(whole)
    of_condition: dict[str, list[str]] = {}
    for alert in whole:
        of_condition.setdefault(alert.fingerprint, []).append(alert.state)
    for told in of_condition.values():
        assert told == (["firing", "resolved"] * len(told))[: len(told)]
