"""The gateway's client of Kafka."""

import logging
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from flows.sources.kafka_topic import checking_options, kafka_error
from flows.sources.urls import KafkaSpec
from schemas.errors import UnavailableError

CONNECT_SECONDS = 5.0
SAME_COMPLAINT_SECONDS = 60.0

DEFAULT_OPTIONS = {
    "client.id": "labelpulse-gateway",
    "log_level": "2",
    "compression.type": "lz4",
    "linger.ms": "2",
    "queue.buffering.max.kbytes": "131072",
}
OWN_OPTIONS = {
    "enable.idempotence": "true",
    "acks": "all",
    "partitioner": "murmur2_random",
    # A message that was given to the client is tried for ever: were it given up, a later one might overtake it.
    "message.timeout.ms": "0",
}

kafka_log = logging.getLogger("labelpulse.kafka")


def make_producer(spec: KafkaSpec, options: Mapping[str, str]) -> Producer:
    """Return a producer that keeps the order of its messages and waits for all replicas.

    Parameters
    ----------
    spec
        Brokers and topic, with options of their own.
    options
        Settings of librdkafka (TLS, SASL …).

    Raises
    ------
    ConfigurationError
        If librdkafka refuses an option.
    """
    config: dict[str, Any] = {**DEFAULT_OPTIONS, **options, **spec.options, **OWN_OPTIONS}
    with checking_options():
        return Producer({**config, "bootstrap.servers": spec.brokers, "error_cb": _Complaints()}, logger=kafka_log)


def topic_answers(producer: Producer, spec: KafkaSpec, *, connect_seconds: float = CONNECT_SECONDS) -> bool:
    """Return whether the brokers answer now.

    Raises
    ------
    UnavailableError
        If they do, and there is no such topic.
    """
    try:
        found = producer.list_topics(spec.topic, timeout=connect_seconds).topics[spec.topic]
    except KafkaException as error:
        kafka_log.warning("no broker of %s answers: %s", spec.brokers, kafka_error(error).str())
        return False
    if found.error is not None and found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        raise UnavailableError(
            f"there is no topic {spec.topic} on {spec.brokers}", remedy="create it, or correct its name"
        )
    return found.error is None


class _Complaints:
    """Logs what the client complains about, such as a refused password; the same again after a while only."""

    def __init__(self) -> None:
        self._said_at: dict[str, float] = {}

    def __call__(self, error: KafkaError) -> None:
        now, code = time.monotonic(), error.name()
        if now >= self._said_at.get(code, -SAME_COMPLAINT_SECONDS) + SAME_COMPLAINT_SECONDS:
            self._said_at[code] = now
            kafka_log.warning("%s", error.str())
