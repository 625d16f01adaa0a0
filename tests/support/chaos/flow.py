"""The flow in processes of its own, started, killed and asked to end."""

import contextlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from flows.cli.failures import ExitCode
from flows.settings import Settings
from tests.support.command import COMMAND, environment

END_SECONDS_MAX = 60.0
HAS_WORKERS = "workers" in Settings.model_fields


class Flow:
    """A run of the flow, one after the other, each with its number of workers.

    Parameters
    ----------
    source, dsn, recovery
        As the command takes them.
    log
        What the runs say is appended to this file.
    settings
        By name.
    """

    def __init__(self, *, source: str, dsn: str, recovery: Path, log: Path, **settings: Any) -> None:
        self._arguments = ["run", "--source", source, "--clickhouse", dsn, "--recovery", str(recovery), "--log"]
        self._environment = environment(**settings)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = self.leftovers = self._workers = 0

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def could_not_start(self) -> bool:
        """Whether it has ended because the broker or the database was away when it started."""
        return self._process is not None and self._process.poll() == ExitCode.UNAVAILABLE

    def start(self, workers: int) -> None:
        """Start it."""
        assert not self.is_running
        self.starts += 1
        self._workers = workers
        more = ["--workers", str(workers)] if HAS_WORKERS else []
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*COMMAND, *self._arguments, *more],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self, rng: random.Random) -> str:
        """Kill one of its processes, or all at once; wait until the others have ended too; return what was killed."""
        assert self._process is not None
        processes, (parent, *workers) = self._processes(), self._runners()
        aim = rng.choice(("parent", "worker", "all")) if workers else "parent"
        victims = {"parent": [parent], "worker": [rng.choice(workers or [parent])], "all": processes}[aim]
        for victim in victims:
            _signal(victim, signal.SIGKILL)
        self._wait_for(processes)
        return aim

    def drain(self, rng: random.Random) -> int:
        """Ask one of its processes to end, as an operator would; return the exit code."""
        assert self._process is not None
        processes = self._processes()
        _signal(rng.choice(self._runners()), signal.SIGTERM)
        self._wait_for(processes)
        return self._process.returncode

    def end(self) -> None:
        """Kill whatever is left."""
        if self._process is not None:
            for process in self._processes():
                _signal(process, signal.SIGKILL)
            self._process.wait()

    def last_words(self) -> str:
        """Return the last lines that the runs have said."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])

    def _runners(self) -> list[psutil.Process]:
        """Return the parent and its workers, without the processes that write bases for them."""
        assert self._process is not None
        parent = psutil.Process(self._process.pid)
        return [parent, *parent.children()] if self._workers > 1 else [parent]

    def _processes(self) -> list[psutil.Process]:
        """Return all processes of the flow."""
        assert self._process is not None
        try:
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _wait_for(self, processes: list[psutil.Process]) -> None:
        """Wait until processes have ended by themselves; those that do not within the time are counted, and killed."""
        assert self._process is not None
        deadline = time.monotonic() + END_SECONDS_MAX
        others = [process for process in processes if process.pid != self._process.pid]
        _, left = psutil.wait_procs(others, timeout=END_SECONDS_MAX)
        try:
            self._process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            left.append(psutil.Process(self._process.pid))
        self.leftovers += len(left)
        for process in left:
            print(f"still there after {END_SECONDS_MAX:g} s: {process}", file=sys.stderr)
            _signal(process, signal.SIGKILL)
        self._process.wait()


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)
