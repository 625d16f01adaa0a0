"""The gateway in tests: its application called in this process, and the command in a process of its own."""

import asyncio
import json
import re
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from flows.gateway.app import GatewayApp
from flows.gateway.delivery import KeyedLine
from flows.gateway.endpoints import Desk
from flows.gateway.limits import RateLimit, WorkLimit
from flows.gateway.metrics import Metrics
from flows.gateway.refusals import RequestError
from flows.gateway.sources import load_sources
from flows.settings import load_settings
from tests.support.command import start

SENDERS = 8
TOKEN = "a-token-for-tests"
INGEST = "/v1/ingest/label-studio"
EVENTS = "/v1/events"
BEARER = {"authorization": f"Bearer {TOKEN}"}
START_SECONDS_MAX = 60
CALL_SECONDS_MAX = 30


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gateway answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def reason(self) -> str:
        """Why the request was refused."""
        return self.document["error"]["reason"]


class Memory:
    """A delivery that keeps events in memory, or refuses them."""

    def __init__(self) -> None:
        self.events: list[KeyedLine] = []
        self.refusal: RequestError | None = None

    async def start(self) -> None:
        """Nothing is to be opened."""

    async def stop(self) -> None:
        """Nothing is to be closed."""

    async def deliver(self, events: Sequence[KeyedLine]) -> None:
        """Keep the events."""
        if self.refusal is not None:
            raise self.refusal
        self.events += events

    def obstacle(self) -> str:
        """Say why events are refused."""
        return "" if self.refusal is None else self.refusal.message

    def documents(self) -> list[Any]:
        """Return the events that were kept."""
        return [json.loads(line) for _, line in self.events]


def make_app(delivery: Any, *, work: WorkLimit | None = None, **settings: Any) -> GatewayApp:
    """Return the application with a token for native events and Label Studio, and settings by name without prefix."""
    given = {"gateway_secret_events": TOKEN, "gateway_secret_label_studio": TOKEN}
    loaded = load_settings({**given, **{f"gateway_{name}": value for name, value in settings.items()}}).settings
    desk = Desk(
        sources=load_sources(loaded),
        delivery=delivery,
        metrics=Metrics(),
        rate=RateLimit(loaded.gateway_requests_per_second),
        body_bytes_max=loaded.gateway_body_bytes_max,
        events_max=loaded.gateway_events_max,
        work=work or WorkLimit(),
    )
    return GatewayApp(desk)


async def call(
    app: GatewayApp,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] = BEARER,
    *,
    method: str = "POST",
    pieces: Sequence[Mapping[str, Any]] = (),
) -> Answer:
    """Send one request to the application.

    Parameters
    ----------
    pieces
        Messages of ASGI in place of a whole body.
    """
    left = iter(pieces or [{"type": "http.request", "body": body, "more_body": False}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(left)

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    scope = {
        "type": "http", "method": method, "path": path, "root_path": "", "query_string": b"",
        "headers": raw, "client": ("10.0.0.1", 1000),
    }  # fmt: skip
    await app(scope, receive, send)
    begin, *rest = sent
    told = {name.decode("latin-1"): value.decode("latin-1") for name, value in begin["headers"]}
    return Answer(begin["status"], told, b"".join(part["body"] for part in rest))


def ask(path: str, body: bytes = b"", headers: Mapping[str, str] = BEARER, **options: Any) -> Answer:
    """Send one request to an application of its own."""
    return ask_all(path, [body], headers, **options)[0][0]


def ask_all(
    path: str,
    bodies: list[bytes],
    headers: Mapping[str, str] = BEARER,
    *,
    memory: Memory | None = None,
    request: Mapping[str, Any] = {},  # noqa: B006
    **settings: Any,
) -> tuple[list[Answer], Memory]:
    """Send requests to one application, one after the other; return the answers and what was delivered."""
    memory = memory or Memory()
    app = make_app(memory, **settings)

    async def send() -> list[Answer]:
        return [await call(app, path, body, headers, **request) for body in bodies]

    return asyncio.run(send()), memory


def encoded(document: Any) -> bytes:
    """Return a document as JSON."""
    return json.dumps(document).encode()


@asynccontextmanager
async def started(delivery: Any) -> AsyncIterator[Any]:
    """Start a delivery, hand it over, and stop it."""
    await delivery.start()
    try:
        yield delivery
    finally:
        await delivery.stop()


class Gateway:
    """The command, running.

    Parameters
    ----------
    process
        Its process; standard error is a pipe.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.told: list[str] = []
        self._is_ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._is_ready.wait(START_SECONDS_MAX) and self.port, self.told

    port = 0

    def connect(self) -> HTTPConnection:
        """Return a connection of one's own."""
        return HTTPConnection("127.0.0.1", self.port, timeout=CALL_SECONDS_MAX)

    def post(self, path: str, body: bytes, headers: Mapping[str, str] = BEARER) -> Answer:
        """Send one request on a new connection."""
        return self.ask("POST", path, body, headers)

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = {}) -> Answer:  # noqa: B006
        """Send one request on a new connection."""
        connection = self.connect()
        try:
            return exchange(connection, path, body, headers, method=method)
        finally:
            connection.close()

    def end(self) -> None:
        """End it if it still runs."""
        self.process.kill()
        self.process.wait(CALL_SECONDS_MAX)
        self._reader.join(CALL_SECONDS_MAX)
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for raw in self.process.stderr:
            line = raw.decode()
            self.told.append(line)
            if match := re.search(r"listening on http://127\.0\.0\.1:(\d+)", line):
                self.port = int(match[1])
                self._is_ready.set()
        self._is_ready.set()


def exchange(
    connection: HTTPConnection, path: str, body: bytes, headers: Mapping[str, str], *, method: str = "POST"
) -> Answer:
    """Send a request on a connection and return its answer."""
    connection.request(method, path, body, dict(headers))
    response = connection.getresponse()
    told = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, told, response.read())


@contextmanager
def running_gateway(*arguments: str | Path, **settings: Any) -> Iterator[Gateway]:
    """Start the command on a free port, with a token for native events and Label Studio; end it by its own id."""
    secrets = {"gateway_secret_events": TOKEN, "gateway_secret_label_studio": TOKEN}
    named = {f"gateway_{name}": value for name, value in settings.items()}
    process = start("gateway", "--listen", "127.0.0.1:0", *arguments, **secrets, **named)
    gateway = None
    try:
        gateway = Gateway(process)
        yield gateway
    finally:
        if gateway is not None:
            gateway.end()
        else:
            process.kill()
            process.wait()


def event(number: int, *, project: str = "p", **members: Any) -> dict[str, Any]:
    """Return a native event."""
    return {
        "type": "annotation.submitted", "event_id": f"e-{number}", "occurred_at": "2026-01-05T09:00:00.000Z",
        "source": "tests", "project_id": project, "question_id": "q", "item_id": f"i-{number}",
        "annotator_id": "w", "annotation_id": f"a-{number}", "label": {"kind": "categorical", "value": "yes"},
        **members,
    }  # fmt: skip


def body_of(*numbers: int, project: str = "p") -> bytes:
    """Return a request's body with native events."""
    return json.dumps([event(number, project=project) for number in numbers]).encode()


def ids_in_spool(folder: Path) -> list[str]:
    """Return the ids of the events in the segments of a spool, in order; an unfinished last line is no event."""
    lines = b"".join(path.read_bytes().rpartition(b"\n")[0] + b"\n" for path in sorted(folder.glob("events-*.jsonl")))
    return [json.loads(line)["event_id"] for line in lines.splitlines() if line]


class Senders:
    """Threads that send one event after the other and remember which were answered 200, until the gateway is gone."""

    def __init__(self, gateway: Gateway, *, events_max: int = 1_000_000) -> None:
        self.accepted: list[str] = []
        self.refused: list[int] = []
        self._gateway = gateway
        self._events_max = events_max
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def wait(self, count: int) -> None:
        """Wait until so many events were accepted."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.accepted) >= count, CALL_SECONDS_MAX)

    def join(self) -> None:
        """Wait until all have ended."""
        for thread in self._threads:
            thread.join(CALL_SECONDS_MAX)
            assert not thread.is_alive()

    def _send(self, sender: int) -> None:
        connection = self._gateway.connect()
        try:
            for number in range(sender, self._events_max, SENDERS):
                body = json.dumps(event(number, project=f"p-{sender}")).encode()
                answer = exchange(connection, EVENTS, body, BEARER)
                with self._changed:
                    if answer.status == 200:
                        self.accepted.append(f"e-{number}")
                        self._changed.notify()
                    else:
                        self.refused.append(answer.status)
        except (OSError, HTTPException):
            return  # the gateway is gone: what was sent last is not known to be accepted
        finally:
            connection.close()
