"""Drives a slot of a source as the engine does, without the engine."""

import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from flows.sources.slots import Slot
from schemas.records import RecordBatch

SECONDS_MAX = 60.0

Record = tuple[int, int, bytes]
"""Partition, offset and payload."""


def read_to_end(slot: Slot) -> list[RecordBatch]:
    """Return all batches until the slot says that it is at its end, and close it."""
    batches: list[RecordBatch] = []
    deadline = time.monotonic() + SECONDS_MAX
    try:
        while time.monotonic() < deadline:
            batches += next_when_awake(slot)
    except StopIteration:
        return batches
    finally:
        slot.close()
    raise AssertionError(f"the slot did not come to its end within {SECONDS_MAX:g} s")


def read_records(slot: Slot, count: int) -> list[RecordBatch]:
    """Return the next batches of a slot that waits for more, until they hold so many records."""
    batches: list[RecordBatch] = []
    deadline = time.monotonic() + SECONDS_MAX
    while sum(len(batch.payloads) for batch in batches) < count:
        assert time.monotonic() < deadline, f"{count} records did not come within {SECONDS_MAX:g} s"
        batches += next_when_awake(slot)
    return batches


def next_when_awake(slot: Slot) -> list[RecordBatch]:
    """Wait until the slot wants to be asked, and ask it."""
    awake_at = slot.next_awake()
    if awake_at is not None:
        threading.Event().wait(max((awake_at - datetime.now(UTC)).total_seconds(), 0))
    return slot.next_batch()


def records_of(batches: Iterable[RecordBatch]) -> list[Record]:
    """Return the records of batches one by one."""
    return [
        (batch.partition, offset, payload)
        for batch in batches
        for offset, payload in zip(batch.offsets, batch.payloads, strict=True)
    ]


def payloads_of(batches: Iterable[RecordBatch]) -> list[bytes]:
    """Return the payloads of batches in order."""
    return [payload for batch in batches for payload in batch.payloads]


def lines_by_definition(content: bytes, record_bytes_max: int) -> list[tuple[bytes, int]]:
    """Return each line of the whole content, cut to the limit, with its full size."""
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    lines = [line.removesuffix(b"\r") for line in lines]
    return [(line[:record_bytes_max], len(line)) for line in lines]
