"""Which of several processes on one outbox delivers: whoever holds a lock, which the system takes from a dead one."""

import fcntl
import os
import threading
from pathlib import Path


class Leader:
    """A lock beside the outbox.

    Parameters
    ----------
    path
        The outbox.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: int | None = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        self._is_leading = False
        self._lock = threading.Lock()

    def is_leading(self) -> bool:
        """Return whether this process delivers; try to become the one that does if nobody is."""
        with self._lock:
            if self._file is None:
                return False
            if not self._is_leading:
                try:
                    fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self._is_leading = True
                except OSError:
                    return False
            return True

    def close(self) -> None:
        """Give the lock back."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
            self._file, self._is_leading = None, False
