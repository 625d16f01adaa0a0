"""Dead letters in a topic of a real Apache Kafka."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bytewax import operators as op
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSource, run_main
from confluent_kafka import Consumer, Message, TopicPartition

from schemas.errors import ConfigurationError, Stage, TerminalSinkError, TransientSinkError, UnavailableError
from schemas.records import RowBatch
from schemas.rows import DEAD_LETTERS
from sinks.dead_letter_topic import VALUE_BYTES_MAX, DeadLetterTopicSink
from tests.support.kafka.node import Broker, free_port, running_broker

pytest_plugins = ["tests.support.broker"]
pytestmark = pytest.mark.kafka

CALL_SECONDS = 30


def row_of(offset: int, payload: bytes, **columns: Any) -> tuple[Any, ...]:
    """Return a row of the table of dead letters."""
    values = {
        "stream": "kafka:events", "partition": 3, "offset": offset,
        "stage": Stage.DECODE.value, "error_code": "not_json", "error": "ein Fehler: ü", "project_id": None,
        "payload": payload, "payload_bytes": len(payload), "generation": 0, "version": offset + 1, "is_deleted": 0,
    } | columns  # fmt: skip
    return tuple(values[name] for name in DEAD_LETTERS.columns)


def batch_of(rows: Sequence[tuple[Any, ...]]) -> RowBatch:
    """Return a batch that holds dead letters beside rows of another table."""
    return RowBatch({"labels_versions": [("not", "for", "the", "topic")], DEAD_LETTERS.name: list(rows)})


def messages_in(broker: Broker, topic: str) -> list[Message]:
    """Return all messages of a topic by an independent reader."""
    settings = {"bootstrap.servers": broker.bootstrap, "group.id": "independent", "enable.partition.eof": True}
    consumer = Consumer(settings)
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[Message] = []
    while (message := consumer.poll(CALL_SECONDS)) is not None and message.error() is None:
        found.append(message)
    consumer.close()
    return found


def headers_of(message: Message) -> dict[str, str]:
    """Return the headers of a message as text."""
    return {name: value.decode() for name, value in message.headers() or ()}


def test_a_dead_letter_keeps_its_bytes_and_says_why(broker: Broker) -> None:
    """The value is the record's bytes, UTF-8 or not, empty or not; headers say where it stood, and why."""
    topic = f"dead-{free_port()}"
    sink = DeadLetterTopicSink(brokers=broker.bootstrap, topic=topic)
    sink.check()
    slot = sink.build_part("dead_letters", sink.list_parts()[0], None)
    slot.write_batch([batch_of([row_of(17, b"\xff\xfe\x00{"), row_of(18, b"", project_id="p", error="x\ud800")])])
    slot.write_batch([RowBatch({}), batch_of([row_of(19, b"taken back", is_deleted=1)])])
    slot.snapshot()
    first, second = messages_in(broker, topic)
    assert (first.key(), first.value()) == (b"kafka:events:3:17", b"\xff\xfe\x00{")
    assert headers_of(first) == {
        "stream": "kafka:events", "partition": "3", "offset": "17", "stage": "decode", "error_code": "not_json",
        "error": "ein Fehler: ü", "payload_bytes": "4",
    }  # fmt: skip
    assert (second.key(), second.value()) == (b"kafka:events:3:18", b"")
    assert headers_of(second)["project_id"] == "p" and headers_of(second)["error"] == "x\\ud800"
    slot.close()


def test_a_long_dead_letter_is_cut_rather_than_refused(broker: Broker) -> None:
    """A value that brokers would refuse for its size is cut, and its full size told."""
    topic = broker.create_topic()
    sink = DeadLetterTopicSink(brokers=broker.bootstrap, topic=topic)
    slot = sink.build_part("dead_letters", sink.list_parts()[0], None)
    payload = b"x" * 1_048_576
    slot.write_batch([batch_of([row_of(1, payload, payload_bytes=5_000_000)])])
    slot.snapshot()
    slot.close()
    (message,) = messages_in(broker, topic)
    assert message.value() == payload[:VALUE_BYTES_MAX]
    assert headers_of(message)["payload_bytes"] == "5000000"


def test_more_letters_than_the_queue_holds_are_all_delivered(broker: Broker) -> None:
    """A small queue makes the flow wait, and loses nothing; order is kept."""
    topic = broker.create_topic()
    sink = DeadLetterTopicSink(brokers=broker.bootstrap, topic=topic, queue_records_max=5)
    slot = sink.build_part("dead_letters", sink.list_parts()[0], None)
    slot.write_batch([batch_of([row_of(offset, b"%d" % offset) for offset in range(200)])])
    slot.snapshot()
    assert [message.value() for message in messages_in(broker, topic)] == [b"%d" % offset for offset in range(200)]
    slot.close()


@pytest.mark.parametrize("crash_at", [3, 8])
def test_a_crash_between_snapshots_loses_no_letter(broker: Broker, tmp_path: Path, crash_at: int) -> None:
    """Run by the engine, ended by a crash and resumed: each letter is in the topic at least once."""
    topic = broker.create_topic()
    init_db_dir(tmp_path, 1)
    letters = [("shard-0", batch_of([row_of(offset, b"%d" % offset)])) for offset in range(10)]
    letters.insert(crash_at, TestingSource.ABORT())  # type: ignore[arg-type]
    source = TestingSource(letters, batch_size=2)
    for _ in range(2):
        flow = Dataflow("letters")
        items = op.input("letters_in", flow, source)
        op.output("letters_out", items, DeadLetterTopicSink(brokers=broker.bootstrap, topic=topic, slots=2))
        run_main(flow, epoch_interval=timedelta(0), recovery_config=RecoveryConfig(tmp_path))
    assert {message.value() for message in messages_in(broker, topic)} == {b"%d" % offset for offset in range(10)}


def test_a_topic_that_refuses_letters_stops_the_flow(broker: Broker) -> None:
    """A letter that no other try would deliver is a terminal error, in the batch after it or in the snapshot."""
    topic = broker.create_topic(config={"max.message.bytes": "1000"})
    sink = DeadLetterTopicSink(brokers=broker.bootstrap, topic=topic, options={"compression.type": "none"})
    slot = sink.build_part("dead_letters", sink.list_parts()[0], None)
    slot.write_batch([batch_of([row_of(1, b"x" * 5_000)])])
    with pytest.raises(TerminalSinkError, match="too large"):
        slot.snapshot()


def test_a_broker_that_is_away_too_long_stops_the_flow() -> None:
    """What is not delivered in time is an error at the snapshot, which therefore never claims it."""
    with running_broker() as own:
        sink = DeadLetterTopicSink(brokers=own.bootstrap, delivery_seconds=1.0)
        slot = sink.build_part("dead_letters", sink.list_parts()[0], None)
        own.kill()
        slot.write_batch([batch_of([row_of(1, b"not delivered")])])
        with pytest.raises(TransientSinkError):
            slot.snapshot()


def test_what_cannot_be_written_to_is_told_at_the_start() -> None:
    """A broker that does not answer and an option that does not exist are errors before anything is consumed."""
    away = f"127.0.0.1:{free_port()}"
    with pytest.raises(UnavailableError, match=r"labelpulse\.dead-letters"):
        DeadLetterTopicSink(brokers=away, connect_seconds=0.5).check()
    with pytest.raises(ConfigurationError, match="No such configuration property"):
        DeadLetterTopicSink(brokers=away, options={"no.such.option": "1"}).check()
