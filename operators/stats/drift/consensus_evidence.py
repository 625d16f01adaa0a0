"""Evidence without known answers: disagreement with the consensus as an outcome, and how far it may be trusted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

NOISE_USABLE_MAX = 0.35
CLAIM_WEIGHT = 20.0
NOISE_MIN = 0.005
# Upper ends of the bins of claimed doubt; the posteriors of settled items lie near certainty, so bins are finer there.
DOUBT_BINS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5)


@dataclass(frozen=True, slots=True)
class ConsensusOutcomes:
    """What labels say when held against the consensus of others, arrays of shape (labels,).

    Parameters
    ----------
    outcomes
        1 where the label disagrees with the likeliest class, else 0.
    noise
        Probability that this comparison is turned round, in [0, 0.5): what `OutcomeBank.update_many` takes.
    is_usable
        Whether the consensus is sure enough to say anything; leave out the others.
    """

    outcomes: NDArray[np.float64]
    noise: NDArray[np.float64]
    is_usable: NDArray[np.bool_]


class ConsensusNoise:
    """How often the consensus is wrong when it claims a certain doubt: learnt from items whose answer is known.

    Posteriors are as good as their model: they claim too little doubt when annotators copy one another or share
    their mistakes. In each bin of claimed doubt (one less the largest posterior probability) the share of wrong ones
    among the items with a known answer is drawn towards the claim, which counts as `CLAIM_WEIGHT` items.

    Examples
    --------
    >>> noise = ConsensusNoise()
    >>> noise.learn([0.004] * 180, [True] * 18 + [False] * 162)
    >>> noise.of([0.004, 0.2]).round(3).tolist()
    [0.09, 0.2]
    """

    def __init__(self) -> None:
        self.items = np.zeros(len(DOUBT_BINS), np.int64)
        self.wrong = np.zeros(len(DOUBT_BINS), np.int64)

    def learn(self, doubts: ArrayLike, is_wrong: ArrayLike, sign: int = 1) -> None:
        """Count items with a known answer, or with `sign` -1 take them out again.

        Parameters
        ----------
        doubts
            Claimed doubt of each item's consensus, in [0, 1].
        is_wrong
            Whether its likeliest class is not the known answer.
        """
        bins = _bins(doubts)
        self.items += sign * np.bincount(bins, minlength=len(DOUBT_BINS))
        self.wrong += sign * np.bincount(bins, weights=np.asarray(is_wrong, float), minlength=len(DOUBT_BINS)).astype(
            int
        )

    def of(self, doubts: ArrayLike) -> NDArray[np.float64]:
        """Return the probability that the consensus is wrong, for each claimed doubt."""
        doubts, bins = np.asarray(doubts, np.float64), _bins(doubts)
        drawn = (self.wrong[bins] + CLAIM_WEIGHT * doubts) / (self.items[bins] + CLAIM_WEIGHT)
        return np.maximum(drawn, NOISE_MIN)


def consensus_outcomes(posteriors: ArrayLike, labels: ArrayLike, noise: ConsensusNoise) -> ConsensusOutcomes:
    """Hold labels against the consensus of the other annotators.

    A correct label seems wrong when the consensus is wrong. A wrong one seems correct only if the consensus makes the
    same mistake, which with several classes is rarer; to count both alike makes the base rate a little low.

    Parameters
    ----------
    posteriors
        Probability of each class given everybody's labels but the annotator's own, shape (labels, classes).
    labels
        Number of the class that the annotator gave, shape (labels,).
    noise
        How far the consensus may be trusted, as of the last boundary of a chunk of the log.

    Examples
    --------
    >>> found = consensus_outcomes([[0.98, 0.02], [0.1, 0.9], [0.55, 0.45]], [0, 0, 0], ConsensusNoise())
    >>> found.outcomes.tolist(), found.noise.round(3).tolist(), found.is_usable.tolist()
    ([0.0, 1.0, 0.0], [0.02, 0.1, 0.45], [True, True, False])
    """
    posteriors, labels = np.asarray(posteriors, np.float64), np.asarray(labels, np.int64)
    doubts = 1.0 - posteriors.max(axis=1)
    probability = noise.of(doubts)
    return ConsensusOutcomes(
        outcomes=(posteriors.argmax(axis=1) != labels).astype(np.float64),
        noise=np.minimum(probability, 0.499),
        is_usable=probability <= NOISE_USABLE_MAX,
    )


def _bins(doubts: ArrayLike) -> NDArray[np.int64]:
    found = np.searchsorted(np.asarray(DOUBT_BINS), np.asarray(doubts, np.float64))
    return np.minimum(found, len(DOUBT_BINS) - 1)
