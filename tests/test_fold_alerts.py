"""Alerts of the whole fold, as rows: drift with and without known answers, common causes, error control, sentences."""

import random
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from schemas.alerts import ALERTS_NAME, Alert, AlertState
from schemas.policy import read_policy
from tests.support.events import label
from tests.support.folding import FOLD_SETTINGS, Tables, cuts_of, fold_log

PROMISE = 200
CHANGED_AT = 900.0
CLASSES = ("none", "mild", "severe")
DRIFT = {"name": "drift", "when": {"drift": "accuracy", "direction": "worse"}}
CAUSE = {"name": "cause", "scope": "project", "when": {"common_cause": "accuracy", "direction": "worse"}}


def log_of(errors: Callable[[int, float], float], *, seed: int, labels: int = 1800, is_known: bool) -> list[bytes]:
    """Return labels a second apart, four an item, of ten annotators.

    Parameters
    ----------
    errors
        Share of errors of an annotator at a second; who is wrong says the class before the right one.
    is_known
        Whether the right answer comes with each label.
    """
    rng, lines = random.Random(seed), []
    for number in range(0, labels, 4):
        truth = rng.randrange(len(CLASSES))
        for place, annotator in enumerate(rng.sample(range(10), 4)):
            at, is_wrong = number + place, rng.random() < errors(annotator, number)
            more: dict[str, Any] = {"expected": {"kind": "categorical", "value": CLASSES[truth]}} if is_known else {}
            lines.append(
                label(f"e{at}", at, f"n{at}", CLASSES[truth - is_wrong], item_id=f"i{number}",
                      annotator_id=f"ann-{annotator}", **more)
            )  # fmt: skip
    return lines


def folded(lines: list[bytes], *rules: dict[str, Any], **options: Any) -> Tables:
    """Return the rows of a log under a policy."""
    policy = read_policy({"rules": rules, "false_alarms_per_million_judgements": PROMISE, **options})
    settings = replace(FOLD_SETTINGS, has_consensus=True, policy=policy)
    return fold_log(lines, settings=settings, cuts=cuts_of(len(lines), 100))


def alerts_of(tables: Tables) -> list[Alert]:
    """Return the alerts as they stand, in the order in which they fired."""
    found = [Alert.from_row(row) for row in tables[ALERTS_NAME].values()]
    return sorted(found, key=lambda alert: alert.fired_at)


def one_changes(annotator: int, at: float) -> float:
    """Return the errors of a team of which annotator 3 becomes much worse."""
    return 0.4 if annotator == 3 and at >= CHANGED_AT else 0.05


def many_change(annotator: int, at: float) -> float:
    """Return the errors of a team of which six become much worse together."""
    return 0.4 if annotator < 6 and at >= CHANGED_AT else 0.05


def test_an_alert_of_drift_explains_itself_with_figures_of_the_flow():
    """The sentence has levels, time of change, judgements since and the confusion, and they are about right."""
    (alert,) = alerts_of(folded(log_of(one_changes, seed=1, is_known=True), DRIFT))
    assert (alert.annotator_id, alert.rule, alert.direction) == ("ann-3", "drift", "worse")
    told = re.fullmatch(
        r"ann-3 in 'q': errors ([\d.]+) % → ([\d.]+) % since about \d\d:\d\d UTC on [\d-]+, "
        r"(\d+) judgements after the change(; mostly '\w+' labelled '\w+')?",
        alert.summary,
    )
    assert told, alert.summary
    before, after, judgements = float(told[1]), float(told[2]), int(told[3])
    assert before < 12 and 20 < after < 65 and 4 < judgements < 80
    assert abs((alert.changed_at - alert.fired_at) / 1e6) < 900
    assert alert.false_alarm_value >= 0.3 * 1e6 / PROMISE


def test_drift_is_told_without_any_known_answer():
    """Disagreement with the others tells who changed, and nobody else, and the row of drift says of what kind it is."""
    tables = folded(
        log_of(one_changes, seed=2, is_known=False),
        {"name": "drift", "when": {"drift": "agreement", "direction": "worse"}},
    )
    (alert,) = alerts_of(tables)
    assert (alert.annotator_id, alert.signal) == ("ann-3", "agreement")
    assert "wrong by what others answered" in alert.summary
    assert {row[:4] for row in tables["drift_versions"].values() if row[3] == "agreement"} == {
        ("p", "q", "ann-3", "agreement")
    }


@pytest.mark.slow
def test_a_rule_on_the_agreement_of_an_annotator_fires_in_the_flow():
    """A share of the last answers that are what others answered, too low, is an alert with that share."""
    rule = {"name": "majority", "when": {"signal": "agreement", "below": 0.7, "last": 20, "of_at_least": 10}}
    found = alerts_of(folded(log_of(one_changes, seed=3, is_known=False), rule))
    assert found and {alert.annotator_id for alert in found} == {"ann-3"}
    assert "agreement over the last 20 is" in found[0].summary


@pytest.mark.slow
def test_a_common_cause_is_one_alert_that_lists_its_members():
    """Six of ten who change together leave one alert firing, about the task; those told before are resolved by it."""
    found = alerts_of(folded(log_of(many_change, seed=4, is_known=True), CAUSE, DRIFT))
    firing = [alert for alert in found if alert.state == AlertState.FIRING]
    assert [alert.rule for alert in firing] == ["cause"]
    assert firing[0].annotator_id == "" and "the task or the guidelines rather than people" in firing[0].summary
    assert len(re.findall(r"ann-[0-5]\b", firing[0].summary)) >= 4
    assert not re.search(r"ann-[6-9]", firing[0].summary)
    assert all(alert.state == AlertState.RESOLVED for alert in found if alert.rule == "drift")


@pytest.mark.slow
@pytest.mark.parametrize(("level", "is_told"), [(1.0, True), (1e-12, False)])
def test_error_control_decides_what_is_told(level, is_told):
    """Under error control a change is an alert only if it is declared at the level; the level is in its row."""
    found = alerts_of(folded(log_of(one_changes, seed=5, is_known=True), DRIFT, error_control={"level": level}))
    assert [alert.annotator_id for alert in found] == (["ann-3"] if is_told else [])
    for alert in found:
        assert 0 < alert.discovery_level <= level
