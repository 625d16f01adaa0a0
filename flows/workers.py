"""Runs the flow in several processes of this machine, each a worker, as if it were one: one display, one end."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import FrameType

from flows.cluster import free_addresses
from flows.drain import handling_signals, holding_signals_back
from flows.run_report import Report, add_up, read_reports
from flows.run_state import RunState, RunSummary
from flows.supervisor import told_code
from schemas.errors import ClusterError

FAILED = 1
ENDED_ALREADY = (-signal.SIGTERM, -signal.SIGINT, 128 + signal.SIGINT)
"""Exit codes of a worker that was asked to end when it no longer handled it: it had ended already."""
POLL_SECONDS = 0.05
FALL_SECONDS = 5.0
"""Once a worker has failed, the others are given so long to end by themselves."""
GRACE_SECONDS_MORE = 15.0
"""Beyond the grace period: what comes before and after the waiting for a database."""


@dataclass(slots=True)
class Worker:
    """A worker: its process, and the last that it reported."""

    process: subprocess.Popen[bytes]
    reading: threading.Thread
    report: Report = field(default_factory=Report)


class Workers:
    """A cluster of workers on this machine: they start together, and end together.

    Parameters
    ----------
    command
        What runs the flow; the options of a worker are added to it.
    count
        How many workers, at least 1.
    state
        Counters of all of them together.
    grace_seconds
        How long they may take to end once they are asked.
    """

    def __init__(self, command: Sequence[str], *, count: int, state: RunState, grace_seconds: float) -> None:
        assert count >= 1
        self._command = list(command)
        self._count = count
        self._state = state
        self._grace_seconds = grace_seconds
        self._workers: list[Worker] = []
        self._is_asked = False
        self._kill_at: float | None = None
        self._fallen: int | None = None
        self._killed: list[int] = []

    def run(self) -> RunSummary:
        """Run the workers until all have ended.

        Raises
        ------
        LabelpulseError
            What one failed with, if it said why.
        ClusterError
            If one failed without a word, or they took too long to end.
        """
        began = time.monotonic()
        with handling_signals(self._ask):
            try:
                self._start()
                while self._is_any_running():
                    self._attend()
                    time.sleep(POLL_SECONDS)
            finally:
                self._kill()
        self._attend()
        self._require_good_end()
        return RunSummary("signal" if self._is_draining else "end", time.monotonic() - began, self._state)

    @property
    def _is_draining(self) -> bool:
        return self._is_asked or any(worker.report.is_draining for worker in self._workers)

    def _start(self) -> None:
        addresses = ";".join(free_addresses(self._count))
        for number in range(self._count):
            reading, writing = os.pipe()
            options = ["--process-id", str(number), "--addresses", addresses, "--report-to", str(writing)]
            with holding_signals_back():
                process = subprocess.Popen([*self._command, *options], pass_fds=[writing])
            os.close(writing)
            thread = threading.Thread(target=self._read, args=(number, reading), name="labelpulse-reports", daemon=True)
            self._workers.append(Worker(process, thread))
            thread.start()

    def _read(self, number: int, reading: int) -> None:
        with os.fdopen(reading, "rb") as stream:
            for report in read_reports(stream):
                self._workers[number].report = report

    def _attend(self) -> None:
        """Add up the reports; let all end once one is asked to; see to it that all end once one has failed."""
        add_up([worker.report for worker in self._workers], self._state)
        fallen = self._first_to_fall()
        if fallen is not None and self._fallen is None:
            self._kill_at = time.monotonic() + FALL_SECONDS
        elif self._is_draining and self._kill_at is None:
            self._kill_at = time.monotonic() + self._grace_seconds + GRACE_SECONDS_MORE
            self._signal(signal.SIGTERM)
        self._fallen = fallen if not self._killed else self._fallen
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._killed = [number for number, worker in enumerate(self._workers) if worker.process.poll() is None]
            self._kill()

    def _first_to_fall(self) -> int | None:
        """Return the number of a worker that has failed; rather not of one whose engine gave up after another's end."""
        good = {None, 0, *(ENDED_ALREADY if self._is_draining else ())}
        failed = [number for number, worker in enumerate(self._workers) if worker.process.poll() not in good]
        failed.sort(key=lambda number: self._workers[number].process.returncode in (FAILED, -signal.SIGABRT))
        return failed[0] if failed else None

    def _is_any_running(self) -> bool:
        return any(worker.process.poll() is None for worker in self._workers)

    def _signal(self, number: int) -> None:
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.process.send_signal(number)

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)
        for worker in self._workers:
            worker.process.wait()
            worker.reading.join()

    def _require_good_end(self) -> None:
        failures = [worker.report.failure for worker in self._workers if worker.report.failure is not None]
        for failure in sorted(failures, key=lambda failure: failure.is_consequence):
            if not failure.is_consequence or self._fallen is None:
                raise failure.error()
        if self._fallen is None and self._killed:
            raise ClusterError(
                f"workers {self._killed} did not end in time once they were asked to",
                remedy="look at what they told; raise grace_seconds if the database needs longer",
            )
        if self._fallen is not None:
            ended_with = told_code(self._workers[self._fallen].process.returncode)
            raise ClusterError(
                f"worker {self._fallen} of {self._count} ended with {ended_with}, and the others with it",
                remedy="start it again: it goes on where it was; with --supervise it is started again by itself",
            )

    def _ask(self, number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # a second signal ends this process, and the workers notice
        self._is_asked = True
