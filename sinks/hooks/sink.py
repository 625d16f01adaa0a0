"""The Bytewax sink that puts alerts into the outbox: durable at the latest within each snapshot."""

import zlib
from collections.abc import Callable

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from schemas.records import RowBatch
from sinks.hooks.intake import Intake

SNAPSHOT = 0
"""State of a slot. It needs none: each snapshot waits until everything before it is in the outbox."""


class AlertSink(FixedPartitionedSink[RowBatch, int]):
    """Puts the alerts of row batches into the outbox; rows of other tables are left alone.

    Parameters
    ----------
    intake
        Returns the way into the outbox, shared by the slots of a process; called when a slot is built.
    slots
        Number of slots, at least 1. Fixed once a recovery store exists.
    """

    def __init__(self, intake: Callable[[], Intake], *, slots: int = 1) -> None:
        assert slots >= 1
        self._intake = intake
        self._slots = [f"alerts-{number:02d}" for number in range(slots)]

    def list_parts(self) -> list[str]:
        """Return the slots: every worker can have any of them."""
        return self._slots

    def part_fn(self, item_key: str) -> int:
        """Return the slot of a key; the same in every process."""
        return zlib.crc32(item_key.encode())

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> "AlertSlot":
        """Open a slot."""
        assert for_part in self._slots, f"{step_id} has no slot {for_part}"
        return AlertSlot(self._intake())


class AlertSlot(StatefulSinkPartition[RowBatch, int]):
    """One slot of the sink; created by `AlertSink.build_part`."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def write_batch(self, values: list[RowBatch]) -> None:
        """Hand alerts over; they are on the disk a moment later."""
        for batch in values:
            self._intake.add(batch)

    def snapshot(self) -> int:
        """Wait until all alerts so far are on the disk."""
        self._intake.flush()
        return SNAPSHOT

    def close(self) -> None:
        """Leave. Whoever made the intake closes it: what was delivered is reported after the flow has ended."""
