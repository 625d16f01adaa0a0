"""Observed and expected disagreement of numbers under the levels of measurement."""

import numpy as np
from numpy.typing import NDArray


def ranks(totals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean rank of each value among all labels; totals in ascending order of value, shape (values,).

    The ordinal distance of two values, the number of labels between them with half of their own, is the difference of
    these.

    >>> ranks(np.array([2.0, 1.0, 3.0])).tolist()
    [1.0, 2.5, 4.5]
    """
    return np.cumsum(totals) - totals / 2.0


def ratio_distances(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ((a − b) / (a + b))², 0 where both are 0; arguments of any shapes that go together."""
    total = first + second
    quotient = np.divide(first - second, total, out=np.zeros(np.broadcast(first, second).shape), where=total != 0.0)
    return quotient**2


def disagreements(
    level: str,
    numbers: NDArray[np.float64],
    totals: NDArray[np.float64],
    pairs: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]],
) -> tuple[float, float]:
    """Return sums of squared distances: over ordered pairs inside items, weighted, and over all ordered pairs.

    Parameters
    ----------
    level
        ``ordinal``, ``interval`` or ``ratio``.
    numbers
        Values in ascending order, shape (values,).
    totals
        Labels by value, shape (values,).
    pairs
        Places of the lower and the higher value, and weight, of the unordered pairs, each of shape (pairs,).

    References
    ----------
    Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, sections on the metric differences.
    """
    low, high, weights = pairs
    if level == "ratio":
        observed = ratio_distances(numbers[low], numbers[high])
        expected = float(totals @ ratio_distances(numbers[:, None], numbers[None, :]) @ totals)
        return 2.0 * float(weights @ observed), expected
    places = ranks(totals) if level == "ordinal" else numbers
    count = totals.sum()
    centred = places - (totals @ places) / max(count, 1.0)
    expected = 2.0 * (count * (totals @ centred**2) - (totals @ centred) ** 2)
    return 2.0 * float(weights @ (centred[low] - centred[high]) ** 2), float(expected)
