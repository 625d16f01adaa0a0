"""A keyed state as segments: what changed since the last snapshot, and a share of what old segments still hold.

Each snapshot writes one segment: the records that changed, and records carried over from the oldest segment that are
still as they were. A segment of which nothing is left is dropped. So the whole state is written anew little by little,
no snapshot writes all of it, and the value that the engine keeps is a list of segments. Pure: a store takes the bytes.

Of the same key the later segment counts, and within a segment the later block. A removal needs to be known only as long
as there is an older segment: segments are dropped oldest first, so a removal is never carried over.

References
----------
Rosenblum and Ousterhout (1992), The Design and Implementation of a Log-Structured File System, ACM TOCS 10(1).
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import msgspec

REFERENCE_FORMAT = 1
REFERENCES_KEPT = 3
"""The engine resumes from the last snapshot that it has committed, which may be the one before the last."""

Key = tuple[str, ...]
"""Kind of record, then what tells records of a kind apart."""


class Segment(msgspec.Struct, array_like=True, frozen=True):
    """A segment as the engine's snapshot names it: number, length in bytes, and checksum of all of it."""

    number: int
    length: int
    checksum: int


class Reference(msgspec.Struct, array_like=True, frozen=True):
    """What the engine keeps of a state: its segments, from the oldest to the newest."""

    format_version: int
    segments: tuple[Segment, ...]


class SegmentStore(Protocol):
    """Where segments are kept."""

    def append(self, number: int, data: bytes) -> None:
        """Add bytes to the segment that is being written."""

    def seal(self, number: int) -> Segment:
        """Make the segment durable; it is not written again."""

    def blocks(self, segment: Segment) -> Iterable[bytes]:
        """Yield what was appended to a segment, in order; raises if it is not there, or not as it was sealed."""

    def keep_only(self, numbers: set[int]) -> None:
        """Delete all other segments."""


class Codec(Protocol):
    """How records become bytes, many of a kind at a time."""

    def encode(self, kind: str, records: Sequence[Any]) -> bytes:
        """Return the bytes of records of one kind."""

    def decode(self, kind: str, data: bytes) -> list[Any]:
        """Return the records that `encode` was given."""


class _Block(msgspec.Struct, array_like=True):
    """Records of one kind under their keys; without data they are removed."""

    kind: str
    keys: list[Key]
    data: bytes | None


class SegmentLog:
    """Writes a keyed state as segments.

    Parameters
    ----------
    store
        Where segments go.
    codec
        How records become bytes.
    fetch
        Returns the record of a key as it is now.
    weights
        Kind → what writing one record costs, relative to the others; kinds are those that occur.
    slack
        Segments may weigh so much more than the records in force, relative to these; > 0.
    segments_max
        With more segments than this the oldest ones are carried over, however light all are; ≥ 2.
    block_records
        Records encoded at once, ≥ 1.
    """

    def __init__(
        self,
        store: SegmentStore,
        codec: Codec,
        *,
        fetch: Callable[[Key], Any],
        weights: dict[str, int],
        slack: float = 1.0,
        segments_max: int = 256,
        block_records: int = 500,
    ) -> None:
        assert slack > 0 and block_records >= 1 and segments_max >= 2
        self._store = store
        self._codec = codec
        self._fetch = fetch
        self._weights = weights
        self._slack = slack
        self._segments_max = segments_max
        self._block_records = block_records
        self._changed: dict[Key, None] = {}
        self._removed: dict[Key, None] = {}
        self._home: dict[Key, int] = {}
        self._written: dict[int, deque[Key]] = {}
        self._weight_of_segment: dict[int, int] = {}
        self._weight = self._held = 0
        self._segments: tuple[Segment, ...] = ()
        self._kept: deque[set[int]] = deque(maxlen=REFERENCES_KEPT)
        self._number = 1

    def mark(self, key: Key) -> None:
        """Note that the record of a key is new or has changed."""
        self._changed[key] = None
        self._removed.pop(key, None)

    def remove(self, key: Key) -> None:
        """Note that a record is no more."""
        self._changed.pop(key, None)
        if key in self._home:
            self._removed[key] = None

    def write_ahead(self, weight_max: int, *, kind: str | None = None) -> None:
        """Write some of what has changed already now, the oldest changes first, so that a snapshot has less to do.

        As much is carried over, if there is reason to.

        Parameters
        ----------
        weight_max
            About so much is written.
        kind
            Records of this kind only, such as one whose records are seldom touched twice between snapshots.
        """
        keys: list[Key] = []
        for key in self._changed:
            if weight_max <= 0:
                break
            if kind is None or key[0] == kind:
                weight_max -= self._weights[key[0]]
                keys.append(key)
        self._write(keys)
        self._carry_over(sum(self._weights[key[0]] for key in keys))

    def snapshot(self, *, carried_weight_min: int = 0) -> bytes:
        """Write all that has changed and a share of the oldest segments; return the reference to all of it.

        Parameters
        ----------
        carried_weight_min
            So much is carried over if there is reason to, however little has changed.
        """
        # so much each time that all is written anew before as many segments again have come
        even = 2 * self._weight // self._segments_max
        budget = max(carried_weight_min, even, sum(self._weights[key[0]] for key in self._changed))
        self._write(list(self._changed))
        self._write_removals()
        self._carry_over(budget)
        if self._number in self._written:
            self._segments = (*self._segments, self._store.seal(self._number))
            self._number += 1
        live = {number for number, keys in self._written.items() if keys}
        oldest = min(live, default=self._number)
        self._segments = tuple(segment for segment in self._segments if segment.number >= oldest)
        self._forget_segments(oldest)
        return msgspec.msgpack.encode(Reference(REFERENCE_FORMAT, self._segments))

    def restore(self, reference: bytes) -> dict[Key, Any]:
        """Return the records that a reference names, and go on from there.

        What was written after it is deleted.
        """
        self._segments = msgspec.msgpack.decode(reference, type=Reference).segments
        records: dict[Key, Any] = {}
        self._home, self._written, self._weight_of_segment = {}, {}, {}
        self._weight = self._held = 0
        for segment in self._segments:
            self._number = segment.number
            self._settle([])
            for data in self._store.blocks(segment):
                block = msgspec.msgpack.decode(data, type=_Block)
                if block.data is None:
                    for key in block.keys:
                        records.pop(key, None)
                        self._leave_home(key)
                else:
                    self._settle(block.keys)
                    records.update(zip(block.keys, self._codec.decode(block.kind, block.data), strict=True))
        self._number += 1
        self._kept.append({segment.number for segment in self._segments})
        self._store.keep_only(self._kept[-1])
        return records

    @property
    def weights(self) -> tuple[int, int]:
        """What the records in force weigh, and what all that the segments hold weighs."""
        return self._weight, self._held

    def _write(self, keys: list[Key]) -> None:
        by_kind: dict[str, list[Key]] = {}
        for key in keys:
            by_kind.setdefault(key[0], []).append(key)
        for kind, of_kind in by_kind.items():
            for start in range(0, len(of_kind), self._block_records):
                block = of_kind[start : start + self._block_records]
                data = self._codec.encode(kind, [self._fetch(key) for key in block])
                self._store.append(self._number, msgspec.msgpack.encode(_Block(kind, block, data)))
                self._settle(block)
        for key in keys:
            self._changed.pop(key, None)

    def _write_removals(self) -> None:
        if self._removed:
            keys = list(self._removed)
            self._store.append(self._number, msgspec.msgpack.encode(_Block("", keys, None)))
            self._settle([])
            for key in keys:
                self._leave_home(key)
            self._removed = {}

    def _settle(self, keys: Iterable[Key]) -> None:
        """Note that the present segment holds the records of keys as they are."""
        number, weights, home = self._number, self._weights, self._home
        written = self._written.setdefault(number, deque())
        added = 0
        for key in keys:
            if home.get(key) is None:
                self._weight += weights[key[0]]
            home[key] = number
            written.append(key)
            added += weights[key[0]]
        self._weight_of_segment[number] = self._weight_of_segment.get(number, 0) + added
        self._held += added

    def _leave_home(self, key: Key) -> None:
        if self._home.pop(key, None) is not None:
            self._weight -= self._weights[key[0]]

    def _carry_over(self, budget: int) -> None:
        """Write records of the oldest segments again, as long as segments are too many, or hold too much."""
        is_many = len(self._segments) >= self._segments_max
        for number in list(self._written):
            if number == self._number:
                return
            held = self._written[number]
            carried: list[Key] = []
            dropped = 0
            while held and budget > 0:
                if not (is_many or self._held - dropped > (1 + self._slack) * self._weight):
                    break
                key = held.popleft()
                weight = self._weights[key[0]]
                dropped += weight
                if self._home.get(key) == number:
                    self._home[key] = self._number
                    carried.append(key)
                    budget -= weight
            self._held -= dropped
            self._weight_of_segment[number] -= dropped
            self._write(carried)
            if held:
                return
            del self._written[number], self._weight_of_segment[number]

    def _forget_segments(self, oldest: int) -> None:
        for number in [number for number in self._written if number < oldest]:
            del self._written[number]
            self._held -= self._weight_of_segment.pop(number)
        self._kept.append({segment.number for segment in self._segments})
        self._store.keep_only(set().union(*self._kept))
