"""A real Apache Kafka for developers and tests: ``python -m tests.support.broker``, or the fixture `broker`.

A test module asks for the fixture with ``pytest_plugins = ["tests.support.broker"]``; one broker serves the session.
"""

import argparse
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kafka.jars import BrokerUnavailableError, java_command, kafka_jars, kafka_version
from tests.support.kafka.node import Broker, running_broker

TOPIC = "labelpulse.events"
PARTITIONS = 4


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """One real broker for the whole session; where it cannot be had, the tests are skipped with the reason."""
    try:
        java_command()
        kafka_jars()
    except BrokerUnavailableError as error:
        pytest.skip(f"NO REAL KAFKA, nothing of this is proven here: {error}")
    with running_broker() as started:
        yield started


def main() -> int:
    """Run a broker until Ctrl-C or SIGTERM; return the exit code."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with running_broker(port=arguments.port, data=arguments.data) as broker:
            if arguments.topic not in broker.admin.list_topics(timeout=30).topics:
                broker.create_topic(name=arguments.topic, partitions=arguments.partitions, config=_topic_config())
            _greet(broker, arguments.topic)
            code = broker.process.wait()
            print(f"error: the broker ended by itself with exit code {code}", file=sys.stderr)
            return 1
    except KeyboardInterrupt:
        return 0
    except BrokerUnavailableError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.support.broker", description="A one-node Apache Kafka.")
    parser.add_argument("--port", type=int, default=9092, help="port of 127.0.0.1 to listen on (default 9092)")
    parser.add_argument("--data", type=Path, help="folder that keeps the data (default: a temporary one)")
    parser.add_argument("--topic", default=TOPIC, help=f"topic to create (default {TOPIC})")
    parser.add_argument("--partitions", type=int, default=PARTITIONS, help=f"its partitions (default {PARTITIONS})")
    return parser.parse_args()


def _topic_config() -> dict[str, str]:
    """Stamps are the broker's own: with them a far-future event is told from a slow consumer."""
    return {"message.timestamp.type": "LogAppendTime"}


def _greet(broker: Broker, topic: str) -> None:
    print(f"Apache Kafka {kafka_version()} is ready at {broker.bootstrap}, with the topic {topic}. Ctrl-C ends it.")
    print("Read from it in another terminal:")
    print(f"  labelpulse run --source kafka://{broker.bootstrap}/{topic}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
