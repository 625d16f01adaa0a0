"""Many annotators that change together: a common cause (task, guidelines, interface) rather than people."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtrc

MEMBER_PROBABILITIES = (0.05, 0.01, 0.002)
TAIL = 65.0


@dataclass(frozen=True, slots=True)
class CommonCause:
    """What the annotators' recent evidence says about a common cause.

    Parameters
    ----------
    is_common
        Whether so many show evidence together that it is one cause.
    is_rise
        Direction of the change.
    members
        Which annotators take part, shape (annotators,).
    changed_at
        Median of the members' times of change, in the unit given; NaN without members.
    probability
        Probability of at least as many members if nobody had changed.
    """

    is_common: bool
    is_rise: bool
    members: NDArray[np.bool_]
    changed_at: float
    probability: float


def chance_of_evidence(evidence: ArrayLike) -> NDArray[np.float64]:
    """Return a bound on the probability that a stable annotator shows at least this evidence at a moment.

    The tail of a Shiryaev-Roberts sum falls with its inverse; the constant is the largest that was measured on stable
    annotators of error rates .01 to .40.
    """
    with np.errstate(divide="ignore"):
        return np.minimum(1.0, TAIL / np.asarray(evidence, np.float64))


def common_cause(
    evidence: ArrayLike,
    is_rise: ArrayLike,
    changed_at: ArrayLike,
    *,
    spread_max: float,
    level: float = 1e-6,
    annotators_min: int = 3,
    share_min: float = 0.2,
) -> CommonCause:
    """Decide whether annotators of a project change together.

    Members are annotators whose evidence a stable annotator would show with a probability of at most 0.05, who changed
    in the same direction, and not further than `spread_max` from the members' median time. Their number is set against
    the binomial law that it would have if all were stable and independent; so is the number of those with a probability
    of at most 0.01 and 0.002, since a few who have surely changed say as much as many who may have. The smallest of the
    three tails counts, times three.

    Parameters
    ----------
    evidence, is_rise, changed_at
        Of each annotator active of late (from `summary` and, for the time, the caller's clock), shape (annotators,).
    spread_max
        How far apart times of change of one cause may lie, in the unit of `changed_at`.
    level
        Largest probability by chance, for one look.
    annotators_min, share_min
        Least number and least share of annotators that make a cause common.

    Returns
    -------
    CommonCause of the direction with more members.

    Examples
    --------
    >>> cause = common_cause([9e3] * 12 + [2.0] * 8, [True] * 20, [100.0] * 20, spread_max=50)
    >>> cause.is_common, int(cause.members.sum())
    (True, 12)
    """
    evidence, changed_at = np.asarray(evidence, np.float64), np.asarray(changed_at, np.float64)
    is_rise = np.asarray(is_rise, np.bool_)
    chance = chance_of_evidence(evidence)
    shows = chance <= MEMBER_PROBABILITIES[0]
    rising, falling = (_together(shows & (is_rise == way), changed_at, spread_max) for way in (True, False))
    is_up = bool(rising.sum() >= falling.sum())
    members = rising if is_up else falling
    count, annotators = int(members.sum()), len(evidence)
    least = max(annotators_min, share_min * annotators)
    probability = _probability(chance[members], annotators, least)
    enough = count >= least
    median = float(np.median(changed_at[members])) if count else float("nan")
    return CommonCause(bool(enough and probability <= level), is_up, members, median, probability)


def _probability(chances: NDArray[np.float64], annotators: int, least: float) -> float:
    """Return the probability that as many of so many stable annotators show evidence of their members' kinds."""
    counts = [int((chances <= each).sum()) for each in MEMBER_PROBABILITIES]
    tails = [
        float(bdtrc(count - 1, annotators, each)) if count >= least else 1.0
        for count, each in zip(counts, MEMBER_PROBABILITIES, strict=True)
    ]
    return min(1.0, len(tails) * min(tails))


def _together(members: NDArray[np.bool_], changed_at: NDArray, spread_max: float) -> NDArray[np.bool_]:
    """Keep the members whose time of change is near the members' median."""
    if not members.any():
        return members
    return members & (np.abs(changed_at - np.median(changed_at[members])) <= spread_max)
