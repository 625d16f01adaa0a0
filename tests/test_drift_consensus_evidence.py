"""Evidence without known answers: the promise holds when the consensus is the yardstick, and changes are found."""

import numpy as np
import pytest

from operators.stats.drift.consensus_evidence import ConsensusNoise, consensus_outcomes
from operators.stats.drift.outcome import OutcomeBank

ANNOTATORS, STEPS, CLASSES, OTHERS = 300, 900, 3, 4


def _posteriors(votes: np.ndarray, accuracy: float) -> np.ndarray:
    """Return the posterior of each item from votes (items, others) of annotators that are right with `accuracy`."""
    counts = (votes[:, :, None] == np.arange(CLASSES)).sum(axis=1)
    weights = (accuracy / ((1 - accuracy) / (CLASSES - 1))) ** counts
    return weights / weights.sum(axis=1, keepdims=True)


def _answers(truth: np.ndarray, is_wrong: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the truth, or another class where the answer is wrong."""
    return np.where(is_wrong, (truth + random.integers(1, CLASSES, truth.shape)) % CLASSES, truth)


def _watch(noise: ConsensusNoise, claimed: float, changed: int, seed: int, learns: bool) -> np.ndarray:
    """Return the slots of all alarms over annotators of whom the first `changed` get worse at two thirds."""
    random = np.random.default_rng(seed)
    bank = OutcomeBank(capacity=ANNOTATORS, false_alarms_per_million_judgements=50)
    usual = np.tile([0.05, 0.1, 0.25], ANNOTATORS // 3)
    alarms = []
    for step in range(STEPS):
        truth = random.integers(0, CLASSES, ANNOTATORS)
        votes = _answers(truth[:, None].repeat(OTHERS, axis=1), random.random((ANNOTATORS, OTHERS)) > 0.8, random)
        posteriors = _posteriors(votes, claimed)
        worse = (np.arange(ANNOTATORS) < changed) & (step >= 2 * STEPS // 3)
        rates = np.where(worse, usual + 0.35, usual)
        labels = _answers(truth, random.random(ANNOTATORS) < rates, random)
        if learns and step % 100 < 10:
            noise.learn(1 - posteriors.max(axis=1), posteriors.argmax(axis=1) != truth)
        found = consensus_outcomes(posteriors, labels, noise)
        use = np.flatnonzero(found.is_usable)
        alarms.append(bank.update_many(use, found.outcomes[use], found.noise[use]).slot)
    return np.concatenate(alarms)


@pytest.mark.parametrize(("claimed", "learns"), [(0.8, False), (0.93, True)])
def test_stable_annotators_stay_quiet(claimed, learns):
    """With an honest posterior, or one that claims too much and is held against known answers, the promise holds."""
    slots = _watch(ConsensusNoise(), claimed, changed=0, seed=int(100 * claimed), learns=learns)
    promised = 50e-6 * ANNOTATORS * STEPS
    assert len(slots) <= promised + 4 * np.sqrt(promised)


def test_a_change_is_found_without_known_answers():
    """Most annotators that get much worse are found by disagreement alone, and stable ones are not."""
    slots = _watch(ConsensusNoise(), 0.8, changed=60, seed=5, learns=False)
    assert len(set(slots[slots < 60].tolist())) >= 45
    assert (slots >= 60).sum() <= 10 + 4 * np.sqrt(10)


def test_learnt_noise_is_the_share_of_wrong_ones():
    """With many known answers the noise is what was seen in the bin; taken out again, it is the claim."""
    random = np.random.default_rng(2)
    doubts = random.uniform(0.02, 0.05, 20_000)
    is_wrong = random.random(20_000) < 0.15
    noise = ConsensusNoise()
    noise.learn(doubts, is_wrong)
    assert abs(noise.of([0.03])[0] - is_wrong.mean()) < 0.001
    noise.learn(doubts, is_wrong, sign=-1)
    assert noise.of([0.03])[0] == pytest.approx(0.03)
    assert not noise.items.any()
    assert not noise.wrong.any()
