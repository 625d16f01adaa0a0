"""The gateway and a real Apache Kafka: what was answered 200 is in the topic, through outages and `kill -9`."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.support.command import start
from tests.support.gateway import BEARER, Gateway, Senders, event, exchange, ids_in_spool, running_gateway
from tests.support.kafka.node import Broker, free_port, running_broker

pytest_plugins = ["tests.support.broker"]
pytestmark = pytest.mark.kafka

PARTITIONS = 4
CALL_SECONDS = 30
PROJECTS = 8
EVENTS = "/v1/events"

Found = dict[str, list[str]]
"""Project → the ids of its events in the order of the log."""


@contextmanager
def consuming(broker: Broker, topic: str) -> Iterator[Consumer]:
    """Read a topic from its beginning by an independent reader."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "tests", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    try:
        yield consumer
    finally:
        consumer.close()


def found_in(broker: Broker, topic: str) -> Found:
    """Return what a topic holds; each project is in one partition, under its own key."""
    found: Found = {}
    partitions: dict[str, set[int]] = {}
    with consuming(broker, topic) as consumer:
        ended = 0
        while ended < PARTITIONS:
            message = consumer.poll(CALL_SECONDS)
            assert message is not None
            if message.error() is not None:
                ended += 1
                continue
            document = json.loads(message.value())
            project = document["project_id"]
            assert message.key() == project.encode()
            found.setdefault(project, []).append(document["event_id"])
            partitions.setdefault(project, set()).add(message.partition())
    assert all(len(numbers) == 1 for numbers in partitions.values())
    return found


def unique(ids: list[str]) -> list[str]:
    """Return ids without repeats, in the order in which each came first."""
    return list(dict.fromkeys(ids))


def url_of(broker: Broker, topic: str) -> str:
    """Return a topic as the command takes it."""
    return f"kafka://{broker.bootstrap}/{topic}"


def figure(gateway: Gateway, name: str) -> float:
    """Return a figure of the gateway's metrics."""
    lines = gateway.ask("GET", "/metrics").body.decode().splitlines()
    return float(next(line for line in lines if line.startswith(f"labelpulse_gateway_{name}")).split()[-1])


def until(condition: Callable[[], bool]) -> None:
    """Ask again and again until a condition holds."""
    for _ in range(100_000):
        if condition():
            return
    raise AssertionError("it never came")


def send(gateway: Gateway, numbers: range) -> list[int]:
    """Send events of many projects, one after the other; return the statuses."""
    connection = gateway.connect()
    try:
        return [
            exchange(
                connection, EVENTS, json.dumps(event(number, project=f"p-{number % PROJECTS}")).encode(), BEARER
            ).status
            for number in numbers
        ]
    finally:
        connection.close()


def expected(numbers: range) -> Found:
    """Return the ids of events that were sent in order, by project."""
    by_project: Found = {}
    for number in numbers:
        by_project.setdefault(f"p-{number % PROJECTS}", []).append(f"e-{number}")
    return by_project


def test_events_are_in_the_topic_when_they_are_answered(broker: Broker, tmp_path: Path) -> None:
    """Once each, by project in order, under the partitioner of the contract; the spool is not used."""
    topic = broker.create_topic(partitions=PARTITIONS)
    patient: dict[str, Any] = {"acknowledge_seconds": 30}
    with running_gateway("--kafka", url_of(broker, topic), "--spool", tmp_path, **patient) as gateway:
        assert set(send(gateway, range(200))) == {200}
        assert found_in(broker, topic) == expected(range(200))
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(CALL_SECONDS) == 0
    assert ids_in_spool(tmp_path) == []


def test_a_frozen_broker_means_the_spool_and_nothing_is_lost_or_overtaken(tmp_path: Path) -> None:
    """While the broker hangs requests are answered within Label Studio's second; afterwards all are in the topic."""
    with running_broker() as broker:
        topic = broker.create_topic(partitions=PARTITIONS)
        with running_gateway("--kafka", url_of(broker, topic), "--spool", tmp_path) as gateway:
            assert set(send(gateway, range(100))) == {200}
            broker.process.send_signal(signal.SIGSTOP)
            try:
                assert set(send(gateway, range(100, 200))) == {200}
                assert figure(gateway, "mode") == 1
                assert unique(ids_in_spool(tmp_path))[-100:] == [f"e-{number}" for number in range(100, 200)]
            finally:
                broker.process.send_signal(signal.SIGCONT)
            assert set(send(gateway, range(200, 600))) == {200}
            until(lambda: figure(gateway, "mode") == 0)
            assert set(send(gateway, range(600, 700))) == {200}
        assert {project: unique(ids) for project, ids in found_in(broker, topic).items()} == expected(range(700))


def test_a_broker_that_is_restarted_is_found_again(tmp_path: Path) -> None:
    """A crash of the broker is the same to senders: 200 throughout, and all of it in the topic at the end."""
    with running_broker(data=tmp_path / "kafka") as broker:
        topic = broker.create_topic(partitions=PARTITIONS)
        with running_gateway("--kafka", url_of(broker, topic), "--spool", tmp_path / "spool") as gateway:
            assert set(send(gateway, range(50))) == {200}
            broker.kill()
            assert set(send(gateway, range(50, 100))) == {200}
            broker.start()
            assert set(send(gateway, range(100, 150))) == {200}
            until(lambda: figure(gateway, "mode") == 0)
        assert {project: unique(ids) for project, ids in found_in(broker, topic).items()} == expected(range(150))


@pytest.mark.parametrize("has_outage", [False, True])
def test_kill_under_load_loses_nothing_that_was_accepted(tmp_path: Path, has_outage: bool) -> None:
    """After `kill -9` every event answered 200 is in the topic or the spool; a restart brings it to the topic."""
    with running_broker() as broker:
        topic, spool = broker.create_topic(partitions=PARTITIONS), tmp_path / "spool"
        options: dict[str, Any] = {"requests_per_second": 0}
        with running_gateway("--kafka", url_of(broker, topic), "--spool", spool, **options) as gateway:
            senders = Senders(gateway)
            senders.wait(300)
            if has_outage:
                broker.process.send_signal(signal.SIGSTOP)
                senders.wait(len(senders.accepted) + 600)
            os.kill(gateway.process.pid, signal.SIGKILL)
            senders.join()
            broker.process.send_signal(signal.SIGCONT)
        accepted = set(senders.accepted)
        found = {event_id for ids in found_in(broker, topic).values() for event_id in ids}
        assert accepted <= found | set(ids_in_spool(spool))
        if has_outage:
            assert not accepted <= found
        with running_gateway("--kafka", url_of(broker, topic), "--spool", spool) as gateway:
            until(lambda: figure(gateway, "mode") == 0)
        found = {event_id for ids in found_in(broker, topic).values() for event_id in ids}
        assert accepted <= found


def test_a_gateway_starts_while_no_broker_answers(tmp_path: Path) -> None:
    """An outage of Kafka is no reason to turn webhooks away after a restart."""
    with running_gateway(
        "--kafka", f"kafka://127.0.0.1:{free_port()}/events", "--spool", tmp_path, acknowledge_seconds=0.1
    ) as gateway:
        assert set(send(gateway, range(3))) == {200}
    assert ids_in_spool(tmp_path) == ["e-0", "e-1", "e-2"]


def test_a_topic_that_does_not_exist_is_told(broker: Broker, tmp_path: Path) -> None:
    """At the start, in plain words: events would wait for ever."""
    process = start("gateway", "--kafka", url_of(broker, "no-such-topic"), "--spool", tmp_path, "--open")
    _, error = process.communicate(timeout=60)
    assert process.returncode == 4
    assert "there is no topic no-such-topic" in error.decode()
    assert b"Traceback" not in error


def test_an_event_that_is_larger_than_the_topic_takes_is_413(broker: Broker, tmp_path: Path) -> None:
    """A limit of the topic below the gateway's own is the sender's to know."""
    topic = broker.create_topic(partitions=PARTITIONS, config={"max.message.bytes": "50000"})
    with running_gateway("--kafka", url_of(broker, topic), "--spool", tmp_path, acknowledge_seconds=30) as gateway:
        large = json.dumps(event(1, extra=os.urandom(60_000).hex())).encode()
        answer = gateway.post(EVENTS, large)
        assert (answer.status, answer.reason) == (413, "oversized")
        assert set(send(gateway, range(5))) == {200}
