"""Free texts agree by the share of characters that need not be edited."""

from rapidfuzz.distance import Levenshtein

from schemas.labels.text import TextLabel


def compare(given: TextLabel, expected: TextLabel) -> float:
    """Return 1 less the edit distance of two texts, as a share of the length of the longer one; symmetric.

    Insertions, deletions and substitutions of a character cost 1 each.

    Examples
    --------
    >>> compare(TextLabel(kind="text", value="kitten"), TextLabel(kind="text", value="sitting"))
    0.5714285714285714

    References
    ----------
    Levenshtein (1966), Binary Codes Capable of Correcting Deletions, Insertions and Reversals, Soviet Physics Doklady
    10(8); as in RapidFuzz.
    """
    return Levenshtein.normalized_similarity(given.value, expected.value)
