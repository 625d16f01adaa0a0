"""Scores of posteriors against known truth.

Rules: scored are items with a true answer and at least one label. Of classes with equal probability each gets its share
of the item. Calibration error: ten equal bins of the confidence in the top class, mean absolute gap between confidence
and accuracy, weighed by items.
"""

from collections.abc import Mapping

import numpy as np

Posteriors = Mapping[str, Mapping[str, float]]
BINS = 10
_TIE = 1e-9


def accuracy(posteriors: Posteriors, truth: Mapping[str, str]) -> float:
    """Share of items whose top class is true, ties shared, in [0, 1]."""
    return float(np.mean([_hit(posteriors[item], true) for item, true in truth.items()]))


def _hit(posterior: Mapping[str, float], true: str) -> float:
    best = max(posterior.values())
    top = [label_class for label_class, probability in posterior.items() if probability >= best - _TIE]
    return (true in top) / len(top)


def calibration_error(posteriors: Posteriors, truth: Mapping[str, str]) -> float:
    """Expected calibration error, in [0, 1]."""
    confidence = np.array([max(posteriors[item].values()) for item in truth])
    hits = np.array([_hit(posteriors[item], true) for item, true in truth.items()])
    return binned_gap(confidence, hits)


def noise_floor(posteriors: Posteriors, truth: Mapping[str, str], seed: int) -> float:
    """What the calibration error would be, were the posterior perfect: truth drawn from it."""
    confidence = np.array([max(posteriors[item].values()) for item in truth])
    draws = np.random.default_rng([21, seed]).random((20, len(confidence)))
    return float(np.mean([binned_gap(confidence, (draw < confidence).astype(float)) for draw in draws]))


def binned_gap(confidence: np.ndarray, hits: np.ndarray) -> float:
    """Mean absolute gap between confidence and hits over bins, weighed by their sizes."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = np.bincount(bins, confidence - hits, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))
