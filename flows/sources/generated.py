"""Records that are made rather than read, such as a simulated stream: the same ones at each call."""

import time
from collections.abc import Callable, Iterator
from itertools import chain, islice

from flows.sources.ordinals import OneSlotSource, OrdinalSlot
from flows.sources.slots import SlotContext, State, cut_oversized
from schemas.errors import ConfigurationError, SourceError
from schemas.records import RecordBatch

PACE_SECONDS = 0.05


class GeneratedSource(OneSlotSource):
    """Reads from an iterator that gives the same records whenever it is made anew.

    Parameters
    ----------
    stream
        Name of the stream, the same for the same records: it names the parameters they are made from.
    generate
        Returns the iterator over all records from the first one on.
    records_per_second
        Hand on so many a second at most, above 0; None for as many as are asked for.
    context
        Limits, drain and counters.
    clock
        Monotonic seconds, for the pace.

    Raises
    ------
    ConfigurationError
        If the pace is not above 0.
    """

    def __init__(
        self,
        stream: str,
        generate: Callable[[], Iterator[bytes]],
        *,
        records_per_second: float | None = None,
        context: SlotContext = SlotContext(),  # noqa: B008
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if records_per_second is not None and not records_per_second > 0:
            raise ConfigurationError("the pace must be above 0 records a second", remedy="leave it out for full speed")
        self.stream = stream
        self._generate = generate
        self._records_per_second = records_per_second
        self._context = context
        self._clock = clock

    def build_part(self, step_id: str, for_part: str, resume_state: State | None) -> "GeneratedSlot":
        """Return the slot that reads the records, from where `resume_state` says."""
        return GeneratedSlot(
            self.stream,
            self._generate(),
            pace=None if self._records_per_second is None else Pace(self._records_per_second, self._clock),
            context=self._context,
            state=resume_state,
        )


class Pace:
    """Allows so many records a second, from its making on; what was not used at once may be used later.

    Parameters
    ----------
    records_per_second
        The pace, above 0.
    clock
        Monotonic seconds.

    Examples
    --------
    >>> seconds = iter([0.0, 0.0, 0.5])
    >>> pace = Pace(10, lambda: next(seconds))
    >>> pace.allowed(), pace.allowed()
    (1, 6)
    """

    def __init__(self, records_per_second: float, clock: Callable[[], float]) -> None:
        self._records_per_second = records_per_second
        self._clock = clock
        self._started = clock()
        self._taken = 0

    def allowed(self) -> int:
        """Return how many more may be taken now."""
        return int((self._clock() - self._started) * self._records_per_second) + 1 - self._taken

    def take(self, records: int) -> None:
        """Count records that have been taken."""
        self._taken += records


class GeneratedSlot(OrdinalSlot):
    """Takes records from the iterator."""

    def __init__(
        self, stream: str, records: Iterator[bytes], *, pace: Pace | None, context: SlotContext, state: State | None
    ) -> None:
        super().__init__(stream, context=context, state=state)
        self._records = records
        self._pace = pace
        self._held: list[bytes] = []
        self._skip(self._ordinal)

    def read(self) -> list[RecordBatch]:
        """Return the next records that the pace allows; raise StopIteration after the last one."""
        wanted = self._limits.batch_records_max
        if self._pace is not None:
            wanted = min(wanted, self._pace.allowed())
        if wanted <= 0:
            return []
        payloads = self._take(wanted)
        if not payloads:
            raise StopIteration
        if self._pace is not None:
            self._pace.take(len(payloads))
        return [self.batch(*cut_oversized(payloads, self._limits.record_bytes_max))]

    def next_batch(self) -> list[RecordBatch]:
        """Return a batch, and see to it that the next one is asked for when it is due."""
        batches = super().next_batch()
        if self._pace is not None and self._pace.allowed() <= 0:
            self.wake_after(PACE_SECONDS)
        return batches

    def _skip(self, records: int) -> None:
        skipped = sum(1 for _ in islice(self._records, records))
        if skipped < records:
            raise SourceError(
                f"{self._stream} has only {skipped:,} records, but {records:,} of it have been read before",
                remedy="use the parameters of the earlier run, or start over with an empty recovery directory",
            )

    def _take(self, wanted: int) -> list[bytes]:
        """Take records until there are enough, or enough bytes of them; one too many is held for the next time."""
        payloads: list[bytes] = []
        size = 0
        for payload in islice(chain(self._held, self._records), wanted):
            size += len(payload)
            if payloads and size > self._limits.batch_bytes_max:
                self._held = [payload]
                return payloads
            payloads.append(payload)
        self._held = []
        return payloads
