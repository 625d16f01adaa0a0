"""One slot of a topic: reads its partitions, follows the topic's changes, shows its progress to the consumer group."""

from collections.abc import Callable, Collection, Iterable

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from flows.sources.kafka_messages import Cursor, Run, by_partition
from flows.sources.kafka_positions import require_same_topic, starting_cursors
from flows.sources.kafka_topic import START_OVER, Topic, TopicFacts, TopicWatch, kafka_error, kafka_log
from flows.sources.slots import STATE_VERSION, Slot, SlotContext, State
from schemas.errors import SourceError, UnavailableError
from schemas.records import RecordBatch

MESSAGES_AT_ONCE = 1000
"""More at once cost more each: so many live objects make Python's collector of cycles work."""

OUT_OF_RANGE = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)
OUTAGES = (
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._AUTHENTICATION,
    KafkaError._RESOLVE,
    KafkaError._SSL,
)
"""Errors that stop the intake until they are mended, and lose nothing."""

ErrorHandler = Callable[[KafkaError], None]
CommitHandler = Callable[[KafkaError | None, list[TopicPartition]], None]
Connect = Callable[[ErrorHandler, CommitHandler], Consumer]
"""Makes a client that calls the handlers from within ``consume``."""


class KafkaSlot(Slot):
    """Reads the partitions p with p mod slots = index.

    Parameters
    ----------
    stream
        Name of the log.
    index, slots
        Number of this slot, and how many there are.
    topic, watch
        The topic, and what keeps its facts fresh.
    facts
        The topic as it is at the start.
    cursors
        Number of a partition → where it is read on.
    until_eof
        End when each partition has been read to its cursor's end.
    connect
        Makes the client; called only once there is a partition to read.
    context
        Limits, drain and counters.
    is_resumed
        Whether the cursors come from a snapshot, which is durable then.
    """

    def __init__(
        self,
        *,
        stream: str,
        index: int,
        slots: int,
        topic: Topic,
        watch: TopicWatch,
        facts: TopicFacts,
        cursors: dict[int, Cursor],
        until_eof: bool,
        connect: Connect,
        context: SlotContext,
        is_resumed: bool,
    ) -> None:
        super().__init__(context, gathers=not until_eof)
        self._stream = stream
        self._index = index
        self._slots = slots
        self._topic = topic
        self._watch = watch
        self._facts = facts
        self._cursors = cursors
        self._until_eof = until_eof
        self._connect = connect
        self._consumer: Consumer | None = None
        self._fetched: set[int] = set()
        self._committed: dict[int, int] = {}
        self._durable: dict[int, int] = self._next_offsets() if is_resumed else {}
        self._assign(cursors.values())

    def read(self) -> list[RecordBatch]:
        """Return the records that have arrived; raise StopIteration once all that was wanted is read."""
        self._commit_durable()
        self._follow_topic()
        batches = self._consume()
        if not batches and self._until_eof and all(cursor.is_done for cursor in self._cursors.values()):
            raise StopIteration
        return batches

    def snapshot(self) -> State:
        """Return the next offset of each partition; once durable, it is what the consumer group is told."""
        self._durable = self._next_offsets()
        return {
            "version": STATE_VERSION,
            "stream": self._stream,
            "slots": self._slots,
            "topic_id": self._facts.topic_id,
            "partitions": {number: (cursor.next_offset, cursor.records_in) for number, cursor in self._cursors.items()},
        }

    def close(self) -> None:
        """Close the client."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _consume(self) -> list[RecordBatch]:
        """Return what has been fetched, at most about a batch of it."""
        runs: dict[int, list[Run]] = {}
        records_left, bytes_left = self._limits.batch_records_max, self._limits.batch_bytes_max
        while records_left > 0 and bytes_left > 0 and (messages := self._fetched_messages(records_left)):
            records_left -= len(messages)
            bytes_left -= sum(map(len, messages))
            self._take(messages, runs)
        return [batch for number, parts in runs.items() for batch in self._cursors[number].batches(parts, self._limits)]

    def _fetched_messages(self, wanted: int) -> list[Message]:
        if self._consumer is None:
            return []
        try:
            return self._consumer.consume(min(wanted, MESSAGES_AT_ONCE), 0)
        except KafkaException as error:
            raise self._lost(kafka_error(error), "") from error

    def _take(self, messages: list[Message], runs: dict[int, list[Run]]) -> None:
        """Add the records of messages to the runs of their partitions, and take in what came between them."""
        self._note("")
        records = [message for message in messages if message.error() is None]
        touched = by_partition(records) if records else {}
        for number, part in touched.items():
            runs.setdefault(number, []).extend(self._cursors[number].take(part))
        if len(records) < len(messages):
            for message in messages:
                self._take_event(message)
        self._settle(touched)

    def _take_event(self, message: Message) -> None:
        """Take in what came between records: the end of a partition for now, or an error."""
        error = message.error()
        if error is None:
            return
        if error.code() == KafkaError._PARTITION_EOF:
            # Markers of transactions and compacted records leave offsets without a record: they are passed here.
            cursor = self._cursors[message.partition()]
            reached = max(cursor.next_offset, message.offset())
            cursor.next_offset = reached if cursor.end is None else min(reached, cursor.end)
            self._settle([cursor.partition])
        elif message.topic() is None and not error.fatal():
            self._on_error(error)
        else:
            raise self._lost(error, f"partition {message.partition()} of ")

    def _settle(self, numbers: Iterable[int]) -> None:
        """Keep the lag up to date, and stop fetching from partitions that are done."""
        assert self._consumer is not None
        for number in numbers:
            cursor, partition = self._cursors[number], TopicPartition(self._topic.name, number)
            _, high = self._consumer.get_watermark_offsets(partition, cached=True)
            cursor.high = max(cursor.high, high)
            self._intake.lag[self._stream, number] = cursor.behind
            if cursor.is_done and number in self._fetched:
                self._fetched.discard(number)
                self._consumer.incremental_unassign([partition])

    def _assign(self, cursors: Collection[Cursor]) -> None:
        """Begin to fetch from partitions, with a client of its own made for the first of them."""
        if self._consumer is None and self._cursors:
            self._consumer = self._connect(self._on_error, self._on_commit)
        self._intake.lag |= {(self._stream, cursor.partition): cursor.behind for cursor in cursors}
        wanted = {cursor.partition: cursor.next_offset for cursor in cursors if not cursor.is_done}
        if wanted and self._consumer is not None:
            name = self._topic.name
            self._consumer.incremental_assign([TopicPartition(name, number, wanted[number]) for number in wanted])
            self._fetched |= wanted.keys()

    def _follow_topic(self) -> None:
        """Begin to read partitions that have appeared; raise if some are gone or the topic is another."""
        facts = self._watch.latest()
        if facts is None or facts is self._facts:
            return
        require_same_topic(self._stream, self._facts.topic_id, frozenset(self._cursors), facts)
        self._facts = facts
        new = [n for n in facts.partitions if n % self._slots == self._index and n not in self._cursors]
        if new and not self._until_eof:
            self._begin(new)

    def _begin(self, numbers: list[int]) -> None:
        try:
            watermarks = self._topic.watermarks(numbers)
        except UnavailableError as error:
            kafka_log.warning("new partitions %s of %s are read later: %s", numbers, self._stream, error)
            return
        cursors = starting_cursors(
            stream=self._stream, watermarks=watermarks, state=None, starting_offset="earliest", until_eof=False
        )
        kafka_log.info("reading the new partitions %s of %s", sorted(numbers), self._stream)
        self._cursors |= cursors
        self._assign(cursors.values())

    def _next_offsets(self) -> dict[int, int]:
        return {number: cursor.next_offset for number, cursor in self._cursors.items()}

    def _commit_durable(self) -> None:
        """Tell the consumer group what the last snapshot holds, which is durable by now; nothing depends on it."""
        if self._consumer is None or self._intake.notice:
            return  # while no broker answers, a commit under way would only hold up the closing
        durable, self._durable = self._durable, {}
        news = {number: offset for number, offset in durable.items() if self._committed.get(number) != offset}
        if not news:
            return
        offsets = [TopicPartition(self._topic.name, number, offset) for number, offset in news.items()]
        try:
            self._consumer.commit(offsets=offsets, asynchronous=True)
            self._committed |= news
        except KafkaException as error:
            self._on_commit(kafka_error(error), [])

    def _on_commit(self, error: KafkaError | None, _: list[TopicPartition]) -> None:
        if error is not None:
            kafka_log.warning("the consumer group does not show the progress of %s: %s", self._stream, error.str())

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in OUTAGES:
            self._note(error.str())

    def _note(self, notice: str) -> None:
        """Say once that nothing can come in, and once that it does again."""
        if bool(notice) != bool(self._intake.notice):
            kafka_log.warning("%s: %s", self._stream, notice or "reading again")
        self._intake.notice = notice

    def _lost(self, error: KafkaError, where: str) -> SourceError:
        if error.code() in OUT_OF_RANGE:
            return SourceError(
                f"{where}{self._stream} no longer holds the offset that was to be read next: {error.str()}",
                remedy=f"the log was cut, made anew or shortened by retention: restore it, or {START_OVER}",
            )
        return SourceError(
            f"{where}{self._stream} cannot be read on: {error.str()}",
            remedy="check the topic and the rights of the flow's user, then start again: it resumes where it was",
        )
