"""Serves a flow's own figures and its health over HTTP, from a thread of its own: ``/metrics`` and ``/healthz``."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from flows.metrics import CONTENT_TYPE, FlowMetrics
from schemas.errors import ConfigurationError, UnavailableError

STOP_SECONDS = 5.0


@contextmanager
def served_metrics(address: str, metrics: FlowMetrics) -> Iterator[str]:
    """Serve while the block runs; yields the address that is listened at.

    Parameters
    ----------
    address
        HOST:PORT; port 0 is any free one.

    Raises
    ------
    ConfigurationError
        If the address is none.
    UnavailableError
        If the port is taken.
    """
    host, _, port = address.rpartition(":")
    try:
        server = ThreadingHTTPServer((host.strip("[]"), int(port)), _handler(metrics))
    except (ValueError, OverflowError) as error:
        raise ConfigurationError(
            f"{address!r} is no address to listen at", remedy="set metrics to HOST:PORT, such as 127.0.0.1:9464"
        ) from error
    except OSError as error:
        raise UnavailableError(
            f"metrics cannot be served at {address}: {error.strerror}", remedy="choose another port"
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}/metrics"
    finally:
        server.shutdown()
        thread.join(STOP_SECONDS)
        server.server_close()


def _handler(metrics: FlowMetrics) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = STOP_SECONDS

        def do_GET(self) -> None:  # noqa: N802
            path = self.path.partition("?")[0]
            if path == "/metrics":
                self._answer(200, CONTENT_TYPE, metrics.page())
            elif path == "/healthz":
                reason = metrics.trouble()
                body = {"status": "stalled" if reason else "ok", "reason": reason}
                self._answer(503 if reason else 200, "application/json", json.dumps(body).encode())
            else:
                self._answer(404, "text/plain; charset=utf-8", b"/metrics or /healthz\n")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: requests come every few seconds."""

    return Handler
