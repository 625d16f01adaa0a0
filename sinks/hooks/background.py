"""What goes on beside delivery: reading what people say, and reporting what became of each delivery."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import structlog

from schemas.errors import LabelpulseError
from sinks.hooks.control import Control
from sinks.hooks.reports import Reports
from sinks.hooks.store import connect
from sinks.hooks.traits import HookTraits

LOGGER = structlog.get_logger("labelpulse")

CONTROL_SECONDS = 0.5
REPORT_SECONDS = 2.0
PRUNE_SECONDS = 3_600.0

Row = tuple[Any, ...]
Record = Callable[[list[Row]], None]


class ControlSource(Protocol):
    """Where control events come from."""

    name: str

    def read(self, position: str | None) -> tuple[list[bytes], str | None]:
        """Return events after a position, and the position after them."""
        ...

    def close(self) -> None:
        """Let connections go."""
        ...


class Background:
    """A thread that does something every so many seconds until it is stopped, and once more then.

    Parameters
    ----------
    name
        Of the thread.
    open_work
        Makes what is to be done, in the thread, and returns it with a function that ends it.
    seconds
        Between two times, above 0.
    """

    def __init__(
        self, name: str, open_work: Callable[[], tuple[Callable[[], None], Callable[[], None]]], *, seconds: float
    ) -> None:
        self._name = name
        self._open_work = open_work
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"labelpulse-{name}", daemon=True)
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """End, after doing it once more; wait so many seconds at most."""
        self._stop.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            try:
                work, end = self._open_work()
                try:
                    self._repeat(work)
                    return
                finally:
                    end()
            except Exception as error:  # told, and tried again: delivery goes on meanwhile
                message = error.message if isinstance(error, LabelpulseError) else f"{type(error).__name__}: {error}"
                LOGGER.warning("hooks_background_failed", what=self._name, error=message)
                if self._stop.wait(self._seconds):
                    return

    def _repeat(self, work: Callable[[], None]) -> None:
        while not self._stop.is_set():
            work()
            self._stop.wait(self._seconds)
        work()


def control_background(
    path: Path,
    sources: Sequence[ControlSource],
    *,
    hooks: Mapping[str, HookTraits],
    wake: Callable[[], None],
    clock: Callable[[], int],
    seconds: float = CONTROL_SECONDS,
) -> Background:
    """Carry out control events as they come.

    Parameters
    ----------
    path
        The outbox.
    sources
        Where they come from.
    hooks
        The hooks that exist, by name.
    wake
        Called when something may be to be delivered.
    clock
        Microseconds since the epoch.
    seconds
        Between two looks at the sources, above 0.
    """

    def open_work() -> tuple[Callable[[], None], Callable[[], None]]:
        connection = connect(path)
        control = Control(connection, hooks=hooks)

        def work() -> None:
            for source in sources:
                payloads, position = source.read(control.position(source.name))
                if payloads and position is not None:
                    control.carry_out(payloads, source=source.name, position=position, now=clock())
                    wake()

        def end() -> None:
            for source in sources:
                source.close()
            connection.close()

        return work, end

    return Background("hook-control", open_work, seconds=seconds)


def report_background(
    path: Path, record: Record | None, *, clock: Callable[[], int], seconds: float = REPORT_SECONDS
) -> Background:
    """Report what became of deliveries, and forget what is over.

    Parameters
    ----------
    path
        The outbox.
    record
        Writes rows of ``alert_deliveries_versions``, and returns when they are written; may be called with rows it has
        written before. None: nothing is reported.
    clock
        Microseconds since the epoch.
    seconds
        Between two reports, above 0.
    """

    def open_work() -> tuple[Callable[[], None], Callable[[], None]]:
        connection = connect(path)
        reports = Reports(connection)
        prune_at = time.monotonic()

        def work() -> None:
            nonlocal prune_at
            while True:
                rows, marks = reports.unreported()
                if not rows:
                    break
                if record is not None:
                    record(rows)
                reports.done(marks)
            if time.monotonic() >= prune_at:
                reports.prune(clock())
                prune_at = time.monotonic() + PRUNE_SECONDS

        return work, connection.close

    return Background("hook-reports", open_work, seconds=seconds)
