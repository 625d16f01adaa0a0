"""Ratings agree by how near they lie on their scale."""

from schemas.labels.rating import RatingLabel


def compare(given: RatingLabel, expected: RatingLabel) -> float:
    """Return 1 less the distance of two ratings, as a share of the length of the scale; symmetric.

    Where the two scales differ, each rating counts by its place on its own scale.

    Examples
    --------
    >>> four = RatingLabel(kind="rating", value=4, scale="ordinal", low=1, high=5)
    >>> compare(four, RatingLabel(kind="rating", value=2, scale="ordinal", low=1, high=5))
    0.5
    """
    if given.low == expected.low and given.high == expected.high:
        return 1.0 - abs(given.value - expected.value) / (expected.high - expected.low)
    return 1.0 - abs(_place(given) - _place(expected))


def _place(rating: RatingLabel) -> float:
    """Return where a rating lies on its scale, in [0, 1]."""
    return (rating.value - rating.low) / (rating.high - rating.low)
