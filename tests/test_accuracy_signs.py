"""Evidence of lesser standing, bias towards classes, haste and repeated answers, on simulation."""

import numpy as np
import pytest

from operators.stats.accuracy.haste import fast_bound_ms, haste_of
from operators.stats.accuracy.lesser_evidence import Calibration, weighted_evidence
from operators.stats.accuracy.repeated_answers import AnswerRuns, run_probability
from operators.stats.log_histogram import add
from tests.support.class_bias import class_biases


def calibration_of(rng: np.random.Generator, labels: int, sensitivity: float, false_pass: float) -> Calibration:
    """What a channel with these probabilities leaves on labels of which nine in ten are right."""
    calibration = Calibration()
    for is_right in rng.random(labels) < 0.9:
        calibration.count(bool(is_right), bool(rng.random() < (sensitivity if is_right else false_pass)))
    return calibration


@pytest.mark.parametrize("judged", [30, 300, 3000])
def test_lesser_evidence_is_worth_what_it_says(judged: int) -> None:
    """Over calibrations and annotators, the estimate is without bias, and its error that of its worth in judgements."""
    rng, accuracy = np.random.default_rng(2), 0.85
    errors, worths = [], []
    for _ in range(400):
        calibration = calibration_of(rng, 400, 0.92, 0.15)
        right = rng.binomial(judged, accuracy)
        passed = rng.binomial(right, 0.92) + rng.binomial(judged - right, 0.15)
        credit, worth = weighted_evidence(passed, judged, calibration, accuracy=accuracy)
        errors.append(credit / worth - accuracy)
        worths.append(worth)
    assert abs(np.mean(errors)) < 0.012
    expected = accuracy * (1 - accuracy) / np.mean(worths)
    assert 0.6 < np.var(errors) / expected < 1.5
    assert np.mean(worths) < min(judged, 400)


def test_lesser_evidence_without_calibration_counts_little_and_noise_nothing() -> None:
    """Not calibrated, thousands of judgements are worth some dozen; judgements that say nothing are worth nothing."""
    assert weighted_evidence(4_000, 5_000, Calibration(), accuracy=0.85).judgements < 20
    noise = Calibration(right_passed=900, right_failed=900, wrong_passed=100, wrong_failed=100)
    assert weighted_evidence(500, 1_000, noise, accuracy=0.85) == (0.0, 0.0)
    assert weighted_evidence(0, 0, Calibration(), accuracy=0.85) == (0.0, 0.0)


def test_a_perfect_second_judgement_is_worth_one_and_counting_is_undone() -> None:
    """With a long, spotless calibration a judgement counts nearly in full; what is counted comes out again."""
    spotless = Calibration(right_passed=10**6, wrong_failed=10**6)
    evidence = weighted_evidence(45, 50, spotless, accuracy=0.9)
    assert evidence.judgements > 49.0
    assert abs(evidence.credit / evidence.judgements - 0.9) < 0.001
    calibration = Calibration()
    for sign in (1, -1):
        for is_right, passed in ((True, True), (True, False), (False, True), (False, False)):
            calibration.count(is_right, passed, sign)
    assert calibration == Calibration()


def test_intervals_of_class_bias_hold_the_true_bias() -> None:
    """Of 95 % intervals for the bias of an annotator who takes a quarter of the dogs for cats, 93–98 % hold it."""
    rng, held = np.random.default_rng(4), 0
    for _ in range(500):
        dogs = rng.binomial(60, 0.4)
        mistaken, reverse = rng.binomial(dogs, 0.25), rng.binomial(60 - dogs, 0.05)
        biases = class_biases(
            {"dog": {"dog": dogs - mistaken, "cat": mistaken}, "cat": {"cat": 60 - dogs - reverse, "dog": reverse}}
        )
        cat = next(bias for bias in biases if bias.label == "cat")
        held += cat.bias_low <= 0.4 * 0.25 - 0.6 * 0.05 <= cat.bias_high
        assert abs(sum(bias.bias for bias in biases)) < 1e-12
    assert 0.93 <= held / 500 <= 0.98


def test_class_bias_knows_classes_that_are_only_given_or_only_true() -> None:
    """A class that was never true, or never given, has a bias as well; without labels there is none."""
    biases = {bias.label: bias.bias for bias in class_biases({"a": {"b": 3, "a": 1}})}
    assert biases == {"a": -0.75, "b": 0.75}
    assert class_biases({}) == []


def test_haste_is_the_share_below_a_third_of_the_median() -> None:
    """The bound follows the question's median; without enough timed labels there is none."""
    question: dict[int, int] = {}
    for duration_ms in range(3_000, 9_001, 100):
        add(question, duration_ms)
    bound = fast_bound_ms(question)
    assert 1_800 < bound < 2_200
    rusher: dict[int, int] = {}
    for duration_ms in [500] * 30 + [6_000] * 10:
        add(rusher, duration_ms)
    haste = haste_of(rusher, bound)
    assert haste.share == 0.75
    assert 0.5 < haste.low < 0.75 < haste.high < 0.9
    assert fast_bound_ms({50: 49}) is None
    assert haste_of(rusher, None) is None
    assert haste_of({}, bound) is None


@pytest.mark.parametrize("length", [6, 9, 12])
def test_the_probability_of_a_run_is_that_of_random_answers(length: int) -> None:
    """For runs in 300 answers of three classes, the probability is within .03 of what simulated annotators show."""
    rng, shares, met = np.random.default_rng(9), {"a": 150, "b": 90, "c": 60}, 0
    for _ in range(1000):
        runs = AnswerRuns()
        for answer in rng.choice(list(shares), size=300, p=[0.5, 0.3, 0.2]).tolist():
            runs.update(answer)
        met += runs.longest >= length
    assert abs(run_probability(length, shares) - met / 1000) < 0.03


def test_runs_at_the_ends_of_what_can_be() -> None:
    """One class only is no surprise, a run longer than the labels cannot be, a single answer is certain."""
    assert run_probability(50, {"a": 100}) == 1.0
    assert run_probability(11, {"a": 5, "b": 5}) == 0.0
    assert run_probability(1, {"a": 50, "b": 50}) > 0.99
