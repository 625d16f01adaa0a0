"""Dead letters: found in the database, mended, and appended to a log again as records like any other."""

import base64
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from pydantic import ValidationError

from flows.sources.kafka_topic import checking_options, kafka_log
from flows.sources.urls import FileSpec, KafkaSpec, parse_source
from schemas.errors import ConfigurationError, SinkError, UnavailableError
from schemas.events import parse_event

DELIVERY_SECONDS = 60.0
POLL_SECONDS = 0.5
PRODUCER_OPTIONS = {
    "client.id": "labelpulse",
    "log_level": "2",
    "enable.idempotence": "true",
    "partitioner": "murmur2_random",
    "message.timeout.ms": int(DELIVERY_SECONDS * 1000),
}

_LETTERS = """
SELECT
    stream, `partition`, `offset`, stage, error_code, error, project_id, base64Encode(payload) AS payload, payload_bytes
FROM dead_letters
"""
_SELECT = f"""{_LETTERS}
WHERE (empty({{reasons:Array(String)}}) OR error_code IN {{reasons:Array(String)}})
    AND ({{project:String}} = '' OR project_id = {{project:String}})
ORDER BY stream, `partition`, `offset`
LIMIT {{limit:UInt64}}
"""
_SELECT_ONE = f"""{_LETTERS}
WHERE stream = {{stream:String}} AND `partition` = {{partition:UInt32}} AND `offset` = {{offset:UInt64}}
"""

Position = tuple[str, int, int]
"""Stream, partition and offset of a record."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A refused record.

    Parameters
    ----------
    position
        Where it stands in the log.
    stage, error_code, error
        Where and why it was refused.
    project_id
        Its project; None where that could not be told.
    payload, payload_bytes
        Its bytes, and how many it had before it was cut.
    """

    position: Position
    stage: str
    error_code: str
    error: str
    project_id: str | None
    payload: bytes
    payload_bytes: int

    @property
    def is_whole(self) -> bool:
        """Whether all of its bytes are there."""
        return len(self.payload) == self.payload_bytes


@dataclass(frozen=True, slots=True)
class Mended:
    """A record that is an event of the contract, ready to be appended to a log."""

    project_id: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Unmended:
    """A dead letter that would only be refused again, and why."""

    letter: DeadLetter
    reason: str


def dead_letters(client: Client, *, reasons: Sequence[str], project: str | None, limit: int) -> Iterator[DeadLetter]:
    """Yield the dead letters in the database, in the order of the log.

    Parameters
    ----------
    reasons
        Their error codes; empty for all.
    project
        One project; None for all.
    limit
        Most letters.
    """
    asked = {"reasons": list(reasons), "project": project or "", "limit": limit}
    for row in client.query(_SELECT, asked).named_results():
        yield _letter_of(row)


def dead_letter_at(client: Client, position: Position) -> DeadLetter | None:
    """Return the dead letter at a position of the log; None if there is none."""
    asked = dict(zip(("stream", "partition", "offset"), position, strict=True))
    return next(map(_letter_of, client.query(_SELECT_ONE, asked).named_results()), None)


def _letter_of(row: Mapping[str, Any]) -> DeadLetter:
    position = (row["stream"], row["partition"], row["offset"])
    payload = base64.b64decode(row["payload"])
    return DeadLetter(
        position, row["stage"], row["error_code"], row["error"], row["project_id"], payload, row["payload_bytes"]
    )


class Patch:
    """What is to be changed in dead letters.

    Parameters
    ----------
    of_all
        A JSON merge patch for every letter: what is null is taken out, what is an object is patched, else replaced.
    of_one
        Position → a merge patch, or the text that takes the record's place.

    References
    ----------
    RFC 7396, JSON Merge Patch.
    """

    def __init__(self, of_all: Mapping[str, Any], of_one: Mapping[Position, Mapping[str, Any] | str]) -> None:
        self._of_all = of_all
        self._of_one = of_one

    def apply(self, letter: DeadLetter) -> bytes:
        """Return the mended bytes of a letter; those of the letter where nothing is to be changed.

        Raises
        ------
        ValueError
            If the letter is no JSON object, which is what a merge patch needs.
        """
        own = self._of_one.get(letter.position)
        payload = own.encode() if isinstance(own, str) else letter.payload
        patches = [patch for patch in (self._of_all, own) if patch and not isinstance(patch, str)]
        if not patches:
            return payload
        try:
            record = json.loads(payload)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"it is not JSON, so that no patch can be applied: {error}") from error
        if not isinstance(record, dict):
            raise ValueError("it is no JSON object, so that no patch can be applied")
        for patch in patches:
            record = merged(record, patch)
        return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


NO_PATCH = Patch({}, {})


def merged(target: Any, patch: Any) -> Any:
    """Return `target` with a JSON merge patch applied.

    >>> merged({"a": 1, "b": {"c": 2, "d": 3}}, {"a": None, "b": {"c": 4}})
    {'b': {'c': 4, 'd': 3}}
    """
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def read_patch(path: Path) -> Patch:
    """Read a patch: one JSON object for all letters, or a line each for single ones.

    A line names ``stream``, ``partition`` and ``offset``, and has ``patch`` (an object) or ``payload`` (a text), as in
    what ``labelpulse dead-letters list --format json`` prints.

    Raises
    ------
    ConfigurationError
        If it is neither.
    """
    try:
        text = path.read_text()
        objects = [json.loads(line) for line in text.splitlines() if line.strip()] if _has_lines(text) else []
        if not objects:
            patch = json.loads(text)
            if not isinstance(patch, dict):
                raise ValueError("it is no JSON object")
            return Patch(patch, {})
        return Patch({}, {_position_of(line): _change_of(line) for line in objects})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"the patch {path} cannot be used: {error!r}",
            remedy="write one JSON object (a merge patch for all), or lines of stream, partition, offset and patch",
        ) from error


def _has_lines(text: str) -> bool:
    """Tell whether the first line is an object that names a position."""
    try:
        first = json.loads(next(line for line in text.splitlines() if line.strip()))
    except (ValueError, StopIteration):
        return False
    return isinstance(first, dict) and {"stream", "partition", "offset"} <= first.keys()


def _position_of(line: Mapping[str, Any]) -> Position:
    return str(line["stream"]), int(line["partition"]), int(line["offset"])


def _change_of(line: Mapping[str, Any]) -> Mapping[str, Any] | str:
    change = line["patch"] if "patch" in line else line["payload"]
    if not isinstance(change, Mapping | str):
        raise TypeError(f"the change at offset {line['offset']} is neither an object nor a text")
    return change


def mend(letter: DeadLetter, patch: Patch = NO_PATCH) -> Mended | Unmended:
    """Return the record to append in a letter's stead; nothing of it tells that, or why, it was refused."""
    if not letter.is_whole and not isinstance(patch._of_one.get(letter.position), str):
        return Unmended(letter, f"only {len(letter.payload):,} of its {letter.payload_bytes:,} bytes were kept")
    try:
        payload = patch.apply(letter)
        event = parse_event(payload)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        return Unmended(letter, f"it is still no event: {where + ': ' if where else ''}{first['msg']}")
    except ValueError as error:
        return Unmended(letter, str(error))
    return Mended(event.project_id, payload)


class LogWriter(ABC):
    """Appends records to a log."""

    @abstractmethod
    def append(self, record: Mended) -> None:
        """Append a record; it is there for good once `close` has returned."""

    @abstractmethod
    def close(self) -> None:
        """Wait until all records are there for good.

        Raises
        ------
        SinkError
            If one is not.
        """


def open_writer(url: str, *, options: Mapping[str, str]) -> LogWriter:
    """Return a writer to the log that a person names: kafka://… or file:PATH.

    Raises
    ------
    ConfigurationError
        If it is neither.
    """
    spec = parse_source(url)
    if isinstance(spec, KafkaSpec):
        return TopicWriter(spec, options=options)
    if isinstance(spec, FileSpec):
        return FileWriter(spec.path)
    raise ConfigurationError(f"records cannot be appended to {url}", remedy="name kafka://HOST:PORT/TOPIC or file:PATH")


class FileWriter(LogWriter):
    """Appends lines to a file."""

    def __init__(self, path: Path) -> None:
        if path.is_dir() or path.name.endswith((".gz", ".zst", ".zstd")):
            raise ConfigurationError(f"lines cannot be appended to {path}", remedy="name a plain file")
        try:
            self._file = path.open("a+b")
            self._file.seek(0, os.SEEK_END)
            if self._file.tell() and not _ends_line(self._file):
                self._file.write(b"\n")
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error.strerror}", remedy="correct --to") from error

    def append(self, record: Mended) -> None:
        """Append a line."""
        payload = record.payload
        if b"\n" in payload or b"\r" in payload:
            payload = json.dumps(json.loads(payload), ensure_ascii=False, separators=(",", ":")).encode()
        self._file.write(payload + b"\n")

    def close(self) -> None:
        """Write the lines to disk."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise SinkError(f"{self._file.name} cannot be written: {error.strerror}", remedy="make room") from error


def _ends_line(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


class TopicWriter(LogWriter):
    """Appends messages to a topic, the project as their key, so that a project's records keep one order."""

    def __init__(self, spec: KafkaSpec, *, options: Mapping[str, str]) -> None:
        self._topic = spec.topic
        self._failure: KafkaError | None = None
        config = {**options, **spec.options, **PRODUCER_OPTIONS, "bootstrap.servers": spec.brokers}
        with checking_options():
            self._producer = Producer(config, logger=kafka_log)
        try:
            found = self._producer.list_topics(spec.topic, timeout=10).topics[spec.topic]
        except KafkaException as error:
            raise UnavailableError(
                f"no broker of {spec.brokers} answered: {error.args[0].str()}", remedy="check the address"
            ) from error
        if found.error is not None:
            raise UnavailableError(
                f"the topic {spec.topic} on {spec.brokers} cannot be used: {found.error.str()}",
                remedy="create it, or correct its name",
            )

    def append(self, record: Mended) -> None:
        """Send a message."""
        while True:
            try:
                self._producer.produce(
                    self._topic, record.payload, record.project_id.encode(), on_delivery=self._on_delivery
                )
                break
            except BufferError:
                self._producer.poll(POLL_SECONDS)
        self._producer.poll(0)

    def close(self) -> None:
        """Wait until the brokers have all messages."""
        left = self._producer.flush(DELIVERY_SECONDS + POLL_SECONDS)
        if self._failure is not None or left:
            told = self._failure.str() if self._failure is not None else f"{left:,} were not sent in time"
            raise SinkError(
                f"not all records were delivered to {self._topic}: {told}",
                remedy="replay them again: those that are there twice count once",
            )

    def _on_delivery(self, error: KafkaError | None, _: Message) -> None:
        if error is not None and self._failure is None:
            self._failure = error
