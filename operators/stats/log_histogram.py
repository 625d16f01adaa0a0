"""Quantiles of durations from counts in buckets of equal ratio: what was put in can be taken out again, exactly.

References
----------
Masson, Rim and Lee (2019), DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error Guarantees,
PVLDB 12.
"""

from math import floor, log

RATIO = 1.08
"""Of the ends of a bucket; a quantile is off by half of that, 4 %, at most."""

_LOG_RATIO = log(RATIO)


def bucket_of(duration_ms: int) -> int:
    """Return the bucket of a duration of ≥ 0 milliseconds; bucket 0 holds the zeros.

    >>> [bucket_of(duration) for duration in (0, 1, 2, 1000)]
    [0, 1, 10, 90]
    """
    assert duration_ms >= 0
    return 1 + floor(log(duration_ms) / _LOG_RATIO) if duration_ms else 0


def add(counts: dict[int, int], duration_ms: int, sign: int = 1) -> None:
    """Count a duration in place (sign 1), or take it out (sign -1)."""
    bucket = bucket_of(duration_ms)
    count = counts.get(bucket, 0) + sign
    assert count >= 0
    if count:
        counts[bucket] = count
    else:
        del counts[bucket]


def quantile(counts: dict[int, int], share: float) -> float | None:
    """Return the duration in milliseconds that a share in (0, 1) of the durations does not exceed; None without any.

    >>> counts = {}
    >>> for duration in range(1, 1001):
    ...     add(counts, duration)
    >>> abs(quantile(counts, 0.5) / 500 - 1) < 0.04
    True
    """
    rank, seen = share * sum(counts.values()), 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= rank:
            return RATIO ** (bucket - 0.5) if bucket else 0.0
    return None
