"""Rankings agree by the pairs of items that they put in the same order."""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from schemas.labels.ranking import RankingLabel, tie_groups


def compare(given: RankingLabel, expected: RankingLabel) -> float:
    """Return Kendall's tau-b, rescaled from [-1, 1] to [0, 1]; symmetric.

    0.5 is what unrelated orders have on average, and what an answer gets that ties all items, as it says nothing of
    their order. Items that one of the two leaves out share its last place.

    Examples
    --------
    >>> order = RankingLabel(kind="ranking", order=["a", "b", "c"])
    >>> round(compare(order, RankingLabel(kind="ranking", order=["a", "c", "b"])), 4)
    0.6667
    >>> compare(order, RankingLabel(kind="ranking", order=["c", "b", "a"]))
    0.0

    References
    ----------
    Kendall (1945), The Treatment of Ties in Ranking Problems, Biometrika 33(3).
    """
    if given.order == expected.order:
        return 1.0
    given_places, expected_places = _places(given), _places(expected)
    names = sorted(given_places.keys() | expected_places.keys())
    first = np.array([given_places.get(name, len(given.order)) for name in names])
    second = np.array([expected_places.get(name, len(expected.order)) for name in names])
    tau = _tau_b(first, second)
    return min(max((tau + 1.0) / 2.0, 0.0), 1.0)


def compare_average_precision(given: RankingLabel, expected: RankingLabel, *, relevant: int | None = None) -> float:
    """Return the average precision of a ranking, where the first items of `expected` are the relevant ones.

    Not symmetric. Tied items are taken in ascending order of their names; a relevant item left out counts 0.

    Parameters
    ----------
    relevant
        How many items of `expected` are relevant, ≥ 1; half of them, rounded up, where it is None.

    Examples
    --------
    >>> given = RankingLabel(kind="ranking", order=["a", "x", "b", "y"])
    >>> compare_average_precision(given, RankingLabel(kind="ranking", order=["a", "b", "x", "y"]))
    0.8333333333333333

    References
    ----------
    Manning, Raghavan and Schütze (2008), Introduction to Information Retrieval, section 8.4.
    """
    wanted = _flat(expected)
    wanted = wanted[: (len(wanted) + 1) // 2 if relevant is None else relevant]
    assert wanted
    found, precisions, sought = 0, 0.0, set(wanted)
    for place, name in enumerate(_flat(given), start=1):
        if name in sought:
            found += 1
            precisions += found / place
    return precisions / len(wanted)


def _tau_b(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """Return tau-b of the places of n items, each of shape (n,); 0 where all places of one are the same.

    The function of scipy computes a p-value as well, at many times the cost, and fails for two items.
    """
    signs = np.sign(first[:, None] - first[None, :])
    other_signs = np.sign(second[:, None] - second[None, :])
    untied, other_untied = int(np.count_nonzero(signs)), int(np.count_nonzero(other_signs))
    if not untied or not other_untied:
        return 0.0
    return int((signs * other_signs).sum()) / sqrt(untied * other_untied)


def _places(ranking: RankingLabel) -> dict[str, int]:
    return {name: place for place, group in enumerate(tie_groups(ranking.order)) for name in group}


def _flat(ranking: RankingLabel) -> list[str]:
    return [name for group in tie_groups(ranking.order) for name in group]
