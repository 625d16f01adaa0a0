"""Making batches of messages, without a broker."""

from itertools import pairwise

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, Message
from hypothesis import given
from hypothesis import strategies as st

from flows.sources.kafka_messages import Cursor, by_partition
from flows.sources.kafka_positions import require_same_topic, starting_cursors
from flows.sources.kafka_topic import TopicFacts
from flows.sources.slots import BatchLimits
from schemas.errors import SourceError

STREAM = "kafka:t"
KINDS = st.sampled_from([TIMESTAMP_LOG_APPEND_TIME, TIMESTAMP_CREATE_TIME])
LIMITS = st.builds(
    BatchLimits,
    batch_records_max=st.integers(1, 6),
    batch_bytes_max=st.integers(2, 20),
    record_bytes_max=st.integers(1, 10),
)
Fetched = tuple[int, bytes | None, int]
"""Gap before the message in offsets, its value and the kind of its timestamp."""


def messages_of(fetched: list[Fetched]) -> list[Message]:
    """Return messages of partition 0 whose timestamps are ten times their offsets."""
    messages, offset = [], -1
    for gap, value, kind in fetched:
        offset += 1 + gap
        messages.append(Message("t", 0, offset, value=value, timestamp=(kind, offset * 10)))
    return messages


@given(
    st.lists(st.tuples(st.integers(0, 2), st.none() | st.binary(max_size=14), KINDS), min_size=1, max_size=30),
    LIMITS,
    st.none() | st.integers(0, 60),
    st.integers(1, 5),
)
def test_batches_hold_the_messages(fetched: list[Fetched], limits: BatchLimits, end: int | None, pieces: int) -> None:
    """However they were fetched: each before the end comes once, in order, with its stamp only if the log set it."""
    messages = messages_of(fetched)
    cursor = Cursor(STREAM, 0, 0, records_in=7, end=end)
    runs = [run for index in range(0, len(messages), pieces) for run in cursor.take(messages[index : index + pieces])]
    batches = cursor.batches(runs, limits)
    wanted = [message for message in messages if end is None or message.offset() < end]
    assert [offset for batch in batches for offset in batch.offsets] == [message.offset() for message in wanted]
    values = [message.value() or b"" for message in wanted]
    cut = [payload for batch in batches for payload in batch.payloads]
    assert cut == [value[: limits.record_bytes_max] for value in values]
    stamps = [stamp for batch in batches for stamp in batch.stamps or [None] * len(batch.payloads)]
    assert stamps == [
        1_000 * message.timestamp()[1] if message.timestamp()[0] == TIMESTAMP_LOG_APPEND_TIME else None
        for message in wanted
    ]
    reached = messages[-1].offset() + 1
    assert cursor.next_offset == (reached if end is None else min(reached, end))
    assert cursor.records_in == 7 + len(wanted) == (batches[-1].records_in if batches else 7)
    for batch in batches:
        full = [batch.sizes_cut.get(index, len(payload)) for index, payload in enumerate(batch.payloads)]
        assert full == [len(values[wanted_index(wanted, offset)]) for offset in batch.offsets]
        assert 1 <= len(full) <= limits.batch_records_max
        assert len(full) == 1 or sum(full) <= limits.batch_bytes_max


def wanted_index(messages: list[Message], offset: int) -> int:
    """Return which of the messages has the offset."""
    return [message.offset() for message in messages].index(offset)


def test_consecutive_offsets_are_a_range() -> None:
    """A batch without gaps carries its offsets as a range, one with gaps as a list."""
    for gap, expected in ((0, range(0, 3)), (1, [1, 3, 5])):
        cursor = Cursor(STREAM, 0, 0)
        runs = cursor.take(messages_of([(gap, b"x", TIMESTAMP_CREATE_TIME)] * 3))
        assert [batch.offsets for batch in cursor.batches(runs, BatchLimits())] == [expected]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_messages_are_parted_in_order(numbers: list[int]) -> None:
    """Messages of several partitions are parted, each partition's in their order."""
    messages = [Message("t", number, offset) for offset, number in enumerate(numbers)]
    parted = by_partition(messages)
    assert sorted(parted) == sorted(set(numbers))
    assert sum(map(len, parted.values())) == len(messages)
    for number, part in parted.items():
        assert all(message.partition() == number for message in part)
        assert all(earlier.offset() < later.offset() for earlier, later in pairwise(part))


STATE = {"partitions": {0: (5, 3)}}


@pytest.mark.parametrize(
    ("watermarks", "reason"),
    [((0, 4), "ends at offset 4, but it has been read up to 5"), ((9, 20), "4 offsets unread")],
)
def test_positions_outside_of_the_log_stop_the_start(watermarks: tuple[int, int], reason: str) -> None:
    """A saved position beyond the log's end, or below its start, is an error with a remedy."""
    with pytest.raises(SourceError) as raised:
        starting_cursors(
            stream=STREAM, watermarks={0: watermarks}, state=STATE, starting_offset="earliest", until_eof=False
        )
    assert reason in raised.value.message + raised.value.remedy


def test_a_first_run_begins_where_it_is_told_and_new_partitions_at_their_start() -> None:
    """``latest`` is for a first run only: what appears in the log later is read from its first record on."""
    watermarks = {0: (2, 9), 1: (4, 6)}

    def begin(state: dict | None, starting_offset: str) -> list[tuple[int, int]]:
        cursors = starting_cursors(
            stream=STREAM,
            watermarks=watermarks,
            state=state,
            starting_offset=starting_offset,  # type: ignore[arg-type]
            until_eof=False,
        )
        return [(cursor.next_offset, cursor.records_in) for cursor in cursors.values()]

    assert begin(None, "earliest") == [(2, 0), (4, 0)]
    assert begin(None, "latest") == [(9, 0), (6, 0)]
    assert begin(STATE, "latest") == [(5, 3), (4, 0)]


def test_a_topic_that_lost_partitions_or_was_made_anew_is_refused() -> None:
    """The identity of the topic and its partitions must be those that were read."""
    facts = TopicFacts("id", frozenset({0, 1}))
    require_same_topic(STREAM, "id", frozenset({0}), facts)
    with pytest.raises(SourceError, match="created again"):
        require_same_topic(STREAM, "other", frozenset({0}), facts)
    with pytest.raises(SourceError, match=r"lost the partitions \[2, 3\]"):
        require_same_topic(STREAM, "id", frozenset({0, 2, 3}), facts)
