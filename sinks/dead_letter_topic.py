"""A topic of Kafka for the records that were refused, so that they can be looked at, mended and sent again."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.errors import ConfigurationError, SinkError, TerminalSinkError, TransientSinkError, UnavailableError
from schemas.records import RowBatch
from schemas.rows import DEAD_LETTERS

STATE_VERSION = 1
DEFAULT_TOPIC = "labelpulse.dead-letters"
VALUE_BYTES_MAX = 900_000
"""Longer values are cut: brokers and librdkafka refuse messages of about a megabyte unless they are told otherwise."""
POLL_SECONDS = 0.5
PARTITIONS = 1
REPLICAS_OF_BROKER_DEFAULT = -1

DEFAULT_OPTIONS = {"client.id": "labelpulse", "log_level": "2", "compression.type": "zstd", "linger.ms": "50"}
OWN_OPTIONS = {"enable.idempotence": "true", "partitioner": "murmur2_random"}

TRANSIENT = (KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)
"""Failures of delivery that another try may mend, beside those that librdkafka calls so."""

HEADERS = ("stream", "partition", "offset", "stage", "error_code", "error", "project_id", "payload_bytes")
"""Columns of the row that travel as headers of the message; one that is null is left out."""

_COLUMN = {name: index for index, name in enumerate(DEAD_LETTERS.columns)}
_log = logging.getLogger("labelpulse.kafka")

State = dict[str, int]


class DeadLetterTopicSink(FixedPartitionedSink[RowBatch, State]):
    """Produces each dead letter of the row batches to a topic: its bytes as the value, the reason in headers.

    Each is there at least once; one that is sent again after a crash has the same key (stream, partition and offset).

    Parameters
    ----------
    brokers
        Addresses to begin with, as host:port, separated by commas.
    topic
        Name of the topic; created with one partition if there is none.
    slots
        Number of slots, at least 1; fixed once a recovery store exists.
    options
        Settings of librdkafka, passed through (TLS, SASL …).
    queue_records_max
        Most letters that wait for delivery, at least 1; with more the flow waits.
    delivery_seconds
        A letter that is not delivered within so many seconds stops the flow, above 0.
    connect_seconds
        How long to wait for the brokers at the start, above 0.
    """

    def __init__(
        self,
        *,
        brokers: str,
        topic: str = DEFAULT_TOPIC,
        slots: int = 1,
        options: Mapping[str, str] = {},  # noqa: B006
        queue_records_max: int = 10_000,
        delivery_seconds: float = 60.0,
        connect_seconds: float = 10.0,
    ) -> None:
        assert slots >= 1 and queue_records_max >= 1 and delivery_seconds > 0 and connect_seconds > 0
        self._brokers = brokers
        self._topic = topic
        self._slots = slots
        self._delivery_seconds = delivery_seconds
        self._connect_seconds = connect_seconds
        self._config: dict[str, Any] = {
            **DEFAULT_OPTIONS,
            **options,
            **OWN_OPTIONS,
            "bootstrap.servers": brokers,
            "queue.buffering.max.messages": queue_records_max,
            "message.timeout.ms": int(delivery_seconds * 1000),
        }

    def check(self) -> None:
        """Make sure that the topic is there, before anything is consumed.

        Raises
        ------
        ConfigurationError
            If librdkafka refuses an option.
        UnavailableError
            If no broker answers in time, or there is no topic and none may be created.
        """
        try:
            admin = AdminClient(self._config, logger=_log)
        except KafkaException as error:
            raise _refused_option(error) from error
        try:
            found = admin.list_topics(self._topic, timeout=self._connect_seconds).topics[self._topic]
            if found.error is not None and found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                self._create_topic(admin)
        except KafkaException as error:
            raise UnavailableError(
                f"the topic {self._topic} on {self._brokers} cannot be used: {error.args[0].str()}",
                remedy="check the brokers, create the topic, or set dead_letter_topic=none for the table only",
            ) from error

    def list_parts(self) -> list[str]:
        """Return the names of the slots."""
        return [f"dead-letters-{index:02d}" for index in range(self._slots)]

    def build_part(self, step_id: str, for_part: str, resume_state: State | None) -> "DeadLetterTopicSlot":
        """Return a slot with a producer of its own.

        The engine may ask for it long after the start, when the first letter comes, while brokers are away.
        """
        assert resume_state is None or resume_state["version"] == STATE_VERSION
        return DeadLetterTopicSlot(
            Producer(self._config, logger=_log), topic=self._topic, delivery_seconds=self._delivery_seconds
        )

    def _create_topic(self, admin: AdminClient) -> None:
        topic = NewTopic(self._topic, num_partitions=PARTITIONS, replication_factor=REPLICAS_OF_BROKER_DEFAULT)
        try:
            admin.create_topics([topic])[self._topic].result(self._connect_seconds)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
        _log.info("created the topic %s", self._topic)


class DeadLetterTopicSlot(StatefulSinkPartition[RowBatch, State]):
    """Sends letters as they come, and makes sure of their delivery before each snapshot.

    Parameters
    ----------
    producer
        Client to send with.
    topic
        Name of the topic.
    delivery_seconds
        How long the client tries to deliver a letter.
    """

    def __init__(self, producer: Producer, *, topic: str, delivery_seconds: float) -> None:
        self._producer = producer
        self._topic = topic
        self._delivery_seconds = delivery_seconds
        self._failure: KafkaError | None = None

    def write_batch(self, values: list[RowBatch]) -> None:
        """Send the dead letters of row batches.

        Raises
        ------
        SinkError
            If a letter, now or earlier, could not be delivered.
        """
        for batch in values:
            for row in batch.rows.get(DEAD_LETTERS.name, ()):
                if not row[_COLUMN["is_deleted"]]:
                    self._send(row)
        self._producer.poll(0)
        self._require_delivery()

    def snapshot(self) -> State:
        """Wait until all letters are delivered."""
        left = self._producer.flush(self._delivery_seconds + POLL_SECONDS)
        self._require_delivery()
        if left:
            raise TransientSinkError(
                f"{left} dead letters were not delivered to {self._topic} within {self._delivery_seconds:g} s",
                remedy="check the brokers, then start again: nothing is lost",
            )
        return {"version": STATE_VERSION}

    def close(self) -> None:
        """Leave, without waiting.

        At the end of its input the engine takes a snapshot first. Where it does not, the flow has failed, and what was
        not delivered comes again: an exception here would hide why, and abort the process.
        """
        self._producer.purge()

    def _send(self, row: Sequence[Any]) -> None:
        headers = [
            (name, str(row[_COLUMN[name]]).encode(errors="backslashreplace"))
            for name in HEADERS
            if row[_COLUMN[name]] is not None
        ]
        position = (str(row[_COLUMN[name]]) for name in DEAD_LETTERS.key)
        key, value = ":".join(position).encode(), row[_COLUMN["payload"]][:VALUE_BYTES_MAX]
        assert isinstance(value, bytes)
        while True:
            try:
                self._producer.produce(self._topic, value, key, headers=headers, on_delivery=self._on_delivery)
                return
            except BufferError:
                self._producer.poll(POLL_SECONDS)
                self._require_delivery()
            except KafkaException as error:
                raise self._undelivered(error.args[0]) from error

    def _on_delivery(self, error: KafkaError | None, _: Message) -> None:
        if error is not None and self._failure is None:
            self._failure = error

    def _require_delivery(self) -> None:
        if self._failure is not None:
            raise self._undelivered(self._failure)

    def _undelivered(self, error: KafkaError) -> SinkError:
        kind = TransientSinkError if error.retriable() or error.code() in TRANSIENT else TerminalSinkError
        return kind(
            f"a dead letter cannot be delivered to the topic {self._topic}: {error.str()}",
            remedy="check the brokers and the rights on the topic, then start again: nothing is lost",
        )


def _refused_option(error: KafkaException) -> ConfigurationError:
    return ConfigurationError(f"librdkafka refuses the options: {error.args[0].str()}", remedy="correct kafka_options")
