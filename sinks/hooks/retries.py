"""When to try again: what an answer means, how long to wait, and how often a receiver may be called."""

import random
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from sinks.hooks.notification import Answer, Outcome, one_line

REFUSALS = frozenset({400, 413, 415, 422})
"""Statuses by which a receiver says that the content itself is wrong."""
RETRY_AFTER_SECONDS_MAX = 3_600.0
DOUBLINGS_MAX = 30


def answer_of(status: int, *, headers: Mapping[str, str], body: str = "", now: float | None = None) -> Answer:
    """Return what an HTTP answer means for an alert.

    Parameters
    ----------
    status
        Status code.
    headers
        Headers by their names in lower case.
    body
        The answer's text.
    now
        Unix seconds, for a ``Retry-After`` that is a date; None to take it from the answer's own ``Date``.
    """
    if 200 <= status < 300:
        return Answer(Outcome.DELIVERED, status, body=body)
    error = one_line(f"{status} {_phrase(status)}: {body}" if body.strip() else f"{status} {_phrase(status)}")
    if status == HTTPStatus.GONE:
        return Answer(Outcome.GONE, status, error, body=body)
    if status in REFUSALS:
        return Answer(Outcome.REFUSED, status, error, body=body)
    return Answer(Outcome.FAILED, status, error, retry_after(headers, now=now), body)


def retry_after(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Return the seconds that ``Retry-After`` asks for, at most an hour; None if it is absent or senseless.

    >>> retry_after({"retry-after": "120"}), retry_after({"retry-after": "soon"})
    (120.0, None)
    >>> retry_after({"retry-after": "Thu, 01 Jan 1970 00:02:00 GMT", "date": "Thu, 01 Jan 1970 00:01:00 GMT"})
    60.0
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), RETRY_AFTER_SECONDS_MAX)
    until, since = _unix_seconds(text), now if now is not None else _unix_seconds(headers.get("date", ""))
    if until is None or since is None:
        return None
    return min(max(until - since, 0.0), RETRY_AFTER_SECONDS_MAX)


def backoff_seconds(failures: int, *, first: float, longest: float, rng: random.Random) -> float:
    """Return how long to wait after so many failures in a row: doubled each time, with jitter.

    Parameters
    ----------
    failures
        At least 1.
    first, longest
        Bounds in seconds, above 0.
    rng
        Where chance comes from.

    Returns
    -------
    float
        Between half of and the whole of ``min(longest, first · 2^(failures - 1))``, so that those who failed together
        do not come again together, and none at once.

    Examples
    --------
    >>> rng = random.Random(7)
    >>> [round(backoff_seconds(n, first=1, longest=60, rng=rng), 2) for n in (1, 2, 3, 10)]
    [0.66, 1.15, 3.3, 32.17]
    """
    assert failures >= 1
    ceiling = min(longest, first * 2.0 ** min(failures - 1, DOUBLINGS_MAX))
    return ceiling * rng.uniform(0.5, 1.0)


class TokenBucket:
    """Lets so many requests through at once, and so many a second in the long run.

    Parameters
    ----------
    per_second
        Rate in the long run, above 0.
    burst
        Most at once, at least 1.
    now
        Seconds of any clock.
    """

    def __init__(self, *, per_second: float, burst: int, now: float) -> None:
        assert per_second > 0 and burst >= 1
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._filled_at = now

    def seconds_until_free(self, now: float) -> float:
        """Return how long until a request may be made; 0 if it may be made now."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._filled_at) * self._per_second)
        self._filled_at = now
        return 0.0 if self._tokens >= 1.0 else (1.0 - self._tokens) / self._per_second

    def take(self) -> None:
        """Count a request."""
        self._tokens -= 1.0


def _unix_seconds(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "status"
