"""The outbox after kill -9: nothing that was kept is lost, and nothing gets another id."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.alerts import alert_of
from tests.support.command import ROOT
from tests.support.receiver import Receiver, running_receiver

ALERTS = 60


def id_of(number: int) -> str:
    """Return the id of the message about an alert."""
    return f"{alert_of(number, annotator=f'ann-{number}').alert_id}_firing"


@contextmanager
def delivering(outbox: Path, receiver: Receiver, first: int, last: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that has taken alerts in, durably, and kill it at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.hooks_process", outbox, str(receiver.port), str(first), str(last)],
        cwd=ROOT,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline().strip() == b"kept"
        yield process
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_kill_9_loses_no_alert_and_changes_no_id(tmp_path: Path, seed: int) -> None:
    """Killed again and again in the midst of deliveries that fail in every way: each alert arrives, under one id."""
    rng = random.Random(seed)
    faults = [rng.choice([204, 500, 503, "reset", "lost"]) for _ in range(4 * ALERTS)]
    with running_receiver(*faults) as receiver:
        for first in range(0, ALERTS, 20):
            with delivering(tmp_path / "alerts.sqlite3", receiver, first, first + 20):
                receiver.wait_for_requests(len(receiver.requests) + rng.randrange(1, 12))
        # the log is read again from somewhere before, as after the crash of a flow
        with delivering(tmp_path / "alerts.sqlite3", receiver, 30, ALERTS):
            expected = {id_of(number) for number in range(ALERTS)}
            with receiver.changed:
                assert receiver.changed.wait_for(lambda: set(receiver.ids) >= expected, 60)
    assert set(receiver.ids) == expected
    assert {request.headers["webhook-id"] for request in receiver.requests} == expected
