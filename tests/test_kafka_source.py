"""A topic of a real Apache Kafka as a source."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from flows.sources import kafka
from flows.sources.intake import Intake
from flows.sources.kafka import KafkaSource
from flows.sources.kafka_messages import Cursor
from flows.sources.kafka_slot import KafkaSlot
from flows.sources.slots import BatchLimits, SlotContext, State
from schemas.errors import ConfigurationError, IncompatibleStateError, SourceError, UnavailableError
from schemas.records import RecordBatch
from tests.support.kafka.node import Broker, free_port, running_broker
from tests.support.reading import next_when_awake, payloads_of, read_records, read_to_end, records_of

pytest_plugins = ["tests.support.broker"]
pytestmark = pytest.mark.kafka

CALL_SECONDS = 30
FEW = BatchLimits(batch_records_max=7)
ANSWERS_MAX = 10_000


def source_of(broker: Broker, topic: str, **settings: Any) -> KafkaSource:
    """Return a source of one slot that reads to the end, unless told otherwise."""
    return KafkaSource(**{"brokers": broker.bootstrap, "topic": topic, "slots": 1, "until_eof": True, **settings})


def slot_of(source: KafkaSource, state: State | None = None, index: int = 0) -> KafkaSlot:
    """Return a slot of the source."""
    return source.build_part("records", source.list_parts()[index], state)


def numbered(partition: int, numbers: range) -> list[tuple[int, bytes]]:
    """Return records for a partition that hold their numbers."""
    return [(partition, b"%d" % number) for number in numbers]


def payloads_by_partition(batches: list[RecordBatch]) -> dict[int, list[bytes]]:
    """Return the payloads of each partition in the order in which they came."""
    found: dict[int, list[bytes]] = defaultdict(list)
    for batch in batches:
        found[batch.partition] += batch.payloads
    return dict(found)


def test_slots_share_the_partitions_and_keep_their_order(broker: Broker) -> None:
    """Slot i reads the partitions p with p mod slots = i, each in order from its first record to its last."""
    topic = broker.create_topic(partitions=5)
    broker.produce(topic, [(number % 5, b"%d" % number) for number in range(1_000)])
    source = source_of(broker, topic, slots=3)
    assert source.list_parts() == ["slot-00", "slot-01", "slot-02"]
    for index in range(3):
        slot = slot_of(source, index=index)
        batches = read_to_end(slot)
        wanted = range(index, 5, 3)
        assert payloads_by_partition(batches) == {p: [b"%d" % n for n in range(p, 1_000, 5)] for p in wanted}
        assert all(batch.stream == f"kafka:{topic}" and batch.stamps is None for batch in batches)
        for partition in wanted:
            offsets = [offset for p, offset, _ in records_of(batches) if p == partition]
            assert offsets == list(range(200))
            assert [batch for batch in batches if batch.partition == partition][-1].records_in == 200
        assert slot.snapshot()["partitions"] == {p: (200, 200) for p in wanted}


def test_resuming_from_any_snapshot_loses_and_doubles_nothing(broker: Broker) -> None:
    """From the snapshot after any batch, each partition goes on with the very next record."""
    topic = broker.create_topic(partitions=3)
    broker.produce(topic, [(number % 3, b"%d" % number) for number in range(60)])
    source = source_of(broker, topic, context=SlotContext(limits=FEW))
    slot = slot_of(source)
    snapshots, batches = [slot.snapshot()], []
    try:
        while True:
            found = next_when_awake(slot)
            if found:
                batches.append(found)
                snapshots.append(slot.snapshot())
    except StopIteration:
        slot.close()
    assert len(snapshots) > 60 / 7
    for index, snapshot in enumerate(snapshots):
        before = [batch for some in batches[:index] for batch in some]
        after = read_to_end(slot_of(source, snapshot))
        assert sorted(records_of(before) + records_of(after)) == sorted(
            (number % 3, number // 3, b"%d" % number) for number in range(60)
        )
        assert {b.partition: b.records_in for b in before + after} == {0: 20, 1: 20, 2: 20}


def test_a_slot_without_partitions_has_no_client(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """More slots than partitions cost nothing: a client is made for a slot only when it has something to read."""
    made: list[Any] = []

    def make(*arguments: Any, **settings: Any) -> Consumer:
        made.append(arguments)
        return Consumer(*arguments, **settings)

    monkeypatch.setattr(kafka, "Consumer", make)
    topic = broker.create_topic(partitions=1)
    broker.produce(topic, numbered(0, range(3)))
    source = source_of(broker, topic, slots=4)
    for index in range(4):
        batches = read_to_end(slot_of(source, index=index))
        assert len(payloads_of(batches)) == (3 if index == 0 else 0)
    assert len(made) == 1


def test_partitions_that_appear_are_read_from_their_first_record(broker: Broker) -> None:
    """Partitions added while the slot runs are found, even by a slot that had none, and after a resume from before."""
    topic = broker.create_topic(partitions=1)
    broker.produce(topic, numbered(0, range(3)))
    source = source_of(broker, topic, slots=2, until_eof=False, starting_offset="latest", refresh_seconds=0.01)
    slots = [slot_of(source, index=index) for index in range(2)]
    states = [slot.snapshot() for slot in slots]
    assert states[1]["partitions"] == {}
    broker.add_partitions(topic, total=3)
    broker.produce(topic, [*numbered(1, range(10, 14)), *numbered(2, range(20, 22)), *numbered(0, range(3, 4))])
    assert payloads_by_partition(read_records(slots[0], 3)) == {0: [b"3"], 2: [b"20", b"21"]}
    assert payloads_of(read_records(slots[1], 4)) == [b"10", b"11", b"12", b"13"]
    for slot in slots:
        slot.close()
    resumed = read_to_end(slot_of(source_of(broker, topic, slots=2), states[1], index=1))
    assert payloads_of(resumed) == [b"10", b"11", b"12", b"13"]


def test_latest_is_where_the_log_ended_when_the_slot_was_built(broker: Broker) -> None:
    """What arrives between the building of the slot and its first batch, or a restart before it, is not skipped."""
    topic = broker.create_topic()
    broker.produce(topic, numbered(0, range(5)))
    slot = slot_of(source_of(broker, topic, starting_offset="latest", until_eof=False))
    state = slot.snapshot()
    slot.close()
    broker.produce(topic, numbered(0, range(5, 8)))
    resumed = slot_of(source_of(broker, topic, starting_offset="latest", until_eof=False), state)
    assert records_of(read_records(resumed, 3)) == [(0, 5, b"5"), (0, 6, b"6"), (0, 7, b"7")]
    resumed.close()


def test_a_topic_made_anew_is_not_resumed(broker: Broker) -> None:
    """A topic of the same name with other records is refused, even if it is longer than what was read."""
    topic = broker.create_topic()
    broker.produce(topic, numbered(0, range(3)))
    slot = slot_of(source_of(broker, topic))
    read_to_end(slot)
    broker.delete_topic(topic)
    broker.create_topic(name=topic)
    broker.produce(topic, numbered(0, range(100)))
    with pytest.raises(SourceError, match="created again") as raised:
        slot_of(source_of(broker, topic), slot.snapshot())
    assert raised.value.remedy


@pytest.mark.parametrize("comes_back", [False, True])
def test_a_topic_that_is_deleted_stops_a_running_slot(broker: Broker, comes_back: bool) -> None:
    """While the flow runs, a topic that vanishes is an error, whether or not another takes its name."""
    topic = broker.create_topic()
    broker.produce(topic, numbered(0, range(3)))
    slot = slot_of(source_of(broker, topic, until_eof=False, refresh_seconds=0.01))
    read_records(slot, 3)
    broker.delete_topic(topic)
    if comes_back:
        broker.create_topic(name=topic)
    with pytest.raises(SourceError):
        for _ in range(ANSWERS_MAX):
            next_when_awake(slot)
    slot.close()


def test_a_log_cut_at_its_start_is_not_resumed(broker: Broker) -> None:
    """Records that retention took before they were read are missed loudly."""
    topic = broker.create_topic()
    broker.produce(topic, numbered(0, range(10)))
    source = source_of(broker, topic, context=SlotContext(limits=BatchLimits(batch_records_max=4)))
    slot = slot_of(source)
    read_records(slot, 4)
    state = slot.snapshot()
    slot.close()
    broker.admin.delete_records([TopicPartition(topic, 0, 6)])[TopicPartition(topic, 0, 6)].result(CALL_SECONDS)
    with pytest.raises(SourceError, match="begins at offset 6, but 4 was to be read next"):
        slot_of(source, state)


def test_a_log_cut_at_its_end_is_not_resumed(broker: Broker) -> None:
    """A saved position that the log does not reach is an error."""
    topic = broker.create_topic()
    broker.produce(topic, numbered(0, range(10)))
    slot = slot_of(source_of(broker, topic))
    read_to_end(slot)
    state = slot.snapshot()
    state["partitions"] = {0: (11, 11)}
    with pytest.raises(SourceError, match="ends at offset 10, but it has been read up to 11"):
        slot_of(source_of(broker, topic), state)


def test_an_offset_that_the_broker_refuses_stops_a_running_slot(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should the log shrink between the check and the reading, nothing is skipped and no other offset is taken."""
    topic = broker.create_topic()
    broker.produce(topic, numbered(0, range(3)))
    beyond = {0: Cursor(f"kafka:{topic}", 0, 1_000)}
    monkeypatch.setattr(kafka, "starting_cursors", lambda **_: beyond)
    slot = slot_of(source_of(broker, topic, until_eof=False))
    with pytest.raises(SourceError, match="no longer holds the offset"):
        read_records(slot, 1)
    slot.close()


def test_a_state_of_other_slots_or_another_topic_is_refused(broker: Broker) -> None:
    """The number of slots decides which slot holds a partition's offset: it is frozen with the state."""
    topic, other = broker.create_topic(partitions=2), broker.create_topic()
    slot = slot_of(source_of(broker, topic, slots=2))
    read_to_end(slot)
    with pytest.raises(IncompatibleStateError, match="2 source slots, not 3"):
        slot_of(source_of(broker, topic, slots=3), slot.snapshot())
    with pytest.raises(IncompatibleStateError, match=topic):
        slot_of(source_of(broker, other, slots=2), slot.snapshot())


def test_stamps_are_the_logs_own(broker: Broker) -> None:
    """Only a stamp that the broker set is told, in microseconds, also where the topic's setting changed in between."""
    topic = broker.create_topic()
    broker.produce(topic, numbered(0, range(3)))
    entry = ConfigEntry("message.timestamp.type", "LogAppendTime", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    broker.admin.incremental_alter_configs([resource])[resource].result(CALL_SECONDS)
    broker.produce(topic, numbered(0, range(3, 6)))
    batches = read_to_end(slot_of(source_of(broker, topic)))
    assert [(payloads_of([batch]), batch.stamps is None) for batch in batches] == [
        ([b"0", b"1", b"2"], True),
        ([b"3", b"4", b"5"], False),
    ]
    stamps = list(batches[1].stamps or [])
    assert stamps == [1_000 * milliseconds for milliseconds in append_times(broker, topic, 3)]
    assert stamps == sorted(stamps) and stamps[0] > 1_700_000_000_000_000


def append_times(broker: Broker, topic: str, offset: int) -> list[int]:
    """Return the stamps of the last three records by an independent reader, in milliseconds."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "independent"})
    consumer.assign([TopicPartition(topic, 0, offset)])
    stamps = [message.timestamp()[1] for message in consumer.consume(3, CALL_SECONDS)]
    consumer.close()
    return stamps


def test_a_record_without_a_value_is_a_record(broker: Broker) -> None:
    """A null value is an empty payload, so that it is accounted for; an oversized one is cut and its size told."""
    topic = broker.create_topic()
    broker.produce(topic, [(0, None), (0, b""), (0, b"x" * 50), (0, b"\xff\x00")])
    limits = BatchLimits(record_bytes_max=40)
    (batch,) = read_to_end(slot_of(source_of(broker, topic, context=SlotContext(limits=limits))))
    assert batch.payloads == [b"", b"", b"x" * 40, b"\xff\x00"]
    assert batch.sizes_cut == {2: 50}


@pytest.fixture
def endless_producer(broker: Broker) -> Iterator[Callable[[str], None]]:
    """Produces to partition 0 of a topic from another thread until the test is over."""
    ended = threading.Event()
    threads: list[threading.Thread] = []

    def produce(topic: str) -> None:
        producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 0})
        while not ended.is_set():
            producer.produce(topic, b"later", partition=0)
            producer.poll(0.001)
        producer.flush()

    def start(topic: str) -> None:
        threads.append(threading.Thread(target=produce, args=(topic,)))
        threads[-1].start()

    yield start
    ended.set()
    for thread in threads:
        thread.join()


def test_reading_to_the_end_ends_while_others_write(broker: Broker, endless_producer: Callable[[str], None]) -> None:
    """The end is where the log ended when the slot was built: no record before it is missed, none after it is taken."""
    topic = broker.create_topic()
    broker.produce(topic, numbered(0, range(500)))
    endless_producer(topic)
    follower = slot_of(source_of(broker, topic, until_eof=False))
    read_records(follower, 510)
    follower.close()
    source = source_of(broker, topic, context=SlotContext(limits=FEW))
    slot = slot_of(source)
    records = records_of(read_to_end(slot))
    assert len(records) >= 510
    assert [offset for _, offset, _ in records] == list(range(len(records)))
    assert slot.snapshot()["partitions"] == {0: (len(records), len(records))}
    resumed = records_of(read_to_end(slot_of(source, slot.snapshot())))
    assert [offset for _, offset, _ in resumed] == list(range(len(records), len(records) + len(resumed)))


def test_transaction_markers_and_aborted_records_do_not_hold_the_end_up(broker: Broker) -> None:
    """Committed records come, aborted ones do not, and offsets without a record are passed up to the end."""
    topic = broker.create_topic(partitions=2)
    producer = Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": topic, "log_level": 0})
    producer.init_transactions(CALL_SECONDS)
    for number in range(2):
        for commits in (True, False):
            producer.begin_transaction()
            producer.produce(topic, b"committed" if commits else b"aborted", partition=0)
            producer.produce(topic, b"%d" % number, partition=1)
            assert producer.flush(CALL_SECONDS) == 0
            if commits:
                producer.commit_transaction(CALL_SECONDS)
            else:
                producer.abort_transaction(CALL_SECONDS)
    intake = Intake()
    slot = slot_of(source_of(broker, topic, context=SlotContext(intake=intake)))
    assert records_of(read_to_end(slot)) == [
        (0, 0, b"committed"), (0, 4, b"committed"), (1, 0, b"0"), (1, 4, b"1"),
    ]  # fmt: skip
    assert slot.snapshot()["partitions"] == {0: (8, 2), 1: (8, 2)}
    assert intake.lag_records == 0


def test_a_log_that_retention_has_emptied_is_at_its_end(broker: Broker) -> None:
    """Where all records are gone, nothing is waited for, and the position is where the next one will be."""
    topic = broker.create_topic()
    broker.produce(topic, numbered(0, range(10)))
    broker.admin.delete_records([TopicPartition(topic, 0, 10)])[TopicPartition(topic, 0, 10)].result(CALL_SECONDS)
    slot = slot_of(source_of(broker, topic))
    assert read_to_end(slot) == []
    assert slot.snapshot()["partitions"] == {0: (10, 0)}


def test_the_lag_is_what_has_not_been_read(broker: Broker) -> None:
    """Lag is counted in records, per partition, without asking the broker; the counters add up."""
    topic = broker.create_topic(partitions=2)
    broker.produce(topic, [*numbered(0, range(20)), *numbered(1, range(5))])
    intake = Intake()
    limits = BatchLimits(batch_records_max=4)
    slot = slot_of(source_of(broker, topic, until_eof=False, context=SlotContext(limits=limits, intake=intake)))
    assert intake.lag == {(f"kafka:{topic}", 0): 20, (f"kafka:{topic}", 1): 5}
    batches = read_records(slot, 8)
    read = {partition: len(payloads) for partition, payloads in payloads_by_partition(batches).items()}
    lag = {number: 20 - read.get(0, 0) if number == 0 else 5 - read.get(1, 0) for number in range(2)}
    assert {number: behind for (_, number), behind in intake.lag.items()} == lag
    assert intake.records_read == sum(read.values())
    read_records(slot, 25 - intake.records_read)
    assert intake.lag_records == 0
    slot.close()


def committed(broker: Broker, group: str, topic: str) -> Mapping[int, int]:
    """Return the offsets that a consumer group shows to ordinary tools."""
    asked = broker.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group]
    found = asked.result(CALL_SECONDS).topic_partitions
    assert all(partition.topic == topic for partition in found)
    return {partition.partition: partition.offset for partition in found}


def test_the_consumer_group_shows_what_is_durable(broker: Broker) -> None:
    """Offsets are committed at the first batch after a snapshot, not before it, and again when a run resumes."""
    topic = broker.create_topic(partitions=2)
    broker.produce(topic, [*numbered(0, range(6)), *numbered(1, range(4))])
    slot = slot_of(source_of(broker, topic, until_eof=False, group_id=topic))
    read_records(slot, 10)
    slot.next_batch()
    state = slot.snapshot()
    slot.close()
    assert committed(broker, topic, topic) == {}
    resumed = slot_of(source_of(broker, topic, until_eof=False, group_id=topic), state)
    resumed.next_batch()
    wait_until(lambda: committed(broker, topic, topic) == {0: 6, 1: 4})
    broker.produce(topic, numbered(1, range(4, 9)))
    read_records(resumed, 5)
    resumed.snapshot()
    assert committed(broker, topic, topic) == {0: 6, 1: 4}
    resumed.next_batch()
    wait_until(lambda: committed(broker, topic, topic) == {0: 6, 1: 9})
    resumed.close()


def wait_until(condition: Callable[[], bool]) -> None:
    """Ask again and again; each asking takes as long as a call to the broker does."""
    assert any(condition() for _ in range(ANSWERS_MAX))


def test_a_group_that_refuses_the_commit_does_no_harm(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody else subscribed under the same group: the commit fails, the reading does not."""
    topic = broker.create_topic()
    broker.produce(topic, numbered(0, range(3)))
    other = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": topic, "log_level": 0})
    other.subscribe([topic])
    wait_until(lambda: other.poll(0.1) is None and bool(other.assignment()))
    slot = slot_of(source_of(broker, topic, until_eof=False, group_id=topic))
    read_records(slot, 3)
    slot.snapshot()
    broker.produce(topic, numbered(0, range(3, 5)))
    assert payloads_of(read_records(slot, 2)) == [b"3", b"4"]
    wait_until(lambda: slot.next_batch() == [] and "does not show the progress" in caplog.text)
    slot.close()
    other.close()


def test_a_drain_ends_the_slot_at_once(broker: Broker) -> None:
    """What was fetched but not handed on is left in the log for the next run."""
    topic = broker.create_topic()
    broker.produce(topic, numbered(0, range(20)))
    drains = [False]
    source = source_of(broker, topic, until_eof=False, context=SlotContext(limits=FEW, drain=lambda: drains[0]))
    slot = slot_of(source)
    assert payloads_of(read_records(slot, 7)) == [b"%d" % number for number in range(7)]
    drains[0] = True
    with pytest.raises(StopIteration):
        slot.next_batch()
    state = slot.snapshot()
    slot.close()
    assert payloads_of(read_to_end(slot_of(source_of(broker, topic), state))) == [b"%d" % n for n in range(7, 20)]


def test_what_cannot_be_read_is_told_before_anything_is_consumed(broker: Broker) -> None:
    """A broker that does not answer, and a topic that is not there, are errors within the set time."""
    unreachable = KafkaSource(
        brokers=f"127.0.0.1:{free_port()}", topic="t", slots=1, until_eof=True, connect_seconds=0.5
    )
    for build in (unreachable.check, lambda: slot_of(unreachable)):
        with pytest.raises(UnavailableError, match=r"answered within 0.5 s: .*Connection refused"):
            build()
    missing = source_of(broker, "no-such-topic")
    for build in (missing.check, lambda: slot_of(missing)):
        with pytest.raises(UnavailableError, match="there is no topic no-such-topic"):
            build()
    assert "no-such-topic" not in broker.admin.list_topics(timeout=CALL_SECONDS).topics


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"no.such.option": "1"}, "No such configuration property"),
        ({"security.protocol": "nonsense"}, "security.protocol"),
        ({"auto.offset.reset": "latest"}, "exact offsets rest on auto.offset.reset=error"),
        ({"group.id": "g"}, "cannot be set here"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, str], reason: str) -> None:
    """An option that librdkafka does not know, or that would break exact offsets, is a wrong setting."""
    with pytest.raises(ConfigurationError, match=reason):
        KafkaSource(brokers="127.0.0.1:9092", topic="t", slots=1, until_eof=True, options=options)


def test_a_broker_that_goes_away_stops_the_intake_and_loses_nothing() -> None:
    """While the broker is down nothing comes, and the counters say why; once it is back, reading goes on."""
    with running_broker() as own:
        topic = own.create_topic(partitions=2)
        own.produce(topic, [(number % 2, b"%d" % number) for number in range(100)])
        intake = Intake()
        slot = slot_of(source_of(own, topic, until_eof=False, context=SlotContext(intake=intake), refresh_seconds=0.05))
        batches = read_records(slot, 100)
        own.stop()
        while not intake.notice:
            batches += next_when_awake(slot)
        own.start()
        own.produce(topic, [(number % 2, b"%d" % number) for number in range(100, 200)])
        batches += read_records(slot, 100)
        assert payloads_by_partition(batches) == {p: [b"%d" % n for n in range(p, 200, 2)] for p in range(2)}
        assert intake.notice == ""
        slot.close()
