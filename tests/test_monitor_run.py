"""The monitor beside the flow: served from the same process over the embedded database, and gone when the flow ends."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.command import call, start
from tests.support.monitoring import Caller

pytestmark = pytest.mark.slow
SECONDS_MAX = 90.0


def address_of(process: subprocess.Popen[bytes]) -> str:
    """Return the address that a command prints."""
    assert process.stderr is not None
    for line in process.stderr:
        found = line.decode().partition("http://127.0.0.1:")[2]
        if found:
            return f"http://127.0.0.1:{found.split('/')[0]}/"
    raise AssertionError("no address was printed")


def ended(process: subprocess.Popen[bytes], number: int) -> tuple[int, str]:
    """Send a signal; return the exit code and the rest of the error output."""
    process.send_signal(number)
    _, rest = process.communicate(timeout=SECONDS_MAX)
    return process.returncode, rest.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_flow_can_be_watched(tmp_path: Path, number: int) -> None:
    """Figures grow while the flow runs, also while somebody listens; a signal drains flow and monitor, exit code 0."""
    source = "simulate:events=100000000,annotators=20,seed=7,rate=3000"
    dsn = f"chdb://{tmp_path}/db"
    process = start("run", "--source", source, "--clickhouse", dsn, "--monitor", "--monitor-port", "0", "--log",
                    progress_seconds="0.5")  # fmt: skip
    try:
        caller = Caller(address_of(process))
        seen: list[int] = []
        with caller.events() as events:
            deadline = time.monotonic() + SECONDS_MAX
            while len(seen) < 3 and time.monotonic() < deadline:
                name, _ = next(events)
                if name == "changed":
                    labels = sum(held["labels"] for held in caller.rows("projects"))
                    seen += [labels] if not seen or labels > seen[-1] else []
            code, rest = ended(process, number)
            assert ("end", {}) in list(events)
        assert len(seen) == 3
        assert code == 0, rest
    finally:
        process.kill()
        process.wait()


def test_the_monitor_by_itself_ends_at_a_signal(tmp_path: Path) -> None:
    """labelpulse monitor prints its address, answers, and ends with exit code 0."""
    dsn = f"chdb://{tmp_path}/db"
    call("migrate", "--clickhouse", dsn)
    process = start("monitor", "--clickhouse", dsn, "--port", "0")
    try:
        caller = Caller(address_of(process))
        assert caller.rows("projects") == []
        assert caller.ask("/").status == 200
        caller.close()
        assert ended(process, signal.SIGTERM)[0] == 0
    finally:
        process.kill()
        process.wait()
