"""The gateway's benchmark: what it measures against, and that it says so when it cannot measure."""

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import msgspec
import pytest

from benchmarks.gateway_servers import PARSERS, bare
from tests.support.command import ROOT, environment


def test_without_wrk_nothing_is_said_to_be_measured() -> None:
    """The missing program is named, and the exit code is not 0."""
    settings = {**environment(), "PATH": os.devnull}
    command = [sys.executable, "-m", "benchmarks.gateway", "--quick"]
    done = subprocess.run(command, env=settings, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "NOTHING WAS MEASURED" in done.stderr
    assert "wrk" in done.stderr


@pytest.mark.parametrize("parser", PARSERS)
def test_the_bare_endpoint_parses_what_it_is_sent(parser: str) -> None:
    """It reads the whole body as JSON, in pieces too, and fails on anything else: it is a fair floor."""

    async def ask(*pieces: bytes) -> Any:
        left = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        left[-1]["more_body"] = False
        sent: list[Any] = []

        async def receive() -> Any:
            return left.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        await bare(PARSERS[parser], {"type": "http"}, receive, send)
        return sent

    begin, end = asyncio.run(ask(b'{"a":', b"1}"))
    assert begin["status"] == 200
    assert json.loads(end["body"]) == {"accepted": 1}
    with pytest.raises((ValueError, msgspec.DecodeError)):
        asyncio.run(ask(b"{"))
