"""The agreement figures of a question, read from its counts."""

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from operators.stats.agreement.counts import CODES_MAX, DISTANCE_UNIT, LABELS_MAX, Cell
from operators.stats.agreement.jackknife import Estimate, jackknife_interval
from operators.stats.agreement.levels import disagreements
from operators.stats.agreement.sample import Sample
from operators.stats.agreement.wide import Scale

NOTHING = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))


class AgreementFigures(msgspec.Struct, frozen=True):
    """Agreement on a question; a figure is None where it is not defined, its bounds where there is too little to say.

    Parameters
    ----------
    items
        Items with two labels or more.
    labels
        Labels of these items.
    alpha
        Krippendorff's alpha, ≤ 1; None where all labels are the same.
    ac1
        Gwet's AC1, ≤ 1; None for distances of one's own.
    percent_agreement
        Mean over items of the share of pairs of labels that agree (by distances: their mean agreement), in [0, 1].
    """

    items: int
    labels: int
    alpha: float | None = None
    alpha_low: float | None = None
    alpha_high: float | None = None
    ac1: float | None = None
    ac1_low: float | None = None
    ac1_high: float | None = None
    percent_agreement: float | None = None
    percent_low: float | None = None
    percent_high: float | None = None


class Sums(NamedTuple):
    """Sums over the items of each group, as floats.

    Parameters
    ----------
    items, labels
        Items with two labels or more, and their labels, shape (groups,).
    any_items
        Items with any labels, shape (groups,).
    percent
        Sum over items of the share of pairs that agree, shape (groups,).
    unequal
        Sum over items of ordered unequal pairs / (labels − 1), shape (groups,).
    distance
        The same of distances, shape (groups,).
    totals
        Labels by value, of items with two labels or more, shape (groups, values).
    shares
        Sum over items of the share of their labels by value, shape (groups, values).
    pairs
        Unordered unequal pairs / (labels − 1) by pair, shape (groups, pairs).
    """

    items: NDArray[np.float64]
    labels: NDArray[np.float64]
    any_items: NDArray[np.float64]
    percent: NDArray[np.float64]
    unequal: NDArray[np.float64]
    distance: NDArray[np.float64]
    totals: NDArray[np.float64]
    shares: NDArray[np.float64]
    pairs: NDArray[np.float64]

    def rows(self) -> "Sums":
        """Return the sums of all groups, followed by those without each group: shape (1 + groups, …)."""
        return Sums(*(np.concatenate([whole, whole - part]) for part in self for whole in [part.sum(0, keepdims=True)]))


def figures_of(
    level: str,
    cells: dict[int, Cell],
    numbers: list[float] | None,
    scale: Scale | None,
    sample: Sample | None,
) -> AgreementFigures:
    """Return the figures of a question.

    Parameters
    ----------
    cells
        Counts by ``group · LABELS_MAX + labels of the item``.
    numbers
        The number of each code, in the order of codes; None for strings.
    """
    groups = sorted({key // LABELS_MAX for key, cell in cells.items() if key % LABELS_MAX > 1})
    if not groups:
        return AgreementFigures(0, 0)
    values, pairs = _order(cells, numbers if scale is None else None)
    places = {group: place for place, group in enumerate(sorted({key // LABELS_MAX for key in cells}))}
    sums = _sum(cells, places, values, pairs)
    rows = sums.rows()
    used = [places[group] for group in groups]
    items = sums.items[used].astype(np.int64)
    alpha = _alpha(level, rows, values, pairs, numbers, scale, sample, list(places))
    percent = rows.percent / _positive(rows.items)
    labels = float(rows.labels[0])
    alike = float(((rows.totals[0] / labels) ** 2).sum())
    chance = _chance(rows)
    ac1 = (percent - chance) / np.where(chance < 1.0, 1.0 - chance, np.nan)
    odd_label = 2.0 * float(rows.items[0]) / labels
    intervals = [
        _interval(alpha, used, items, -1.0, odd_label / (1.0 - alike) if alike < 1.0 else odd_label),
        _interval(ac1, used, items, -1.0, odd_label / (1.0 - float(chance[0]))),
        _interval(percent, used, items, 0.0, odd_label),
    ]
    return AgreementFigures(int(rows.items[0]), int(labels), *(bound for three in intervals for bound in three))


def _interval(
    estimate: NDArray[np.float64], used: list[int], items: NDArray[np.int64], least: float, odd_label: float
) -> Estimate | tuple[None, None, None]:
    if not np.isfinite(estimate[0]):
        return None, None, None
    return jackknife_interval(float(estimate[0]), estimate[1:][used], items, least=least, odd_label=odd_label)


def _order(cells: dict[int, Cell], numbers: list[float] | None) -> tuple[list[str | int], list[int]]:
    """Return all values, numbers in ascending order, and all pairs, in an order that follows from them alone."""
    values = {value for cell in cells.values() for value in cell.values}
    if numbers is None:
        return sorted(values), []
    ordered = sorted(values, key=numbers.__getitem__)
    pairs = {pair for cell in cells.values() for pair in cell.unequal}
    return ordered, sorted(pairs, key=lambda pair: sorted(numbers[code] for code in divmod(pair, CODES_MAX)))


def _sum(cells: dict[int, Cell], places: dict[int, int], values: list[str | int], pairs: list[int]) -> Sums:
    keys = sorted(cells)
    held = [cells[key] for key in keys]
    group = np.array([places[key // LABELS_MAX] for key in keys])
    labels = np.array([key % LABELS_MAX for key in keys], dtype=np.float64)
    several, others = labels > 1.0, np.maximum(labels - 1.0, 1.0)
    items = np.array([cell.items for cell in held], dtype=np.float64)
    distance = np.array([2 * cell.distance / DISTANCE_UNIT for cell in held])
    all_pairs = items * labels * (labels - 1.0)
    agreeing = np.array([cell.agreeing for cell in held], dtype=np.float64) if values else all_pairs - distance
    by_group = (
        items * several, items * labels * several, items, agreeing / (labels * others) * several,
        (all_pairs - agreeing) / others * several, distance / others * several,
    )  # fmt: skip
    shares, totals = _by_column(
        [cell.values for cell in held], values, group, len(places), [1.0 / labels, several.astype(np.float64)]
    )
    [unequal] = _by_column([cell.unequal for cell in held], pairs, group, len(places), [several / others])
    return Sums(*(np.bincount(group, sums, len(places)) for sums in by_group), totals, shares, unequal)


def _by_column(
    counts: list[dict], columns: list, group: NDArray[np.int64], groups: int, weights: list[NDArray[np.float64]]
) -> list[NDArray[np.float64]]:
    """Return sums of each cell's counts by group and column, each of shape (groups, columns), for each kind of weight.

    Parameters
    ----------
    counts, group, weights
        Of each cell: its counts by column, its group, and what they weigh.
    """
    number = {column: place for place, column in enumerate(columns)}
    cell = np.repeat(np.arange(len(counts)), [len(own) for own in counts])
    column = np.array([number[name] for own in counts for name in own], dtype=np.int64)
    count = np.array([number for own in counts for number in own.values()], dtype=np.float64)
    place, shape = group[cell] * len(columns) + column, (groups, len(columns))
    return [np.bincount(place, count * weight[cell], groups * len(columns)).reshape(shape) for weight in weights]


def _chance(rows: Sums) -> NDArray[np.float64]:
    """Return Gwet's chance agreement of each row, NaN where fewer than two values were given."""
    values = np.count_nonzero(rows.shares[0] > 0.0)
    if values < 2:
        return np.full(len(rows.items), np.nan)
    shares = rows.shares / _positive(rows.any_items)[:, None]
    return (shares * (1.0 - shares)).sum(axis=1) / (values - 1)


def _alpha(
    level: str,
    rows: Sums,
    values: list[str | int],
    pairs: list[int],
    numbers: list[float] | None,
    scale: Scale | None,
    sample: Sample | None,
    groups: list[int],
) -> NDArray[np.float64]:
    """Return Krippendorff's alpha of each row, NaN where expected disagreement is none."""
    if sample is not None:
        expected = _expected_in_sample(sample, groups)
        return _one_minus(rows.distance / _positive(rows.labels), expected)
    if level == "nominal":
        observed, expected = rows.unequal, rows.labels**2 - (rows.totals**2).sum(axis=1)
    else:
        observed, expected = _of_numbers(level, rows, values, pairs, numbers, scale)
    return _one_minus(observed * (rows.labels - 1.0), expected)


def _of_numbers(
    level: str,
    rows: Sums,
    values: list[int],
    pairs: list[int],
    numbers: list[float],
    scale: Scale | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return observed and expected sums of squared distances, each of shape (rows,)."""
    if scale is not None:
        middles = scale.middles(np.array(values, dtype=np.int64))
        metric = "ratio" if level == "ratio" else "interval"
        return rows.distance, np.array([disagreements(metric, middles, totals, NOTHING)[1] for totals in rows.totals])
    places = {code: place for place, code in enumerate(values)}
    ends = np.array([sorted(places[code] for code in divmod(pair, CODES_MAX)) for pair in pairs], dtype=np.int64)
    low, high = ends.reshape(-1, 2).T
    array = np.array([numbers[code] for code in values], dtype=np.float64)
    both = [
        disagreements(level, array, totals, (low, high, weights))
        for totals, weights in zip(rows.totals, rows.pairs, strict=True)
    ]
    return np.array([observed for observed, _ in both]), np.array([expected for _, expected in both])


def _expected_in_sample(sample: Sample, groups: list[int]) -> NDArray[np.float64]:
    """Return the mean distance of two labels of the sample, for all groups and without each, shape (1 + groups,)."""
    places = {group: place for place, group in enumerate(groups)}
    between = np.zeros((len(groups), len(groups)))
    for key, units in sorted(sample.between.items()):
        low, high = (places[group] for group in divmod(key, 64))
        between[low, high] += units / DISTANCE_UNIT
        between[high, low] += units / DISTANCE_UNIT
    labels = np.bincount([places[group] for group, _ in sample.labels.values()], minlength=len(groups))
    sums = between.sum() - np.concatenate([[0.0], 2.0 * between.sum(axis=1) - np.diag(between)])
    left = labels.sum() - np.concatenate([[0], labels])
    return sums / _positive((left * (left - 1)).astype(np.float64))


def _one_minus(observed: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    quotient = np.divide(observed, expected, out=np.full(len(observed), np.nan), where=expected > 0.0)
    return 1.0 - quotient


def _positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values with 1 in place of 0, to divide by."""
    return np.where(values > 0.0, values, 1.0)
