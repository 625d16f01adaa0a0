"""Boxes agree by how well those of the same class cover one another, in the pairing that is best for the answer."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from schemas.labels.boxes import Box, BoxesLabel

IOU_MIN = 0.5


def compare(given: BoxesLabel, expected: BoxesLabel) -> float:
    """Return the mean intersection over union of the best pairing; a box without partner counts 0; symmetric.

    Boxes of different classes are no pair. The mean is over as many places as the answer with more boxes has boxes.
    Two empty answers agree fully.

    Examples
    --------
    >>> left = {"label": "car", "x": 0.0, "y": 0.0, "width": 0.5, "height": 1.0}
    >>> one = BoxesLabel.model_validate({"kind": "boxes", "boxes": [left]})
    >>> two = BoxesLabel.model_validate({"kind": "boxes", "boxes": [left, {**left, "x": 0.5}]})
    >>> compare(one, two)
    0.5

    References
    ----------
    Kuhn (1955), The Hungarian Method for the Assignment Problem, Naval Research Logistics Quarterly 2; as in
    ``scipy.optimize.linear_sum_assignment``.
    """
    places = max(len(given.boxes), len(expected.boxes))
    if not given.boxes or not expected.boxes:
        return 0.0 if places else 1.0
    overlaps = paired_overlaps(given.boxes, expected.boxes)
    return min(float(overlaps.sum()) / places, 1.0)


def compare_f1(given: BoxesLabel, expected: BoxesLabel, *, iou_min: float = IOU_MIN) -> float:
    """Return the F1 of detection: a pair counts as found if it overlaps by `iou_min` or more; symmetric.

    Parameters
    ----------
    iou_min
        The least intersection over union of a pair that counts, in (0, 1].

    References
    ----------
    Everingham et al. (2010), The PASCAL Visual Object Classes Challenge, IJCV 88(2), section 4.2 (overlap of 0.5).
    """
    total = len(given.boxes) + len(expected.boxes)
    if not given.boxes or not expected.boxes:
        return 0.0 if total else 1.0
    found = (overlap_matrix(given.boxes, expected.boxes) >= iou_min).astype(np.float64)
    rows, columns = linear_sum_assignment(found, maximize=True)
    return 2.0 * float(found[rows, columns].sum()) / total


def paired_overlaps(given: list[Box], expected: list[Box]) -> NDArray[np.float64]:
    """Return the intersection over union of each pair of the pairing with the greatest sum.

    Parameters
    ----------
    given, expected
        n and m boxes, both > 0.

    Returns
    -------
    overlaps
        Shape (min(n, m),), each in [0, 1].
    """
    overlaps = overlap_matrix(given, expected)
    if overlaps.size == 1:
        return overlaps[0]
    rows, columns = linear_sum_assignment(overlaps, maximize=True)
    return overlaps[rows, columns]


def overlap_matrix(given: list[Box], expected: list[Box]) -> NDArray[np.float64]:
    """Return the intersection over union of each box with each, 0 where the classes differ; shape (n, m), in [0, 1].

    Examples
    --------
    >>> box = Box(label="car", x=0.0, y=0.0, width=0.5, height=0.5)
    >>> float(overlap_matrix([box], [box.model_copy(update={"x": 0.25})])[0, 0])
    0.3333333333333333
    """
    first, second = _corners(given), _corners(expected)
    left, top = (np.maximum(first[edge][:, None], second[edge][None, :]) for edge in (0, 1))
    right, bottom = (np.minimum(first[edge][:, None], second[edge][None, :]) for edge in (2, 3))
    shared = np.maximum(right - left, 0.0) * np.maximum(bottom - top, 0.0)
    either = _areas(first)[:, None] + _areas(second)[None, :] - shared
    overlaps = np.divide(shared, either, out=np.zeros_like(shared), where=either > 0.0)
    # Equal boxes agree fully, even where rounding or a vanishing area says otherwise.
    equal = np.logical_and.reduce([one[:, None] == other[None, :] for one, other in zip(first, second, strict=True)])
    overlaps[equal] = 1.0
    codes = {label: code for code, label in enumerate(dict.fromkeys(box.label for box in (*given, *expected)))}
    classes, other_classes = (np.array([codes[box.label] for box in boxes]) for boxes in (given, expected))
    return np.where(classes[:, None] == other_classes[None, :], np.minimum(overlaps, 1.0), 0.0)


def _corners(boxes: list[Box]) -> NDArray[np.float64]:
    """Return left, top, right and bottom edges; shape (4, n)."""
    return np.array([(box.x, box.y, box.x + box.width, box.y + box.height) for box in boxes]).T


def _areas(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    return (corners[2] - corners[0]) * (corners[3] - corners[1])
