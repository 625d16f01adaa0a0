"""Over many annotators: error control of declarations, and common causes."""

import numpy as np

from operators.stats.drift.class_use import ClassUseBank
from operators.stats.drift.common_cause import MEMBER_PROBABILITIES, chance_of_evidence, common_cause
from operators.stats.drift.false_discovery import discoveries, discovery_levels
from operators.stats.drift.outcome import PRIOR_CORRECT, PRIOR_ERRORS, OutcomeBank
from operators.stats.drift.speed import SpeedBank

SHARE = MEMBER_PROBABILITIES[0]
MEMBER_ALLOWED = SHARE + 4 * np.sqrt(SHARE * (1 - SHARE) / 1000)


def _stop_at_first_declaration(rates: np.ndarray, level: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Watch (steps, projects, annotators) until a declaration; return the time and the annotators declared then."""
    steps, projects, annotators = rates.shape
    random = np.random.default_rng(seed)
    bank = OutcomeBank(capacity=projects * annotators, false_alarms_per_million_judgements=1e-200)
    stopped, declared = np.full(projects, steps), np.zeros((projects, annotators), bool)
    for step in range(steps):
        outcomes = (random.random((projects, annotators)) < rates[step]) * 1.0
        bank.update_many(np.arange(bank.capacity), outcomes.ravel())
        evidence = bank.evidence(np.arange(bank.capacity)).reshape(projects, annotators)
        for project in np.flatnonzero(stopped == steps):
            found = discoveries(evidence[project], level)
            if found.any():
                stopped[project], declared[project] = step + 1, found
    return stopped, declared


def test_error_over_patience_without_any_change():
    """If nobody changes and one stops at the first declaration, the chance of one per judgement waited is ≤ level."""
    level, projects, annotators = 2e-3, 120, 10
    rates = np.random.default_rng(1).beta(PRIOR_ERRORS, PRIOR_CORRECT, (projects, annotators))
    stopped, declared = _stop_at_first_declaration(np.broadcast_to(rates, (400, projects, annotators)), level, seed=2)
    assert declared.any()
    assert declared.any(axis=1).mean() / stopped.mean() <= level


def test_error_over_patience_with_some_changed():
    """If a quarter change, false declarations are at most level × patience of all, and most stops are true finds."""
    level, projects, annotators = 2e-3, 60, 12
    rates = np.random.default_rng(3).beta(PRIOR_ERRORS, PRIOR_CORRECT, (projects, annotators))
    rates[:, :3] = 0.05
    changing = np.repeat(rates[None], 400, axis=0)
    changing[100:, :, :3] = 0.5
    stopped, declared = _stop_at_first_declaration(changing, level, seed=4)
    false = declared[:, 3:].sum(axis=1) / np.maximum(declared.sum(axis=1), 1)
    assert false.mean() / stopped.mean() <= level
    assert declared[:, :3].any(axis=1).mean() >= 0.6


def test_levels_are_those_at_which_annotators_are_declared():
    """An annotator is declared from its level on and not below it, and the order of annotators does not matter."""
    evidence = np.random.default_rng(5).lognormal(4, 3, 40)
    levels = discovery_levels(evidence)
    for index, level in enumerate(levels):
        assert discoveries(evidence, level * (1 + 1e-9))[index]
        assert not discoveries(evidence, level * (1 - 1e-9))[index]
    shuffle = np.random.default_rng(6).permutation(40)
    np.testing.assert_array_equal(discovery_levels(evidence[shuffle]), levels[shuffle])
    assert discovery_levels([]).shape == (0,)


def _evidence_at(rates: np.ndarray, seed: int) -> tuple[OutcomeBank, np.ndarray]:
    bank = OutcomeBank(capacity=rates.shape[1], false_alarms_per_million_judgements=1e-200)
    values = (np.random.default_rng(seed).random(rates.shape) < rates) * 1.0
    for row in values:
        bank.update_many(np.arange(rates.shape[1]), row)
    return bank, bank.evidence(np.arange(rates.shape[1]))


def test_chance_of_evidence_is_a_bound():
    """Of stable annotators at most the stated share shows the evidence that makes a member, at several rates."""
    for rate in (0.02, 0.1, 0.3):
        _, evidence = _evidence_at(np.full((400, 1000), rate), seed=int(100 * rate))
        assert (chance_of_evidence(evidence) <= SHARE).mean() <= MEMBER_ALLOWED
    random = np.random.default_rng(9)
    use = ClassUseBank(capacity=1000, classes=4, false_alarms_per_million_judgements=1e-200)
    speed = SpeedBank(capacity=1000, false_alarms_per_million_judgements=1e-200)
    for _ in range(400):
        use.update_many(np.arange(1000), random.choice(4, 1000, p=[0.4, 0.3, 0.2, 0.1]))
        speed.update_many(np.arange(1000), np.exp(0.7 * random.standard_normal(1000)))
    for bank in (use, speed):
        evidence = bank.evidence(np.arange(1000))
        assert (chance_of_evidence(evidence) <= SHARE).mean() <= MEMBER_ALLOWED


def test_a_change_of_many_is_one_cause():
    """When most annotators change together it is a common cause, dated and with its members; stable ones are none."""
    rates = np.where(np.arange(460)[:, None] < 400, 0.05, [0.3] * 24 + [0.05] * 6)
    bank, evidence = _evidence_at(rates, seed=7)
    summary = bank.summary(np.arange(30))
    cause = common_cause(evidence, summary.is_rise, summary.changed_at, spread_max=40)
    assert cause.is_common
    assert cause.is_rise
    assert cause.members[:24].sum() >= 18
    assert cause.members[24:].sum() <= 2
    assert abs(cause.changed_at - 401) <= 10
    quiet, evidence = _evidence_at(np.full((460, 30), 0.05), seed=8)
    summary = quiet.summary(np.arange(30))
    assert not common_cause(evidence, summary.is_rise, summary.changed_at, spread_max=40).is_common


def test_one_annotator_is_no_common_cause():
    """One annotator's change, however strong, or changes far apart in time, are not one cause."""
    evidence = np.array([1e9] + [1.0] * 9)
    assert not common_cause(evidence, [True] * 10, [5.0] * 10, spread_max=10).is_common
    apart = common_cause([1e9] * 10, [True] * 10, np.arange(10) * 1000.0, spread_max=100)
    assert not apart.is_common
    opposed = common_cause([1e9] * 4, [True, True, False, False], [5.0] * 4, spread_max=10)
    assert not opposed.is_common
    assert common_cause([], [], [], spread_max=1.0).probability == 1.0
