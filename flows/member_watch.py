"""What a process of a cluster does beside the flow: hears signals, passes on that all are to end, tells its parent."""

import os
import selectors
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flows.drain import SIGNALS, Drain
from flows.run_report import Reporter, report_of
from flows.run_state import RunState

DRAIN_MARK = "labelpulse.drain"
TICK_SECONDS = 0.2
BEGIN_SECONDS = 5.0
"""A process that is asked to end before its cluster has come together waits so long for that, and ends then."""


class MemberWatch:
    """A thread that works while the engine waits for other processes, when Python's signal handlers do not run.

    Parameters
    ----------
    drain
        Asked at a signal, or when the mark of another process is there.
    state
        Counters that the parent is told.
    has_begun
        Says whether the engine has begun to run the flow.
    mark
        File that stands for "all are to end"; None where a parent passes that on.
    reporter
        Way to the parent, if there is one.
    """

    def __init__(
        self,
        drain: Drain,
        state: RunState,
        *,
        has_begun: Callable[[], bool],
        mark: Path | None,
        reporter: Reporter | None,
    ) -> None:
        self._drain = drain
        self._state = state
        self._has_begun = has_begun
        self._mark = mark
        self._reporter = reporter
        self._is_over = threading.Event()
        self._asked_at: float | None = None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch while the block runs; the mark of an earlier run is taken away first."""
        if self._mark is not None:
            self._mark.unlink(missing_ok=True)
        heard, told = os.pipe()
        os.set_blocking(told, False)
        before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        thread = threading.Thread(target=self._run, args=(heard,), name="labelpulse-member", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()
            signal.set_wakeup_fd(before)
            os.close(told)
            os.close(heard)

    def _run(self, heard: int) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(heard, selectors.EVENT_READ)
            while not self._is_over.is_set():
                if selector.select(TICK_SECONDS) and SIGNALS_HEARD.intersection(os.read(heard, 64)):
                    self._drain.ask()
                self._pass_on()
                self._tell()
                self._end_early()

    def _pass_on(self) -> None:
        """Hear from the other processes that all are to end, or let them hear it."""
        if self._mark is None:
            return
        if self._mark.exists():
            self._drain.ask()
        elif self._drain.is_asked:
            self._mark.touch()

    def _tell(self) -> None:
        if self._reporter is None:
            return
        if self._reporter.is_orphaned():
            os.kill(os.getpid(), signal.SIGKILL)  # nobody would know of this process; what it did comes again
        with suppress(BrokenPipeError):
            self._reporter.send(report_of(self._state, is_draining=self._drain.is_asked))

    def _end_early(self) -> None:
        """End without the engine if it still waits for the other processes: nothing has been read."""
        if not self._drain.is_asked or self._has_begun():
            return
        self._asked_at = self._asked_at if self._asked_at is not None else time.monotonic()
        if time.monotonic() - self._asked_at >= BEGIN_SECONDS and not self._has_begun():
            os._exit(0)


SIGNALS_HEARD = frozenset(map(int, SIGNALS))
