"""Delivery: events are durable when it returns, in a spool or in Kafka with a spool behind it."""

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Protocol

from flows.gateway.metrics import Metrics
from flows.gateway.refusals import RequestError, RequestReason
from sinks.spool.spool import OnCommit, Spool, SpoolFullError

KeyedLine = tuple[bytes, bytes]
"""The key of an event in Kafka, which is its project, and its JSON without a line end."""

SpoolMaker = Callable[[OnCommit], Spool]
"""Makes a spool, given what it is to call on each commit."""

Waiter = asyncio.Future[None]
Waiting = list[tuple[Waiter, int]]
"""Who waits for events to be on the disk, and for how many."""

RETRY_AFTER_SECONDS = 10
GATHER_SECONDS_MAX = 0.002
"""How long events wait, while others keep coming, to share a sync with them."""
QUIET_PASSES = 2
"""A request takes one pass of the loop from its arrival to its work: after two that brought nothing, none is near."""
SPOOL = "spool"
KAFKA = "kafka"


class Delivery(Protocol):
    """Where events go."""

    async def start(self) -> None:
        """Begin; needs a running loop."""

    async def stop(self) -> None:
        """End; nothing is delivered any more."""

    async def deliver(self, events: Sequence[KeyedLine]) -> None:
        """Return once events are durable; raise `RequestError` (503) if they cannot be made so."""

    def obstacle(self) -> str:
        """Return why nothing could be made durable now; empty if it could."""


class SpoolFiles:
    """A spool on the loop's side: appends become futures.

    Parameters
    ----------
    spool_of
        Makes the spool, given what it is to call on each commit.
    metrics
        Where durable events are counted.
    """

    def __init__(self, spool_of: SpoolMaker, metrics: Metrics) -> None:
        self._loop = asyncio.get_running_loop()
        self._metrics = metrics
        self._lines: list[bytes] = []
        self._waiting: Waiting = []
        self._gathering_ends_at = 0.0
        self._quiet_passes = 0
        self.spool = spool_of(self._committed)

    def append(self, events: Sequence[KeyedLine], done: Waiter) -> None:
        """Have events written; the future is done when they are on the disk."""
        if not self._waiting:
            self._gathering_ends_at = monotonic() + GATHER_SECONDS_MAX
            self._loop.call_soon(self._gather)
        self._quiet_passes = 0
        self._waiting.append((done, len(events)))
        self._lines.extend([line for _, line in events])

    def _gather(self) -> None:
        """Hand over as soon as the loop has nothing else to do: waiting for more would then be waiting for nobody."""
        self._quiet_passes += 1
        if self._quiet_passes <= QUIET_PASSES and monotonic() < self._gathering_ends_at:
            self._loop.call_soon(self._gather)
        else:
            self.hand_over()

    def hand_over(self) -> None:
        """Give what has gathered to the spool."""
        if not self._waiting:
            return
        lines, waiting = self._lines, self._waiting
        self._lines, self._waiting = [], []
        lines.append(b"")
        try:
            self.spool.append(b"\n".join(lines), waiting)
        except SpoolFullError as error:
            self._fail(waiting, str(error))

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for the disk."""
        return not self._waiting and self.spool.is_idle

    def obstacle(self) -> str:
        """Return why nothing could be appended now; empty if it could."""
        held = self.spool.bytes_held
        return "" if held < self.spool.bytes_max else f"the spool is full: {held:,} bytes"

    def close(self) -> None:
        """Write what waits, and let go of the directory."""
        self.hand_over()
        self.spool.close()

    def _committed(self, groups: list[Waiting], error: OSError | None) -> None:
        """Pass a commit on to the loop; called by the spool's thread."""
        self._loop.call_soon_threadsafe(self._tell, groups, error)

    def _tell(self, groups: list[Waiting], error: OSError | None) -> None:
        for waiting in groups:
            if error is not None:
                self._fail(waiting, f"the spool cannot be written: {error.strerror or error}")
                continue
            self._metrics.stored(SPOOL, sum(events for _, events in waiting))
            for done, _ in waiting:
                if not done.done():  # else whoever asked has gone away
                    done.set_result(None)

    def _fail(self, waiting: Waiting, reason: str) -> None:
        for done, _ in waiting:
            if not done.done():
                done.set_exception(not_durable(reason))


class SpoolDelivery:
    """Events go to a spool, and stay there for the flow to read.

    Parameters
    ----------
    spool_of
        Makes the spool.
    metrics
        Where events are counted.
    """

    def __init__(self, spool_of: SpoolMaker, metrics: Metrics) -> None:
        self._spool_of = spool_of
        self._metrics = metrics
        self._files: SpoolFiles | None = None
        metrics.watch("spool_bytes", "Bytes in the spool.", lambda: self.files.spool.bytes_held)

    @property
    def files(self) -> SpoolFiles:
        """The spool; there once it was started."""
        assert self._files is not None
        return self._files

    async def start(self) -> None:
        """Open the spool."""
        self._loop = asyncio.get_running_loop()
        self._files = SpoolFiles(self._spool_of, self._metrics)

    async def stop(self) -> None:
        """Close the spool."""
        self.files.close()

    async def deliver(self, events: Sequence[KeyedLine]) -> None:
        """Return once events are on the disk."""
        done = self._loop.create_future()
        self.files.append(events, done)
        await done

    def obstacle(self) -> str:
        """Return why nothing could be made durable now; empty if it could."""
        return self.files.obstacle()


def not_durable(reason: str) -> RequestError:
    """Return the answer (503) to a request whose events cannot be made durable now."""
    return RequestError(503, RequestReason.NOT_DURABLE, reason, retry_after_seconds=RETRY_AFTER_SECONDS)
