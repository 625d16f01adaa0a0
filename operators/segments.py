"""A shard's state as segments: a base, and a journal of what was folded since.

The engine writes the whole value that it is given at each snapshot. So it is given a reference: which base, and how
much of which journals. What a shard has taken in goes to the journal as it comes; a snapshot makes that durable. Now
and then the whole state is written as a new base, beside the fold, and the journals before it are dropped. Since the
state is a function of the log alone, the base and the journal give the very state that was: nothing in the fold has to
say what it changes.

Pure: a store takes the bytes.

References
----------
Gray and Reuter (1993), Transaction Processing: Concepts and Techniques, chapter 11: checkpoints and a log.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

import msgspec

from schemas.errors import UnreadableStateError

REFERENCE_FORMAT = 3
REFERENCES_KEPT = 3
"""The engine resumes from the last snapshot that it has committed, which may be the one before the last."""

TURN_SECONDS = 1.0
"""So long the shard goes first that a base is worth most to."""


class Segment(msgspec.Struct, array_like=True, frozen=True):
    """A file as a snapshot names it: number, length in bytes so far, and checksum of so much of it."""

    number: int
    length: int
    checksum: int


class ProjectFigures(msgspec.Struct, array_like=True, frozen=True):
    """A project in a few figures; `newest_at` is its newest event in microseconds since the epoch."""

    project_id: str
    questions: int
    items: int
    labels: int
    annotators: int
    windows: int
    newest_at: int


class Reference(msgspec.Struct, array_like=True, frozen=True):
    """What the engine keeps of a shard.

    Parameters
    ----------
    shard
        Name of the shard, and of the folder that its segments are in.
    base
        The whole state; None while the journals reach back to the beginning.
    journals
        What was folded since, in order.
    projects
        What is there, in figures.
    """

    format_version: int
    shard: str
    base: Segment | None
    journals: tuple[Segment, ...]
    projects: tuple[ProjectFigures, ...] = ()


class BaseWritten(NamedTuple):
    """A base that was to be written: its segment, None if that failed, and what it took in seconds of CPU."""

    segment: Segment | None
    seconds: float


class SegmentStore(Protocol):
    """Where the segments of one shard are kept."""

    def last_number(self) -> int:
        """Return the greatest number that a segment has, 0 if there is none."""

    def append(self, number: int, data: bytes) -> None:
        """Add bytes to a journal, which is begun with the first ones."""

    def sync(self, number: int) -> Segment:
        """Make a journal durable as far as it goes."""

    def journal(self, segment: Segment) -> Iterator[bytes]:
        """Yield what was appended to a journal; raises if it is not there, or not as it was synced."""

    def base(self, segment: Segment) -> Iterator[bytes]:
        """Yield the blocks of a base; raises if it is not there, or not as it was written."""

    def write_base(self, number: int, blocks: Callable[[], Iterable[bytes]]) -> BaseWritten:
        """Write a base, durable when this returns."""

    def begin_base(self, number: int, blocks: Callable[[], Iterable[bytes]]) -> None:
        """Begin to write a base of the state as it is now, while it goes on to change."""

    def base_written(self) -> BaseWritten | None:
        """Return what has become of the base that was begun; None while it is being written."""

    def abandon_base(self) -> None:
        """End the writing of a base that was begun."""

    def keep_only(self, bases: set[int], journals: set[int]) -> None:
        """Delete the segments of all other numbers."""


class BasePace:
    """Which shard of a worker writes its base next, and when: so that bases take no more than a share of the time.

    Parameters
    ----------
    clock
        Seconds of a steady clock. No row depends on it.
    share
        Seconds of CPU that bases may take a second, in (0, 1].
    records_min
        With fewer records since the last base there is no other, since they are folded again in no time; ≥ 1.
    at_once_bytes_max
        A state of so many bytes is written in some hundredths of a second, not worth another process.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        share: float = 0.08,
        records_min: int = 2_000,
        at_once_bytes_max: int = 4_000_000,
    ) -> None:
        assert 0.0 < share <= 1.0
        self.at_once_bytes_max = at_once_bytes_max
        self._records_min = records_min
        self._clock = clock
        self._rest = 1.0 / share - 1.0
        self._resume_at = clock()
        self._look: Callable[[], None] | None = None
        self._waiting: dict[str, float] = {}

    def may_begin(self, shard: str, *, records: int, size: int, look: Callable[[], None]) -> bool:
        """Return whether the base of a shard is to be written now.

        Parameters
        ----------
        records
            Records that would no longer have to be folded again.
        size
            Bytes of the state, about.
        look
            Called now and then while it is written, to see whether it has `ended`.
        """
        if records < self._records_min:
            return False
        if self._look is not None:
            self._look()
        worth = self._waiting[shard] = records / (1 + size)
        late = self._clock() - self._resume_at
        if self._look is not None or late < 0.0 or (late < TURN_SECONDS and worth < max(self._waiting.values())):
            return False
        self._look = look
        self._waiting = {}
        return True

    def ended(self, seconds: float) -> None:
        """Note that a base is written, or has failed, and what it took."""
        self._look = None
        self._resume_at = self._clock() + seconds * self._rest


class ShardLog:
    """Writes the state of one shard, as a base and journals.

    Parameters
    ----------
    shard
        Name of the shard.
    store
        Where its segments go.
    pace
        Says when a base is to be written.
    blocks
        Returns the whole state as it is now.
    """

    def __init__(
        self, shard: str, store: SegmentStore, pace: BasePace, *, blocks: Callable[[], Iterable[bytes]]
    ) -> None:
        self._shard = shard
        self._store = store
        self._pace = pace
        self._blocks = blocks
        self._base: Segment | None = None
        self._journals: tuple[Segment, ...] = ()
        self._number = store.last_number() + 1
        self._is_unsynced = self._is_writing_base = self._must_be_at_once = False
        self._bytes_since_base = self._records_since_base = self._records_at_begin = 0
        self._kept: deque[tuple[set[int], set[int]]] = deque(maxlen=REFERENCES_KEPT)

    def resume(self, reference: Reference, *, records: int) -> None:
        """Go on from a snapshot, which holds so many records that were folded since its base."""
        self._base, self._journals = reference.base, reference.journals
        self._records_since_base = records
        self._bytes_since_base = sum(journal.length for journal in reference.journals)
        self._keep()

    def note(self, data: bytes, *, records: int) -> None:
        """Write to the journal what was folded, so many records; and begin a base if it is time."""
        self._store.append(self._number, data)
        self._is_unsynced = True
        self._bytes_since_base += len(data)
        self._records_since_base += records
        if self._is_writing_base:
            self._end_base()
        elif self._pace.may_begin(self._shard, records=self._records_since_base, size=self._size, look=self._end_base):
            self._begin_base()

    def write_base(self) -> None:
        """Write the whole state now."""
        self._pace.ended(self._write_base())

    def snapshot(self, projects: Iterable[ProjectFigures], *, is_last: bool = False) -> bytes:
        """Make all durable that was noted; return the reference to it.

        Parameters
        ----------
        is_last
            Whether nothing comes after it for the time being: then it is a base alone, for a quick start, perhaps of
            another version.
        """
        if self._is_writing_base:
            self._end_base(is_abandoned=is_last)
        if is_last and self._records_since_base:
            self._write_base()
        self._sync()
        self._keep()
        return encode_reference(Reference(REFERENCE_FORMAT, self._shard, self._base, self._journals, tuple(projects)))

    @property
    def _size(self) -> int:
        return max(self._base.length if self._base is not None else 0, self._bytes_since_base)

    def _sync(self) -> None:
        if self._is_unsynced:
            segment = self._store.sync(self._number)
            self._journals = (*(journal for journal in self._journals if journal.number != self._number), segment)
            self._is_unsynced = False

    def _begin_base(self) -> None:
        """Let a base hold all that was noted so far, and begin a journal of what comes after."""
        if self._size <= self._pace.at_once_bytes_max or self._must_be_at_once:
            self.write_base()
            return
        self._sync()
        self._number += 1
        self._is_writing_base = True
        self._records_at_begin = self._records_since_base
        self._store.begin_base(self._number - 1, self._blocks)

    def _write_base(self) -> float:
        written = self._store.write_base(self._number, self._blocks)
        assert written.segment is not None
        self._number += 1
        self._is_unsynced = self._must_be_at_once = False
        self._settle(written.segment, records=self._records_since_base)
        return written.seconds

    def _end_base(self, *, is_abandoned: bool = False) -> None:
        if is_abandoned:
            self._store.abandon_base()
            self._is_writing_base = False
            self._pace.ended(0.0)
            return
        written = self._store.base_written()
        if written is None:
            return
        self._is_writing_base = False
        self._pace.ended(written.seconds)
        if written.segment is None:
            self._must_be_at_once = True
        else:
            self._settle(written.segment, records=self._records_at_begin)

    def _settle(self, base: Segment, *, records: int) -> None:
        """Let a base stand for itself and all journals up to its number."""
        self._base = base
        self._journals = tuple(journal for journal in self._journals if journal.number > base.number)
        self._records_since_base -= records
        self._bytes_since_base = sum(journal.length for journal in self._journals)

    def _keep(self) -> None:
        """Delete what no snapshot needs that the engine might resume from."""
        named = ({self._base.number} if self._base is not None else set(), {each.number for each in self._journals})
        if not self._kept or self._kept[-1] != named:
            self._kept.append(named)
        bases, journals = (set().union(*sets) for sets in zip(*self._kept, strict=True))
        self._store.keep_only(bases, journals)


def encode_reference(reference: Reference) -> bytes:
    """Return a reference as bytes."""
    return msgspec.msgpack.encode(reference)


def read_reference(data: bytes) -> Reference:
    """Return a reference from its bytes.

    Raises
    ------
    IncompatibleStateError
        If it cannot be read.
    """
    try:
        return msgspec.msgpack.decode(data, type=Reference)
    except msgspec.MsgspecError as error:
        raise UnreadableStateError(f"state that cannot be read: {error}") from error
