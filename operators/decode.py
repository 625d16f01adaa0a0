"""Decode: raw records in, events by shard and dead letters out."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec
from pydantic import ValidationError

from operators.events import FoldableEvent, Submitted, foldable_event, folded
from operators.label_reading import Categorical, RefusedLabelError
from operators.reasons import reason_of
from operators.shards import shard_of_partition, shard_of_project
from schemas.errors import ErrorCode, PoisonError, Stage
from schemas.events import parse_event
from schemas.records import RecordBatch
from schemas.timestamps import EPOCH, MICROSECONDS_PER_SECOND, SECONDS_PER_DAY, microseconds, moment_of

FAST_BYTES_MAX = 4_000
"""Longer payloads go to the contract: the two readers differ in how long a number may be."""
FLAT_BYTES_MAX = 500
"""Shorter payloads cannot be nested deeper than the contract's reader allows."""
BRACKETS_MAX = 100
"""With fewer brackets, neither."""


@dataclass(slots=True)
class ProjectEvents:
    """Events of one project from one partition, in log order; the lists run in parallel.

    Parameters
    ----------
    times
        Time of each event, microseconds since the epoch.
    offsets
        Position of each event's record in the partition.
    payloads
        The bytes of each event's record, for a dead letter should it be refused later.
    """

    events: list[FoldableEvent] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class EventBatch:
    """Events of one shard from one partition, by project; `shard` is the shard's name."""

    shard: str
    stream: str
    partition: int
    projects: dict[str, ProjectEvents] = field(default_factory=dict)

    @property
    def last_offset(self) -> int:
        """Greatest position of a record in the batch."""
        return max(events.offsets[-1] for events in self.projects.values())


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that was refused: where it stands in the log, why, and what it said."""

    offset: int
    stage: Stage
    code: ErrorCode
    detail: str
    payload: bytes
    size: int
    project_id: str | None = None


@dataclass(slots=True)
class IntakeReport:
    """What was read from a partition: the count of all its records so far, and those refused in this batch.

    `shard` is the name of the shard that keeps the partition's accounts.
    """

    stream: str
    partition: int
    last_offset: int
    records_in: int
    dead: list[DeadLetter]
    shard: str


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """What decides whether a timestamp is possible, in microseconds since the epoch; and the number of shards.

    `quarantined` holds stream, partition and offset of records that made the flow crash.
    """

    occurred_at_min: int
    occurred_at_max: int
    future_max: int
    shards: int
    quarantined: frozenset[tuple[str, int, int]] = frozenset()
    unknown_version_share_max: float = 1.0


_read_fast = msgspec.json.Decoder(FoldableEvent).decode


def read_event(payload: bytes) -> FoldableEvent:
    """Read one event, as fast as can be; whatever the fast reader may misjudge goes to the contract itself.

    Raises
    ------
    pydantic.ValidationError
        If the bytes are not an event of the contract.
    """
    try:
        if not payload.isascii():
            payload.decode()
        if len(payload) <= FLAT_BYTES_MAX or _is_plain(payload):
            event = _read_fast(payload)
            if type(event) is Submitted and type(event.label) is Categorical and event.expected is None:
                return event  # as most are
            return folded(event)
    except (msgspec.MsgspecError, UnicodeDecodeError, RefusedLabelError):
        pass
    return foldable_event(parse_event(payload))


class Decoder:
    """Turns record batches into event batches by shard. Keeps no state of the log: any record may come at any time."""

    def __init__(self, settings: DecodeSettings) -> None:
        self._settings = settings

    def __call__(self, batches: Iterable[RecordBatch]) -> list[tuple[str, EventBatch | IntakeReport]]:
        """Return (shard, batch) pairs for `batches`, in order; each batch names its shard as well."""
        out: list[tuple[str, EventBatch | IntakeReport]] = []
        for batch in batches:
            by_shard, dead = self._split(batch)
            out.extend(by_shard.items())
            home = shard_of_partition(batch.partition, shards=self._settings.shards)
            report = IntakeReport(batch.stream, batch.partition, batch.offsets[-1], batch.records_in, dead, home)
            out.append((home, report))
        return out

    def _split(self, batch: RecordBatch) -> tuple[dict[str, EventBatch], list[DeadLetter]]:
        by_shard: dict[str, EventBatch] = {}
        by_project: dict[str, ProjectEvents] = {}
        dead: list[DeadLetter] = []
        decode, offsets, sizes_cut, has_stamps = read_event, batch.offsets, batch.sizes_cut, batch.stamps is not None
        minimum, maximum = self._settings.occurred_at_min, self._settings.occurred_at_max
        quarantined = self._quarantined(batch)
        for index, payload in enumerate(batch.payloads):
            try:
                if quarantined and offsets[index] in quarantined:
                    raise _Refused(ErrorCode.POISON, "it made the flow crash again and again")
                if sizes_cut and index in sizes_cut:
                    raise _Refused(ErrorCode.OVERSIZED, f"{sizes_cut[index]} bytes")
                event = decode(payload)
                since = event.occurred_at - EPOCH  # as `microseconds` has it, without the call
                at = (since.days * SECONDS_PER_DAY + since.seconds) * MICROSECONDS_PER_SECOND + since.microseconds
                if has_stamps or event.received_at is not None:
                    self._check_future(event, at, batch, index)
                if not minimum <= at < maximum:
                    raise _Refused(ErrorCode.TIMESTAMP_OUT_OF_RANGE, self._range_detail(at))
            except (ValidationError, _Refused) as error:
                dead.append(_dead_letter(error, batch, index))
                continue
            except Exception as error:
                if isinstance(error, MemoryError):
                    raise
                raise PoisonError(batch.stream, batch.partition, offsets[index], error) from error
            into = by_project.get(event.project_id)
            if into is None:
                into = by_project[event.project_id] = self._events_of(event.project_id, by_shard, batch)
            into.events.append(event)
            into.times.append(at)
            into.offsets.append(offsets[index])
            into.payloads.append(payload)
        return by_shard, dead

    def _quarantined(self, batch: RecordBatch) -> frozenset[int]:
        place = batch.stream, batch.partition
        return frozenset(offset for *other, offset in self._settings.quarantined if tuple(other) == place)

    def _events_of(self, project_id: str, by_shard: dict[str, EventBatch], batch: RecordBatch) -> ProjectEvents:
        key = shard_of_project(project_id, shards=self._settings.shards)
        if key not in by_shard:
            by_shard[key] = EventBatch(key, batch.stream, batch.partition)
        events = by_shard[key].projects[project_id] = ProjectEvents()
        return events

    def _check_future(self, event: FoldableEvent, at: int, batch: RecordBatch, index: int) -> None:
        if batch.stamps is not None:
            stamp = batch.stamps[index]
        else:
            assert event.received_at is not None
            stamp = microseconds(event.received_at)
        if at > stamp + self._settings.future_max:
            raise _Refused(
                ErrorCode.TIMESTAMP_FAR_FUTURE,
                f"occurred_at {moment_of(at).isoformat()} lies after its arrival at {moment_of(stamp).isoformat()}",
            )

    def _range_detail(self, at: int) -> str:
        low, high = moment_of(self._settings.occurred_at_min), moment_of(self._settings.occurred_at_max)
        side = "before" if at < self._settings.occurred_at_min else "after"
        return f"occurred_at lies {side} the range {low.isoformat()} … {high.isoformat()}"


def _is_plain(payload: bytes) -> bool:
    return len(payload) <= FAST_BYTES_MAX and payload.count(b"[") + payload.count(b"{") <= BRACKETS_MAX


class _Refused(Exception):
    """A record that is an event by its form, and yet impossible."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code


_STAGES = {ErrorCode.OVERSIZED: Stage.SOURCE, ErrorCode.POISON: Stage.FOLD}


def _dead_letter(error: ValidationError | _Refused, batch: RecordBatch, index: int) -> DeadLetter:
    payload = batch.payloads[index]
    if isinstance(error, _Refused):
        code, detail = error.code, str(error)
    elif not payload.strip():
        code, detail = ErrorCode.EMPTY, "the record is empty"
    else:
        code, detail = reason_of(error, payload)
    stage = _STAGES.get(code, Stage.DECODE)
    size = batch.sizes_cut.get(index, len(payload))
    return DeadLetter(batch.offsets[index], stage, code, detail, payload, size)
