"""Categorical labels agree or do not."""

from schemas.labels.categorical import CategoricalLabel


def compare(given: CategoricalLabel, expected: CategoricalLabel) -> float:
    """Return 1 where the classes are the same, else 0; symmetric.

    Examples
    --------
    >>> positive = CategoricalLabel(kind="categorical", value="Positive")
    >>> compare(positive, positive)
    1.0
    """
    return 1.0 if given.value == expected.value else 0.0
