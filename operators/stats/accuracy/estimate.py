"""An annotator's accuracy, estimated from their own judgements and from the project's annotators."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.stats.accuracy.population import GRID, ODD_SHARES, Prior, densities

LEVEL = 0.95
TINY = 1e-290
"""Stands for a probability that is too small to be held, so that it can be divided by."""
_LOG_RIGHT = np.log(GRID)
_LOG_WRONG = np.log1p(-GRID)


class AccuracyEstimate(NamedTuple):
    """Posterior mean of an accuracy, and the ends of its equal-tailed 95 % interval, all in [0, 1]."""

    accuracy_estimate: float
    estimate_low: float
    estimate_high: float


def accuracy_estimate(credit: float, judgements: float, prior: Prior, *, level: float = LEVEL) -> AccuracyEstimate:
    """Return the empirical-Bayes estimate of an annotator's accuracy.

    The shapes that the population may have are averaged over, each with what it makes of this annotator: so intervals
    are wide where there are few annotators to learn from. An annotator's own counts are to be among those that the
    prior was learnt from, or negligible beside them.

    Parameters
    ----------
    credit
        Credit earned, in [0, judgements]; need not be whole.
    judgements
        Judgements, ≥ 0; need not be whole. With none, the estimate is that of the population.
    prior
        What the project's annotators say.
    level
        Posterior probability inside the interval, in (0, 1).

    Examples
    --------
    >>> from operators.stats.accuracy.population import Population
    >>> population = Population()
    >>> for correct in (18, 19, 17, 20, 18, 19, 1):
    ...     population.change(None, (correct, 20))
    >>> estimate = accuracy_estimate(1.0, 1.0, population.prior())
    >>> estimate.estimate_low < 0.8 < estimate.accuracy_estimate < estimate.estimate_high < 1.0
    True

    References
    ----------
    Morris (1983), Parametric Empirical Bayes Inference: Theory and Applications, JASA 78.
    """
    assert 0.0 <= credit <= judgements
    ready = _ready(prior)
    logs = credit * _LOG_RIGHT + (judgements - credit) * _LOG_WRONG
    likelihood = np.exp(logs - logs.max())
    odd_marginal = ready.odd @ likelihood
    marginals = (1.0 - ready.odd_shares) * (ready.regular @ likelihood)[ready.shapes] + ready.odd_shares * odd_marginal
    ratios = ready.weights / np.maximum(marginals, TINY)
    by_distribution = np.bincount(ready.shapes, ratios * (1.0 - ready.odd_shares))
    posterior = likelihood * (by_distribution @ ready.regular + (ratios @ ready.odd_shares) * ready.odd)
    return _summary(posterior / posterior.sum(), level)


class _Ready(NamedTuple):
    """A prior as arrays; `shapes` gives each shape's row in `regular`."""

    prior: Prior
    shapes: NDArray[np.int64]
    odd_shares: NDArray[np.float64]
    weights: NDArray[np.float64]
    regular: NDArray[np.float64]
    odd: NDArray[np.float64]


_READY: dict[int, _Ready] = {}
_READY_MAX = 256


def _ready(prior: Prior) -> _Ready:
    """Return the arrays of a prior, which many annotators are seen in the light of."""
    found = _READY.get(id(prior))
    if found is not None and found.prior is prior:
        return found
    if len(_READY) >= _READY_MAX:
        _READY.clear()
    numbers = np.array(prior.shapes)
    distributions, shapes = np.unique(numbers // len(ODD_SHARES), return_inverse=True)
    regular, odd = densities()[0][distributions], densities()[1]
    made = _Ready(prior, shapes, ODD_SHARES[numbers % len(ODD_SHARES)], np.array(prior.weights), regular, odd)
    _READY[id(prior)] = made
    return made


def _summary(posterior: NDArray[np.float64], level: float) -> AccuracyEstimate:
    tail = (1.0 - level) / 2.0
    below = np.cumsum(posterior) - posterior / 2.0
    low, high = np.interp((tail, 1.0 - tail), below, GRID)
    return AccuracyEstimate(float(posterior @ GRID), float(low), float(high))
