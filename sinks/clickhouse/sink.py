"""The Bytewax sink: a fixed number of slots, which share one writer in each process."""

import threading
import zlib
from collections.abc import Callable

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from clickhouse_connect.driver.client import Client

from schemas.records import RowBatch
from sinks.clickhouse.migrate import require_current
from sinks.clickhouse.writer import RowWriter

SNAPSHOT = 0
"""State of a slot. It needs none: each snapshot waits until everything before it is in the database."""


class ClickHouseSink(FixedPartitionedSink[RowBatch, int]):
    """Writes row batches to ClickHouse.

    Rows are written ahead, by age or number, and at the latest within each snapshot: a snapshot waits until all rows so
    far are in the database, so nothing is lost. Rows that are written again after a restart have the same keys and
    versions, so nothing is doubled.

    Parameters
    ----------
    connect
        Opens a connection; called once in a process, when the first slot is built.
    open_writer
        Makes the writer of a connection.
    slots
        Number of slots. Fixed once a recovery store exists: fewer would make a resume fail.
    """

    def __init__(
        self,
        connect: Callable[[], Client],
        *,
        open_writer: Callable[[Client], RowWriter] = RowWriter,
        slots: int = 8,
    ) -> None:
        self._slots = [slot_name(number) for number in range(slots)]
        self._shared = _SharedWriter(connect, open_writer)

    @property
    def writer(self) -> RowWriter | None:
        """The writer of this process; None before the first slot is built and after the last one is closed."""
        return self._shared.writer

    def list_parts(self) -> list[str]:
        """Return the slots: every worker can have any of them."""
        return self._slots

    def part_fn(self, item_key: str) -> int:
        """Return the slot of a key; the same in every process."""
        return zlib.crc32(item_key.encode())

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> "ClickHouseSlot":
        """Open a slot.

        Raises
        ------
        LabelpulseError
            If the database cannot be used, or lacks migrations.
        """
        assert for_part in self._slots, f"{step_id} has no slot {for_part}"
        return ClickHouseSlot(self._shared)


def slot_name(number: int) -> str:
    """Return the name of a slot, part of the disk format of the recovery store.

    >>> slot_name(3)
    'slot-03'
    """
    return f"slot-{number:02d}"


class ClickHouseSlot(StatefulSinkPartition[RowBatch, int]):
    """One slot of the sink; created by `ClickHouseSink.build_part`."""

    def __init__(self, shared: "_SharedWriter") -> None:
        self._shared = shared
        self._writer = shared.acquire()

    def write_batch(self, values: list[RowBatch]) -> None:
        """Hand rows to the writer; waits while its buffer is full, which holds up the whole flow."""
        for batch in values:
            self._writer.add(batch)

    def snapshot(self) -> int:
        """Wait until all rows so far are in the database."""
        self._writer.flush()
        return SNAPSHOT

    def close(self) -> None:
        """Leave; the last slot closes the connection.

        Nothing is left to write: at the end of its input the engine takes a snapshot first, with a recovery store and
        without. Where it does not, the flow has failed, and what was not written comes again. So nothing is waited for,
        and nothing raised: an exception here would abort the process.
        """
        self._shared.release()


class _SharedWriter:
    """The writer of a process, opened for the first slot and closed with the last."""

    def __init__(self, connect: Callable[[], Client], open_writer: Callable[[Client], RowWriter]) -> None:
        self._connect = connect
        self._open_writer = open_writer
        self._lock = threading.Lock()
        self._users = 0
        self.writer: RowWriter | None = None

    def acquire(self) -> RowWriter:
        with self._lock:
            if self.writer is None:
                self.writer = self._open()
            self._users += 1
            return self.writer

    def release(self) -> None:
        with self._lock:
            assert self.writer is not None, "a slot is closed once"
            self._users -= 1
            if self._users == 0:
                writer, self.writer = self.writer, None
                writer.close()

    def _open(self) -> RowWriter:
        client = self._connect()
        try:
            require_current(client, client.database or "")
            return self._open_writer(client)
        except BaseException:
            client.close()
            raise
