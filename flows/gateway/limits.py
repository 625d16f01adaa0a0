"""Limits of the gateway: how often a sender may ask, and how much may be in work at once."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from flows.gateway.refusals import RequestError, RequestReason

SENDERS_MAX = 10_000
BURST_SECONDS = 2.0
BYTES_IN_WORK_MAX = 268_435_456
BUSY_RETRY_SECONDS = 1


class RateLimit:
    """A bucket of tokens for each sender: it holds what two seconds may bring, and fills at the rate.

    Parameters
    ----------
    per_second
        Requests that a sender may make each second on average; 0 for any number.
    clock
        Seconds that only ever grow.
    senders_max
        Senders that are remembered, at least 1; who was not seen for longest is forgotten first.

    Examples
    --------
    >>> limit = RateLimit(1, clock=lambda: 100.0)
    >>> [limit.wait_seconds("10.0.0.1") for _ in range(3)]
    [0.0, 0.0, 1.0]
    """

    def __init__(
        self, per_second: float, *, clock: Callable[[], float] = time.monotonic, senders_max: int = SENDERS_MAX
    ) -> None:
        self._per_second = per_second
        self._burst = max(per_second * BURST_SECONDS, 1.0)
        self._clock = clock
        self._senders_max = senders_max
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(self, sender: str) -> float:
        """Take a token of a sender's; return 0, or in how many seconds there will be one."""
        if not self._per_second:
            return 0.0
        now = self._clock()
        tokens, at = self._buckets.get(sender, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._per_second)
        is_let_in = tokens >= 1.0
        self._buckets[sender] = (tokens - is_let_in, now)
        self._buckets.move_to_end(sender)
        if len(self._buckets) > self._senders_max:
            self._buckets.popitem(last=False)
        return 0.0 if is_let_in else (1.0 - tokens) / self._per_second

    def require_token(self, sender: str) -> None:
        """Raise `RequestError` (429) if a sender asks too often."""
        wait = self.wait_seconds(sender)
        if wait:
            raise RequestError(
                429,
                RequestReason.TOO_MANY_REQUESTS,
                f"more than {self._per_second:g} requests a second from {sender}",
                retry_after_seconds=math.ceil(wait),
            )


class WorkLimit:
    """How many bytes of bodies are in work at once.

    Parameters
    ----------
    bytes_max
        Most bytes, above 0; one body may always be.

    Attributes
    ----------
    bytes
        Those in work now.
    """

    def __init__(self, bytes_max: int = BYTES_IN_WORK_MAX) -> None:
        self._bytes_max = bytes_max
        self.bytes = 0

    def grown(self, held: int, size: int) -> int:
        """Hold `size` bytes in place of fewer and return how many are held; `RequestError` (503) at the limit."""
        if size <= held:
            return held
        others = self.bytes - held
        if others and others + size > self._bytes_max:
            raise RequestError(
                503,
                RequestReason.NOT_DURABLE,
                "too much is in work at once",
                retry_after_seconds=BUSY_RETRY_SECONDS,
            )
        self.bytes = others + size
        return size

    def give_back(self, held: int) -> None:
        """Hold them no more."""
        self.bytes -= held
