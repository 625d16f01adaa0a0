"""Segments of a shard as files: framed, checksummed, durable before they are named anywhere."""

import os
import re
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from flows.base_process import CAN_WRITE_BESIDE, BaseProcess, cpu_seconds
from operators.kept_shard import Keeping
from operators.segments import BasePace, BaseWritten, Segment
from schemas.errors import IncompatibleStateError, SinkError

SHARDS_FOLDER = "shards"
_HEADER = struct.Struct(">I")
_NAME = re.compile(r"(\d{12})\.(base|journal)")
_UNFINISHED = ".unfinished"
CHECK_BYTES = 1_048_576
SYNC_BYTES = 8_388_608
"""So much goes to the disk at once, so that a snapshot has little left to wait for."""


class SegmentFolder:
    """Keeps the segments of one shard in a folder.

    Parameters
    ----------
    folder
        Where; made if need be.

    Raises
    ------
    SinkError
        If it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            if not folder.exists():
                folder.mkdir(parents=True)
                _sync_folder(folder.parent)
        except OSError as error:
            raise _unwritten(folder, error) from error
        self._file: BinaryIO | None = None
        self._number = self._length = self._checksum = self._unsynced = 0
        self._process: BaseProcess | None = None
        self._written: BaseWritten | None = None

    def last_number(self) -> int:
        """Return the greatest number that a segment has, 0 if there is none."""
        return max((number for number, _, _ in self._segments()), default=0)

    # Journals

    def append(self, number: int, data: bytes) -> None:
        """Add an entry to a journal, which is begun with the first one.

        Raises
        ------
        SinkError
            If it cannot be written.
        """
        frame = _HEADER.pack(len(data)) + data
        try:
            if self._file is None or number != self._number:
                self._open_journal(number)
            assert self._file is not None
            _write_all(self._file, frame)
            self._unsynced += len(frame)
            if self._unsynced >= SYNC_BYTES:
                os.fdatasync(self._file.fileno())
                self._unsynced = 0
        except OSError as error:
            raise _unwritten(self._folder, error) from error
        self._length += len(frame)
        self._checksum = zlib.crc32(frame, self._checksum)

    def sync(self, number: int) -> Segment:
        """Make a journal durable as far as it goes.

        Raises
        ------
        SinkError
            If that fails.
        """
        assert self._file is not None and number == self._number
        try:
            os.fdatasync(self._file.fileno())
        except OSError as error:
            raise _unwritten(self._folder, error) from error
        self._unsynced = 0
        return Segment(number, self._length, self._checksum)

    def journal(self, segment: Segment) -> Iterator[bytes]:
        """Yield the entries of a journal, as far as a snapshot names it.

        Raises
        ------
        IncompatibleStateError
            If the file is missing, shorter than it was, or has other bytes.
        """
        yield from _frames(self._path(segment.number, "journal"), segment)

    def _open_journal(self, number: int) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._path(number, "journal").open("xb", buffering=0)
        self._number, self._length, self._checksum, self._unsynced = number, 0, 0, 0
        _sync_folder(self._folder)

    # Bases

    def base(self, segment: Segment) -> Iterator[bytes]:
        """Yield the blocks of a base.

        Raises
        ------
        IncompatibleStateError
            If the file is missing, shorter than it was, or has other bytes.
        """
        yield from _frames(self._path(segment.number, "base"), segment)

    def write_base(self, number: int, blocks: Callable[[], Iterable[bytes]]) -> BaseWritten:
        """Write a base, durable when this returns.

        Raises
        ------
        SinkError
            If it cannot be written.
        """
        began = cpu_seconds()
        try:
            segment = write_frames(self._unfinished(number), number, blocks())
            self._finish(number)
        except OSError as error:
            raise _unwritten(self._folder, error) from error
        return BaseWritten(segment, cpu_seconds() - began)

    def begin_base(self, number: int, blocks: Callable[[], Iterable[bytes]]) -> None:
        """Begin to write a base of the state as it is now, in a process of its own, which holds a copy of it."""
        if not CAN_WRITE_BESIDE:
            self._written = self.write_base(number, blocks)
            return
        path = self._unfinished(number)
        self._process = BaseProcess(lambda: write_frames(path, number, blocks()))

    def base_written(self) -> BaseWritten | None:
        """Return what has become of the base that was begun; None while it is being written.

        Raises
        ------
        SinkError
            If its name cannot be made durable.
        """
        if self._process is None:
            found, self._written = self._written, None
            return found
        found = self._process.result()
        if found is not None:
            self._process = None
            if found.segment is not None:
                try:
                    self._finish(found.segment.number)
                except OSError as error:
                    raise _unwritten(self._folder, error) from error
        return found

    def abandon_base(self) -> None:
        """End the writing of a base that was begun."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _finish(self, number: int) -> None:
        os.replace(self._unfinished(number), self._path(number, "base"))
        _sync_folder(self._folder)

    # The folder

    def keep_only(self, bases: set[int], journals: set[int]) -> None:
        """Delete all other segments, and what was left unfinished, but for what is being written."""
        kept = {"base": bases, "journal": journals | ({self._number} if self._file is not None else set())}
        for number, kind, path in list(self._segments()):
            is_unfinished = path.name.endswith(_UNFINISHED)
            if self._process is not None if is_unfinished else number in kept[kind]:
                continue
            path.unlink()

    def close(self) -> None:
        """Leave; what was not synced counts for nothing."""
        self.abandon_base()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _segments(self) -> Iterator[tuple[int, str, Path]]:
        for path in self._folder.iterdir():
            match = _NAME.match(path.name)
            if match is not None:
                yield int(match[1]), match[2], path

    def _path(self, number: int, kind: str) -> Path:
        return self._folder / f"{number:012d}.{kind}"

    def _unfinished(self, number: int) -> Path:
        return self._folder / f"{number:012d}.base{_UNFINISHED}"


class ShardFolders:
    """The folders of the shards in a recovery directory: a shard's segments are its own, whichever worker has it.

    Parameters
    ----------
    recovery
        The recovery directory.
    """

    def __init__(self, recovery: Path) -> None:
        self._path = recovery / SHARDS_FOLDER
        self._open: list[SegmentFolder] = []
        self.keeping = Keeping(self.open, BasePace(time.monotonic))

    def open(self, shard: str) -> SegmentFolder:
        """Open the folder of a shard."""
        self._open.append(SegmentFolder(self._path / shard))
        return self._open[-1]

    def close(self) -> None:
        """Close all folders."""
        for folder in self._open:
            folder.close()
        self._open = []


def write_frames(path: Path, number: int, blocks: Iterable[bytes]) -> Segment:
    """Write blocks to a file, durable when this returns."""
    length = checksum = 0
    with path.open("wb", buffering=0) as file:
        for block in blocks:
            for part in (_HEADER.pack(len(block)), block):
                _write_all(file, part)
                length += len(part)
                checksum = zlib.crc32(part, checksum)
        os.fsync(file.fileno())
    return Segment(number, length, checksum)


def _write_all(file: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _frames(path: Path, segment: Segment) -> Iterator[bytes]:
    """Yield what was framed, after all of it has been checked."""
    try:
        with path.open("rb") as file:
            _check(file, path, segment)
            while file.tell() < segment.length:
                [length] = _HEADER.unpack(file.read(_HEADER.size))
                yield file.read(length)
    except OSError as error:
        raise _damaged(path, error.strerror or "it cannot be read") from error


def _check(file: BinaryIO, path: Path, segment: Segment) -> None:
    length = checksum = 0
    while length < segment.length and (data := file.read(min(CHECK_BYTES, segment.length - length))):
        length += len(data)
        checksum = zlib.crc32(data, checksum)
    if length != segment.length:
        raise _damaged(path, f"it has {length:,} bytes, not {segment.length:,}")
    if checksum != segment.checksum:
        raise _damaged(path, "its bytes are not those that were written")
    file.seek(0)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritten(folder: Path, error: OSError) -> SinkError:
    return SinkError(
        f"state cannot be written to {folder}: {error.strerror}", remedy="make room or mend the disk, then start again"
    )


def _damaged(path: Path, reason: str) -> IncompatibleStateError:
    return IncompatibleStateError(
        f"the segment {path} of the state is damaged: {reason}",
        remedy="restore the recovery directory from a copy, or reset it and begin a new generation",
    )
