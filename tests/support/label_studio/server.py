"""Label Studio as a process of its own, on loopback and with SQLite, and a client of its API."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.kafka.node import HOST, free_port
from tests.support.label_studio.environment import EnvironmentUnavailableError, environment_of

START_SECONDS_MAX = 240
STOP_SECONDS_MAX = 20
POLL_SECONDS = 0.25
EMAIL = "lead@example.org"
PASSWORD = "not-a-secret-1"
QUIET = {
    "LATEST_VERSION_CHECK": "false",
    "COLLECT_ANALYTICS": "false",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "DJANGO_DB": "sqlite",
    "SSRF_PROTECTION_ENABLED": "false",
}


@dataclass(frozen=True, slots=True)
class LabelStudio:
    """A running Label Studio.

    Parameters
    ----------
    url
        Its address.
    token
        A personal access token of its only user.
    api
        A client that is signed in.
    """

    url: str
    token: str
    api: httpx.Client

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return what a call of the API answers."""
        response = self.api.request(method, path, json=body)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text[:500]}"
        return response.json() if response.content else None


@contextmanager
def running_label_studio(data: Path) -> Iterator[LabelStudio]:
    """Start Label Studio, sign in, and end it afterwards by its own process group.

    Raises
    ------
    EnvironmentUnavailableError
        If its environment cannot be made.
    """
    port = free_port()
    url = f"http://{HOST}:{port}"
    log = data / "label-studio.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                str(environment_of("label-studio") / "bin" / "label-studio"), "start", "--no-browser",
                "--internal-host", HOST, "--port", str(port), "--username", EMAIL, "--password", PASSWORD,
            ],
            env={"PATH": os.environ["PATH"], "HOME": str(data), "LABEL_STUDIO_BASE_DATA_DIR": str(data), **QUIET},
            cwd=data,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    try:
        _wait_until_up(process, url, log)
        with httpx.Client(base_url=url, timeout=60, follow_redirects=True) as api:
            yield LabelStudio(url, _sign_in(api), api)
    finally:
        _end(process)


def _wait_until_up(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if httpx.get(f"{url}/health", timeout=5).is_success:
                return
        except httpx.TransportError:
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL_SECONDS)
    raise EnvironmentUnavailableError(f"Label Studio did not start: {log.read_text(errors='replace')[-1_000:]}")


def _sign_in(api: httpx.Client) -> str:
    """Sign in as a browser does; return a personal access token."""
    assert api.get("/user/login/").is_success
    form = {"email": EMAIL, "password": PASSWORD, "csrfmiddlewaretoken": api.cookies["csrftoken"]}
    assert api.post("/user/login/", data=form, headers={"Referer": str(api.base_url)}).is_success
    api.headers.update({"X-CSRFToken": api.cookies["csrftoken"], "Referer": str(api.base_url)})
    return api.post("/api/token/", json={}).raise_for_status().json()["token"]


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
