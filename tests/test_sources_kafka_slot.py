"""What a slot of a topic makes of an unlucky order of messages and events, which a broker shows only now and then."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from flows.sources.intake import Intake
from flows.sources.kafka_messages import Cursor
from flows.sources.kafka_slot import KafkaSlot
from flows.sources.kafka_topic import TopicFacts
from flows.sources.slots import BatchLimits, SlotContext
from schemas.errors import SourceError
from tests.support.reading import payloads_of, records_of

NAME = "events"
STREAM = f"kafka:{NAME}"


class ScriptedConsumer:
    """Stands in for librdkafka: gives the messages it was made with, a piece at a time."""

    def __init__(self, pieces: list[list[Message]]) -> None:
        self.pieces = pieces
        self.fetched: dict[int, int] = {}
        self.commits: list[dict[int, int]] = []

    def consume(self, _wanted: int, _seconds: float) -> list[Message]:
        return self.pieces.pop(0) if self.pieces else []

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        self.fetched |= {partition.partition: partition.offset for partition in partitions}

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        for partition in partitions:
            del self.fetched[partition.partition]

    def get_watermark_offsets(self, _partition: TopicPartition, *, cached: bool) -> tuple[int, int]:
        assert cached
        return (-1001, -1001)

    def commit(self, *, offsets: list[TopicPartition], asynchronous: bool) -> None:
        assert asynchronous
        self.commits.append({partition.partition: partition.offset for partition in offsets})
        if len(self.commits) == 1:
            raise KafkaException(KafkaError(KafkaError._STATE))


class QuietWatch:
    """Stands in for a topic that does not change."""

    def latest(self) -> None:
        return None


def slot_of(
    consumer: ScriptedConsumer, cursors: list[Cursor], *, intake: Intake, is_resumed: bool = False
) -> KafkaSlot:
    """Return a slot that reads from the consumer."""
    connect: Callable[..., Any] = lambda _on_error, _on_commit: consumer  # noqa: E731
    topic: Any = type("NamedTopic", (), {"name": NAME})()
    watch: Any = QuietWatch()
    return KafkaSlot(
        stream=STREAM,
        index=0,
        slots=1,
        topic=topic,
        watch=watch,
        facts=TopicFacts("id", frozenset(cursor.partition for cursor in cursors)),
        cursors={cursor.partition: cursor for cursor in cursors},
        until_eof=any(cursor.end is not None for cursor in cursors),
        connect=connect,
        context=SlotContext(limits=BatchLimits(), intake=intake),
        is_resumed=is_resumed,
    )


def record(offset: int, partition: int = 0) -> Message:
    """Return a message that holds its offset."""
    return Message(NAME, partition, offset, value=b"%d" % offset, timestamp=(1, 0))


def event(code: int, offset: int = -1001, *, partition: int = 0, topic: str | None = NAME) -> Message:
    """Return what librdkafka says between messages."""
    return Message(topic, partition, offset, error=KafkaError(code))


@given(st.data())
def test_an_end_seen_late_skips_nothing(data: st.DataObject) -> None:
    """Where more was fetched than up to the end, the position stays at the end, however messages were cut."""
    fetched = [record(0), record(1), event(KafkaError._PARTITION_EOF, 2)]
    fetched += [record(3), event(KafkaError._PARTITION_EOF, 4), record(4), event(KafkaError._PARTITION_EOF, 5)]
    end = data.draw(st.integers(1, 5), label="end")
    cuts = sorted(data.draw(st.sets(st.integers(1, len(fetched) - 1)), label="cuts"))
    pieces = [fetched[start:stop] for start, stop in zip([0, *cuts], [*cuts, None], strict=True)]
    consumer, intake = ScriptedConsumer(pieces), Intake()
    slot = slot_of(consumer, [Cursor(STREAM, 0, 0, 0, end, end)], intake=intake)
    batches = []
    with pytest.raises(StopIteration):
        while True:
            batches += slot.next_batch()
    assert payloads_of(batches) == [b"%d" % offset for offset in (0, 1, 3, 4) if offset < end]
    assert slot.snapshot()["partitions"] == {0: (end, len(records_of(batches)))}
    assert consumer.fetched == {}
    assert intake.lag == {(STREAM, 0): 0}


@pytest.mark.parametrize("code", [KafkaError._AUTO_OFFSET_RESET, KafkaError.TOPIC_AUTHORIZATION_FAILED])
def test_an_error_of_a_partition_stops_the_reading(code: int) -> None:
    """An error that concerns a partition is never passed over."""
    slot = slot_of(ScriptedConsumer([[record(0), event(code)]]), [Cursor(STREAM, 0, 0)], intake=Intake())
    with pytest.raises(SourceError, match=f"partition 0 of {STREAM}"):
        slot.next_batch()


def test_an_error_of_the_client_is_shown_and_survived() -> None:
    """An error that concerns no partition, such as of the consumer group's coordinator, stops nothing."""
    pieces = [
        [event(KafkaError._ALL_BROKERS_DOWN, topic=None)],
        [event(KafkaError.GROUP_AUTHORIZATION_FAILED, topic=None)],
    ]
    intake = Intake()
    slot = slot_of(ScriptedConsumer([pieces[0], [], pieces[1], [record(0)]]), [Cursor(STREAM, 0, 0)], intake=intake)
    assert slot.next_batch() == [] and intake.notice
    assert payloads_of(slot.next_batch()) == [b"0"] and intake.notice == ""


def test_commits_follow_snapshots_and_failing_ones_are_repeated() -> None:
    """Each snapshot's offsets are committed once, by the batch after it; a commit that failed is tried again."""
    consumer = ScriptedConsumer([[record(5), record(6)], [], [record(0, partition=1)]])
    cursors = [Cursor(STREAM, 0, 5), Cursor(STREAM, 1, 0)]
    slot = slot_of(consumer, cursors, intake=Intake(), is_resumed=True)
    slot.next_batch()
    assert consumer.commits == [{0: 5, 1: 0}]
    slot.snapshot()
    slot.next_batch()
    assert consumer.commits[1:] == [{0: 7, 1: 0}]
    slot.next_batch()
    slot.snapshot()
    slot.next_batch()
    assert consumer.commits[2:] == [{1: 1}]


def test_no_commit_is_begun_during_an_outage() -> None:
    """A commit that nobody answers would hold the closing up: it waits until records come again."""
    outage = event(KafkaError._ALL_BROKERS_DOWN, topic=None)
    consumer = ScriptedConsumer([[record(0)], [], [outage], [], [record(1)]])
    slot = slot_of(consumer, [Cursor(STREAM, 0, 0)], intake=Intake())
    slot.next_batch()
    slot.next_batch()
    slot.snapshot()
    slot.next_batch()
    assert consumer.commits == []
    slot.next_batch()
    assert consumer.commits == [{0: 1}]


def test_scripted_consumer_has_the_calls_of_the_real_one() -> None:
    """The stand-in offers nothing that librdkafka's consumer does not."""
    calls = [name for name in vars(ScriptedConsumer) if not name.startswith("_")]
    assert all(callable(getattr(Consumer, name)) for name in calls)
