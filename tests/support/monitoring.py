"""A monitor over a small world, served for real at a free port of this machine."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import urllib3
from clickhouse_connect.driver.client import Client

from monitor.api.access import TokenBook
from monitor.api.application import create_app
from monitor.server import LOOPBACK_NAMES, MonitorServer

TIMEOUT_SECONDS = 60.0


def submitted(project_id: str) -> str:
    """Return a submission as it stands in a log."""
    event = {
        "schema_version": 1, "type": "annotation.submitted", "event_id": "mended", "project_id": project_id,
        "occurred_at": "2026-01-05T09:00:00Z", "source": "test", "annotation_id": "mended", "annotator_id": "ann",
        "item_id": "item-1", "question_id": "label", "label": {"kind": "categorical", "value": "cat"},
    }  # fmt: skip
    return json.dumps(event, separators=(",", ":"))


@contextmanager
def served(connect: Callable[[], Client], *, tokens: TokenBook | None = None, **options: Any) -> Iterator["Caller"]:
    """Serve a monitor while the block runs; answers of the database are not kept unless it is asked for."""
    book = tokens or TokenBook()
    options = {"fresh_seconds": 0.0, "requests_per_second": 10_000.0, "hosts": LOOPBACK_NAMES, **options}
    with MonitorServer(create_app(connect, tokens=book, **options), host="127.0.0.1", port=0) as server:
        caller = Caller(server.url)
        try:
            yield caller
        finally:
            caller.close()


class Caller:
    """Asks a monitor.

    Parameters
    ----------
    url
        Where it is.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._pool = urllib3.PoolManager(retries=False, timeout=TIMEOUT_SECONDS)

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()

    def ask(self, path: str, *, method: str = "GET", token: str = "", **options: Any) -> urllib3.BaseHTTPResponse:
        """Return the response to a request; `fields` are parameters of the address, `json` is a body."""
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **options.pop("headers", {})}
        return self._pool.request(method, f"{self.url.rstrip('/')}{path}", headers=headers, **options)

    def query(self, name: str, *, token: str = "", **parameters: Any) -> urllib3.BaseHTTPResponse:
        """Return the response to a named query."""
        fields = {key: str(value) for key, value in parameters.items()}
        return self.ask(f"/api/v1/queries/{name}", fields=fields, token=token)

    def rows(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """Return the rows of a named query; it must answer."""
        response = self.query(name, **parameters)
        assert response.status == 200, response.data.decode()
        return response.json()["rows"]

    @contextmanager
    def events(self) -> Iterator[Iterator[tuple[str, Any]]]:
        """Listen to live updates: yields names and data of events as they come."""
        response = self.ask("/api/v1/live", preload_content=False)
        try:
            yield _events(response)
        finally:
            response.close()


def _events(response: urllib3.BaseHTTPResponse) -> Iterator[tuple[str, Any]]:
    name = ""
    for line in _lines(response):
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[str]:
    buffered = b""
    while chunk := response.read1():
        *lines, buffered = (buffered + chunk).split(b"\n")
        yield from (line.decode() for line in lines)
