"""CloudEvents to, and people's actions from, a real Apache Kafka."""

import json

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from flows.monitor import control_writer
from flows.settings import Settings
from sinks.hooks.cloudevents_kafka import CloudEventsKafka
from sinks.hooks.control_topic import ControlTopic
from sinks.hooks.notification import Kind, Notification, Outcome
from tests.support.alerts import alert_of
from tests.support.kafka.node import Broker, free_port

pytest_plugins = ["tests.support.broker"]
pytestmark = pytest.mark.kafka

CALL_SECONDS = 30


def test_alerts_are_events_of_a_topic(broker: Broker) -> None:
    """Each is acknowledged by the broker before it counts as delivered; key, content type and order are right."""
    topic = broker.create_topic()
    receiver = CloudEventsKafka(
        brokers=broker.bootstrap, topic=topic, source="/labelpulse", timeout_seconds=CALL_SECONDS
    )
    for number in range(3):
        notification = Notification(alert_of(number + 1), Kind.FIRING)
        assert receiver.deliver([notification], message_id="m", now=0.0).outcome is Outcome.DELIVERED
    receiver.close()
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "independent"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    messages = [consumer.poll(CALL_SECONDS) for _ in range(3)]
    consumer.close()
    events = [json.loads(message.value()) for message in messages]
    assert [event["sequence"] for event in events] == [f"{number:020d}" for number in (1, 2, 3)]
    assert {message.key() for message in messages} == {b"p1"}
    assert messages[0].headers() == [("content-type", b"application/cloudevents+json; charset=UTF-8")]


def test_a_broker_that_is_not_there_is_a_failure() -> None:
    """It is told within the time, and tried again by whoever asked."""
    receiver = CloudEventsKafka(
        brokers=f"127.0.0.1:{free_port()}", topic="alerts", source="/labelpulse", timeout_seconds=0.5
    )
    answer = receiver.deliver([Notification(alert_of(1), Kind.FIRING)], message_id="m", now=0.0)
    receiver.close()
    assert answer.outcome is Outcome.FAILED and answer.error


def test_actions_are_read_from_a_topic_once(broker: Broker) -> None:
    """From the beginning at first, then from the position that was kept, over restarts too."""
    topic = broker.create_topic()
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    position, seen = None, []
    for life in range(2):
        producer.produce(topic, f"event {life}".encode())
        producer.flush(CALL_SECONDS)
        source = ControlTopic(brokers=broker.bootstrap, topic=topic)
        while len(seen) <= life:
            payloads, position = source.read(position)
            seen += payloads
        source.close()
    assert seen == [b"event 0", b"event 1"]


def test_what_people_do_in_the_monitor_reaches_the_flow_by_the_topic(broker: Broker) -> None:
    """Where Kafka is the source, control events go to the topic beside it, in one order, whoever runs the flow."""
    topic = broker.create_topic()
    settings = Settings(source=f"kafka://{broker.bootstrap}/labelpulse.events", control_topic=topic)
    write = control_writer(settings)
    assert write is not None
    for number in range(3):
        write(f"event {number}".encode())
    source = ControlTopic(brokers=broker.bootstrap, topic=topic)
    position, seen = None, []
    while len(seen) < 3:
        payloads, position = source.read(position)
        seen += payloads
    source.close()
    assert seen == [b"event 0", b"event 1", b"event 2"]
