"""Turns messages of librdkafka into batches: by partition, in order, within the limits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from flows.sources.slots import BatchLimits, consecutive, cut_oversized
from schemas.records import RecordBatch

MICROSECONDS_PER_MILLISECOND = 1000


@dataclass(slots=True)
class Run:
    """Consecutive records of one partition; the log stamped either all or none of them.

    Parameters
    ----------
    offsets
        Position of each record.
    payloads
        The bytes of each record.
    stamps
        When the log took each record in, in microseconds since the epoch; None if it did not stamp them.
    """

    offsets: list[int]
    payloads: list[bytes]
    stamps: list[int] | None


@dataclass(slots=True)
class Cursor:
    """How far a partition has been read.

    Parameters
    ----------
    stream
        Name of the log.
    partition
        Number of the partition.
    next_offset
        Where to read on.
    records_in
        Records read since the log began.
    end
        Read no further than this offset; None for no end.
    high
        Offset after the partition's last record, as far as it is known.
    """

    stream: str
    partition: int
    next_offset: int
    records_in: int = 0
    end: int | None = None
    high: int = 0

    @property
    def behind(self) -> int:
        """Offsets that are still to be read."""
        return max((self.high if self.end is None else self.end) - self.next_offset, 0)

    @property
    def is_done(self) -> bool:
        """Whether all has been read that was to be read."""
        return self.end is not None and self.next_offset >= self.end

    def take(self, messages: list[Message]) -> list[Run]:
        """Return the records of the partition's next messages, and move past them.

        Messages at or after the end are left out. A message without a value is a record of no bytes.
        """
        offsets = list(map(Message.offset, messages))
        assert offsets[0] >= self.next_offset
        self.next_offset = offsets[-1] + 1
        if self.end is not None and self.next_offset > self.end:
            self.next_offset = self.end
            offsets = [offset for offset in offsets if offset < self.end]
        payloads = [message.value() or b"" for message in messages[: len(offsets)]]
        return _runs(offsets, payloads, list(map(Message.timestamp, messages[: len(offsets)])))

    def batches(self, runs: list[Run], limits: BatchLimits) -> list[RecordBatch]:
        """Make batches of runs of records, as few as the limits allow."""
        batches = []
        for run in _joined(runs):
            for part in _parts(run.payloads, limits):
                payloads, sizes_cut = cut_oversized(run.payloads[part], limits.record_bytes_max)
                offsets = consecutive(run.offsets[part])
                stamps = None if run.stamps is None else run.stamps[part]
                self.records_in += len(payloads)
                batches.append(
                    RecordBatch(self.stream, self.partition, offsets, payloads, self.records_in, stamps, sizes_cut)
                )
        return batches


def by_partition(messages: Sequence[Message]) -> dict[int, list[Message]]:
    """Return the messages of each partition, in their order."""
    numbers = list(map(Message.partition, messages))
    if min(numbers) == max(numbers):
        return {numbers[0]: list(messages)}
    parted: dict[int, list[Message]] = {number: [] for number in sorted(set(numbers))}
    for number, message in zip(numbers, messages, strict=True):
        parted[number].append(message)
    return parted


def _runs(offsets: list[int], payloads: list[bytes], timestamps: list[tuple[int, int]]) -> list[Run]:
    """Cut records where the kind of their timestamps changes; nearly always it is the same for all."""
    stamped = [kind == TIMESTAMP_LOG_APPEND_TIME for kind, _ in timestamps]
    if not any(stamped):
        return [Run(offsets, payloads, None)] if offsets else []
    stamps = [milliseconds * MICROSECONDS_PER_MILLISECOND for _, milliseconds in timestamps]
    runs, start = [], 0
    for is_stamped, group in groupby(stamped):
        part = slice(start, start + sum(1 for _ in group))
        runs.append(Run(offsets[part], payloads[part], stamps[part] if is_stamped else None))
        start = part.stop
    return runs


def _joined(runs: list[Run]) -> list[Run]:
    """Join neighbouring runs of a kind."""
    joined: list[Run] = []
    for run in runs:
        last = joined[-1] if joined else None
        if last is None or (last.stamps is None) != (run.stamps is None):
            joined.append(run)
            continue
        last.offsets += run.offsets
        last.payloads += run.payloads
        if last.stamps is not None and run.stamps is not None:
            last.stamps += run.stamps
    return joined


def _parts(payloads: list[bytes], limits: BatchLimits) -> Iterator[slice]:
    """Cut records into parts within the limits."""
    sizes = list(map(len, payloads))
    if len(sizes) <= limits.batch_records_max and sum(sizes) <= limits.batch_bytes_max:
        yield slice(0, len(sizes))
        return
    first = total = 0
    for index, size in enumerate(sizes):
        if index > first and (total + size > limits.batch_bytes_max or index - first == limits.batch_records_max):
            yield slice(first, index)
            first, total = index, 0
        total += size
    yield slice(first, len(sizes))
