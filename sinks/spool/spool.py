"""A spool: events are on the disk when their sender is told so, and can be read back in order."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import TransientSinkError
from sinks.spool.segments import Position, SegmentFiles

SEGMENT_BYTES_MAX = 67_108_864
READ_BYTES_MAX = 4_194_304

OnCommit = Callable[[list[Any], OSError | None], None]


class SpoolFullError(TransientSinkError):
    """The spool holds as much as it may."""


@dataclass(frozen=True, slots=True)
class SpooledEvents:
    """Events read back: their bytes without line ends, and the place behind the last of them."""

    lines: list[bytes]
    end: Position


class Spool:
    """Appends lines to segment files; one thread writes and syncs them for all callers at once.

    While one group of lines is being synced the next one gathers, so that those that arrive during a sync share the
    next one. A segment is never cut: what a crash or a full disk left of a line stays behind at the end of its segment,
    and the next line goes to a new one.

    Parameters
    ----------
    folder
        Directory of the segments; used by one process at a time.
    bytes_max
        Most bytes of events that it holds, above 0.
    on_commit
        Called by the writing thread with the tokens of a group of appends once they are on the disk, and None; or with
        the error that kept them from it.
    segment_bytes_max
        A new segment is begun when one would become larger, above 0.

    Raises
    ------
    UnavailableError
        If the folder cannot be used, or another process uses it.
    """

    def __init__(
        self, folder: Path, *, bytes_max: int, on_commit: OnCommit, segment_bytes_max: int = SEGMENT_BYTES_MAX
    ) -> None:
        assert bytes_max > 0
        assert segment_bytes_max > 0
        self.bytes_max = bytes_max
        self._files = SegmentFiles(folder)
        self._segment_bytes_max = segment_bytes_max
        self._on_commit = on_commit
        self._descriptor: int | None = None
        self._number, self._size = 0, 0
        self._bytes_held = self._files.bytes_ahead()
        self._queue: list[tuple[bytes, Any]] = []
        self._bytes_writing = 0
        self._is_closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._write_groups, name="spool", daemon=True)
        self._thread.start()

    @property
    def folder(self) -> Path:
        """Directory of the segments."""
        return self._files.folder

    @property
    def bytes_held(self) -> int:
        """Bytes of events that have not been forwarded, those that wait for the disk included."""
        return self._bytes_held

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits for the disk."""
        with self._changed:
            return not self._queue and not self._bytes_writing

    def append(self, lines: bytes, token: Any) -> None:
        r"""Have lines written; `on_commit` is given the token when they are on the disk.

        Parameters
        ----------
        lines
            One or more lines, each with its ``\n``.
        token
            Whatever tells the caller which lines they were.

        Raises
        ------
        SpoolFullError
            If the spool would hold more than it may.
        """
        assert lines.endswith(b"\n")
        with self._changed:
            assert not self._is_closing
            if self._bytes_held + len(lines) > self.bytes_max:
                self._require_room(len(lines))
            self._bytes_held += len(lines)
            self._queue.append((lines, token))
            if len(self._queue) == 1:
                self._changed.notify()

    def read(self, *, bytes_max: int = READ_BYTES_MAX) -> SpooledEvents:
        """Return the first events on the disk that have not been forwarded, about `bytes_max` of them; none if none."""
        start = self._files.forwarded
        with self._changed:
            open_number, committed = (self._number, self._size) if self._descriptor is not None else (0, 0)
        for number in self._files.numbers():
            if number < start.segment:
                continue
            at = start.byte if number == start.segment else 0
            stop = committed if number == open_number else self._files.size(number)
            events = self._read_segment(number, at, stop, bytes_max)
            if events.lines:
                return events
        return SpooledEvents([], start)

    def set_forwarded(self, position: Position) -> None:
        """Forget the events before a position; segments that lie wholly before it are removed."""
        self._files.set_forwarded(position)
        with self._changed:
            self._recount()

    def put_aside(self, line: bytes) -> None:
        """Keep an event that nobody will ever take out of the way of the others."""
        self._files.put_aside(line)

    def close(self) -> None:
        """Write what is queued, and let another process use the spool."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()
        self._end_segment()
        self._files.close()

    def _require_room(self, size: int) -> None:
        self._recount()
        if self._bytes_held + size > self.bytes_max:
            raise SpoolFullError(
                f"the spool {self.folder} holds {self._bytes_held:,} bytes of at most {self.bytes_max:,}",
                remedy="bring the broker back, make room, or raise gateway_spool_bytes_max",
            )

    def _recount(self) -> None:
        """Count what is held anew; segments may have been moved away by those who have read them."""
        waiting = sum(len(lines) for lines, _ in self._queue)
        self._bytes_held = self._files.bytes_ahead() + self._bytes_writing + waiting

    def _read_segment(self, number: int, start: int, stop: int, bytes_max: int) -> SpooledEvents:
        """Return complete lines only: what a crash left of one at the end of a segment is no event."""
        with open(self._files.path(number), "rb") as file:
            file.seek(start)
            piece = file.read(min(stop - start, bytes_max)) if stop > start else b""
            if len(piece) == bytes_max and b"\n" not in piece:
                piece += file.readline(stop - start - bytes_max)
        *lines, _ = piece.split(b"\n")
        return SpooledEvents(lines, Position(number, start + sum(map(len, lines)) + len(lines)))

    # The writing thread

    def _write_groups(self) -> None:
        while True:
            with self._changed:
                self._bytes_writing = 0
                while not self._queue and not self._is_closing:
                    self._changed.wait()
                group, self._queue = self._queue, []
                data = b"".join(lines for lines, _ in group)
                self._bytes_writing = len(data)
            if not group:
                return
            error = self._write(data)
            self._on_commit([token for _, token in group], error)

    def _write(self, data: bytes) -> OSError | None:
        try:
            if self._descriptor is None or self._size + len(data) > self._segment_bytes_max:
                self._begin_segment()
            assert self._descriptor is not None
            left = memoryview(data)
            while left:  # the segment is open with O_DSYNC: what is written is on the disk
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            # Part of it may be there, and what failed to be synced may be lost unseen: go on in another segment.
            self._end_segment()
            with self._changed:
                self._bytes_writing = 0
                self._recount()
            return error
        with self._changed:
            self._size += len(data)
        return None

    def _begin_segment(self) -> None:
        self._end_segment()
        number, descriptor = self._files.create_next()
        with self._changed:
            self._number, self._size, self._descriptor = number, 0, descriptor

    def _end_segment(self) -> None:
        with self._changed:
            descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
