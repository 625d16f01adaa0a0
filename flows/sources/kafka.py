"""A topic of Kafka, read by a fixed number of slots with explicit offsets."""

from collections.abc import Mapping

from bytewax.inputs import FixedPartitionedSource
from confluent_kafka import Consumer

from flows.sources.kafka_positions import require_fitting_state, starting_cursors
from flows.sources.kafka_slot import CommitHandler, ErrorHandler, KafkaSlot
from flows.sources.kafka_topic import Topic, TopicFacts, TopicWatch, checking_options, kafka_log
from flows.sources.slots import SlotContext, State, slot_name
from flows.sources.urls import StartingOffset
from schemas.errors import ConfigurationError
from schemas.records import RecordBatch

CONNECT_SECONDS = 10.0
REFRESH_SECONDS = 30.0

DEFAULT_OPTIONS = {
    "client.id": "labelpulse",
    # What stops the reading is told once, by the slot, instead of at each attempt to connect.
    "log_level": "2",
    "queued.max.messages.kbytes": "8192",
    "fetch.max.bytes": "8388608",
    # Fetching pauses while the queue is full; for a second, as librdkafka has it, a small queue would run dry.
    "fetch.queue.backoff.ms": "10",
    # Nobody joins the group; but closing a client waits so long for a commit that a lost broker does not answer.
    "session.timeout.ms": "3000",
    "heartbeat.interval.ms": "1000",
}
OWN_OPTIONS = {
    "enable.auto.commit": "false",
    "enable.auto.offset.store": "false",
    "auto.offset.reset": "error",
    "enable.partition.eof": "true",
}
"""Options that exact offsets rest on."""

NAMED_ELSEWHERE = {"bootstrap.servers": "the source's URL", "group.id": "kafka_group, or ?group= in the source's URL"}


class KafkaSource(FixedPartitionedSource[RecordBatch, State]):
    """Each message of a topic is a record; slot i reads the partitions p with p mod slots = i.

    Parameters
    ----------
    brokers
        Addresses to begin with, as host:port, separated by commas.
    topic
        Name of the topic.
    slots
        Number of slots, at least 1; fixed once a recovery store exists.
    until_eof
        End when each partition has been read to where it ended when the run began.
    starting_offset
        Where a first run begins: ``earliest`` or ``latest``. Partitions that appear later are read from their start.
    group_id
        Consumer group under which the progress is shown; nothing is read from it.
    options
        Settings of librdkafka, passed through (TLS, SASL, time-outs).
    context
        Limits, drain and counters.
    connect_seconds
        How long to wait for the brokers at the start, above 0.
    refresh_seconds
        Look for new partitions every so many seconds.

    Raises
    ------
    ConfigurationError
        If an option is not one of librdkafka's, or is one that exact offsets rest on.
    """

    def __init__(
        self,
        *,
        brokers: str,
        topic: str,
        slots: int,
        until_eof: bool,
        starting_offset: StartingOffset = "earliest",
        group_id: str = "labelpulse",
        options: Mapping[str, str] = {},  # noqa: B006
        context: SlotContext = SlotContext(),  # noqa: B008
        connect_seconds: float = CONNECT_SECONDS,
        refresh_seconds: float = REFRESH_SECONDS,
    ) -> None:
        assert slots >= 1 and connect_seconds > 0
        _require_free_options(options)
        self.stream = f"kafka:{topic}"
        self._slots = slots
        self._until_eof = until_eof
        self._starting_offset = starting_offset
        self._context = context
        servers = {"bootstrap.servers": brokers, "group.id": group_id}
        self._config = {**DEFAULT_OPTIONS, **options, **OWN_OPTIONS, **servers}
        self._topic = Topic(brokers=brokers, name=topic, options=options, connect_seconds=connect_seconds)
        self._watch = TopicWatch(self._topic, refresh_seconds=refresh_seconds)

    def check(self) -> TopicFacts:
        """Return what the topic is like, before anything is consumed.

        Raises
        ------
        UnavailableError
            If no broker answers in time, the topic does not exist, or may not be read.
        """
        return self._topic.describe()

    def list_parts(self) -> list[str]:
        """Return the names of the slots."""
        return [slot_name(index) for index in range(self._slots)]

    def build_part(self, step_id: str, for_part: str, resume_state: State | None) -> KafkaSlot:
        """Return a slot that reads its partitions, from where `resume_state` says."""
        index = self.list_parts().index(for_part)
        facts = self._topic.describe()
        if resume_state is not None:
            require_fitting_state(resume_state, stream=self.stream, slots=self._slots, facts=facts)
        watermarks = self._topic.watermarks(number for number in facts.partitions if number % self._slots == index)
        cursors = starting_cursors(
            stream=self.stream,
            watermarks=watermarks,
            state=resume_state,
            starting_offset=self._starting_offset,
            until_eof=self._until_eof,
        )
        return KafkaSlot(
            stream=self.stream,
            index=index,
            slots=self._slots,
            topic=self._topic,
            watch=self._watch,
            facts=facts,
            cursors=cursors,
            until_eof=self._until_eof,
            connect=self._connect,
            context=self._context,
            is_resumed=resume_state is not None,
        )

    def _connect(self, on_error: ErrorHandler, on_commit: CommitHandler) -> Consumer:
        with checking_options():
            return Consumer({**self._config, "error_cb": on_error, "on_commit": on_commit}, logger=kafka_log)


def _require_free_options(options: Mapping[str, str]) -> None:
    for name in options:
        if name in OWN_OPTIONS:
            raise ConfigurationError(
                f"the option {name} cannot be set: exact offsets rest on {name}={OWN_OPTIONS[name]}",
                remedy="leave it out of kafka_options and the source's URL",
            )
        if name in NAMED_ELSEWHERE:
            raise ConfigurationError(f"the option {name} cannot be set here", remedy=f"use {NAMED_ELSEWHERE[name]}")
