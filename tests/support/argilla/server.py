"""Argilla's server on loopback, with SQLite, a real Redis for its jobs, and without its search engine."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2 as httpx

from tests.support.kafka.node import HOST, free_port
from tests.support.label_studio.environment import environment_of
from tests.support.processes import ServerUnavailableError, running, wait_until

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
WITHOUT_SEARCH = Path(__file__).with_name("without_search.py")
API_KEY = "owner.apikey"
START_SECONDS_MAX = 120
PREPARE_SECONDS_MAX = 120


@dataclass(frozen=True, slots=True)
class Argilla:
    """A running server.

    Parameters
    ----------
    url
        Its address.
    api
        A client of its owner.
    """

    url: str
    api: httpx.Client

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return what a call of the API answers."""
        response = self.api.request(method, f"/api/v1{path}", json=body)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text[:500]}"
        return response.json() if response.content else None


@contextmanager
def running_argilla(data: Path) -> Iterator[Argilla]:
    """Start Redis, a worker for webhooks and the server; end them afterwards.

    Raises
    ------
    ServerUnavailableError
        If Redis is missing, or one of them does not start.
    EnvironmentUnavailableError
        If the server's environment cannot be made.
    """
    redis = shutil.which("redis-server")
    if redis is None:
        raise ServerUnavailableError("redis-server is missing, through which Argilla sends its webhooks")
    python = str(environment_of("argilla-server", REQUIREMENTS) / "bin" / "python")
    redis_port, port, log = free_port(), free_port(), data / "argilla.log"
    environment = {
        "ARGILLA_HOME_PATH": str(data),
        "ARGILLA_DATABASE_URL": f"sqlite+aiosqlite:///{data}/argilla.db",
        "ARGILLA_REDIS_URL": f"redis://{HOST}:{redis_port}/0",
        "ARGILLA_SEARCH_ENGINE": "none",
        "ARGILLA_ENABLE_TELEMETRY": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
    }
    options = {"environment": environment, "folder": data, "log": log}
    store = [redis, "--bind", HOST, "--port", str(redis_port), "--save", "", "--appendonly", "no", "--dir", str(data)]
    with running(store, **options) as process:
        wait_until(lambda: _listens(redis_port), process, seconds_max=START_SECONDS_MAX, log=log)
        _prepare(python, environment, data)
        worker = [python, "-m", "argilla_server", "worker", "--num-workers", "1"]
        server = [python, str(WITHOUT_SEARCH), str(port)]
        with running(worker, **options), running(server, **options) as process:
            wait_until(lambda: _listens(port), process, seconds_max=START_SECONDS_MAX, log=log)
            url = f"http://{HOST}:{port}"
            with httpx.Client(base_url=url, headers={"X-Argilla-Api-Key": API_KEY}, timeout=60) as api:
                yield Argilla(url, api)


def _prepare(python: str, environment: dict[str, str], data: Path) -> None:
    """Make the tables and the owner."""
    owner = ["--first-name", "Lead", "--username", "lead", "--role", "owner", "--password", "not-a-secret-1"]
    for command in (["migrate"], ["users", "create", *owner, "--api-key", API_KEY, "--workspace", "default"]):
        done = subprocess.run(
            [python, "-m", "argilla_server", "database", *command],
            env={"PATH": "/usr/bin:/bin", "HOME": str(data), **environment},
            cwd=data,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PREPARE_SECONDS_MAX,
        )
        if done.returncode:
            raise ServerUnavailableError(f"Argilla cannot prepare its database: {(done.stderr or done.stdout)[-500:]}")


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False
