"""Processes of foreign servers: started in a group of their own, waited for, and ended by that group."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

STOP_SECONDS_MAX = 20
POLL_SECONDS = 0.25


class ServerUnavailableError(Exception):
    """A server cannot be had on this machine; the message says why."""


@contextmanager
def running(
    command: Sequence[str], *, environment: Mapping[str, str], folder: Path, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a folder, its output in a file, until the block ends.

    Parameters
    ----------
    command
        The program and its arguments.
    environment
        All that it sees of the environment, beside the search path.
    folder
        Where it runs.
    log
        What it says is appended here.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(command),
            env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _end(process)


def wait_until(is_up: Callable[[], bool], process: subprocess.Popen[bytes], *, seconds_max: float, log: Path) -> None:
    """Wait until a server answers.

    Raises
    ------
    ServerUnavailableError
        If it ends before, or does not within the time; with the last that it said.
    """
    deadline = time.monotonic() + seconds_max
    while time.monotonic() < deadline and process.poll() is None:
        if is_up():
            return
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL_SECONDS)
    raise ServerUnavailableError(f"{process.args[0]} did not start: {log.read_text(errors='replace')[-1_000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
