"""Answers that came too fast to have been thought about."""

from collections.abc import Mapping
from typing import NamedTuple

from operators.stats.jeffreys import jeffreys_bounds
from operators.stats.log_histogram import bucket_of, quantile

FAST_SHARE_OF_MEDIAN = 1.0 / 3.0
TIMED_LABELS_MIN = 50


class Haste(NamedTuple):
    """Share of an annotator's timed labels that came too fast, with its 95 % interval, all in [0, 1]."""

    share: float
    low: float
    high: float


def fast_bound_ms(
    question: Mapping[int, int], *, share_of_median: float = FAST_SHARE_OF_MEDIAN, labels_min: int = TIMED_LABELS_MIN
) -> float | None:
    """Return the duration in milliseconds below which an answer to a question is too fast: a share of the median.

    Parameters
    ----------
    question
        All timed labels of the question by bucket of their duration (see `operators.stats.log_histogram`).
    share_of_median
        Share of the median duration, in (0, 1).
    labels_min
        With fewer timed labels there is no bound: None.

    References
    ----------
    Greszki, Meyer and Schoen (2015), Exploring the Effects of Removing "Too Fast" Responses and Respondents from Web
    Surveys, Public Opinion Quarterly 79(2), for bounds as shares of the median.
    """
    median = quantile(dict(question), 0.5) if sum(question.values()) >= labels_min else None
    return median * share_of_median if median is not None else None


def haste_of(annotator: Mapping[int, int], bound_ms: float | None) -> Haste | None:
    """Return how many of an annotator's timed labels lie in buckets below the bound's; None without labels or bound.

    Examples
    --------
    >>> from operators.stats.log_histogram import add
    >>> durations = {}
    >>> for duration_ms in (300, 400, 5_000, 6_000):
    ...     add(durations, duration_ms)
    >>> haste_of(durations, 1_500.0).share
    0.5
    """
    total = sum(annotator.values())
    if not total or bound_ms is None:
        return None
    bound = bucket_of(int(bound_ms))
    fast = sum(count for bucket, count in annotator.items() if bucket < bound)
    return Haste(fast / total, *jeffreys_bounds(float(fast), float(total)))
