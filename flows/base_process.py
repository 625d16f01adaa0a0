"""Writes a base beside the fold: in a forked process, which has a copy of the state as it was, and shares its memory.

The operating system copies a page when either side writes to it. Only Linux is known to be good for this, and to end
the child with its parent; elsewhere the base is written at once.
"""

import ctypes
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from operators.segments import BaseWritten, Segment

_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""
_NICENESS = 5
_SIGNALS = {signal.SIGINT, signal.SIGTERM}
CAN_WRITE_BESIDE = sys.platform == "linux"
_C = ctypes.CDLL(None) if CAN_WRITE_BESIDE else None


class BaseProcess:
    """Writes one base.

    Parameters
    ----------
    write
        Writes it and returns its segment.
    """

    def __init__(self, write: Callable[[], Segment]) -> None:
        began = cpu_seconds()
        self._answer, answer_to = os.pipe()
        parent = os.getpid()
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        with warnings.catch_warnings():
            # the child runs nothing that waits for another thread: it encodes, writes and leaves without clearing up
            warnings.simplefilter("ignore", DeprecationWarning)
            self._pid = os.fork()
        if not self._pid:
            _run_child(write, answer_to, parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        os.close(answer_to)
        self._seconds = cpu_seconds() - began

    def result(self) -> BaseWritten | None:
        """Return what has become of the base; None while it is being written."""
        pid, status, usage = os.wait4(self._pid, os.WNOHANG)
        if not pid:
            return None
        with os.fdopen(self._answer, "rb") as answer:
            told = answer.read()
        segment = msgspec.msgpack.decode(told, type=Segment) if told and not status else None
        return BaseWritten(segment, self._seconds + usage.ru_utime + usage.ru_stime)

    def stop(self) -> None:
        """End the process."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._answer)


def cpu_seconds() -> float:
    """Return the seconds of CPU that this thread has used."""
    return time.thread_time()


def _run_child(write: Callable[[], Segment], answer_to: int, parent: int) -> None:
    """Write, tell the parent, and leave; nothing of this process is run but this."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        if _C is not None:
            _C.prctl(_DEATH_SIGNAL, signal.SIGKILL)
        os.closerange(3, answer_to)  # locks and connections are the parent's, and end with it
        os.closerange(answer_to + 1, os.sysconf("SC_OPEN_MAX"))
        if os.getppid() == parent:
            _give_way()
            os.write(answer_to, msgspec.msgpack.encode(write()))
            code = 0
    finally:
        os._exit(code)


def _give_way() -> None:
    """Let the fold go first, and be the one to go where memory is short: the base is then written another way."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICENESS)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
