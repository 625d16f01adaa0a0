"""A topic of Kafka: is it there, what does it keep, and is each project in one partition."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from flows.cli.checks.finding import Finding, failure, ok, warning
from flows.sources.kafka_topic import Topic, kafka_log
from schemas.errors import UnavailableError

TIMEOUT_SECONDS = 8.0
SAMPLE_RECORDS_PER_PARTITION = 200
DAY_MILLISECONDS = 86_400_000


def check_topic(*, brokers: str, topic: str, options: Mapping[str, str], retention_days: float) -> Iterator[Finding]:
    """Yield what is found about the brokers and the topic of events.

    Parameters
    ----------
    brokers
        Addresses to begin with, as host:port, separated by commas.
    topic
        The topic of events.
    options
        Settings of librdkafka (TLS, SASL …).
    retention_days
        How long the flow remembers items: a log that is kept for less cannot rebuild it.
    """
    known = Topic(brokers=brokers, name=topic, options=options, connect_seconds=TIMEOUT_SECONDS)
    try:
        partitions = sorted(known.describe().partitions)
        watermarks = known.watermarks(partitions)
    except UnavailableError as error:
        yield failure("topic", error.message, remedy=_creation(topic) if _is_missing(error) else error.remedy)
        return
    yield ok("topic", f"{topic} on {brokers}, {len(partitions)} partitions")
    client = {**options, "bootstrap.servers": brokers}
    yield from _configuration(_topic_configuration(client, topic), retention_days=retention_days)
    yield from _keys(_sampled(client, topic, watermarks))


def check_dead_letter_topic(*, brokers: str, topic: str, options: Mapping[str, str]) -> Finding:
    """Return what is found about the topic of dead letters."""
    try:
        Topic(brokers=brokers, name=topic, options=options, connect_seconds=TIMEOUT_SECONDS).describe()
    except UnavailableError as error:
        if _is_missing(error):
            return ok("dead letters", f"the topic {topic} will be made at the first start")
        remedy = f"{error.remedy}; or set dead_letter_topic=none to have them in the table only"
        return warning("dead letters", error.message, remedy=remedy)
    return ok("dead letters", f"topic {topic}")


def _is_missing(error: UnavailableError) -> bool:
    return error.message.startswith("there is no topic")


def _creation(topic: str) -> str:
    return (
        f"kafka-topics.sh --create --topic {topic} --partitions 8 --config message.timestamp.type=LogAppendTime "
        "--bootstrap-server …"
    )


def _topic_configuration(client: Mapping[str, str], topic: str) -> dict[str, str]:
    resource, admin = ConfigResource(ResourceType.TOPIC, topic), AdminClient(dict(client), logger=kafka_log)
    asked = admin.describe_configs([resource], request_timeout=TIMEOUT_SECONDS)
    try:
        return {name: entry.value for name, entry in asked[resource].result(TIMEOUT_SECONDS + 1).items()}
    except (KafkaException, TimeoutError):
        return {}


def _configuration(values: Mapping[str, str], *, retention_days: float) -> Iterator[Finding]:
    if not values:
        yield warning("topic settings", "cannot be read", remedy="allow this user DescribeConfigs on the topic")
        return
    if values.get("message.timestamp.type") == "LogAppendTime":
        yield ok("topic stamps", "the broker's own (LogAppendTime)")
    else:
        yield warning(
            "topic stamps", "are the producers': an event far in the future is judged by its producer's clock",
            remedy="set message.timestamp.type=LogAppendTime on the topic",
        )  # fmt: skip
    if "compact" in values.get("cleanup.policy", ""):
        yield failure(
            "topic retention", "is compacted: all events of a project but the last are removed",
            remedy="set cleanup.policy=delete on the topic",
        )  # fmt: skip
        return
    kept_days = int(values.get("retention.ms", -1)) / DAY_MILLISECONDS
    if 0 <= kept_days < retention_days:
        yield warning(
            "topic retention", f"{kept_days:g} days, under retention_days={retention_days:g}: a rebuild lacks the rest",
            remedy="raise retention.ms on the topic",
        )  # fmt: skip
    else:
        yield ok("topic retention", "unlimited" if kept_days < 0 else f"{kept_days:g} days")


def _keys(sample: Iterable[tuple[int, str, str]]) -> Iterator[Finding]:
    """Look at records, as partition, key and project: keyed by project, and each project in one partition."""
    seen: dict[str, set[int]] = defaultdict(set)
    records = unkeyed = 0
    for partition, key, project in sample:
        records += 1
        unkeyed += key != project
        seen[project].add(partition)
    spread = sorted(project for project, found in seen.items() if len(found) > 1)
    if spread:
        yield failure(
            "keys", f"{len(spread)} projects are in several partitions, such as {spread[0]!r}: their order is lost",
            remedy="produce with the project as key and partitioner=murmur2_random, to a new topic",
        )  # fmt: skip
    elif unkeyed:
        yield warning(
            "keys", f"{unkeyed} of the last {records} events are not keyed by their project",
            remedy="produce with project_id as the key",
        )  # fmt: skip
    else:
        yield ok(
            "keys", f"of the last {records} events, each project is in one partition" if records else "no events yet"
        )


def _sampled(
    client: Mapping[str, str], topic: str, watermarks: Mapping[int, tuple[int, int]]
) -> Iterator[tuple[int, str, str]]:
    """Yield partition, key and project of the last events of each partition."""
    ends = {partition: high for partition, (low, high) in watermarks.items() if high > low}
    starts = [
        TopicPartition(topic, partition, max(watermarks[partition][0], high - SAMPLE_RECORDS_PER_PARTITION))
        for partition, high in ends.items()
    ]
    settings = {"group.id": "labelpulse-doctor", "enable.auto.commit": False, "enable.partition.eof": True}
    consumer = Consumer({**client, **settings}, logger=kafka_log)
    try:
        consumer.assign(starts)
        while ends and (message := consumer.poll(TIMEOUT_SECONDS)) is not None:
            if message.error() or message.offset() >= ends.get(message.partition(), 0) - 1:
                ends.pop(message.partition(), None)
            project = None if message.error() else _project_of(message.value())
            if project is not None:
                yield message.partition(), (message.key() or b"").decode(errors="replace"), project
    finally:
        consumer.close()


def _project_of(value: bytes | None) -> str | None:
    try:
        event: Any = json.loads(value or b"")
    except ValueError:
        return None
    project = event.get("project_id") if isinstance(event, dict) else None
    return project if isinstance(project, str) else None
