"""Logs without partitions of their own: one slot, one partition, and the ordinal of a record for its offset."""

from bytewax.inputs import FixedPartitionedSource

from flows.sources.slots import STATE_VERSION, Slot, SlotContext, State, require_own_state, slot_name
from schemas.records import RecordBatch

PARTITION = 0


class OneSlotSource(FixedPartitionedSource[RecordBatch, State]):
    """A source that is read by one slot."""

    def list_parts(self) -> list[str]:
        """Return the name of the slot."""
        return [slot_name(0)]


class OrdinalSlot(Slot):
    """A slot that numbers its records from 0 on.

    Parameters
    ----------
    stream
        Name of the log.
    context
        Limits, drain and counters.
    state
        What `snapshot` returned in an earlier run; None at the first one.
    gathers
        Whether records may wait for others.
    """

    def __init__(self, stream: str, *, context: SlotContext, state: State | None, gathers: bool = False) -> None:
        super().__init__(context, gathers=gathers)
        self._stream = stream
        self._ordinal = 0
        if state is not None:
            require_own_state(state, stream)
            self._ordinal, _ = state["partitions"][PARTITION]

    def snapshot(self) -> State:
        """Return the ordinal of the next record."""
        return {
            "version": STATE_VERSION,
            "stream": self._stream,
            "partitions": {PARTITION: (self._ordinal, self._ordinal)},
        }

    def batch(self, payloads: list[bytes], sizes_cut: dict[int, int]) -> RecordBatch:
        """Return the next records as a batch."""
        offsets = range(self._ordinal, self._ordinal + len(payloads))
        self._ordinal = offsets.stop
        return RecordBatch(self._stream, PARTITION, offsets, payloads, self._ordinal, sizes_cut=sizes_cut)
