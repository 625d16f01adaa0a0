"""How often somebody may ask: a token bucket for each caller."""

from collections import OrderedDict

CALLERS_MAX = 10_000


class RateLimit:
    """A bucket for each caller: it is full at first, each request takes one, and it fills up again steadily.

    Parameters
    ----------
    per_second
        How many requests a second it fills by.
    burst
        How many it holds.

    Examples
    --------
    >>> limit = RateLimit(per_second=1.0, burst=2)
    >>> [limit.wait_seconds("a", now=0.0) for _ in range(3)]
    [0.0, 0.0, 1.0]
    """

    def __init__(self, *, per_second: float, burst: int) -> None:
        assert per_second > 0
        assert burst >= 1
        self.per_second = per_second
        self.burst = burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(self, caller: str, *, now: float) -> float:
        """Take one request; return 0, or after how many seconds to come again.

        Parameters
        ----------
        caller
            Who asks.
        now
            Seconds of a clock that never goes back.
        """
        left, since = self._buckets.pop(caller, (float(self.burst), now))
        left = min(left + (now - since) * self.per_second, float(self.burst))
        allowed = left >= 1.0
        self._buckets[caller] = (left - 1.0 if allowed else left, now)
        if len(self._buckets) > CALLERS_MAX:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1.0 - left) / self.per_second
