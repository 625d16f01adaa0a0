"""The log as the sources meet it: a topic without a broker, and files that grow; both give what a seed says."""

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as Position

from flows.sources.files import FileSource
from flows.sources.kafka import KafkaSource
from flows.sources.kafka_slot import CommitHandler, ErrorHandler
from flows.sources.kafka_topic import TopicFacts
from flows.sources.slots import SlotContext
from tests.support.simulation.history import Faults, History, LogRecord

TOPIC = "events"
FILES_MAX = 3

CommitCheck = Callable[[int, int], None]
"""Told partition and offset of each commit to the consumer group."""


class SimulatedTopic:
    """A topic that grows, without a broker; stands in for `flows.sources.kafka_topic.Topic` and its watch.

    Parameters
    ----------
    history
        What it will hold in the end.
    """

    name = TOPIC

    def __init__(self, history: History) -> None:
        self.logs = history.logs
        self._there = history.partitions_at_first
        self._reached = dict.fromkeys(history.logs, 0)
        self._facts = TopicFacts("topic-id", frozenset(range(self._there)))

    def grow(self, rng: random.Random) -> None:
        """Let some more records arrive, and now and then a partition."""
        if self._there < len(self.logs) and rng.random() < 0.2:
            self._there += 1
            self._facts = TopicFacts("topic-id", frozenset(range(self._there)))
        number = rng.randrange(self._there)
        self._reached[number] = min(self._reached[number] + rng.randrange(1, 12), len(self.logs[number]))

    def complete(self) -> None:
        """Let everything arrive."""
        self._there = len(self.logs)
        self._facts = TopicFacts("topic-id", frozenset(self.logs))
        self._reached = {number: len(log) for number, log in self.logs.items()}

    @property
    def is_complete(self) -> bool:
        """Whether everything has arrived."""
        return self._there == len(self.logs) and all(self._reached[n] == len(log) for n, log in self.logs.items())

    def describe(self) -> TopicFacts:
        """Return what the topic is like now."""
        return self._facts

    latest = describe

    def watermarks(self, partitions: Iterable[int]) -> dict[int, tuple[int, int]]:
        """Return how far each partition reaches."""
        return {number: (0, self.high(number)) for number in partitions}

    def high(self, number: int) -> int:
        """Return the offset after the last record that has arrived."""
        reached = self._reached[number]
        return self.logs[number][reached - 1].offset + 1 if reached else 0

    def next_record(self, number: int, offset: int) -> LogRecord | None:
        """Return the first record from an offset on that has arrived."""
        log = self.logs[number]
        index = min(offset, len(log))
        while index > 0 and log[index - 1].offset >= offset:
            index -= 1
        return log[index] if index < self._reached[number] else None


class SimulatedConsumer:
    """Stands in for librdkafka: gives what has arrived in pieces, with what comes between records."""

    def __init__(self, topic: SimulatedTopic, faults: Faults, rng: random.Random, check_commit: CommitCheck) -> None:
        self._topic = topic
        self._faults = faults
        self._rng = rng
        self._check_commit = check_commit
        self._positions: dict[int, int] = {}
        self._ends_told: set[tuple[int, int]] = set()

    def consume(self, wanted: int, seconds: float) -> list[Message]:
        """Return some messages."""
        assert seconds == 0, "the flow must not wait within its source"
        if self._rng.random() < self._faults.nothing_fetched:
            return []
        if self._rng.random() < self._faults.brokers_down:
            return [Message(None, -1, -1001, error=KafkaError(KafkaError._ALL_BROKERS_DOWN))]
        found: list[Message] = []
        for number in self._rng.sample(sorted(self._positions), len(self._positions)):
            count = self._rng.randrange(wanted - len(found) + 1)
            found += self._messages(number, count)
        return found

    def incremental_assign(self, partitions: list[Position]) -> None:
        """Begin to fetch."""
        self._positions |= {partition.partition: partition.offset for partition in partitions}

    def incremental_unassign(self, partitions: list[Position]) -> None:
        """Fetch no more."""
        for partition in partitions:
            del self._positions[partition.partition]

    def get_watermark_offsets(self, partition: Position, *, cached: bool) -> tuple[int, int]:
        """Return how far a partition reaches."""
        assert cached
        return 0, self._topic.high(partition.partition)

    def commit(self, *, offsets: list[Position], asynchronous: bool) -> None:
        """Take note of the group's progress, or fail."""
        assert asynchronous
        for partition in offsets:
            self._check_commit(partition.partition, partition.offset)
        if self._rng.random() < self._faults.commit_fails:
            raise KafkaException(KafkaError(KafkaError._STATE))

    def close(self) -> None:
        """End."""
        self._positions.clear()

    def _messages(self, number: int, count: int) -> list[Message]:
        found: list[Message] = []
        while len(found) < count:
            record = self._topic.next_record(number, self._positions[number])
            if record is None:
                high = self._topic.high(number)
                if (number, high) not in self._ends_told:
                    self._ends_told.add((number, high))
                    found.append(Message(TOPIC, number, high, error=KafkaError(KafkaError._PARTITION_EOF)))
                break
            self._positions[number] = record.offset + 1
            found.append(_message(number, record))
        return found


def _message(number: int, record: LogRecord) -> Message:
    kind = TIMESTAMP_CREATE_TIME if record.stamp is None else TIMESTAMP_LOG_APPEND_TIME
    return Message(TOPIC, number, record.offset, value=record.payload, timestamp=(kind, (record.stamp or 0) // 1000))


class SimulatedKafkaSource(KafkaSource):
    """The flow's source of a topic; only what would ask a broker is simulated."""

    def __init__(
        self,
        topic: SimulatedTopic,
        *,
        history: History,
        until_eof: bool,
        context: SlotContext,
        rng: random.Random,
        check_commit: CommitCheck,
        faults: Faults,
    ) -> None:
        self.stream = f"kafka:{TOPIC}"
        self._slots = history.source_slots
        self._until_eof = until_eof
        self._starting_offset = "earliest"
        self._context = context
        self._topic: Any = topic
        self._watch: Any = topic
        self._faults = faults
        self._rng = rng
        self._check_commit = check_commit

    def _connect(self, on_error: ErrorHandler, on_commit: CommitHandler) -> Any:
        return SimulatedConsumer(self._topic, self._faults, self._rng, self._check_commit)


class GrowingFiles:
    """Files of a directory that a tool writes one after the other, and not always whole lines.

    Parameters
    ----------
    folder
        Where; empty.
    history
        What they will hold in the end.
    """

    def __init__(self, folder: Path, history: History) -> None:
        self._folder = folder
        payloads = [record.payload for record in history.logs[0]]
        each = -(-len(payloads) // FILES_MAX)
        self._files = [
            b"".join(payload + b"\n" for payload in payloads[start : start + each])
            for start in range(0, len(payloads), each)
        ]
        self._index = self._written = 0
        self._append(0)

    @property
    def is_complete(self) -> bool:
        """Whether everything has been written."""
        return self._index == len(self._files) - 1 and self._written == len(self._files[-1])

    def grow(self, rng: random.Random) -> None:
        """Let some more bytes be written."""
        left = len(self._files[self._index]) - self._written
        if left:
            self._append(min(rng.randrange(1, 2500), left))
        elif not self.is_complete:
            self._index, self._written = self._index + 1, 0
            self._append(0)

    def complete(self) -> None:
        """Let everything be written."""
        while not self.is_complete:
            self._append(len(self._files[self._index]) - self._written)
            if not self.is_complete:
                self._index, self._written = self._index + 1, 0

    def source(self, *, until_eof: bool, context: SlotContext) -> FileSource:
        """Return the flow's source of the directory."""
        return FileSource(self._folder, until_eof=until_eof, context=context, listing_seconds=0.0)

    def _append(self, count: int) -> None:
        part = self._files[self._index][self._written : self._written + count]
        with (self._folder / f"part-{self._index:02d}.jsonl").open("ab") as file:
            file.write(part)
        self._written += count
