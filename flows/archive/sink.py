"""The Bytewax sink of the archive: buffers records by partition, and writes files by size and before each snapshot."""

from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from flows.archive.files import ArchivedRecords, last_archived, write_records
from schemas.errors import IncompatibleStateError
from schemas.records import RecordBatch

STATE_VERSION = 1
FILE_BYTES = 33_554_432


class ArchiveSink(FixedPartitionedSink[RecordBatch, int]):
    """Keeps record batches as Parquet files.

    What is there is looked up at the start, and what comes again is passed over: so no record is in two files, whatever
    was lost of offsets or state.

    Parameters
    ----------
    folder
        The archive.
    slots
        Number of slots, at least 1; fixed once a recovery store exists.
    file_bytes
        A file is written when so many bytes of payload wait, above 0; smaller ones before a snapshot.
    """

    def __init__(self, folder: Path, *, slots: int, file_bytes: int = FILE_BYTES) -> None:
        assert slots >= 1 and file_bytes > 0
        self.files_written = self.records_written = 0
        self._folder = folder
        self._slots = slots
        self._file_bytes = file_bytes

    def list_parts(self) -> list[str]:
        """Return the names of the slots."""
        return [f"archive-{index:02d}" for index in range(self._slots)]

    def part_fn(self, item_key: str) -> int:
        """Return the slot of a partition of the log; the same in every process."""
        return int(item_key)

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> "ArchiveSlot":
        """Open a slot."""
        assert resume_state is None or resume_state == STATE_VERSION
        return ArchiveSlot(self)

    def write(self, partition: int, records: ArchivedRecords) -> None:
        """Write records of a partition as a file."""
        write_records(self._folder, partition, records)
        self.files_written += 1
        self.records_written += len(records.offsets)

    def last_of(self, partition: int) -> tuple[int, bytes] | None:
        """Return the last record that is there of a partition."""
        return last_archived(self._folder, partition)

    @property
    def file_bytes(self) -> int:
        """Bytes of payload at which a file is written."""
        return self._file_bytes


@dataclass(slots=True)
class _Pending:
    """Records of a partition that wait; `last` is the last one that is on disk."""

    last: tuple[int, bytes] | None
    offsets: list[int] = field(default_factory=list)
    stamps: list[int | None] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    bytes: int = 0


class ArchiveSlot(StatefulSinkPartition[RecordBatch, int]):
    """Writes the records of its partitions; everything so far is on disk before a snapshot is."""

    def __init__(self, sink: ArchiveSink) -> None:
        self._sink = sink
        self._pending: dict[int, _Pending] = {}

    def write_batch(self, values: list[RecordBatch]) -> None:
        """Take in batches.

        Raises
        ------
        IncompatibleStateError
            If the log is not the one that was archived.
        SinkError
            If a file cannot be written.
        """
        for batch in values:
            pending = self._pending.get(batch.partition)
            if pending is None:
                pending = self._pending[batch.partition] = _Pending(self._sink.last_of(batch.partition))
            _take(pending, batch)
            if pending.bytes >= self._sink.file_bytes:
                self._write(batch.partition, pending)

    def snapshot(self) -> int:
        """Write what waits."""
        for partition, pending in self._pending.items():
            self._write(partition, pending)
        return STATE_VERSION

    def _write(self, partition: int, pending: _Pending) -> None:
        if pending.offsets:
            records = ArchivedRecords(pending.offsets, pending.stamps, pending.sizes, pending.payloads)
            self._sink.write(partition, records)
            self._pending[partition] = _Pending((pending.offsets[-1], pending.payloads[-1]))


def _take(pending: _Pending, batch: RecordBatch) -> None:
    """Add the records of a batch that are not on disk yet."""
    first = 0
    if pending.last is not None:
        first = bisect_right(batch.offsets, pending.last[0])
        _require_same_log(pending.last, batch, first)
    count = len(batch.offsets)
    payloads = batch.payloads[first:]
    pending.offsets += batch.offsets[first:]
    pending.stamps += batch.stamps[first:] if batch.stamps is not None else [None] * (count - first)
    pending.sizes += [batch.sizes_cut.get(index, len(batch.payloads[index])) for index in range(first, count)]
    pending.payloads += payloads
    pending.bytes += sum(map(len, payloads))


def _require_same_log(last: tuple[int, bytes], batch: RecordBatch, first: int) -> None:
    """Raise if the batch has other bytes at the offset of the last record that is on disk."""
    offset, payload = last
    if first and batch.offsets[first - 1] == offset and batch.payloads[first - 1] != payload:
        raise IncompatibleStateError(
            f"partition {batch.partition} of {batch.stream} has another record at offset {offset:,} than the archive: "
            "the log was made anew",
            remedy="archive it into a new directory",
        )
