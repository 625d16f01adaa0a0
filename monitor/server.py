"""Serves the monitor from a thread with an event loop of its own, beside whatever else the process does."""

import asyncio
import ipaddress
import socket
import threading
from typing import Any

import uvicorn
from fastapi import FastAPI

from schemas.errors import ConfigurationError, UnavailableError

STOP_SECONDS = 5.0
START_SECONDS = 15.0
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


def is_loopback(host: str) -> bool:
    """Return whether an address is of this machine only.

    >>> is_loopback("127.0.0.1"), is_loopback("0.0.0.0")
    (True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class MonitorServer:
    """A running monitor.

    Parameters
    ----------
    app
        The application.
    host, port
        Where it listens; port 0 is any free one.

    Raises
    ------
    ConfigurationError
        If the address is none of this machine.
    UnavailableError
        If the port is taken.
    """

    def __init__(self, app: FastAPI, *, host: str, port: int) -> None:
        self._app = app
        self._socket = _listening(host, port)
        self.port: int = self._socket.getsockname()[1]
        shown = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.port}/"
        config = uvicorn.Config(
            app, log_config=None, log_level="warning", access_log=False, lifespan="on", server_header=False,
            timeout_graceful_shutdown=2, timeout_keep_alive=30, limit_concurrency=1_000,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="monitor", daemon=True)

    def start(self) -> None:
        """Begin to serve; returns once requests are taken."""
        self._thread.start()
        if not self._started.wait(START_SECONDS):
            raise UnavailableError("the monitor did not start in time")

    def stop(self) -> None:
        """End live updates and requests under way, and the thread."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._app.state.live.close)
            self._server.should_exit = True
            self._thread.join(STOP_SECONDS)
        self._socket.close()

    def __enter__(self) -> "MonitorServer":
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def _serve(self) -> None:
        asyncio.run(self._serve_and_tell())

    async def _serve_and_tell(self) -> None:
        self._loop = asyncio.get_running_loop()
        serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started and not serving.done():
            await asyncio.sleep(0.01)
        self._started.set()
        await serving


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ConfigurationError(
            f"{host!r} is no address to listen at", remedy="use 127.0.0.1, or 0.0.0.0 with tokens"
        ) from error
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
    except OSError as error:
        listening.close()
        raise UnavailableError(
            f"the monitor cannot listen at {host}:{port}: {error.strerror}", remedy="choose another port"
        ) from error
    listening.listen(128)
    return listening
