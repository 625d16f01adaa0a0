"""What is known about a topic of Kafka: its identity, its partitions and how far they reach."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.errors import ConfigurationError, SourceError, UnavailableError

START_OVER = "start over with an empty recovery directory, and a generation of its own for its rows"
VANISHED_ANSWERS = 2

kafka_log = logging.getLogger("labelpulse.kafka")


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """A topic as its brokers describe it.

    Parameters
    ----------
    topic_id
        Its identity: a topic that is deleted and made anew under the same name has another.
    partitions
        Numbers of its partitions.
    """

    topic_id: str
    partitions: frozenset[int]


class Topic:
    """Asks the brokers about one topic, each time for a bounded time.

    Parameters
    ----------
    brokers
        Addresses to begin with, as host:port, separated by commas.
    name
        Name of the topic.
    options
        Settings of librdkafka (TLS, SASL …).
    connect_seconds
        How long to wait for an answer, above 0.

    Raises
    ------
    ConfigurationError
        If librdkafka refuses an option.
    """

    def __init__(self, *, brokers: str, name: str, options: Mapping[str, str], connect_seconds: float) -> None:
        self.name = name
        self._brokers = brokers
        self._seconds = connect_seconds
        self._last_error = ""
        self._isolation = (
            IsolationLevel.READ_UNCOMMITTED
            if options.get("isolation.level") == "read_uncommitted"
            else IsolationLevel.READ_COMMITTED
        )
        config = {"log_level": "2", **options, "bootstrap.servers": brokers, "error_cb": self._on_error}
        with checking_options():
            self._admin = AdminClient(config, logger=kafka_log)

    def describe(self) -> TopicFacts:
        """Return what the topic is like now.

        Raises
        ------
        UnavailableError
            If no broker answers in time, the topic does not exist, or may not be read.
        """
        return self._answer(self.ask())

    def ask(self) -> "Future[TopicFacts]":
        """Ask what the topic is like, without waiting for the answer."""
        self._admin.poll(0)
        asked = self._admin.describe_topics(TopicCollection([self.name]), request_timeout=self._seconds)[self.name]
        facts: Future[TopicFacts] = Future()
        asked.add_done_callback(lambda done: _pass_on(done, facts))
        return facts

    def watermarks(self, partitions: Iterable[int]) -> dict[int, tuple[int, int]]:
        """Return, for each partition, its first offset and the one after its last (committed) record.

        Raises
        ------
        UnavailableError
            If no broker answers in time.
        """
        asked = sorted(partitions)
        if not asked:
            return {}
        low = self._offsets(asked, OffsetSpec.earliest())
        high = self._offsets(asked, OffsetSpec.latest())
        return {number: (low[number], high[number]) for number in asked}

    def _offsets(self, partitions: list[int], which: OffsetSpec) -> dict[int, int]:
        request = {TopicPartition(self.name, number): which for number in partitions}
        asked = self._admin.list_offsets(request, isolation_level=self._isolation, request_timeout=self._seconds)
        return {partition.partition: self._answer(future).offset for partition, future in asked.items()}

    def _answer(self, asked: "Future[Any]") -> Any:
        try:
            return asked.result(self._seconds + 1)
        except (KafkaException, TimeoutError) as error:
            self._admin.poll(0)
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> UnavailableError:
        code = kafka_error(error).code() if isinstance(error, KafkaException) else KafkaError._TIMED_OUT
        if code == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return UnavailableError(
                f"there is no topic {self.name} on {self._brokers}", remedy="create it, or correct its name"
            )
        if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return UnavailableError(
                f"the topic {self.name} on {self._brokers} may not be read",
                remedy="allow the flow's user to DESCRIBE and READ the topic",
            )
        reason = self._last_error or (kafka_error(error).str() if isinstance(error, KafkaException) else "no answer")
        return UnavailableError(
            f"no broker of {self._brokers} answered within {self._seconds:g} s: {reason}",
            remedy="check the address, that the broker runs, and the TLS and SASL options",
        )

    def _on_error(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN or not self._last_error:
            self._last_error = error.str()


class TopicWatch:
    """Keeps the facts of a topic fresh without ever waiting; shared by the slots of a process.

    Parameters
    ----------
    topic
        The topic.
    refresh_seconds
        Ask again so many seconds after the last time.
    """

    def __init__(self, topic: Topic, *, refresh_seconds: float) -> None:
        self._topic = topic
        self._refresh_seconds = refresh_seconds
        self._ask_at = time.monotonic() + refresh_seconds
        self._asked: Future[TopicFacts] | None = None
        self._facts: TopicFacts | None = None
        self._vanished = 0

    def latest(self) -> TopicFacts | None:
        """Return the newest facts; None before the first refresh.

        Raises
        ------
        SourceError
            If the topic is gone.
        """
        asked, now = self._asked, time.monotonic()
        if asked is not None and asked.done():
            self._asked = None
            self._take(asked)
        elif asked is None and now >= self._ask_at:
            self._ask_at = now + self._refresh_seconds
            self._asked = self._topic.ask()
        return self._facts

    def _take(self, answered: "Future[TopicFacts]") -> None:
        """Take an answer in; brokers that cannot be reached just now are no news about the topic."""
        error = answered.exception()
        if error is None:
            self._facts, self._vanished = answered.result(), 0
        elif isinstance(error, KafkaException) and kafka_error(error).code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            self._vanished += 1
            if self._vanished >= VANISHED_ANSWERS:
                raise SourceError(f"the topic {self._topic.name} is gone", remedy=f"create it again and {START_OVER}")


def kafka_error(error: KafkaException) -> KafkaError:
    """Return what went wrong according to librdkafka."""
    return error.args[0]


@contextmanager
def checking_options() -> Iterator[None]:
    """Tell in plain words which option of librdkafka is wrong."""
    try:
        yield
    except KafkaException as error:
        raise ConfigurationError(
            f"librdkafka refuses the options: {kafka_error(error).str()}",
            remedy="correct kafka_options or the options in the source's URL",
        ) from error


def _pass_on(described: "Future[Any]", facts: "Future[TopicFacts]") -> None:
    error = described.exception()
    if error is not None:
        facts.set_exception(error)
        return
    topic = described.result()
    facts.set_result(TopicFacts(str(topic.topic_id), frozenset(partition.id for partition in topic.partitions)))
