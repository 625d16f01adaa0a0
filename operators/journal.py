"""What a shard takes in, as bytes and back: the payloads themselves, so that a journal is read as the log was."""

from collections.abc import Iterable, Sequence

import msgspec
from pydantic import ValidationError

from operators.decode import DeadLetter, EventBatch, IntakeReport, ProjectEvents, read_event
from schemas.errors import UnreadableStateError
from schemas.timestamps import microseconds


class _Events(msgspec.Struct, array_like=True, gc=False):
    project_id: str
    offsets: Sequence[int]
    payloads: list[bytes]


class _Batch(msgspec.Struct, array_like=True, tag="events"):
    shard: str
    stream: str
    partition: int
    projects: list[_Events]


class _Report(msgspec.Struct, array_like=True, tag="report"):
    stream: str
    partition: int
    last_offset: int
    records_in: int
    dead: list[DeadLetter]
    shard: str


_decode = msgspec.msgpack.Decoder(list[_Batch | _Report]).decode


def entry_of(values: Iterable[EventBatch | IntakeReport]) -> bytes:
    """Return values, in order, as bytes."""
    entries: list[_Batch | _Report] = []
    for value in values:
        if isinstance(value, IntakeReport):
            told = (value.stream, value.partition, value.last_offset, value.records_in, value.dead, value.shard)
            entries.append(_Report(*told))
        else:
            projects = [_Events(name, events.offsets, events.payloads) for name, events in value.projects.items()]
            entries.append(_Batch(value.shard, value.stream, value.partition, projects))
    return msgspec.msgpack.encode(entries)


def records_of(values: Iterable[EventBatch | IntakeReport]) -> int:
    """Return how much there is to fold: events, refused records, and reports themselves."""
    return sum(
        [
            1 + len(value.dead)
            if isinstance(value, IntakeReport)
            else sum([len(events.payloads) for events in value.projects.values()])
            for value in values
        ]
    )


def values_of(entry: bytes) -> list[EventBatch | IntakeReport]:
    """Return the values that `entry_of` was given.

    Raises
    ------
    IncompatibleStateError
        If they cannot be read, such as events of a contract that is no longer known.
    """
    try:
        return [_value_of(entry) for entry in _decode(entry)]
    except (msgspec.MsgspecError, ValidationError) as error:
        raise UnreadableStateError(f"events that cannot be read: {error}") from error


def _value_of(entry: _Batch | _Report) -> EventBatch | IntakeReport:
    if isinstance(entry, _Report):
        return IntakeReport(
            entry.stream, entry.partition, entry.last_offset, entry.records_in, entry.dead, entry.shard
        )  # fmt: skip
    batch = EventBatch(entry.shard, entry.stream, entry.partition)
    for held in entry.projects:
        events = [read_event(payload) for payload in held.payloads]
        times = [microseconds(event.occurred_at) for event in events]
        batch.projects[held.project_id] = ProjectEvents(events, times, list(held.offsets), held.payloads)
    return batch
