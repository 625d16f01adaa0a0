"""Preferences agree or do not."""

from schemas.labels.preference import PreferenceLabel


def compare(given: PreferenceLabel, expected: PreferenceLabel) -> float:
    """Return 1 where the same option was chosen, else 0; symmetric.

    Examples
    --------
    >>> first = PreferenceLabel(kind="preference", chosen="a", options=["a", "b"])
    >>> compare(first, PreferenceLabel(kind="preference", chosen="b", options=["a", "b"]))
    0.0
    """
    return 1.0 if given.chosen == expected.chosen else 0.0
