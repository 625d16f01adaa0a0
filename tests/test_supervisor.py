"""The supervisor: restarts what failed, passes on what it is asked, and gives up loudly."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flows.cli.main import run_arguments
from flows.supervisor import RestartLimits, Supervisor
from schemas.errors import SupervisionError
from tests.support.command import ROOT, environment

SOON = RestartLimits(restarts_max=3, window_seconds=600.0, backoff_seconds=0.001)
FINAL = frozenset({0, 2, 3})


def supervised(code: str, *arguments: object, limits: RestartLimits = SOON) -> tuple[Supervisor, list[str]]:
    """Return a supervisor of a small program, and what it tells."""
    told: list[str] = []
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return Supervisor(command, limits=limits, final_codes=FINAL, tell=told.append), told


COUNTING = """
import os, pathlib, sys
file = pathlib.Path(sys.argv[1]); starts = len(file.read_text()) if file.exists() else 0
file.write_text("x" * (starts + 1))
codes = sys.argv[2].split(",")
code = int(codes[min(starts, len(codes) - 1)])
os.kill(os.getpid(), -code) if code < 0 else sys.exit(code)
"""


@pytest.mark.parametrize(
    ("codes", "ends_with", "starts"), [("0", 0, 1), ("1,-9,0", 0, 3), ("4,2", 2, 2), ("3", 3, 1), ("1,1,1,0", 0, 4)]
)
def test_a_failure_is_followed_by_a_restart_until_it_ends_well(tmp_path, codes, ends_with, starts):
    """Failures and signals are followed by a restart; an end, and what no restart mends, is passed on."""
    supervisor, told = supervised(COUNTING, tmp_path / "starts", codes)
    assert supervisor.run() == ends_with
    assert len((tmp_path / "starts").read_text()) == starts == len(told) + 1


def test_it_gives_up_loudly(tmp_path):
    """More failures within the window than there may be: it stops, and says how it ended."""
    supervisor, told = supervised(COUNTING, tmp_path / "starts", "-9")
    with pytest.raises(SupervisionError, match="failed 4 times within 600 s .* signal SIGKILL"):
        supervisor.run()
    assert len((tmp_path / "starts").read_text()) == 4
    assert told[-1] == "the flow ended with signal SIGKILL: restart 3 of at most 3 within 600 s, in 0.004 s"


def test_failures_that_are_long_past_do_not_count(tmp_path):
    """Failures outside of the window are forgotten: a flow that fails now and then goes on for good."""
    now = iter(range(0, 10_000, 400))
    supervisor, told = supervised(COUNTING, tmp_path / "starts", "1,1,1,1,1,1,0")
    supervisor._clock = lambda: float(next(now))
    assert supervisor.run() == 0
    assert [line.split(":")[1][:10] for line in told] == [" restart 1", *[" restart 2"] * 5]


DRAINING = """
import pathlib, signal, sys, time
def drain(*_):
    pathlib.Path(sys.argv[1]).write_text("drained")
    sys.exit(0)
signal.signal(signal.SIGTERM, drain)
print("ready", flush=True)
signal.pause()
"""
PARENT = """
import sys
from flows.supervisor import RestartLimits, Supervisor
pause = float(sys.argv[3])
limits = RestartLimits(restarts_max=9, window_seconds=600.0, backoff_seconds=pause, backoff_seconds_max=900.0)
command = [sys.executable, "-c", sys.argv[1], sys.argv[2]]
tell = lambda line: print(line, flush=True)
sys.exit(Supervisor(command, limits=limits, final_codes=frozenset({0}), tell=tell).run())
"""


def start_parent(code: str, argument: Path, *, backoff_seconds: float) -> subprocess.Popen[bytes]:
    """Start a supervisor in a process of its own; return it once its first line is there."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, code, str(argument), str(backoff_seconds)],
        cwd=ROOT, env=environment(), stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline()
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_passed_on_and_the_drain_waited_for(tmp_path, number):
    """SIGTERM or Ctrl-C to the supervisor drains the flow; it ends when that has, with its exit code."""
    process = start_parent(DRAINING, tmp_path / "mark", backoff_seconds=1.0)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert (tmp_path / "mark").read_text() == "drained"


def test_a_signal_ends_the_wait_before_a_restart(tmp_path):
    """While it waits to start the flow again, a signal ends the supervisor at once."""
    process = start_parent("import sys; sys.exit(1)", tmp_path, backoff_seconds=800.0)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0 and time.monotonic() - began < 60


def test_the_command_supervises_only_what_can_go_on(tmp_path, capsys):
    """A flow that keeps no state, or reads a pipe, cannot be started again where it was: refused."""
    for arguments in (["--source", "simulate:events=9"], ["--source", "-", "--recovery", str(tmp_path / "state")]):
        assert run_arguments(["run", "--supervise", *arguments]) == 3
        assert "needs a --recovery directory" in capsys.readouterr().err
