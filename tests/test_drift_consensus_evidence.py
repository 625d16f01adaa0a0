"""Evidence without known answers: the promise holds when others are the yardstick, and changes are found."""

import math

import numpy as np
import pytest

from benchmarks.drift_consensus import Team, delays, stable_alarms
from operators.stats.drift.consensus_evidence import ConsensusNoise, answers_of_others, vote_weight

ERRORS = np.tile([0.05, 0.1, 0.25], 40)
PROMISE = 200.0


def posterior(votes: list[tuple[int, float]], classes: int) -> np.ndarray:
    """Return the one-coin posterior of an item, by Bayes' rule class by class."""
    likelihood = [
        math.prod(accuracy if vote == number else (1 - accuracy) / (classes - 1) for vote, accuracy in votes)
        for number in range(classes)
    ]
    return np.array(likelihood) / sum(likelihood)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_what_others_answered_is_the_posterior_without_the_own_vote(classes):
    """Answer and doubt are those of Bayes' rule over all other votes, whatever the annotator's own vote was."""
    random = np.random.default_rng(classes)
    for _ in range(50):
        votes = [(int(random.integers(classes)), float(random.uniform(0.4, 0.97))) for _ in range(5)]
        weighed = [(str(vote), vote_weight(accuracy, classes)) for vote, accuracy in votes]
        told = answers_of_others(weighed, range(5), classes)
        for place, (answer, doubt) in enumerate(told):
            expected = posterior(votes[:place] + votes[place + 1 :], classes)
            voted = [vote for index, (vote, _) in enumerate(votes) if index != place]
            best = max(expected[vote] for vote in voted)
            assert expected[int(answer)] == pytest.approx(best)
            assert doubt == pytest.approx(1 - best)


@pytest.mark.slow
@pytest.mark.parametrize(("shared", "known"), [(0.0, 0.0), (0.5, 0.1)])
def test_stable_annotators_stay_quiet(shared, known):
    """With honest doubts, or with shared mistakes and some known answers, the promise holds."""
    team = Team(ERRORS, votes=4, shared=shared, known=known)
    alarms, judgements = stable_alarms(team, ERRORS, rounds=1000, seed=1, promise=PROMISE)
    promised = PROMISE / 1e6 * judgements
    assert judgements > 60_000
    assert alarms <= promised + 3 * np.sqrt(promised)


@pytest.mark.slow
def test_a_change_is_found_without_known_answers():
    """Most of those who get much worse are found by disagreement alone."""
    after = ERRORS.copy()
    after[::12] += 0.35
    found = delays(Team(ERRORS, votes=4), ERRORS, after, quiet=300, rounds=250, seed=5)
    assert len(found) == 10 and np.median(found) < 150


def test_learnt_noise_is_the_share_of_wrong_ones():
    """With many known answers the noise is what was seen in the bin, with none it is the claim."""
    random = np.random.default_rng(2)
    noise = ConsensusNoise()
    assert noise.of(0.03) == pytest.approx(0.03)
    is_wrong = random.random(20_000) < 0.15
    for doubt, wrong in zip(random.uniform(0.021, 0.05, 20_000).tolist(), is_wrong.tolist(), strict=True):
        noise.learn(doubt, is_wrong=wrong)
    assert abs(noise.of(0.03) - is_wrong.mean()) < 0.001
