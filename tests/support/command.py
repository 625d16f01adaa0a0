"""Runs the command line in a process of its own, as a user would."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-c", "from flows.cli.main import main; main()")


def environment(**settings: Any) -> dict[str, str]:
    """Return the environment of a run: that of the tests, with settings by name."""
    given = {f"LABELPULSE_{name.upper()}": str(value) for name, value in settings.items()}
    return {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", **given}


def start(*arguments: str | Path, **settings: Any) -> subprocess.Popen[bytes]:
    """Start the command."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def call(*arguments: str | Path, check: bool = True, **settings: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command to its end; its error output is part of the failure if it fails."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
    )
    assert not check or done.returncode == 0, done.stderr.decode()
    return done


def query(name: str, dsn: str, *arguments: str) -> list[dict[str, Any]]:
    """Return the rows of a named query."""
    return json.loads(call("query", name, "--clickhouse", dsn, "--format", "json", *arguments).stdout)
