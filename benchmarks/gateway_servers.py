"""The servers that the gateway's benchmark measures, each in a process of its own."""

import argparse
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from benchmarks.measure import child_environment

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 30.0
TOKEN = "the-secret-of-the-benchmark"


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers.

    Parameters
    ----------
    url
        Where.
    process
        Its process.
    """

    url: str
    process: subprocess.Popen[bytes]

    def cpu_seconds(self) -> float:
        """Return the CPU time, of user and system, that its process has used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


PARSERS: dict[str, Callable[[bytes], Any]] = {"json": json.loads, "msgspec": msgspec.json.decode}


async def bare(parse: Callable[[bytes], Any], scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Parse the body as JSON and say that it was taken: the least that an endpoint can do."""
    assert scope["type"] == "http"
    pieces = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    parse(b"".join(pieces))
    body = b'{"accepted":1}'
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def running_bare(parser: str, core: int | None) -> Iterator[Server]:
    """Run the bare endpoint on the same server and loop as the gateway."""
    with _running([sys.executable, "-m", "benchmarks.gateway_servers", parser], core=core) as server:
        yield server


@contextmanager
def running_gateway(arguments: Sequence[str], *, core: int | None) -> Iterator[Server]:
    """Run the gateway with a secret for Label Studio and no limit of requests."""
    command = [sys.executable, "-c", "from flows.cli.main import main; main()", "gateway", "--listen", "127.0.0.1:0"]
    options = ["--set", "gateway_requests_per_second=0", "--set", "gateway_spool_bytes_max=8589934592"]
    with _running([*command, *options, *arguments], core=core) as server:
        yield server


@contextmanager
def _running(command: list[str], *, core: int | None) -> Iterator[Server]:
    """Start a server, wait until it tells its address on standard error, hand it over, and end it."""
    environment = child_environment() | {"LABELPULSE_GATEWAY_SECRET_LABEL_STUDIO": TOKEN}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    try:
        if core is not None:
            os.sched_setaffinity(process.pid, {core})
        yield Server(_told_address(process), process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _told_address(process: subprocess.Popen[bytes]) -> str:
    assert process.stderr is not None
    told = b""
    while select.select([process.stderr], [], [], START_SECONDS_MAX)[0]:
        line = process.stderr.readline()
        told += line
        if b"listening on http" in line:
            return line.split(b"listening on ")[1].decode().strip()
        if not line:
            break
    raise RuntimeError(f"the server did not start: {told.decode(errors='backslashreplace')}")


class _TellingServer(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        print(f"listening on http://127.0.0.1:{port}", file=sys.stderr, flush=True)


def main() -> None:
    """Serve the bare endpoint."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway_servers")
    parser.add_argument("parser", choices=PARSERS)
    app = partial(bare, PARSERS[parser.parse_args().parser])
    config = uvicorn.Config(
        app,
        port=0,
        http="httptools",
        loop="uvloop",
        ws="none",
        interface="asgi3",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=2_048,
    )
    _TellingServer(config).run()


if __name__ == "__main__":
    main()
