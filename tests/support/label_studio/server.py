"""Label Studio as a process of its own, on loopback and with SQLite, and a client of its API."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx

from tests.support.kafka.node import HOST, free_port
from tests.support.label_studio.environment import environment_of
from tests.support.processes import running, wait_until

START_SECONDS_MAX = 240
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
    """Start Label Studio, sign in, and end it afterwards.

    Raises
    ------
    EnvironmentUnavailableError
        If its environment cannot be made.
    ServerUnavailableError
        If it does not start.
    """
    port = free_port()
    url = f"http://{HOST}:{port}"
    log = data / "label-studio.log"
    command = [
        str(environment_of("label-studio") / "bin" / "label-studio"), "start", "--no-browser",
        "--internal-host", HOST, "--port", str(port), "--username", EMAIL, "--password", PASSWORD,
    ]  # fmt: skip
    environment = {"LABEL_STUDIO_BASE_DATA_DIR": str(data), **QUIET}
    with running(command, environment=environment, folder=data, log=log) as process:
        wait_until(lambda: _is_up(url), process, seconds_max=START_SECONDS_MAX, log=log)
        with httpx.Client(base_url=url, timeout=60, follow_redirects=True) as api:
            yield LabelStudio(url, _sign_in(api), api)


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).is_success
    except httpx.TransportError:
        return False


def _sign_in(api: httpx.Client) -> str:
    """Sign in as a browser does; return a personal access token."""
    assert api.get("/user/login/").is_success
    form = {"email": EMAIL, "password": PASSWORD, "csrfmiddlewaretoken": api.cookies["csrftoken"]}
    assert api.post("/user/login/", data=form, headers={"Referer": str(api.base_url)}).is_success
    api.headers.update({"X-CSRFToken": api.cookies["csrftoken"], "Referer": str(api.base_url)})
    return api.post("/api/token/", json={}).raise_for_status().json()["token"]
