"""Evidence without known answers: disagreement with what others answered, and how far they may be trusted."""

import math
from bisect import bisect_left
from collections.abc import Sequence

NOISE_USABLE_MAX = 0.2
OTHERS_MIN = 2
CLAIM_WEIGHT = 20.0
NOISE_MIN = 0.005
ACCURACY_MIN, ACCURACY_MAX = 0.02, 0.98
# Upper ends of the bins of claimed doubt; where others agree it lies near zero, so bins are finer there.
DOUBT_BINS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5)


class ConsensusNoise:
    """How often the others' answer is wrong when it claims a certain doubt: learnt from items whose answer is known.

    A posterior is as good as its model: it claims too little doubt when annotators copy one another or share their
    mistakes. In each bin of claimed doubt the share of wrong ones among the items with a known answer is drawn towards
    the claim, which counts as `CLAIM_WEIGHT` items.

    Parameters
    ----------
    items, wrong
        By bin, what was counted so far; changed in place.

    Examples
    --------
    >>> noise = ConsensusNoise()
    >>> for index in range(180):
    ...     noise.learn(0.004, is_wrong=index < 18)
    >>> round(noise.of(0.004), 3), noise.of(0.2)
    (0.09, 0.2)
    """

    def __init__(self, items: list[int] | None = None, wrong: list[int] | None = None) -> None:
        self.items = items if items is not None else [0] * len(DOUBT_BINS)
        self.wrong = wrong if wrong is not None else [0] * len(DOUBT_BINS)

    def learn(self, doubt: float, *, is_wrong: bool) -> None:
        """Count an answer of others to an item whose answer is known.

        Parameters
        ----------
        doubt
            Claimed doubt, in [0, 1].
        """
        place = _bin(doubt)
        self.items[place] += 1
        self.wrong[place] += is_wrong

    def of(self, doubt: float) -> float:
        """Return the probability that an answer with this claimed doubt is wrong."""
        place = _bin(doubt)
        drawn = (self.wrong[place] + CLAIM_WEIGHT * doubt) / (self.items[place] + CLAIM_WEIGHT)
        return max(drawn, NOISE_MIN)


def vote_weight(accuracy: float, classes: int) -> float:
    """Return the log odds that a vote gives its class against any other one, by the one-coin model.

    >>> round(vote_weight(0.9, 2), 3), round(vote_weight(0.9, 4), 3)
    (2.197, 3.296)
    """
    accuracy = min(max(accuracy, ACCURACY_MIN), ACCURACY_MAX)
    return math.log(accuracy * (classes - 1) / (1.0 - accuracy))


def answers_of_others(
    votes: Sequence[tuple[str, float]], places: Sequence[int], classes: int
) -> list[tuple[str, float]]:
    """Return, for some votes, the answer that the other votes speak for, and the doubt that is left in [0, 1].

    Parameters
    ----------
    votes
        Class and weight (see `vote_weight`) of one item's votes, one of each annotator.
    places
        Which votes are asked about.
    classes
        Number of classes that could have been answered, ≥ 2.

    Examples
    --------
    >>> votes = [("cat", 2.0), ("cat", 2.0), ("dog", 2.0)]
    >>> [(answer, round(doubt, 3)) for answer, doubt in answers_of_others(votes, [0, 1, 2], 2)]
    [('cat', 0.5), ('cat', 0.5), ('cat', 0.018)]
    """
    scores: dict[str, float] = {}
    counts: dict[str, int] = {}
    for label_class, weight in votes:
        scores[label_class] = scores.get(label_class, 0.0) + weight
        counts[label_class] = counts.get(label_class, 0) + 1
    return [_without(scores, counts, *votes[place], classes) for place in places]


def _without(
    scores: dict[str, float], counts: dict[str, int], own: str, weight: float, classes: int
) -> tuple[str, float]:
    """Return the answer and doubt without a vote for `own`."""
    is_last = counts[own] == 1
    top, best, named = "", -math.inf, []
    for label_class, score in scores.items():
        if label_class == own:
            if is_last:
                continue
            score -= weight
        named.append(score)
        if score > best:
            top, best = label_class, score
    if not named:
        return "", 1.0
    rest = sum(math.exp(score - best) for score in named) + max(classes - len(named), 0) * math.exp(-best)
    return top, 1.0 - 1.0 / rest


def _bin(doubt: float) -> int:
    return min(bisect_left(DOUBT_BINS, doubt), len(DOUBT_BINS) - 1)
