"""Jeffreys interval of a share."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

LEVEL = 0.95


def jeffreys_interval(
    successes: NDArray[np.float64], trials: NDArray[np.float64], *, level: float = LEVEL
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the equal-tailed posterior interval of a share under Jeffreys' prior, Beta(½, ½).

    Parameters
    ----------
    successes
        Credit earned, shape (n,), each in [0, trials]; need not be whole.
    trials
        Judgements, shape (n,), each > 0; need not be whole.
    level
        Posterior probability inside the interval, in (0, 1).

    Returns
    -------
    low, high
        Bounds in [0, 1], each of shape (n,).

    Examples
    --------
    >>> low, high = jeffreys_interval(np.array([8.0]), np.array([10.0]))
    >>> [round(float(bound), 4) for bound in (low[0], high[0])]
    [0.4972, 0.9559]

    References
    ----------
    Brown, Cai and DasGupta (2001), Interval Estimation for a Binomial Proportion, Statistical Science 16(2), section 4.
    """
    tail = (1 - level) / 2
    failures = trials - successes
    low = betaincinv(successes + 0.5, failures + 0.5, tail)
    high = betaincinv(successes + 0.5, failures + 0.5, 1 - tail)
    return low, high


@lru_cache(maxsize=1 << 17)
def jeffreys_bounds(successes: float, trials: float) -> tuple[float, float]:
    """Return the 95 % Jeffreys interval of one share; remembers its answers, since counts recur.

    >>> jeffreys_bounds(8.0, 10.0) == tuple(float(b[0]) for b in jeffreys_interval(np.array([8.0]), np.array([10.0])))
    True
    """
    tail = (1 - LEVEL) / 2
    failures = trials - successes
    low = betaincinv(successes + 0.5, failures + 0.5, tail)
    high = betaincinv(successes + 0.5, failures + 0.5, 1 - tail)
    return float(low), float(high)
