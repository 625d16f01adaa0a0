"""Records that are made rather than read."""

from collections.abc import Iterator
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.sources.generated import GeneratedSlot, GeneratedSource
from flows.sources.slots import BatchLimits, SlotContext, State
from schemas.errors import ConfigurationError, SourceError
from tests.support.reading import payloads_of, read_to_end

RECORDS = st.lists(st.binary(max_size=12), max_size=30)
LIMITS = st.builds(
    BatchLimits,
    batch_records_max=st.integers(1, 8),
    batch_bytes_max=st.integers(2, 30),
    record_bytes_max=st.integers(1, 10),
)


def open_slot(
    records: list[bytes],
    *,
    limits: BatchLimits = BatchLimits(),  # noqa: B008
    state: State | None = None,
) -> GeneratedSlot:
    """Return a slot that reads the same records each time."""
    source = GeneratedSource("made:1", lambda: iter(records), context=SlotContext(limits=limits))
    return source.build_part("records", source.list_parts()[0], state)


@given(RECORDS, LIMITS)
def test_all_records_come_within_the_limits(records: list[bytes], limits: BatchLimits) -> None:
    """Each record comes once, in order, numbered through, cut to the limit with its full size told."""
    batches = read_to_end(open_slot(records, limits=limits))
    assert payloads_of(batches) == [record[: limits.record_bytes_max] for record in records]
    assert [offset for batch in batches for offset in batch.offsets] == list(range(len(records)))
    for batch in batches:
        full = [batch.sizes_cut.get(index, len(payload)) for index, payload in enumerate(batch.payloads)]
        assert full == [len(records[offset]) for offset in batch.offsets]
        assert len(full) <= limits.batch_records_max
        assert len(full) == 1 or sum(full) <= limits.batch_bytes_max


@given(RECORDS, LIMITS, st.data())
def test_reading_resumes_exactly(records: list[bytes], limits: BatchLimits, data: st.DataObject) -> None:
    """From the snapshot after any batch, the records that were left come, and no other."""
    slot = open_slot(records, limits=limits)
    snapshots, batches = [slot.snapshot()], []
    try:
        while True:
            batches.append(slot.next_batch())
            snapshots.append(slot.snapshot())
    except StopIteration:
        pass
    index = data.draw(st.integers(0, len(snapshots) - 1))
    left = [batch for later in batches[index:] for batch in later]
    assert read_to_end(open_slot(records, limits=limits, state=snapshots[index])) == left


def test_a_stream_that_became_shorter_is_not_resumed() -> None:
    """Other parameters make other records: what is known to be missing is an error."""
    slot = open_slot([b"1", b"2", b"3"])
    read_to_end(slot)
    with pytest.raises(SourceError, match="only 2 records, but 3"):
        open_slot([b"1", b"2"], state=slot.snapshot())


def test_the_pace_is_kept_without_waiting_in_the_slot() -> None:
    """By any time, as many records have come as the pace allows; until the next is due the slot asks for nothing."""
    clock = [100.0]
    numbers = [b"%d" % number for number in range(1_000)]
    source = GeneratedSource("made:1", lambda: iter(numbers), records_per_second=10, clock=lambda: clock[0])
    slot = source.build_part("records", "slot-00", None)
    taken: list[bytes] = []
    for step in range(40):
        clock[0] = 100.0 + step * 0.25
        taken += payloads_of(slot.next_batch())
        assert len(taken) == int(step * 0.25 * 10) + 1
        assert slot.next_batch() == []
        assert slot.next_awake() is not None
    assert taken == numbers[: len(taken)]


def test_an_endless_stream_is_read_as_it_is_made() -> None:
    """Nothing is made ahead of the batches that are asked for, but one record."""
    made: list[int] = []

    def endless() -> Iterator[bytes]:
        number = 0
        while True:
            made.append(number)
            yield b"%d" % number
            number += 1

    source = GeneratedSource("made:1", endless, context=SlotContext(limits=BatchLimits(batch_records_max=5)))
    slot = source.build_part("records", "slot-00", None)
    assert len(payloads_of(slot.next_batch())) == 5
    assert list(islice(made, 6)) == made and len(made) <= 6


def test_a_pace_of_nothing_is_a_wrong_setting() -> None:
    """A pace must be above 0."""
    for pace in (0, -1.0, float("nan")):
        with pytest.raises(ConfigurationError, match="above 0"):
            GeneratedSource("made:1", lambda: iter([]), records_per_second=pace)
