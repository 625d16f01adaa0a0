"""What annotators have in common: learnt from their counts, and what it does for the detectors."""

import itertools

import numpy as np
import pytest

from operators.stats.drift.class_use import ClassUseBank
from operators.stats.drift.outcome import PRIOR_CORRECT, PRIOR_ERRORS, OutcomeBank
from operators.stats.drift.population import ANNOTATORS_MIN, STRENGTHS, learn_population

VAGUE = np.array([PRIOR_CORRECT, PRIOR_ERRORS])


def counts_of(rates: np.ndarray, judgements: int, seed: int) -> np.ndarray:
    """Return correct and wrong judgements of annotators with given error rates."""
    errors = np.random.default_rng(seed).binomial(judgements, rates)
    return np.stack([judgements - errors, errors], axis=1)


@pytest.mark.parametrize(("strength", "mean"), [(20.0, 0.05), (50.0, 0.1), (200.0, 0.2)])
def test_mean_and_strength_are_those_the_annotators_come_from(strength, mean):
    """From counts of 400 annotators the mean is found to a tenth, the strength to a factor of 3, up to its limit."""
    rates = np.random.default_rng(1).beta(strength * mean, strength * (1 - mean), 400)
    found = learn_population(counts_of(rates, 500, 2), VAGUE)
    assert found is not None
    assert found[1] / found.sum() == pytest.approx(mean, rel=0.1)
    assert strength / 3 <= found.sum() <= min(3 * strength, STRENGTHS[-1])


def test_a_few_who_are_unlike_the_others_do_not_move_it():
    """Two in a hundred with five times the errors leave the mean of the others."""
    rates = np.where(np.arange(400) % 50 == 0, 0.25, 0.05)
    found = learn_population(counts_of(rates, 500, 3), VAGUE)
    assert found is not None
    assert found[1] / found.sum() == pytest.approx(0.05, rel=0.1)


def test_nothing_is_learnt_where_nothing_is_in_common():
    """Few annotators, or rates from everywhere, say nothing about another one."""
    assert learn_population(counts_of(np.full(ANNOTATORS_MIN - 1, 0.05), 500, 4), VAGUE) is None
    assert learn_population(counts_of(np.random.default_rng(5).random(200), 500, 5), VAGUE) is None
    assert learn_population(np.zeros((50, 2)), VAGUE) is None


def test_it_is_no_surer_than_what_is_known():
    """From a hundred judgements in all, no more is claimed than a hundred judgements can tell."""
    found = learn_population(counts_of(np.full(10, 0.05), 10, 6), VAGUE)
    assert found is None or found.sum() <= 100
    assert learn_population(counts_of(np.full(400, 0.05), 500, 7), VAGUE).sum() <= STRENGTHS[-1]


def _bank(annotators: int, **settings) -> OutcomeBank:
    bank = OutcomeBank(capacity=annotators, **settings)
    counts = counts_of(np.full(200, 0.05), 500, 8)
    bank.learn_population(errors=counts[:, 1], correct=counts[:, 0])
    assert bank.population is not None
    return bank


def test_the_promise_holds_with_what_is_learnt():
    """Stable annotators like those it was learnt from, and some who are apart, keep the promise together."""
    rates = np.where(np.arange(800) % 40 == 0, 0.15, 0.05)
    random = np.random.default_rng(9)
    bank = _bank(800, false_alarms_per_million_judgements=50)
    alarms = sum(len(bank.update_many(np.arange(800), (random.random(800) < rates) * 1.0)) for _ in range(800))
    assert alarms <= 32 + 4 * np.sqrt(32)


def test_early_changes_are_found_sooner():
    """A change after 100 judgements is found in at most three quarters of the time."""
    random = np.random.default_rng(10)
    values = (random.random((600, 200)) < np.where(np.arange(600) < 100, 0.05, 0.20)[:, None]) * 1.0
    delays = []
    for bank in (_bank(200), OutcomeBank(capacity=200)):
        first = np.full(200, np.inf)
        for step, row in enumerate(values):
            slots = bank.update_many(np.arange(200), row).slot
            first[slots] = np.minimum(first[slots], step - 99)
        delays.append(np.median(first))
    assert delays[0] <= 0.75 * delays[1]


def test_who_is_apart_is_judged_by_his_own():
    """After some hundred judgements the base rate of an annotator unlike the others is his own."""
    random = np.random.default_rng(11)
    bank = _bank(50)
    for _ in range(300):
        bank.update_many(np.arange(50), (random.random(50) < 0.3) * 1.0)
    assert abs(np.median(bank.base_rates(np.arange(50))) - 0.3) < 0.03


def test_cuts_make_no_difference_with_what_is_learnt():
    """With a population, state and alarms do not depend on how judgements are cut into batches, noise or not."""
    random = np.random.default_rng(12)
    slots, outcomes = random.integers(0, 5, 400), (random.random(400) < 0.3) * 1.0
    noise = np.where(random.random(400) < 0.3, 0.2, 0.0)
    tables, positions = [], []
    for cuts in ([0, 400], [0, 7, 8, 150, 400], list(range(401))):
        bank = _bank(5, false_alarms_per_million_judgements=20_000)
        found = [
            start + bank.update_many(slots[start:stop], outcomes[start:stop], noise[start:stop]).position
            for start, stop in itertools.pairwise(cuts)
        ]
        tables.append(bank.table.tobytes())
        positions.append(np.concatenate(found).tolist())
    assert len(set(tables)) == 1
    assert positions[0] == positions[1] == positions[2]


def test_class_use_learns_as_well():
    """With the shares of others known, a class that is answered more often after 100 answers is found sooner."""
    random = np.random.default_rng(13)
    shares, after = [0.4, 0.3, 0.2, 0.1], [0.3, 0.225, 0.4, 0.075]
    delays, quiet = [], []
    for learns in (True, False):
        bank = ClassUseBank(capacity=200, classes=4)
        if learns:
            bank.learn_population(random.multinomial(400, shares, 200))
            assert bank.population is not None
        first = np.full(200, np.inf)
        for step in range(500):
            found = bank.update_many(np.arange(200), random.choice(4, 200, p=shares if step < 100 else after)).slot
            first[found] = np.minimum(first[found], step - 99)
        delays.append(np.median(first))
        quiet.append((first <= 0).sum())
    assert delays[0] <= 0.75 * delays[1]
    assert quiet[0] <= 1
