"""The files of a spool: segments of JSON lines under ascending names, a lock, and how far they have been forwarded."""

import fcntl
import json
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import IncompatibleStateError, UnavailableError

STATE_VERSION = 1
STATE_NAME = ".spool.json"
LOCK_NAME = ".spool.lock"
ASIDE_NAME = ".undeliverable.jsonl"

_SEGMENT = re.compile(r"events-(\d{12})\.jsonl")


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a spool: the byte of a segment at which the next event starts; segments are counted from 1."""

    segment: int = 0
    byte: int = 0


class SegmentFiles:
    """The files of one spool. Those whose name starts with a dot are no part of the log.

    Parameters
    ----------
    folder
        Where they are; created if it is absent.

    Raises
    ------
    UnavailableError
        If the folder cannot be used, or another process uses it.
    IncompatibleStateError
        If another version of the program wrote its state.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._state_change = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / LOCK_NAME, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UnavailableError(
                f"the spool {folder} cannot be used: {error.strerror or error}",
                remedy="name a directory that may be written with --spool",
            ) from error
        self._take_lock()
        last_number, self.forwarded = self._read_state()
        self.last_number = max([last_number, *self.numbers()])

    def path(self, number: int) -> Path:
        """Return the path of a segment."""
        return self.folder / f"events-{number:012d}.jsonl"

    def numbers(self) -> list[int]:
        """Return the numbers of the segments that are there, ascending."""
        matches = (_SEGMENT.fullmatch(name) for name in os.listdir(self.folder))
        return sorted(int(match[1]) for match in matches if match)

    def size(self, number: int) -> int:
        """Return the size of a segment in bytes; 0 if it is not there."""
        try:
            return self.path(number).stat().st_size
        except FileNotFoundError:
            return 0

    def bytes_ahead(self) -> int:
        """Return how many bytes of the segments have not been forwarded."""
        sizes = ((number, self.size(number)) for number in self.numbers())
        at = self.forwarded
        return sum(size - (at.byte if number == at.segment else 0) for number, size in sizes if number >= at.segment)

    def create_next(self) -> tuple[int, int]:
        """Create a segment whose name follows all that ever were, durably; return its number and file descriptor."""
        with self._state_change:
            number = self.last_number + 1
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_DSYNC | os.O_CLOEXEC
            descriptor = os.open(self.path(number), flags, 0o640)
            self.last_number = number
            self._write_state()
            self._sync_folder()
            return number, descriptor

    def set_forwarded(self, position: Position) -> None:
        """Remember how far the events have been forwarded, and remove the segments that lie wholly before.

        An older position, found after a loss of power, is harmless: events are forwarded again.
        """
        with self._state_change:
            assert position >= self.forwarded
            passed = position.segment > self.forwarded.segment
            self.forwarded = position
            self._write_state()
            for number in self.numbers() if passed else ():
                if number < position.segment:
                    self.path(number).unlink(missing_ok=True)

    def put_aside(self, line: bytes) -> None:
        """Keep an event that nobody will ever take in a file of its own."""
        with open(self.folder / ASIDE_NAME, "ab") as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        """Let another process use the spool."""
        os.close(self._lock)

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise UnavailableError(
                f"the spool {self.folder} is in use by another process",
                remedy="stop that one, or give each gateway a spool of its own with --spool",
            ) from error

    def _read_state(self) -> tuple[int, Position]:
        """Return the last segment's number and how far events were forwarded; what power cut short counts as none."""
        try:
            state = json.loads((self.folder / STATE_NAME).read_bytes())
        except (FileNotFoundError, ValueError):
            return 0, Position()
        if state["version"] != STATE_VERSION:
            self.close()
            raise IncompatibleStateError(
                f"the spool {self.folder} is of version {state['version']}, not {STATE_VERSION}",
                remedy="let the version that wrote it forward what it holds, or name another directory",
            )
        return state["last_segment"], Position(*state["forwarded"])

    def _write_state(self) -> None:
        state = {
            "version": STATE_VERSION,
            "last_segment": self.last_number,
            "forwarded": [self.forwarded.segment, self.forwarded.byte],
        }
        temporary = self.folder / f"{STATE_NAME}.tmp"
        temporary.write_text(json.dumps(state))
        os.replace(temporary, self.folder / STATE_NAME)

    def _sync_folder(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
