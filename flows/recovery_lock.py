"""Who may use a recovery directory: one process, or the processes of one cluster, each once."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.cluster import Member
from schemas.errors import ConfigurationError

LOCK_NAME = "labelpulse.lock"
OPENING_LOCK_NAME = "labelpulse-opening.lock"
PROCESS_LOCKS = "labelpulse-process-*.lock"
WAIT_SECONDS = 5.0
"""The processes of a cluster end within a moment of each other: the next one waits so long for the last of them."""
POLL_SECONDS = 0.05


class DirectoryLock:
    """The lock of a recovery directory, held until closed or until this process is dead.

    A flow in one process holds the directory's lock alone. Processes of a cluster hold it together, and each a lock of
    its own number, so that no two clusters run on one directory.

    Parameters
    ----------
    path
        The directory; it is made if need be.
    member
        Which process of a cluster this is; None for a flow in one process.
    wait_seconds
        How long to wait for the lock.

    Raises
    ------
    ConfigurationError
        If the directory cannot be used, or another flow holds it.
    """

    def __init__(self, path: Path, *, member: Member | None = None, wait_seconds: float = 0.0) -> None:
        self._path = path
        self._wait_seconds = wait_seconds
        self._is_shared = member is not None
        self._held: list[int] = []
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._take(LOCK_NAME, fcntl.LOCK_EX if member is None else fcntl.LOCK_SH)
            if member is not None:
                self._take_number(member)
        except OSError as error:
            self.close()
            raise ConfigurationError(
                f"the recovery directory {path} cannot be used: {error.strerror}",
                remedy="name a directory that is writable",
            ) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the lock back."""
        while self._held:
            os.close(self._held.pop())

    @contextmanager
    def opening(self) -> Iterator[None]:
        """Let one process of a cluster after the other run the block."""
        if not self._is_shared:
            yield
            return
        file = _opened(self._path / OPENING_LOCK_NAME)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def _take_number(self, member: Member) -> None:
        self._take(f"labelpulse-process-{member.process_id}.lock", fcntl.LOCK_EX)
        if member.is_first:  # processes of an earlier, larger cluster must have ended
            for file in sorted(self._path.glob(PROCESS_LOCKS)):
                if int(file.stem.rpartition("-")[2]) >= member.processes:
                    self._take(file.name, fcntl.LOCK_EX)

    def _take(self, name: str, kind: int) -> None:
        file = _opened(self._path / name)
        self._held.append(file)
        give_up_at = time.monotonic() + self._wait_seconds
        while True:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() < give_up_at:
                    time.sleep(POLL_SECONDS)
                    continue
                raise ConfigurationError(
                    f"another process is running on the recovery directory {self._path}",
                    remedy="stop it first, or name another directory",
                ) from error
            return


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
