"""A topic of Kafka as the audit reads it: each partition from its first record to where it ends now."""

from collections.abc import Iterator, Mapping

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaError, KafkaException, Message, TopicPartition

from flows.audit.log import Log, RawRecord
from flows.sources.kafka_topic import Topic, checking_options, kafka_log
from flows.sources.urls import KafkaSpec
from schemas.errors import SourceError

CONNECT_SECONDS = 10.0
WAIT_SECONDS = 0.1
WAITS_MAX = 300
MESSAGES_AT_ONCE = 1_000
OPTIONS = {
    "group.id": "labelpulse-audit",
    "enable.auto.commit": "false",
    "auto.offset.reset": "error",
    "enable.partition.eof": "true",
    "log_level": "2",
}


class KafkaLog(Log):
    """A topic; what comes after the audit has begun is left out.

    Parameters
    ----------
    spec
        Where it is.
    options
        Settings of librdkafka (TLS, SASL …).

    Raises
    ------
    UnavailableError
        If no broker answers.
    """

    def __init__(self, spec: KafkaSpec, *, options: Mapping[str, str]) -> None:
        self.stream = f"kafka:{spec.topic}"
        self._name = spec.topic
        self._config = {**options, **spec.options, **OPTIONS, "bootstrap.servers": spec.brokers}
        topic = Topic(
            brokers=spec.brokers,
            name=spec.topic,
            options={**options, **spec.options},
            connect_seconds=CONNECT_SECONDS,
        )
        self._extents = topic.watermarks(topic.describe().partitions)

    def partitions(self) -> list[int]:
        """Return the partitions of the topic."""
        return sorted(self._extents)

    def records(self, partition: int) -> Iterator[RawRecord]:
        """Yield the records of a partition."""
        low, high = self._extents[partition]
        if low >= high:
            return
        with checking_options():
            consumer = Consumer(self._config, logger=kafka_log)
        try:
            consumer.assign([TopicPartition(self._name, partition, low)])
            yield from self._read(consumer, partition, high)
        finally:
            consumer.close()

    def _read(self, consumer: Consumer, partition: int, high: int) -> Iterator[RawRecord]:
        while messages := self._fetched(consumer, partition):
            for message in messages:
                if message.error() is None and message.offset() < high:
                    yield _record(message)
            last = messages[-1]
            is_end = last.error() is not None and last.error().code() == KafkaError._PARTITION_EOF
            if is_end or last.offset() is not None and last.offset() >= high - 1:
                return

    def _fetched(self, consumer: Consumer, partition: int) -> list[Message]:
        for _ in range(WAITS_MAX):
            try:
                messages = consumer.consume(MESSAGES_AT_ONCE, WAIT_SECONDS)
            except KafkaException as error:
                raise self._lost(partition, error.args[0].str()) from error
            for message in messages:
                error = message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    raise self._lost(partition, error.str())
            if messages:
                return messages
        raise self._lost(partition, f"nothing came for {WAITS_MAX * WAIT_SECONDS:g} s")

    def _lost(self, partition: int, reason: str) -> SourceError:
        return SourceError(
            f"partition {partition} of the topic {self._name} cannot be read: {reason}",
            remedy="check the brokers and the rights of the user, then audit again",
        )


def _record(message: Message) -> RawRecord:
    kind, milliseconds = message.timestamp()
    payload = message.value() or b""
    stamp = milliseconds * 1_000 if kind == TIMESTAMP_LOG_APPEND_TIME else None
    return RawRecord(message.offset(), payload, len(payload), stamp)
