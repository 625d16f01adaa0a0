"""The log in a real Kafka, for the time of a measurement."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Producer

from tests.support.kafka.jars import BrokerUnavailableError
from tests.support.kafka.node import Broker

TOPIC, DEAD_LETTER_TOPIC, PARTITIONS = "labelpulse.events", "labelpulse.dead-letters", 4
FLUSH_SECONDS_MAX = 120.0
STAMPED = {"message.timestamp.type": "LogAppendTime"}
__all__ = ["BrokerUnavailableError", "kafka_source"]


@contextmanager
def kafka_source(log: Path) -> Iterator[str]:
    """Start a broker, fill a topic with the records of a log, keyed by project, and hand over its address as a source.

    Raises
    ------
    BrokerUnavailableError
        If Java, Maven or the jars cannot be had, or the broker does not start.
    """
    with tempfile.TemporaryDirectory(prefix="labelpulse-throughput-kafka-", ignore_cleanup_errors=True) as folder:
        broker = Broker(data=Path(folder))
        try:
            broker.start()
            broker.create_topic(name=TOPIC, partitions=PARTITIONS, config=STAMPED)
            broker.create_topic(name=DEAD_LETTER_TOPIC, partitions=1)
            _fill(broker.bootstrap, log)
            yield f"kafka://{broker.bootstrap}/{TOPIC}"
        finally:
            broker.kill()


def _fill(bootstrap: str, log: Path) -> None:
    producer = Producer(
        {"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "enable.idempotence": True, "log_level": 3}
    )
    with log.open("rb") as file:
        for line in file:
            record = line.rstrip(b"\n")
            while True:
                try:
                    producer.produce(TOPIC, value=record, key=_project_of(record))
                    break
                except BufferError:
                    producer.poll(0.1)
    left = producer.flush(FLUSH_SECONDS_MAX)
    assert left == 0, f"{left} records were not delivered"


def _project_of(record: bytes) -> str | None:
    try:
        return str(json.loads(record)["project_id"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
