"""Classes that an annotator answers too often or too seldom."""

from collections.abc import Mapping
from math import sqrt
from typing import NamedTuple

Z = 1.959963984540054


class ClassBias(NamedTuple):
    """Bias towards a class: the share of answers that give it less the share of items that have it, in [-1, 1]."""

    label: str
    share_given: float
    share_true: float
    bias: float
    bias_low: float
    bias_high: float


def class_biases(confusion: Mapping[str, Mapping[str, float]]) -> list[ClassBias]:
    """Return an annotator's bias towards each class, in the order of the classes' names.

    Parameters
    ----------
    confusion
        Labels by true class, then by the class given; judged labels only.

    Returns
    -------
    list
        The bias with a 95 % interval for the difference of two shares of the same labels; empty without labels.

    Examples
    --------
    >>> biases = class_biases({"cat": {"cat": 40, "dog": 20}, "dog": {"dog": 40}})
    >>> [(bias.label, round(bias.bias, 2), bias.bias_low > 0.0) for bias in biases]
    [('cat', -0.2, False), ('dog', 0.2, True)]

    References
    ----------
    Bonett and Price (2012), Adjusted Wald Confidence Interval for a Difference of Binomial Proportions Based on Paired
    Data, Journal of Educational and Behavioral Statistics 37(4).
    """
    total = sum(count for row in confusion.values() for count in row.values())
    if not total:
        return []
    return [
        _bias_of(label, confusion, total) for label in sorted({*confusion, *(c for r in confusion.values() for c in r)})
    ]


def _bias_of(label: str, confusion: Mapping[str, Mapping[str, float]], total: float) -> ClassBias:
    true = sum(confusion.get(label, {}).values())
    right = confusion.get(label, {}).get(label, 0)
    given = sum(row.get(label, 0) for row in confusion.values())
    wrongly, missed = (given - right + 1.0) / (total + 2.0), (true - right + 1.0) / (total + 2.0)
    middle = wrongly - missed
    reach = Z * sqrt(max(wrongly + missed - middle**2, 0.0) / (total + 2.0))
    bias = (given - true) / total
    return ClassBias(label, given / total, true / total, bias, max(middle - reach, -1.0), min(middle + reach, 1.0))
