"""Segments of a state as files: framed, checksummed, durable before they are named anywhere."""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from operators.segments import Segment
from schemas.errors import IncompatibleStateError, SinkError

_HEADER = struct.Struct(">I")
_SUFFIX = ".segment"
SYNC_BYTES = 4_194_304
"""So much goes to the disk at once, so that sealing a segment has little left to wait for."""


class SegmentFolder:
    """Keeps the segments of one state in a folder.

    Parameters
    ----------
    folder
        Where; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._file: BinaryIO | None = None
        self._number = self._length = self._checksum = self._unsynced = 0

    def append(self, number: int, data: bytes) -> None:
        """Add a block to the segment that is being written, which is begun with the first one.

        Raises
        ------
        SinkError
            If it cannot be written.
        """
        frame = _HEADER.pack(len(data)) + data
        try:
            if self._file is None:
                self._file = self._path(number).open("wb")
                self._number, self._length, self._checksum, self._unsynced = number, 0, 0, 0
            assert number == self._number, "one segment is written at a time"
            self._file.write(frame)
            self._unsynced += len(frame)
            if self._unsynced >= SYNC_BYTES:
                self._file.flush()
                os.fdatasync(self._file.fileno())
                self._unsynced = 0
        except OSError as error:
            raise _unwritten(self._folder, error) from error
        self._length += len(frame)
        self._checksum = zlib.crc32(frame, self._checksum)

    def seal(self, number: int) -> Segment:
        """Make the segment durable, its name included.

        Raises
        ------
        SinkError
            If that fails.
        """
        assert self._file is not None and number == self._number
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise _unwritten(self._folder, error) from error
        self._file = None
        return Segment(number, self._length, self._checksum)

    def blocks(self, segment: Segment) -> Iterator[bytes]:
        """Yield the blocks of a segment.

        Raises
        ------
        IncompatibleStateError
            If the file is missing, shorter or longer than it was, or has other bytes.
        """
        path = self._path(segment.number)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise _damaged(path, error.strerror or "it cannot be read") from error
        if len(data) != segment.length:
            raise _damaged(path, f"it has {len(data):,} bytes, not {segment.length:,}")
        if zlib.crc32(data) != segment.checksum:
            raise _damaged(path, "its bytes are not those that were written")
        at = 0
        while at < len(data):
            [length] = _HEADER.unpack_from(data, at)
            at += _HEADER.size
            yield data[at : at + length]
            at += length

    def keep_only(self, numbers: set[int]) -> None:
        """Delete the files of all other segments, but for one that is being written."""
        for path in self._folder.glob(f"*{_SUFFIX}"):
            number = int(path.stem)
            if number not in numbers and not (self._file is not None and number == self._number):
                path.unlink()

    def close(self) -> None:
        """Leave; what was not sealed counts for nothing."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:012d}{_SUFFIX}"


def _unwritten(folder: Path, error: OSError) -> SinkError:
    return SinkError(
        f"state cannot be written to {folder}: {error.strerror}", remedy="make room or mend the disk, then start again"
    )


def _damaged(path: Path, reason: str) -> IncompatibleStateError:
    return IncompatibleStateError(
        f"the segment {path} of the state is damaged: {reason}",
        remedy="restore the recovery directory from a copy, or reset it and begin a new generation",
    )
