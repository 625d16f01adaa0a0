"""Multi-label answers agree by the share of classes that both chose."""

from schemas.labels.multi_label import MultiLabel


def compare(given: MultiLabel, expected: MultiLabel) -> float:
    """Return the Jaccard index: classes that both chose, by classes that either chose; symmetric.

    Two empty answers agree fully.

    Examples
    --------
    >>> compare(MultiLabel(kind="multi_label", values=["a", "b"]), MultiLabel(kind="multi_label", values=["b", "c"]))
    0.3333333333333333

    References
    ----------
    Jaccard (1912), The Distribution of the Flora in the Alpine Zone, New Phytologist 11(2).
    """
    chosen, wanted = set(given.values), set(expected.values)
    either = len(chosen | wanted)
    return len(chosen & wanted) / either if either else 1.0
