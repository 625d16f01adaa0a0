"""What all sources have in common: slots, the size of batches, backing off, draining."""

import time
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bytewax.inputs import StatefulSourcePartition

from flows.sources.intake import Intake
from schemas.errors import ConfigurationError, IncompatibleStateError
from schemas.records import RecordBatch

STATE_VERSION = 1
IDLE_SECONDS_MIN = 0.001
IDLE_SECONDS_MAX = 0.050
GATHER_SECONDS = 0.2
"""Of a log that is being written, records gather so long: each row of a batch is made once, however many change it."""
GATHER_RECORDS_MAX = 1_000
GATHER_BYTES_MAX = 262_144
"""So many records, or bytes of them, are worth their rows: behind them, nothing is waited for."""

State = dict[str, Any]
"""Where a slot reads on: ``version``, ``stream``, ``partitions`` and what else a source needs; plain values only.

``partitions`` maps the number of a partition to (next offset, records read since the log began).
"""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How large a batch may be.

    Parameters
    ----------
    batch_records_max
        Most records in one batch, at least 1.
    batch_bytes_max
        Most bytes of payload in one batch, at least 2; a single record may be more.
    record_bytes_max
        A record of more bytes is cut to so many, at least 1.
    """

    batch_records_max: int = 10_000
    batch_bytes_max: int = 1_048_576
    record_bytes_max: int = 1_048_576

    def __post_init__(self) -> None:
        if min(self.batch_records_max, self.batch_bytes_max - 1, self.record_bytes_max) < 1:
            raise ConfigurationError("a batch of the source needs room for a record", remedy="raise the batch limits")


@dataclass(frozen=True, slots=True)
class SlotContext:
    """What a slot is given by the flow around it.

    Parameters
    ----------
    limits
        How large a batch may be.
    drain
        Says, before each batch, whether the flow is to end now.
    intake
        Counters to keep up.
    """

    limits: BatchLimits = BatchLimits()
    drain: Callable[[], bool] = lambda: False
    intake: Intake | None = None


class Slot(StatefulSourcePartition[RecordBatch, State]):
    """One reader of the log: ends when the flow drains, backs off while little comes, counts what it hands on.

    Parameters
    ----------
    context
        Limits, drain and counters.
    gathers
        Whether records may wait for others: not where all of the log is there already.
    """

    def __init__(self, context: SlotContext, *, gathers: bool = False) -> None:
        self._gathers = gathers
        self._limits = context.limits
        self._intake = context.intake or Intake()
        self._drain = context.drain
        self._idle_seconds = 0.0
        self._awake_at: datetime | None = None

    @abstractmethod
    def read(self) -> list[RecordBatch]:
        """Return what can be read now without waiting; raise StopIteration at the end."""

    def drained(self) -> list[RecordBatch]:
        """Return what must still be handed on once the flow is to end, and raise StopIteration after that."""
        raise StopIteration

    def next_batch(self) -> list[RecordBatch]:
        """Return batches, in order, or nothing if nothing is there yet."""
        batches = self.drained() if self._drain() else self.read()
        records = sum([len(batch.payloads) for batch in batches])
        size = sum([sum(map(len, batch.payloads)) for batch in batches])
        self._intake.records_read += records
        self._intake.bytes_read += size
        self._back_off(records, size)
        return batches

    def next_awake(self) -> datetime | None:
        """Return when to ask for the next batch; None for at once."""
        return self._awake_at

    def wake_after(self, seconds: float) -> None:
        """Ask for the next batch in so many seconds."""
        self._awake_at = datetime.now(UTC) + timedelta(seconds=seconds)

    def _back_off(self, records: int, size: int) -> None:
        if not records:
            self._idle_seconds = min(max(2 * self._idle_seconds, IDLE_SECONDS_MIN), IDLE_SECONDS_MAX)
            self.wake_after(self._idle_seconds)
            return
        self._idle_seconds, self._awake_at = 0.0, None
        if self._gathers and records < GATHER_RECORDS_MAX and size < GATHER_BYTES_MAX:
            self.wake_after(GATHER_SECONDS - time.time() % GATHER_SECONDS)  # all slots at once: what they bring is one


def slot_name(index: int) -> str:
    """Return the name of a slot.

    >>> slot_name(3)
    'slot-03'
    """
    return f"slot-{index:02d}"


def require_own_state(state: State, stream: str) -> None:
    """Raise unless a saved state is of this stream and of a form that this code reads."""
    if state.get("version") != STATE_VERSION:
        raise IncompatibleStateError(
            f"the saved position of {stream} has the unknown form {state.get('version')!r}",
            remedy="resume with the release that wrote it, or start over with an empty recovery directory",
        )
    if state["stream"] != stream:
        raise IncompatibleStateError(
            f"the recovery store belongs to the source {state['stream']}, not to {stream}",
            remedy="name the same source again, or use a recovery directory of its own for this one",
        )


def cut_oversized(payloads: list[bytes], record_bytes_max: int) -> tuple[list[bytes], dict[int, int]]:
    """Cut payloads to a limit; return them, and index → full size of those that were over it.

    >>> cut_oversized([b"abc", b"abcdef"], 4)
    ([b'abc', b'abcd'], {1: 6})
    """
    if not payloads or max(map(len, payloads)) <= record_bytes_max:
        return payloads, {}
    sizes = {index: len(payload) for index, payload in enumerate(payloads) if len(payload) > record_bytes_max}
    return [payload[:record_bytes_max] for payload in payloads], sizes


def consecutive(offsets: Sequence[int]) -> Sequence[int]:
    """Return a range instead of a list where offsets have no gap between them.

    >>> consecutive([4, 5, 6]), consecutive([4, 6])
    (range(4, 7), [4, 6])
    """
    first, last = offsets[0], offsets[-1]
    return range(first, last + 1) if last - first + 1 == len(offsets) else offsets
