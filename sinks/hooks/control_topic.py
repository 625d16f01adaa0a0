"""Control events from a topic of Kafka."""

import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from schemas.control import CONTROL_TOPIC

MESSAGES_MAX = 500
LIST_SECONDS = 10.0
LOOK_SECONDS = 15.0
_OWN_OPTIONS: dict[str, Any] = {
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "allow.auto.create.topics": False,
    "queued.max.messages.kbytes": 1_024,
    "log_level": "2",
}
_log = logging.getLogger("labelpulse.kafka")


class ControlTopic:
    """Reads a topic from where the outbox says that it was read to; positions are kept there, not in a group.

    Parameters
    ----------
    brokers
        host:port, separated by commas.
    topic
        Name of the topic; while there is none, nothing is read.
    options
        Settings of librdkafka.
    """

    def __init__(self, *, brokers: str, topic: str = CONTROL_TOPIC, options: Mapping[str, str] = {}) -> None:  # noqa: B006
        self._topic = topic
        self.name = f"kafka:{topic}"
        self._settings = {
            "client.id": "labelpulse-hooks",
            **options,
            **_OWN_OPTIONS,
            "bootstrap.servers": brokers,
            "group.id": f"labelpulse-control-{topic}",
        }
        self._consumer: Consumer | None = None
        self._look_again_at = 0.0
        self._offsets: dict[str, int] = {}

    def read(self, position: str | None) -> tuple[list[bytes], str | None]:
        """Return messages after a position, and the position after them; see `ControlFile.read`."""
        if self._consumer is None and not self._assign(position):
            return [], position
        assert self._consumer is not None
        payloads = []
        for message in self._consumer.consume(MESSAGES_MAX, 0):
            if (error := message.error()) is not None:
                _log.warning("control events cannot be read: %s", error.str())
                continue
            self._offsets[str(message.partition())] = (message.offset() or 0) + 1
            payloads.append(message.value() or b"")
        return [payload for payload in payloads if payload], json.dumps(self._offsets, sort_keys=True)

    def close(self) -> None:
        """Close the connection."""
        if self._consumer is not None:
            self._consumer.close()
        self._consumer = None

    def _assign(self, position: str | None) -> bool:
        """Begin to read all partitions; return whether there are any."""
        if time.monotonic() < self._look_again_at:
            return False
        self._look_again_at = time.monotonic() + LOOK_SECONDS
        consumer = Consumer(self._settings, logger=_log)
        try:
            partitions = consumer.list_topics(self._topic, timeout=LIST_SECONDS).topics[self._topic].partitions
        except KafkaException as error:
            _log.warning("the topic %s cannot be read: %s", self._topic, error.args[0].str())
            partitions = {}
        if not partitions:
            consumer.close()
            return False
        self._offsets = json.loads(position) if position else {}
        consumer.assign(
            [TopicPartition(self._topic, p, self._offsets.get(str(p), OFFSET_BEGINNING)) for p in sorted(partitions)]
        )
        self._consumer = consumer
        return True
