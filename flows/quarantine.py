"""Records that crash the flow: counted over restarts in the recovery directory, and set aside at the last attempt."""

import fcntl
import os
from pathlib import Path

import msgspec

from schemas.errors import IncompatibleStateError, PoisonError, SourceError

FILE_NAME = "labelpulse-quarantine.json"
LOCK_NAME = "labelpulse-quarantine.lock"
SUSPECTS_MAX = 64
"""Positions at which a crash has been seen are forgotten, the oldest first, beyond so many."""

Position = tuple[str, int, int]
"""Stream, partition and offset of a record."""


class Suspect(msgspec.Struct):
    """A record that has crashed the flow."""

    stream: str
    partition: int
    offset: int
    crashes: int
    error: str

    @property
    def position(self) -> Position:
        """Where the record stands."""
        return self.stream, self.partition, self.offset


class Contents(msgspec.Struct):
    """What the file holds: records under suspicion, the latest last, and those that are set aside for good."""

    suspects: list[Suspect] = []
    quarantined: list[Suspect] = []


class Quarantine:
    """The quarantine of a flow, in its recovery directory.

    A record is set aside for good: a replay of the log from the same directory refuses it again, and gives the same
    rows. Nothing is written while nothing crashes, and a killed process counts against no record.

    Parameters
    ----------
    folder
        The recovery directory.
    attempts
        A record is set aside once it has crashed the flow so often, at least 1.
    records_max
        No more records than this are set aside.
    """

    def __init__(self, folder: Path, *, attempts: int, records_max: int) -> None:
        assert attempts >= 1
        self._folder = folder
        self._attempts = attempts
        self._records_max = records_max

    def positions(self) -> frozenset[Position]:
        """Return the records that are set aside.

        Raises
        ------
        IncompatibleStateError
            If the file cannot be read.
        """
        return frozenset(suspect.position for suspect in self._read().quarantined)

    def note(self, crash: PoisonError) -> int:
        """Count a crash against the record that was being folded; return how often it has crashed the flow.

        Raises
        ------
        SourceError
            If it is to be set aside, and too many are already.
        """
        lock = os.open(self._folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            contents = self._read()
            suspect = self._counted(contents, crash)
            if suspect.crashes >= self._attempts:
                self._set_aside(contents, suspect)
            self._write(contents)
        finally:
            os.close(lock)
        return suspect.crashes

    def _counted(self, contents: Contents, crash: PoisonError) -> Suspect:
        found = [suspect for suspect in contents.suspects if suspect.position == crash.position]
        crashes = found[0].crashes + 1 if found else 1
        suspect = Suspect(*crash.position, crashes, crash.message)
        others = [other for other in contents.suspects if other.position != crash.position]
        contents.suspects = [*others, suspect][-SUSPECTS_MAX:]
        return suspect

    def _set_aside(self, contents: Contents, suspect: Suspect) -> None:
        if len(contents.quarantined) >= self._records_max:
            raise SourceError(
                f"{suspect.error}; {len(contents.quarantined)} records are in quarantine already, and no more may be",
                remedy="so many crashes are a defect of the flow: report it as a bug; or raise poison_records_max",
            )
        contents.suspects.remove(suspect)
        contents.quarantined.append(suspect)

    def _read(self) -> Contents:
        file = self._folder / FILE_NAME
        try:
            return msgspec.json.decode(file.read_bytes(), type=Contents)
        except FileNotFoundError:
            return Contents()
        except (msgspec.MsgspecError, OSError) as error:
            raise IncompatibleStateError(
                f"{file} cannot be read: {error}", remedy="restore it from a copy; without it other rows would come out"
            ) from error

    def _write(self, contents: Contents) -> None:
        unfinished = self._folder / (FILE_NAME + ".new")
        with unfinished.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(contents), indent=2))
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, self._folder / FILE_NAME)
