"""The comparison of each kind of label."""

from collections.abc import Callable
from typing import Any

from operators.stats.comparison import (
    boxes,
    categorical,
    multi_label,
    preference,
    ranking,
    rating,
    spans,
    text,
)
from schemas.labels.any_label import AnyLabel

COMPARISONS: dict[str, Callable[[Any, Any], float]] = {
    "categorical": categorical.compare,
    "multi_label": multi_label.compare,
    "rating": rating.compare,
    "boxes": boxes.compare,
    "spans": spans.compare,
    "preference": preference.compare,
    "ranking": ranking.compare,
    "text": text.compare,
}
"""By the kind's name. The labels need the fields of their kind only, so any objects with these fields will do."""


def compare(given: AnyLabel, expected: AnyLabel) -> float:
    """Return how well an answer agrees with the expected one, in [0, 1]; answers of different kinds do not: 0.

    Examples
    --------
    >>> from schemas.labels.categorical import CategoricalLabel
    >>> from schemas.labels.text import TextLabel
    >>> compare(CategoricalLabel(kind="categorical", value="a"), TextLabel(kind="text", value="a"))
    0.0
    """
    if given.kind != expected.kind:
        return 0.0
    return COMPARISONS[given.kind](given, expected)
