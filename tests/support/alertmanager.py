"""A real Prometheus Alertmanager on loopback, which tells a receiver of ours what it makes of alerts."""

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.kafka.node import free_port
from tests.support.receiver import Receiver, running_receiver

NAMES = ("prometheus-alertmanager", "alertmanager")
READY_TRIES = 600
TRY_SECONDS = 0.05
CONFIGURATION = """
route: {{receiver: ours, group_by: [alertname, project], group_wait: 10ms, group_interval: 200ms, repeat_interval: 1h}}
receivers:
  - name: ours
    webhook_configs: [{{url: "{url}", send_resolved: true}}]
"""


@dataclass(frozen=True, slots=True)
class RunningAlertmanager:
    """An Alertmanager that answers.

    Parameters
    ----------
    url
        Its base address.
    told
        What it has told others.
    """

    url: str
    told: Receiver

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that it holds as active."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=10) as response:
            return json.load(response)

    def statuses(self) -> list[tuple[str, str]]:
        """Return the status and name of the alerts in all that it has told, in order."""
        bodies = [json.loads(request.body) for request in list(self.told.accepted)]
        return [(one["status"], one["labels"]["annotator"]) for body in bodies for one in body["alerts"]]

    def wait_until(self, is_met: Callable[[], bool]) -> None:
        """Wait until something holds, which is looked at again and again; fail if it does not within half a minute."""
        for _ in range(READY_TRIES):
            if is_met():
                return
            self.told.ended.wait(TRY_SECONDS)
        raise AssertionError(f"it held {self.alerts()} and told {self.statuses()}")


def alertmanager_binary() -> str:
    """Return the path of the program; where there is none, the test is skipped, and that told."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        pytest.skip("NO REAL ALERTMANAGER, nothing of this is proven here: apt-get install prometheus-alertmanager")
    return found


@contextmanager
def running_alertmanager(folder: Path, *, port: int | None = None) -> Iterator[RunningAlertmanager]:
    """Run an Alertmanager while the block runs."""
    binary, port = alertmanager_binary(), port or free_port()
    with running_receiver() as told, (folder / "alertmanager.log").open("wb") as log:
        configuration = folder / "alertmanager.yml"
        configuration.write_text(CONFIGURATION.format(url=told.url))
        process = subprocess.Popen(
            [binary, f"--config.file={configuration}", f"--storage.path={folder / 'data'}",
             f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=", "--log.level=error"],
            stdout=log, stderr=log,
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_ready(process, url, told, folder)
            yield RunningAlertmanager(url, told)
        finally:
            process.terminate()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, told: Receiver, folder: Path) -> None:
    for _ in range(READY_TRIES):
        assert process.poll() is None, (folder / "alertmanager.log").read_text()
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=5):
                return
        except OSError:
            told.ended.wait(TRY_SECONDS)
    raise AssertionError("Alertmanager does not answer")
