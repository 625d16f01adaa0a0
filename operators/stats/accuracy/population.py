"""The spread of annotators' accuracy in a project, learnt from their counts."""

from functools import lru_cache
from math import asin, ceil, log, pi, sin, sqrt

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln

JUDGEMENTS_MAX = 1000
"""More judgements of one annotator say no more about the spread of accuracy."""

ANNOTATOR_WEIGHT = 0.5
ANNOTATORS_MAX = 150.0
"""Populations are none of these shapes exactly. So an annotator counts half, and all count no more than so many."""

WEIGHT_MIN = 1e-5
"""Shapes less probable than this share of the most probable one are ruled out."""

SHAPES_MAX = 500
"""Where more shapes are left, little is known, and every other mean and strength tells the same."""

_EXACT = 10
_RATIO = 1.25
_ANGLES = 128
_CELLS = 1 << 8

MEANS = 1.0 / (1.0 + np.exp(-np.linspace(-1.0, 5.0, 41)))
STRENGTHS = np.geomspace(2.0, 1000.0, 20)
ODD_SHARES = np.array([0.0, 0.02, 0.06, 0.15, 0.3])
_LOG_ODD_SHARES = np.array([-np.inf, *np.log(ODD_SHARES[1:])])

GRID = np.sin(np.linspace(0.0, pi / 2.0, 302)[1:-1]) ** 2
"""Accuracies at which densities are held, shape (300,): even on the scale arcsin √accuracy."""


class Prior(msgspec.Struct, frozen=True, array_like=True):
    """What a project's annotators say about one of whom nothing is known: how probable each shape of their spread is.

    A shape is a Beta distribution (see `shapes`) and a share of odd annotators, whose accuracy may be anything.

    Parameters
    ----------
    shapes
        Numbers of the shapes that are not ruled out, ``distribution · len(ODD_SHARES) + odd share``, ascending.
    weights
        Their probabilities, summing to 1.
    """

    shapes: list[int]
    weights: list[float]


class Population(msgspec.Struct, array_like=True):
    """How many annotators have which counts, coarsely: whole numbers, so that a change takes the old one out exactly.

    Parameters
    ----------
    counts
        Annotators by cell (see `cell_of`).

    Examples
    --------
    >>> population = Population()
    >>> for correct in (18, 19, 17, 20):
    ...     population.change(None, (correct, 20))
    >>> population.change((17, 20), (18, 21))
    >>> sum(population.counts.values())
    4

    References
    ----------
    Efron and Morris (1975), Data Analysis Using Stein's Estimator and its Generalizations, JASA 70.
    Carlin and Gelfand (1990), Approaches for Empirical Bayes Confidence Intervals, JASA 85: why shapes are averaged.
    Grünwald and van Ommen (2017), Inconsistency of Bayesian Inference for Misspecified Linear Models, and a Proposal
    for Repairing It, Bayesian Analysis 12(4): why the likelihood is tempered.
    """

    counts: dict[int, int] = {}

    def change(self, before: tuple[float, float] | None, after: tuple[float, float] | None) -> None:
        """Replace an annotator's credit and judgements; None or no judgements for an annotator without any."""
        old, new = (cell_of(*pair) if pair is not None and pair[1] > 0.0 else None for pair in (before, after))
        if old == new:
            return
        if old is not None:
            self.counts[old] -= 1
            if not self.counts[old]:
                del self.counts[old]
        if new is not None:
            self.counts[new] = self.counts.get(new, 0) + 1

    def prior(self) -> Prior:
        """Return the probability of each shape of the population, given all annotators."""
        annotators = sum(self.counts.values())
        weight = min(ANNOTATOR_WEIGHT, ANNOTATORS_MAX / max(annotators, 1))
        scores = _log_hyperprior().copy()
        for cell, count in sorted(self.counts.items()):
            scores += weight * count * log_marginals(cell)
        weights = np.exp(scores - scores.max()).ravel()
        kept = np.flatnonzero(weights > WEIGHT_MIN)
        if len(kept) > SHAPES_MAX:
            kept = kept[_is_of_coarser_grid()[kept]]
        return Prior(kept.tolist(), (weights[kept] / weights[kept].sum()).tolist())


def cell_of(credit: float, judgements: float) -> int:
    """Return the cell of an annotator: exact up to ten whole judgements, then by judgements and share, rounded.

    Parameters
    ----------
    credit
        Credit earned, in [0, judgements].
    judgements
        Judgements, > 0; need not be whole.
    """
    level = _level_of(min(max(judgements, 1.0), JUDGEMENTS_MAX))
    steps = min(ceil(_judgements_of(level)), _ANGLES)
    share = min(max(credit / judgements, 0.0), 1.0)
    place = round(share * steps) if level <= _EXACT else round(asin(sqrt(share)) / (pi / 2.0) * _ANGLES)
    return level * _CELLS + place


def counts_of(cell: int) -> tuple[float, float]:
    """Return the credit and judgements that a cell stands for.

    >>> counts_of(cell_of(7, 9))
    (7.0, 9.0)
    """
    level, place = divmod(cell, _CELLS)
    judgements = _judgements_of(level)
    share = place / judgements if level <= _EXACT else sin(place / _ANGLES * pi / 2.0) ** 2
    return share * judgements, judgements


@lru_cache(maxsize=1)
def shapes() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the Beta distributions of accuracy that a population may have.

    Returns
    -------
    right, wrong
        Parameters of the distributions, each of shape (distributions,).
    """
    means, strengths = (axis.ravel() for axis in np.meshgrid(MEANS, STRENGTHS, indexing="ij"))
    return means * strengths, (1.0 - means) * strengths


@lru_cache(maxsize=1 << 12)
def log_marginals(cell: int) -> NDArray[np.float64]:
    """Return the log probability of a cell's counts under each shape, shape (distributions, odd shares).

    A constant that all shapes share is left out.
    """
    credit, judgements = counts_of(cell)
    right, wrong = shapes()
    errors = judgements - credit
    regular = betaln(right + credit, wrong + errors) - betaln(right, wrong)
    odd = betaln(1.0 + credit, 1.0 + errors)
    return np.logaddexp(regular[:, None] + np.log1p(-ODD_SHARES), odd + _LOG_ODD_SHARES)


@lru_cache(maxsize=1)
def densities() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the probabilities of the accuracies of `GRID`.

    Returns
    -------
    regular
        Under each Beta distribution, shape (distributions, accuracies).
    odd
        Under the uniform one, shape (accuracies,).
    """
    right, wrong = (column[:, None] for column in shapes())
    # Even steps on the scale arcsin √accuracy: the density there is that of the accuracy times √(p (1 − p)).
    logs = (right - 0.5) * np.log(GRID) + (wrong - 0.5) * np.log1p(-GRID)
    regular = np.exp(logs - logs.max(axis=1, keepdims=True))
    odd = np.sqrt(GRID * (1.0 - GRID))
    return regular / regular.sum(axis=1, keepdims=True), odd / odd.sum()


@lru_cache(maxsize=1)
def _log_hyperprior() -> NDArray[np.float64]:
    """Even over means on the logit scale, over the variance of accuracy, about 1 / strength, and over odd shares."""
    right, wrong = shapes()
    return np.repeat(-np.log(right + wrong)[:, None], len(ODD_SHARES), axis=1)


@lru_cache(maxsize=1)
def _is_of_coarser_grid() -> NDArray[np.bool_]:
    """Return which shapes, by number, have every other mean and every other strength."""
    is_kept = np.zeros((len(MEANS), len(STRENGTHS), len(ODD_SHARES)), dtype=np.bool_)
    is_kept[::2, ::2] = True
    return is_kept.ravel()


def _level_of(judgements: float) -> int:
    if judgements <= _EXACT:
        return round(judgements)
    return _EXACT + max(round(log(judgements / _EXACT) / log(_RATIO)), 1)


def _judgements_of(level: int) -> float:
    return float(level) if level <= _EXACT else _EXACT * _RATIO ** (level - _EXACT)
