"""Error control over many annotators: the e-Benjamini-Hochberg procedure on the evidence of all of them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def discovery_levels(evidence: ArrayLike) -> NDArray[np.float64]:
    """Return the smallest level at which each annotator would be declared to have changed.

    To declare those with a level of at most `a` keeps the expected share of false declarations below `a` times the
    expected number of judgements until one looks, whenever one chooses to look and however annotators depend on one
    another (the error over patience).

    Parameters
    ----------
    evidence
        Evidence of each of a project's annotators, those without any included, shape (annotators,), ≥ 0.

    Returns
    -------
    Levels of shape (annotators,), > 0, infinite where there is no evidence.

    Examples
    --------
    >>> discovery_levels([4e5, 2e5, 3.0, 0.0]).round(7).tolist()
    [1e-05, 1e-05, 0.4444444, inf]

    References
    ----------
    Dandapanthula, Ramdas: Multiple testing in multi-stream sequential change detection, arXiv 2501.04130.
    Wang, Ramdas: False discovery rate control with e-values (2022).
    """
    evidence = np.asarray(evidence, np.float64)
    order = np.argsort(-evidence, kind="stable")
    rank = np.arange(1, len(evidence) + 1)
    with np.errstate(divide="ignore"):
        raw = len(evidence) / (rank * evidence[order])
    levels = np.empty(len(evidence))
    levels[order] = np.minimum.accumulate(raw[::-1])[::-1]
    return levels


def discoveries(evidence: ArrayLike, level: float) -> NDArray[np.bool_]:
    """Return which annotators e-Benjamini-Hochberg declares to have changed, shape (annotators,).

    Parameters
    ----------
    evidence
        As in `discovery_levels`.
    level
        Allowed error over patience: share of false declarations per judgement waited, > 0.

    Examples
    --------
    >>> discoveries([4e5, 2e5, 3.0, 0.0], level=1e-5).tolist()
    [True, True, False, False]
    """
    assert level > 0
    return discovery_levels(evidence) <= level
