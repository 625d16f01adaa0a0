"""Where rows go: a database, a topic of dead letters and an outbox that refuse, forget to answer, and remember."""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from clickhouse_connect.driver.exceptions import OperationalError
from confluent_kafka import KafkaError

from schemas.rows import TABLES
from sinks.clickhouse import sink as sink_module
from sinks.clickhouse import writer as writer_module
from sinks.clickhouse.writer import RowWriter
from sinks.dead_letter_topic import DeadLetterTopicSink, DeadLetterTopicSlot
from sinks.hooks import store
from sinks.hooks.outbox import Outbox
from sinks.hooks.traits import HookTraits, Suppression
from tests.support.logs import START
from tests.support.simulation.history import HOOK, Faults, History
from tests.support.simulation.reference import Reference, Row

YEAR_SECONDS = 365 * 86_400.0

Step = Callable[[], None]
"""Called where others may go on, or a crash may come."""


class SimulatedDatabase:
    """Tables that keep the highest version of each key, and refuse what the undisturbed run would not have written.

    Parameters
    ----------
    reference
        The undisturbed run.
    """

    def __init__(self, reference: Reference) -> None:
        self.tables: dict[str, dict[Row, Row]] = {name: {} for name in TABLES}
        self._reference = reference

    def insert(self, table: str, rows: Sequence[Row]) -> None:
        """Put rows in as ReplacingMergeTree does."""
        key_width, held = len(TABLES[table].key), self.tables[table]
        for row in rows:
            self._reference.require_row(table, row)
            key = row[:key_width]
            if key not in held or held[key][-2] <= row[-2]:
                held[key] = row

    def versions(self, table: str) -> dict[Row, int]:
        """Return the version in force of each key."""
        return {key: row[-2] for key, row in self.tables[table].items()}


class SimulatedClient:
    """Stands in for a connection to the database."""

    database = "labelpulse"

    def __init__(self, database: SimulatedDatabase, faults: Faults, rng: random.Random, step: Step) -> None:
        self._database = database
        self._faults = faults
        self._rng = rng
        self._step = step

    def raw_insert(self, table: str, columns: Sequence[str], block: Any, *, fmt: str) -> None:
        """Take rows, or not, and say so, or not."""
        assert tuple(columns) == TABLES[table].columns and fmt
        self._step()
        draw = self._rng.random
        if draw() < self._faults.insert_refused:
            raise OperationalError("connection reset before anything was done")
        if draw() < self._faults.insert_halved:
            self._database.insert(table, block[: len(block) // 2])
            raise OperationalError("HTTP status 503: connection lost in the midst")
        self._database.insert(table, block)
        self._step()
        if draw() < self._faults.insert_unanswered:
            raise OperationalError("no answer in time")

    def set_client_setting(self, *_: object) -> None:
        """Take a setting."""

    def close(self) -> None:
        """End."""


class _RowsAsTheyAre:
    """Stands in for the encoder of a table."""

    @staticmethod
    def encode(rows: Sequence[Row]) -> Sequence[Row]:
        return rows


@contextmanager
def tables_as_they_should_be() -> Iterator[None]:
    """Let writers take the tables for granted, instead of asking the database about them, while the block runs."""
    encoders = dict.fromkeys(TABLES, _RowsAsTheyAre())
    with (
        mock.patch.object(writer_module, "row_encoders", lambda _: encoders),
        mock.patch.object(sink_module, "require_current", lambda _client, _database: None),
    ):
        yield


def writer_of(history: History, client: Any, clock: Callable[[], float]) -> RowWriter:
    """Return the flow's writer."""
    return RowWriter(
        client,
        flush_seconds=history.flush_seconds,
        flush_rows=history.flush_rows,
        buffer_rows_max=history.buffer_rows_max,
        retry_seconds=0.001,
        retry_seconds_max=0.01,
        clock=clock,
    )


class SimulatedLetters(DeadLetterTopicSink):
    """The flow's sink of dead letters; only its client is simulated."""

    def __init__(self, letters: list[tuple[bytes, bytes]], faults: Faults, rng: random.Random, *, slots: int) -> None:
        self._letters = letters
        self._faults = faults
        self._rng = rng
        self._slots = slots

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> DeadLetterTopicSlot:
        """Return a slot with a simulated producer."""
        producer: Any = _Producer(self._letters, self._faults, self._rng)
        return DeadLetterTopicSlot(producer, topic="dead-letters", delivery_seconds=1.0)


class _Producer:
    """Stands in for librdkafka: delivers when asked to, perhaps twice, perhaps not."""

    def __init__(self, letters: list[tuple[bytes, bytes]], faults: Faults, rng: random.Random) -> None:
        self._letters = letters
        self._faults = faults
        self._rng = rng
        self._waiting: list[tuple[bytes, bytes, Callable[..., None]]] = []

    def produce(self, _topic: str, value: bytes, key: bytes, *, headers: Any, on_delivery: Callable[..., None]) -> None:
        if len(self._waiting) >= 5:
            raise BufferError
        self._waiting.append((key, value, on_delivery))

    def poll(self, _seconds: float) -> None:
        self._deliver(self._rng.randrange(len(self._waiting) + 1))

    def flush(self, _seconds: float) -> int:
        self._deliver(len(self._waiting))
        return len(self._waiting)

    def purge(self) -> None:
        self._waiting.clear()

    def _deliver(self, count: int) -> None:
        for key, value, told in self._waiting[:count]:
            if self._rng.random() < self._faults.letter_fails:
                told(KafkaError(KafkaError._MSG_TIMED_OUT), None)
                continue
            self._letters += [(key, value)] * (2 if self._rng.random() < self._faults.letter_doubled else 1)
            told(None, None)
        del self._waiting[:count]


class SimulatedOutbox:
    """The outbox's file, and how it is opened; what is in it outlives every crash."""

    def __init__(self, folder: Path, faults: Faults, rng: random.Random, step: Step) -> None:
        self._path = folder / "alerts.sqlite3"
        self.faults = faults
        self._rng = rng
        self._step = step

    def open(self) -> Outbox:
        """Return the outbox."""
        connection = store.connect(self._path)
        connection.execute("PRAGMA synchronous = OFF")  # nothing here pulls the plug
        return _StumblingOutbox(connection, self)

    def stumble(self) -> None:
        """Let the disk fail now and then."""
        self._step()
        if self._rng.random() < self.faults.alert_disk_fails:
            raise store.sqlite3.OperationalError("disk I/O error")

    def told(self) -> set[tuple[str, str]]:
        """Return id and kind of what the receiver will be told."""
        connection = store.connect(self._path)
        try:
            rows = connection.execute("SELECT alert_id, kind FROM deliveries WHERE state = 'waiting'").fetchall()
        finally:
            connection.close()
        found = [tuple(row) for row in rows]
        assert len(found) == len(set(found)), "an alert is told twice"
        return set(found)


class _StumblingOutbox(Outbox):
    def __init__(self, connection: Any, shown: SimulatedOutbox) -> None:
        super().__init__(
            connection, hooks={HOOK: HookTraits(HOOK)}, suppression=Suppression(age_seconds_max=YEAR_SECONDS)
        )
        self._shown = shown

    def take_in(self, alerts: Any, *, now: int) -> set[str]:
        self._shown.stumble()
        told = super().take_in(alerts, now=now)
        self._shown.stumble()
        return told


def standing_clock() -> int:
    """Return the time of day of the delivery: never so late that an alert would be too old."""
    return START
