"""Counts of items by how their labels agree, by group of items and by labels an item: whole numbers only."""

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from operators.stats.agreement.wide import Scale

CODES_MAX = 1 << 16
DISTANCE_UNIT = 1 << 32
"""Distances are summed as whole multiples of 1 / `DISTANCE_UNIT`, so that a sum comes apart exactly."""

LABELS_MAX = 1 << 16

Distance = Callable[[str, str], float]


class Cell(msgspec.Struct, array_like=True, gc=False):
    """The items of one group that have equally many labels.

    Parameters
    ----------
    items
        How many there are.
    agreeing
        Ordered pairs of equal labels of one item, over all items.
    values
        Labels by value: by class name, code of a number, or step of the grid.
    unequal
        Unordered pairs of unequal labels of one item, by ``lower code · CODES_MAX + higher code``.
    distance
        Sum over unordered pairs of labels of one item of their distance, in units of 1 / `DISTANCE_UNIT`.
    """

    items: int = 0
    agreeing: int = 0
    values: dict[str | int, int] = {}
    unequal: dict[int, int] = {}
    distance: int = 0


def replace_value(
    cells: dict[int, Cell],
    first_key: int,
    others: Sequence[str | int],
    before: str | int | None,
    after: str | int | None,
    *,
    with_pairs: bool,
) -> None:
    """Replace one label of an item in the counts.

    Parameters
    ----------
    cells
        Counts by ``first_key + labels of the item``.
    others
        The item's other labels.
    before, after
        The label that counted so far and the one that counts now; None for no label.
    with_pairs
        Whether unequal pairs are counted; values are whole numbers then.
    """
    counts: dict[str | int, int] = {}
    for value in others:
        counts[value] = counts.get(value, 0) + 1
    size = len(others)
    if before is None or after is None:
        label, sign = (after, 1) if before is None else (before, -1)
        large = _cell(cells, first_key + size + 1)
        if size:
            _move(_cell(cells, first_key + size), large, counts, sign, with_pairs)
        else:
            large.items += sign
        _count_label(large, label, counts, sign, with_pairs)
        emptied = first_key + size + (sign < 0)
        if (sign < 0 or size) and not cells[emptied].items:
            del cells[emptied]
    else:
        cell = cells[first_key + size + 1]
        _count_label(cell, before, counts, -1, with_pairs)
        _count_label(cell, after, counts, 1, with_pairs)


def _cell(cells: dict[int, Cell], key: int) -> Cell:
    cell = cells.get(key)
    if cell is None:
        cell = cells[key] = Cell()
    return cell


def _move(small: Cell, large: Cell, counts: dict[str | int, int], sign: int, with_pairs: bool) -> None:
    """Move an item's labels from the cell of smaller items to that of larger ones (sign 1), or back (sign -1)."""
    source, target = (small, large) if sign > 0 else (large, small)
    source.items -= 1
    target.items += 1
    agreeing, come_from, go_to = 0, source.values, target.values
    for value, count in counts.items():
        agreeing += count * (count - 1)
        left = come_from[value] - count
        if left:
            come_from[value] = left
        else:
            del come_from[value]
        go_to[value] = go_to.get(value, 0) + count
    source.agreeing -= agreeing
    target.agreeing += agreeing
    if with_pairs and len(counts) > 1:
        _move_pairs(source.unequal, target.unequal, counts)


def _move_pairs(source: dict[int, int], target: dict[int, int], counts: dict[int, int]) -> None:
    codes = sorted(counts)
    for place, low in enumerate(codes, start=1):
        count = counts[low]
        for high in codes[place:]:
            pair, both = low * CODES_MAX + high, count * counts[high]
            left = source[pair] - both
            if left:
                source[pair] = left
            else:
                del source[pair]
            target[pair] = target.get(pair, 0) + both


def _count_label(cell: Cell, label: str | int, counts: dict[str | int, int], sign: int, with_pairs: bool) -> None:
    """Count a label beside an item's others, which are counted already."""
    _count(cell.values, label, sign)
    cell.agreeing += 2 * sign * counts.get(label, 0)
    if not with_pairs:
        return
    unequal = cell.unequal
    for other, count in counts.items():
        if other != label:
            pair = other * CODES_MAX + label if other < label else label * CODES_MAX + other
            total = unequal.get(pair, 0) + sign * count
            if total:
                unequal[pair] = total
            else:
                del unequal[pair]


def _count(totals: dict[str | int, int], key: str | int, count: int) -> None:
    total = totals.get(key, 0) + count
    if total:
        totals[key] = total
    else:
        del totals[key]


def count_scaled(cell: Cell, numbers: Sequence[float], sign: int, scale: Scale) -> None:
    """Count an item's numbers into its cell on a grid, and the distances between them (sign 1), or take them out."""
    array = np.array(numbers, dtype=np.float64)
    steps = scale.steps_of(array)
    cell.items += sign
    for place, step in enumerate(steps):
        _count(cell.values, step, sign)
        cell.agreeing += 2 * sign * steps[:place].count(step)
    cell.distance += sign * int(np.triu(distance_units(scale.distances(array)), 1).sum())


def count_distances(cell: Cell, labels: Sequence[str], sign: int, distance: Distance) -> None:
    """Count the distances between an item's labels into its cell (sign 1), or take them out (sign -1)."""
    cell.items += sign
    for place, label in enumerate(labels):
        for other in labels[:place]:
            cell.distance += sign * distance_unit(distance, label, other)


def distance_unit(distance: Distance, label: str, other: str) -> int:
    """Return a distance in whole units of 1 / `DISTANCE_UNIT`, the same whichever of the two comes first."""
    if label == other:
        return 0
    return round((distance(label, other) if label < other else distance(other, label)) * DISTANCE_UNIT)


def distance_units(distances: np.ndarray) -> np.ndarray:
    """Return distances in whole units of 1 / `DISTANCE_UNIT`."""
    return np.rint(distances * DISTANCE_UNIT).astype(np.int64)


def rescaled(cell: Cell, numbers: np.ndarray, scale: Scale) -> Cell:
    """Return a cell of counted numbers as if they had been counted on a grid from the start.

    Parameters
    ----------
    numbers
        The number of each code, shape (codes,).
    """
    steps = scale.steps_of(numbers)
    values: dict[str | int, int] = {}
    for code, count in cell.values.items():
        values[steps[code]] = values.get(steps[code], 0) + count
    agreeing, distance = cell.agreeing, 0
    units = distance_units(scale.distances(numbers)) if cell.unequal else None
    for pair, count in cell.unequal.items():
        low, high = divmod(pair, CODES_MAX)
        distance += count * int(units[low, high])
        agreeing += 2 * count * (steps[low] == steps[high])
    return Cell(cell.items, agreeing, values, {}, distance)
