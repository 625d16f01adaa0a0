"""An HTTP receiver that can be told to misbehave, request by request."""

import socket
import ssl
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

END_SECONDS = 10.0
DRIP_SECONDS = 0.02
DRIPS_MAX = 500


@dataclass(frozen=True, slots=True)
class Received:
    """A request that arrived whole."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Receiver:
    """What arrived, and what is to go wrong next.

    Parameters
    ----------
    port
        Port of 127.0.0.1.
    faults
        One for each further request, in order: a status code, ``hang`` (no answer), ``reset`` (the connection is torn
        down), ``lost`` (the request is accepted, and the connection torn down before that is said), ``drip`` (an answer
        that never ends), or headers to answer 429 with. When all are used up, requests succeed.
    requests
        All that arrived.
    accepted
        Those that the receiver has acted on.
    """

    port: int
    faults: list[object] = field(default_factory=list)
    requests: list[Received] = field(default_factory=list)
    accepted: list[Received] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """Where to send to."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        """The ids of the messages that were accepted, repetitions included."""
        return [request.headers["webhook-id"] for request in self.accepted]

    def wait_until(self, accepted: int, *, seconds: float = 30.0) -> None:
        """Wait until so many requests were accepted."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.accepted) >= accepted, seconds), (
                f"{len(self.accepted)} of {accepted} were accepted, of {len(self.requests)} requests"
            )

    def wait_for_requests(self, number: int, *, seconds: float = 30.0) -> None:
        """Wait until so many requests have arrived."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.requests) >= number, seconds)


@contextmanager
def running_receiver(*faults: object, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Run a receiver that makes these faults first; encrypted if a context is given."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.receiver = receiver = Receiver(server.server_port, list(faults))  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield receiver
        finally:
            receiver.ended.set()
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections that broke off are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        receiver: Receiver = self.server.receiver  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Received(self.path, headers, body)
        with receiver.changed:
            fault = receiver.faults.pop(0) if receiver.faults else 204
            receiver.requests.append(request)
            if fault == "lost" or (isinstance(fault, int) and 200 <= fault < 300):
                receiver.accepted.append(request)
            receiver.changed.notify_all()
        self._answer(fault, receiver)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def _answer(self, fault: object, receiver: Receiver) -> None:
        if fault == "hang":
            receiver.ended.wait(END_SECONDS)
            self.close_connection = True
        elif fault in ("reset", "lost"):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif fault == "drip":
            self._drip(receiver)
        elif isinstance(fault, dict):
            self._plain(429, fault)
        else:
            assert isinstance(fault, int)
            self._plain(fault, {})

    def _plain(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            self.send_header(name, value)
        self.end_headers()

    def _drip(self, receiver: Receiver) -> None:
        """Send headers, one every now and then, each well within any pause, and no end of them for a long time."""
        self.close_connection = True
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for _ in range(DRIPS_MAX):
                if receiver.ended.wait(DRIP_SECONDS):
                    return
                self.wfile.write(b"x-more: 1\r\n")
        except OSError:
            return

    def finish(self) -> None:
        """End the connection, which may be gone already."""
        try:
            super().finish()
        except (OSError, ValueError):
            return
