"""Rules as Toloka has them, written as in the documentation, fire at the answers at which Toloka's would."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from scipy.stats import binom

from flows.policy import parse_policy
from tests.support.rules import SECOND, START, RuleBench

PAGE = Path(__file__).resolve().parent.parent / "docs" / "policy.md"
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
RULES = {rule["name"]: rule for rule in yaml.safe_load(BLOCKS[-1])["rules"]}

Condition = Callable[[list[Any]], bool]


def golden_set(history: list[bool]) -> bool:
    """history_size 10; total_answers_count ≥ 4 and correct_answers_rate < 60."""
    last = history[-10:]
    return len(last) >= 4 and 100 * sum(last) / len(last) < 60


def majority_vote(history: list[bool]) -> bool:
    """history_size 10; total_answers_count ≥ 5 and incorrect_answers_rate > 50."""
    last = history[-10:]
    return len(last) >= 5 and 100 * (len(last) - sum(last)) / len(last) > 50


def submit_time(history: list[float]) -> bool:
    """history_size 5, threshold 20 s; total_submitted_count ≥ 5 and fast_submitted_count ≥ 3."""
    last = history[-5:]
    return len(last) >= 5 and sum(seconds < 20 for seconds in last) >= 3


def skipped_in_a_row(history: list[bool]) -> bool:
    """skipped_in_row_count ≥ 10."""
    return len(history) >= 10 and all(history[-10:])


def acceptance_rate(history: list[bool]) -> bool:
    """total_assignments_count > 2 and rejected_assignments_rate > 35."""
    return len(history) > 2 and 100 * (len(history) - sum(history)) / len(history) > 35


def _tell(bench: RuleBench, name: str, outcome: Any, history: list[Any]) -> list:
    """Tell an engine one outcome of the kind that a rule looks at."""
    engine, version, at = bench.engine, bench.next_version(), START + len(history) * SECOND
    if name == "golden-set":
        return engine.on_judgement("q", "a", "x", "x" if outcome else "y", outcome, at, version)
    if name == "majority-vote":
        return engine.on_agreement("q", "a", outcome, at, version)
    if name == "submit-time":
        return engine.on_submission("q", "a", "annotate", "x", int(outcome * 1000), at, version)
    if name == "skipped-in-a-row":
        if outcome:
            return engine.on_skip("q", "a", "annotate", at, version)
        return engine.on_submission("q", "a", "annotate", "x", None, at, version)
    reviews = [*history, outcome]
    bench.figures = {("acceptance_rate",): sum(reviews) / len(reviews), ("reviews",): len(reviews)}
    return engine.on_review("q", "a", outcome, at, version)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("name", "holds", "share"),
    [
        ("golden-set", golden_set, 0.65),
        ("majority-vote", majority_vote, 0.5),
        ("submit-time", submit_time, 0.0),
        ("skipped-in-a-row", skipped_in_a_row, 0.85),
        ("acceptance-rate", acceptance_rate, 0.65),
    ],
)
def test_fires_and_is_resolved_where_tolokas_condition_does(name: str, holds: Condition, share: float, seed: int):
    """At each of 300 answers the rule fires exactly when Toloka's condition comes to hold, and is resolved when not."""
    rng, bench = random.Random(f"{name}{seed}"), RuleBench(RULES[name])
    history: list[Any] = []
    is_held, fired = False, 0
    for _ in range(300):
        outcome = rng.uniform(5, 40) if name == "submit-time" else rng.random() < share
        states = [alert.state for alert in _tell(bench, name, outcome, history)]
        history.append(outcome)
        if holds(history) != is_held:
            is_held = not is_held
            assert states == ["firing" if is_held else "resolved"], (name, seed, history[-12:])
            fired += is_held
        else:
            assert states == []
    assert fired or name == "acceptance-rate"


@pytest.mark.parametrize("block", range(len(BLOCKS)))
def test_the_policies_of_the_documentation_are_valid(block: int):
    """Each policy that is shown can be used as it stands."""
    assert parse_policy(BLOCKS[block].encode(), name="policy.yaml").rules


def test_the_coin_toss_of_the_documentation():
    """An annotator of 75 % falls below six of ten in 8 of 100 cases."""
    assert round(100 * binom.cdf(5, 10, 0.75)) == 8
