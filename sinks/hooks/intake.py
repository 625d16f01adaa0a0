"""Hands alerts to the outbox from the flow: at once, several in one commit, and never waiting for a receiver."""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from schemas.alerts import ALERTS_NAME, Alert
from schemas.errors import SinkError, TerminalSinkError
from schemas.records import RowBatch
from sinks.hooks.outbox import Outbox

JOIN_SECONDS = 10.0
WAITING_MAX = 50_000


class Intake:
    """Takes alerts from any thread, and writes them to the outbox from a thread of its own.

    What waits while one commit is under way goes into the next one. `add` waits only for a disk that does not keep up.

    Parameters
    ----------
    open_outbox
        Opens the outbox; called in the thread that writes.
    on_commit
        Told the hooks that have something to do, after each commit.
    clock
        Microseconds since the epoch.
    waiting_max
        Most alerts that wait to be written, at least 1.
    """

    def __init__(
        self,
        open_outbox: Callable[[], Outbox],
        *,
        on_commit: Callable[[set[str]], None],
        clock: Callable[[], int],
        waiting_max: int = WAITING_MAX,
    ) -> None:
        assert waiting_max >= 1
        self._open_outbox = open_outbox
        self._on_commit = on_commit
        self._clock = clock
        self._waiting_max = waiting_max
        self._changed = threading.Condition()
        self._waiting: list[Alert] = []
        self._added = self._written = 0
        self._failure: Exception | None = None
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="labelpulse-alert-intake", daemon=True)
        self._thread.start()

    def add(self, batch: RowBatch) -> None:
        """Take the alerts of a row batch.

        Raises
        ------
        SinkError
            If alerts, these or earlier ones, cannot be written.
        """
        rows = batch.rows.get(ALERTS_NAME)
        if rows:
            self.add_alerts([Alert.from_row(row) for row in rows])

    def add_alerts(self, alerts: Sequence[Alert]) -> None:
        """Take alerts, in log order. See `add`."""
        with self._changed:
            self._wait_until(lambda: len(self._waiting) < self._waiting_max)
            self._waiting.extend(alerts)
            self._added += len(alerts)
            self._changed.notify_all()

    def flush(self) -> None:
        """Return once all alerts so far are on the disk.

        Raises
        ------
        SinkError
            If they cannot be written.
        """
        with self._changed:
            added = self._added
            self._wait_until(lambda: self._written >= added)

    def close(self) -> None:
        """Write what waits, and end."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join(JOIN_SECONDS)

    def _wait_until(self, is_met: Callable[[], bool]) -> None:
        while True:
            if self._failure is not None:
                raise _told(self._failure) from self._failure
            if is_met():
                return
            if not self._thread.is_alive():
                raise SinkError("the outbox of alerts is closed")
            self._changed.wait(1.0)

    def _run(self) -> None:
        try:
            outbox = self._open_outbox()
            try:
                while (alerts := self._take()) is not None:
                    told = outbox.take_in(alerts, now=self._clock())
                    self._note_written(len(alerts))
                    self._on_commit(told)
            finally:
                outbox.close()
        except Exception as error:  # whatever it is, whoever adds or flushes next must be told
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _take(self) -> list[Alert] | None:
        with self._changed:
            while not self._waiting and not self._is_closing:
                self._changed.wait()
            taken, self._waiting = self._waiting, []
            return taken or None

    def _note_written(self, count: int) -> None:
        with self._changed:
            self._written += count
            self._changed.notify_all()


def beside(recovery: Path) -> Path:
    """Return where the outbox of a flow is, given its recovery directory.

    >>> beside(Path("/var/lib/labelpulse/state")).name
    'state-alerts.sqlite3'
    """
    return recovery.with_name(f"{recovery.name}-alerts.sqlite3")


def _told(failure: Exception) -> Exception:
    if isinstance(failure, sqlite3.Error):
        return TerminalSinkError(
            f"alerts cannot be written to the outbox: {failure}",
            remedy="free or mend the disk it is on, then start again: nothing is lost",
        )
    return failure
