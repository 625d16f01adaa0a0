"""Confidence intervals by leaving out one group of items at a time."""

from math import exp
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, stdtrit

LEVEL = 0.95


class Estimate(NamedTuple):
    """A figure with the bounds of its 95 % interval; bounds are None where there is too little to say."""

    value: float
    low: float | None
    high: float | None


def jackknife_interval(
    whole: float,
    without: NDArray[np.float64],
    items: NDArray[np.int64],
    *,
    least: float,
    odd_label: float,
    level: float = LEVEL,
) -> Estimate:
    """Return the interval of an agreement coefficient from its values with each group of items left out.

    The interval is symmetric for the logarithm of 1 − agreement, as agreement is bounded by 1 and skewed near it.
    Student's distribution has as many degrees of freedom as the kurtosis of the groups' deviations leaves it. Where
    nothing disagrees, the share of items with one odd label is bounded instead (Jeffreys).

    Parameters
    ----------
    whole
        The coefficient of all items, ≤ 1.
    without
        The coefficient without each group, shape (groups,); NaN where it is not defined.
    items
        Items of each group, shape (groups,), each > 0.
    least
        The lowest value that the coefficient can have.
    odd_label
        What the coefficient would lose if each item had one odd label, where nothing else disagrees; > 0.
    level
        Probability that the interval holds the coefficient of the population, in (0, 1).

    Examples
    --------
    >>> without = np.array([0.55, 0.6, 0.65, 0.6])
    >>> estimate = jackknife_interval(0.6, without, np.array([5, 5, 5, 5]), least=-1.0, odd_label=1.0)
    >>> estimate.low < 0.6 < estimate.high < 1.0
    True

    References
    ----------
    Busing, Meijer and van der Leeden (1999), Delete-m Jackknife for Unequal m, Statistics and Computing 9.
    Satterthwaite (1946), An Approximate Distribution of Estimates of Variance Components, Biometrics Bulletin 2(6).
    """
    groups, total = len(items), int(items.sum())
    if groups < 2 or not np.isfinite(without).all():
        return Estimate(whole, None, None)
    if whole >= 1.0:
        return Estimate(1.0, max(1.0 - odd_label * _share_bound(total, level), least), 1.0)
    times = total / items
    pseudo_values = times * whole - (times - 1.0) * without
    centre = groups * whole - float(((1.0 - items / total) * without).sum())
    squares = (pseudo_values - centre) ** 2 / (times - 1.0)
    variance, distance = float(squares.sum()) / groups, 1.0 - whole
    if not variance:
        return Estimate(whole, None, None)
    freedom = _degrees_of_freedom(squares)
    factor = exp(min(float(stdtrit(freedom, (1.0 + level) / 2.0)) * variance**0.5 / distance, 50.0))
    return Estimate(whole, max(1.0 - distance * factor, least), 1.0 - distance / factor)


def _degrees_of_freedom(squares: NDArray[np.float64]) -> float:
    """Return what the spread of squared deviations leaves of the groups, less one: few, where few groups disagree."""
    kurtosis = float(squares @ squares) * len(squares) / float(squares.sum()) ** 2
    return min(max(2.0 * (len(squares) - 1) / max(kurtosis - 1.0, 1e-9), 2.0), len(squares) - 1.0)


def _share_bound(items: int, level: float) -> float:
    """Return the upper bound of a share that was met in none of the items."""
    return float(betaincinv(0.5, items + 0.5, (1.0 + level) / 2.0))
