"""The detector of a changed error rate: its definition, its promise, its many-at-once form, its state."""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import linear_model
from river.base import DriftDetector
from river.drift import DriftRetrainingClassifier
from scipy.special import betaln

from operators.stats.drift.outcome import (
    CELLS,
    PRIOR_CORRECT,
    PRIOR_ERRORS,
    OutcomeBank,
    OutcomeDrift,
    change_weights,
    error_levels,
)

NEVER = 1e-200
GOLDEN_EVIDENCE = 55768.03400427176


def _feed(bank: OutcomeBank, values: np.ndarray) -> list:
    """Feed values of shape (steps, annotators); return the alarms of each step."""
    return [bank.update_many(np.arange(values.shape[1]), row) for row in values]


def _by_definition(outcomes: np.ndarray) -> tuple[float, float]:
    """Return evidence and mean time of change as sums over all times of change and levels."""
    count = np.arange(len(outcomes))
    errors = np.concatenate(([0.0], np.cumsum(outcomes)[:-1]))
    base = (errors + PRIOR_ERRORS) / (count + PRIOR_ERRORS + PRIOR_CORRECT)
    levels = error_levels()
    ratio = np.where(outcomes[:, None] > 0, levels / base[:, None], (1 - levels) / (1 - base[:, None]))
    weights = change_weights()[(np.sqrt(base) * CELLS).astype(int)]
    each = np.array([(weights[start] * ratio[start:].prod(axis=0)).sum() for start in count])
    return each.sum(), (each * (count + 1)).sum() / each.sum()


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60))
@settings(max_examples=40, deadline=None)
def test_equals_its_definition_at_every_prefix(outcomes):
    """The recursion gives the sum over all times of change of weighted likelihood ratios, and their mean time."""
    bank = OutcomeBank(capacity=1, false_alarms_per_million_judgements=NEVER)
    for length, outcome in enumerate(outcomes, start=1):
        bank.update_many([0], [outcome])
        evidence, changed_at = _by_definition(np.array(outcomes[:length]))
        np.testing.assert_allclose(bank.evidence([0])[0], evidence, rtol=1e-10)
        assert abs(bank.summary([0]).changed_at[0] - changed_at) <= 0.5 + 1e-6


def test_evidence_less_judgements_is_a_martingale():
    """Over all sequences of ten outcomes, weighted by the prior of the base rate, the mean evidence is ten exactly."""
    length = 10
    sequences = np.array(list(itertools.product([0.0, 1.0], repeat=length)))
    errors = sequences.sum(axis=1)
    prior = betaln(PRIOR_ERRORS, PRIOR_CORRECT)
    probability = np.exp(betaln(PRIOR_ERRORS + errors, PRIOR_CORRECT + length - errors) - prior)
    bank = OutcomeBank(capacity=len(sequences), false_alarms_per_million_judgements=NEVER)
    _feed(bank, sequences.T)
    weights = change_weights()
    assert abs(weights.sum(axis=1) - 1).max() < 2e-5
    np.testing.assert_allclose(probability.sum(), 1.0, rtol=1e-12)
    np.testing.assert_allclose((probability * bank.evidence(np.arange(len(sequences)))).sum(), length, rtol=2e-5)


@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2, 0.4])
def test_false_alarms_keep_the_promise(rate):
    """At a constant rate, alarms over 1,000 × 1,000 judgements stay within chance of the promised 50."""
    random = np.random.default_rng(int(1000 * rate))
    bank = OutcomeBank(capacity=1000, false_alarms_per_million_judgements=50)
    alarms = _feed(bank, (random.random((1000, 1000)) < rate).astype(float))
    assert sum(map(len, alarms)) <= 50 + 4 * np.sqrt(50)


def test_uncalibrated_thresholds_are_those_of_the_bound():
    """Without calibration no alarm comes below the evidence that the promise asks for."""
    bank = OutcomeBank(capacity=200, false_alarms_per_million_judgements=2000, is_calibrated=False)
    values = (np.random.default_rng(1).random((600, 200)) < 0.05).astype(float)
    evidence = np.concatenate([alarms.evidence for alarms in _feed(bank, values)])
    assert len(evidence) > 0
    assert evidence.min() >= 500


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_cuts_make_no_difference_to_any_bit(data):
    """However judgements are cut into batches, state and alarms are those of one scalar detector per annotator."""
    size = data.draw(st.integers(1, 300))
    random = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    slots = random.integers(0, data.draw(st.integers(1, 6)), size)
    outcomes = np.where(random.random(size) < 0.2, random.random(size), (random.random(size) < 0.3) * 1.0)
    noise = np.where(random.random(size) < 0.3, 0.2, 0.0)
    cuts = sorted(data.draw(st.lists(st.integers(0, size), max_size=6)))
    bank = OutcomeBank(capacity=6, false_alarms_per_million_judgements=20_000)
    singles = [OutcomeDrift(false_alarms_per_million_judgements=20_000) for _ in range(6)]
    seen = []
    for start, stop in itertools.pairwise([0, *cuts, size]):
        alarms = bank.update_many(slots[start:stop], outcomes[start:stop], noise[start:stop])
        seen += [(start + at, when) for at, when in zip(alarms.position, alarms.changed_at, strict=True)]
    expected = []
    for position, slot in enumerate(slots):
        singles[slot].update(outcomes[position], noise[position])
        if singles[slot].drift_detected:
            expected.append((position, singles[slot].alarm.changed_at[0]))
    assert seen == expected
    assert bank.table.tobytes() == b"".join(single.bank.table.tobytes() for single in singles)


def test_noise_of_nothing_changes_nothing():
    """Judgements without noise leave the same bits whether or not noisy ones of others are in their batch."""
    values = (np.random.default_rng(3).random(200) < 0.2).astype(float)
    alone, mixed = (OutcomeBank(capacity=2) for _ in range(2))
    for value in values:
        alone.update_many([0], [value])
        mixed.update_many([0, 1], [value, 1 - value], [0.0, 0.3])
    assert alone.table[0].tobytes() == mixed.table[0].tobytes()


def test_noisy_outcomes_keep_the_promise_and_find_the_change():
    """Seen through the consensus, wrong one time in ten, stable annotators stay quiet and a change is found."""
    random = np.random.default_rng(8)
    rates = np.where(np.arange(1600)[:, None] < 800, 0.05, [0.05] * 300 + [0.30] * 100)
    errors = random.random(rates.shape) < rates
    seen = errors ^ (random.random(rates.shape) < 0.1)
    bank = OutcomeBank(capacity=400, false_alarms_per_million_judgements=50)
    slots = np.concatenate([bank.update_many(np.arange(400), row * 1.0, 0.1).slot for row in seen])
    assert (slots < 300).sum() <= 24 + 4 * np.sqrt(24)
    assert len(set(slots[slots >= 300])) >= 90
    assert abs(np.median(bank.base_rates(np.arange(300))) - 0.05) < 0.01


def test_time_and_direction_of_change():
    """The estimated time is within 15 judgements for most, and worse is told from better."""
    random = np.random.default_rng(5)
    rates = np.where(np.arange(1000)[:, None] < 500, [0.05] * 100 + [0.35] * 100, [0.30] * 100 + [0.05] * 100)
    bank, first = OutcomeBank(capacity=200), {}
    for alarms in _feed(bank, (random.random(rates.shape) < rates).astype(float)):
        for index, slot in enumerate(alarms.slot):
            first.setdefault(int(slot), (alarms.changed_at[index], alarms.is_rise[index], alarms.after[index]))
    assert len(first) >= 195
    assert np.median([abs(found[0] - 501) for found in first.values()]) <= 15
    assert np.mean([found[1] == (slot < 100) for slot, found in first.items()]) >= 0.97
    assert abs(np.median([found[2] for slot, found in first.items() if slot < 100]) - 0.30) < 0.1


def test_baseline_is_learnt_afresh_after_an_alarm():
    """An annotator who stays at the new rate alarms once, and the base rate becomes the new one."""
    random = np.random.default_rng(6)
    rates = np.where(np.arange(2000) < 500, 0.05, 0.30)[:, None]
    bank = OutcomeBank(capacity=100)
    counts = np.bincount(
        np.concatenate([alarms.slot for alarms in _feed(bank, (random.random((2000, 100)) < rates) * 1.0)]),
        minlength=100,
    )
    assert np.mean(counts == 1) >= 0.9
    assert abs(np.median(bank.base_rates(np.arange(100))) - 0.30) < 0.03


def test_shares_of_error_are_outcomes():
    """Outcomes between 0 and 1 with a stable mean stay quiet, and a risen mean is found."""
    random = np.random.default_rng(7)
    values = random.beta(1, 9, (1500, 100))
    values[900:, 50:] = random.beta(4, 6, (600, 50))
    slots = np.concatenate([alarms.slot for alarms in _feed(OutcomeBank(capacity=100), values)])
    assert (slots < 50).sum() <= 2
    assert len(set(slots[slots >= 50])) == 50


def test_state_round_trip_goes_on_the_same():
    """A detector restored from bytes ends with the same bits as one that was never stopped."""
    values = (np.random.default_rng(9).random((400, 20)) < 0.1).astype(float)
    whole, first, second = (OutcomeBank(capacity=20) for _ in range(3))
    _feed(whole, values)
    _feed(first, values[:150])
    second.load_bytes(first.to_bytes())
    _feed(second, values[150:])
    assert whole.to_bytes() == second.to_bytes()
    with pytest.raises(ValueError, match="version"):
        second.load_bytes(np.array([99, 0, 35], "<i8").tobytes())
    with pytest.raises(ValueError, match="columns"):
        second.load_bytes(np.array([2, 0, 7], "<i8").tobytes())


def test_slots_can_be_added_and_forgotten():
    """Growing keeps what is there; a forgotten slot is as new."""
    bank = OutcomeBank(capacity=1)
    bank.update_many([0] * 50, [1.0, 0.0] * 25)
    before = bank.table[0].copy()
    bank.grow(3)
    assert bank.capacity == 3
    np.testing.assert_array_equal(bank.table[0], before)
    bank.forget([0])
    assert not bank.table.any()


def test_state_is_small():
    """An annotator's state is at most 300 bytes."""
    assert OutcomeBank(capacity=1).bytes_per_annotator <= 300


def test_evidence_of_a_fixed_sequence():
    """The statistic of a known sequence is what it has been since state version 1."""
    bank = OutcomeBank(capacity=1, false_alarms_per_million_judgements=NEVER)
    bank.update_many([0] * 200, [1.0 if index % 11 == 0 or index > 192 else 0.0 for index in range(200)])
    np.testing.assert_allclose(bank.evidence([0])[0], GOLDEN_EVIDENCE, rtol=1e-9)


def test_works_where_rivers_detectors_work():
    """It is a River detector: it can be cloned and pickled, and resets a River classifier when errors rise."""
    detector = OutcomeDrift(false_alarms_per_million_judgements=100)
    assert isinstance(detector, DriftDetector)
    assert detector.clone().false_alarms_per_million_judgements == 100
    model = DriftRetrainingClassifier(
        model=linear_model.LogisticRegression(), drift_detector=OutcomeDrift(), train_in_background=False
    )
    random = np.random.default_rng(4)
    alarms = 0
    for step in range(1500):
        value = random.normal()
        model.learn_one({"x": value}, (value > 0) == (step < 900))
        alarms += model.drift_detector.drift_detected
    assert alarms >= 1
    copy = pickle.loads(pickle.dumps(detector))
    for value in [0] * 100 + [1] * 20:
        detector.update(value)
        copy.update(value)
    assert detector.bank.to_bytes() == copy.bank.to_bytes()


def test_prior_learnt_from_annotators_finds_early_changes_sooner():
    """With the prior that annotators come from, the promise holds over them, and a change after 100 is found sooner."""
    random = np.random.default_rng(12)
    population = random.beta(5, 95, 800)
    stable = OutcomeBank(capacity=800, false_alarms_per_million_judgements=50, prior_errors=5, prior_correct=95)
    alarms = _feed(stable, (random.random((800, 800)) < population) * 1.0)
    assert sum(map(len, alarms)) <= 32 + 4 * np.sqrt(32)
    changed = (random.random((500, 200)) < np.where(np.arange(500) < 100, 0.05, 0.20)[:, None]) * 1.0
    informed, plain = OutcomeBank(capacity=200, prior_errors=5, prior_correct=95), OutcomeBank(capacity=200)
    delays = []
    for bank in (informed, plain):
        first = np.full(200, np.inf)
        for step, found in enumerate(_feed(bank, changed)):
            first[found.slot] = np.minimum(first[found.slot], step - 99)
        delays.append(np.median(first))
    assert delays[0] <= 0.75 * delays[1]
