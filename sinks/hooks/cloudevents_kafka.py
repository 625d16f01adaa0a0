"""CloudEvents in a topic of Kafka.

References
----------
CloudEvents 1.0.2, JSON format, and its Kafka protocol binding (structured content mode).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.errors import ConfigurationError
from sinks.hooks.content import alert_content, time_text
from sinks.hooks.http_client import json_body
from sinks.hooks.notification import Answer, Notification, Outcome, failed

CONTENT_TYPE = b"application/cloudevents+json; charset=UTF-8"
TYPE_PREFIX = "labelpulse."
_REFUSALS = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError._INVALID_ARG)
_OWN_OPTIONS = {"enable.idempotence": "true", "partitioner": "murmur2_random", "linger.ms": "0", "log_level": "2"}


class CloudEventsKafka:
    """Produces each alert as a CloudEvent, keyed by its project, so that a project's alerts keep their order.

    Parameters
    ----------
    brokers
        host:port, separated by commas.
    topic
        Name of the topic.
    source
        The events' source, a URI.
    options
        Settings of librdkafka.
    timeout_seconds
        An event that is not acknowledged within so many seconds has failed, above 0.
    link
        Template of the address of a page about an alert.

    Raises
    ------
    ConfigurationError
        If librdkafka refuses an option.
    """

    def __init__(
        self,
        *,
        brokers: str,
        topic: str,
        source: str,
        timeout_seconds: float,
        options: Mapping[str, str] = {},  # noqa: B006
        link: str | None = None,
    ) -> None:
        assert timeout_seconds > 0
        self._topic = topic
        self._source = source
        self._timeout_seconds = timeout_seconds
        self._link = link
        settings = {
            "client.id": "labelpulse-hooks",
            **options,
            **_OWN_OPTIONS,
            "bootstrap.servers": brokers,
            "message.timeout.ms": max(1, int(timeout_seconds * 1000)),
        }
        try:
            self._producer = Producer(settings)
        except KafkaException as error:
            raise ConfigurationError(
                f"librdkafka refuses the options of a hook: {error.args[0].str()}", remedy="correct them in the policy"
            ) from error

    def deliver(self, notifications: Sequence[Notification], *, message_id: str, now: float) -> Answer:
        """Produce events and wait until all are acknowledged."""
        failures: list[KafkaError] = []

        def on_delivery(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failures.append(error)

        try:
            for notification in notifications:
                self._producer.produce(
                    self._topic,
                    json_body(cloud_event(notification, source=self._source, link=self._link)),
                    notification.alert.project_id.encode(errors="surrogatepass"),
                    headers=[("content-type", CONTENT_TYPE)],
                    on_delivery=on_delivery,
                )
        except (KafkaException, BufferError) as error:
            return failed(str(error))
        left = self._producer.flush(self._timeout_seconds + 1.0)
        if failures:
            outcome = Outcome.REFUSED if failures[0].code() in _REFUSALS else Outcome.FAILED
            return Answer(outcome, error=failures[0].str())
        return failed("no acknowledgement in time") if left else Answer(Outcome.DELIVERED)

    def close(self) -> None:
        """Forget what is still under way: it is in the outbox."""
        self._producer.purge()
        self._producer.flush(0)


def cloud_event(notification: Notification, *, source: str, link: str | None = None) -> dict[str, Any]:
    """Return a notification as a CloudEvent; its id is the same however often it is sent."""
    alert = notification.alert
    return {
        "specversion": "1.0",
        "id": notification.message_id,
        "source": source,
        "type": TYPE_PREFIX + notification.type_name,
        "subject": alert.annotator_id or alert.question_id or alert.project_id,
        "time": time_text(alert.happened_at),
        "datacontenttype": "application/json",
        "partitionkey": alert.project_id,
        "sequence": f"{alert.sequence:020d}",
        "data": alert_content(notification, link=link),
    }
