"""An annotator's accuracy, estimated from their own judgements and from the project's annotators."""

from math import log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from operators.stats.accuracy.population import GRID, ODD_SHARES, Prior, densities

LEVEL = 0.95
TINY = 1e-290
"""Stands for a probability that is too small to be held, so that it can be divided by."""
_REGULAR_SHARES = 1.0 - ODD_SHARES
FINE_JUDGEMENTS = 256.0
"""With so many judgements an accuracy is known so closely that every point of the grid is needed, with fewer half."""


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
    grid = ready.coarse if judgements < FINE_JUDGEMENTS else ready.fine
    logs = credit * grid.log_right + (judgements - credit) * grid.log_wrong
    logs -= _log_likelihood_max(credit, judgements)
    likelihood = np.exp(logs, out=logs)
    marginals = np.multiply.outer(grid.regular @ likelihood, _REGULAR_SHARES)
    marginals += (grid.odd @ likelihood) * ODD_SHARES
    ratios = ready.weights / np.maximum(marginals, TINY, out=marginals)
    posterior = (ratios @ _REGULAR_SHARES) @ grid.regular
    posterior += float(np.add.reduce(ratios @ ODD_SHARES)) * grid.odd
    posterior *= likelihood
    return _summary(posterior, grid.accuracies, level)


def _log_likelihood_max(credit: float, judgements: float) -> float:
    errors = judgements - credit
    right = credit * log(credit / judgements) if credit else 0.0
    return right + errors * log(errors / judgements) if errors else right


class _Grid(NamedTuple):
    """Accuracies, shape (n,), the logs of them and of their complements, and their probabilities under a prior.

    Under the Beta distributions that are not ruled out ``regular``, shape (distributions, n), and for odd annotators
    ``odd``, shape (n,).
    """

    accuracies: NDArray[np.float64]
    log_right: NDArray[np.float64]
    log_wrong: NDArray[np.float64]
    regular: NDArray[np.float64]
    odd: NDArray[np.float64]


class _Ready(NamedTuple):
    """A prior as arrays: the probability of each distribution with each share of odd annotators, and two grids."""

    prior: Prior
    weights: NDArray[np.float64]
    fine: _Grid
    coarse: _Grid


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
    distributions, rows = np.unique(numbers // len(ODD_SHARES), return_inverse=True)
    weights = np.zeros((len(distributions), len(ODD_SHARES)))
    weights[rows, numbers % len(ODD_SHARES)] = prior.weights
    made = _Ready(prior, weights, _grid(distributions, 1), _grid(distributions, 2))
    _READY[id(prior)] = made
    return made


def _grid(distributions: NDArray[np.int64], step: int) -> _Grid:
    """Return every `step`-th accuracy; that probabilities then sum to less makes no difference to a posterior."""
    regular, odd = densities()
    accuracies = GRID[::step]
    return _Grid(
        accuracies,
        np.log(accuracies),
        np.log1p(-accuracies),
        np.ascontiguousarray(regular[distributions, ::step]),
        np.ascontiguousarray(odd[::step]),
    )


def _summary(posterior: NDArray[np.float64], accuracies: NDArray[np.float64], level: float) -> AccuracyEstimate:
    """Return mean and quantiles of a posterior that need not sum to 1."""
    below = posterior.cumsum()
    total = float(below[-1])
    below -= 0.5 * posterior
    tail = 0.5 * (1.0 - level) * total
    mean = float(posterior @ accuracies) / total
    return AccuracyEstimate(mean, _crossing(below, accuracies, tail), _crossing(below, accuracies, total - tail))


def _crossing(below: NDArray[np.float64], accuracies: NDArray[np.float64], mass: float) -> float:
    """Return the accuracy below which so much of the posterior lies, between the points of the grid on a line."""
    place = int(below.searchsorted(mass))
    if not 0 < place < len(below):
        return float(accuracies[min(place, len(below) - 1)])
    low, high = below[place - 1 : place + 1].tolist()
    start, end = accuracies[place - 1 : place + 1].tolist()
    return start + (mass - low) / (high - low) * (end - start)
