"""Clusters of workers under test: a server database that they share, their processes, and what is done to them."""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.clickhouse_front import ClickHouseFront
from tests.support.command import call


@contextmanager
def served_databases(path: Path, *names: str) -> Iterator[list[str]]:
    """Serve the embedded engine as a server with migrated databases; yields their DSNs."""
    with ClickHouseFront(path) as front:
        dsns = [f"{front.dsn}/{name}" for name in names]
        for dsn in dsns:
            call("migrate", "--clickhouse", dsn)
        yield dsns


def wait_for_progress(process: subprocess.Popen[bytes], pattern: bytes, *, seconds_max: float = 300.0) -> None:
    """Read the error output until a line matches a pattern; end the process if that takes too long."""
    assert process.stderr is not None
    killer = threading.Timer(seconds_max, process.kill)
    killer.start()
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if re.search(pattern, line):
                return
        raise AssertionError(f"no line matched {pattern!r}; the last ones: {b''.join(lines[-5:]).decode()}")
    finally:
        killer.cancel()


def workers_of(parent: int) -> list[int]:
    """Return the ids of the worker processes of a cluster, by number."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    numbered = {_option(int(child), "--process-id"): int(child) for child in children}
    return [numbered[number] for number in sorted(number for number in numbered if number is not None)]


def _option(process: int, name: str) -> int | None:
    words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    return int(words[words.index(name.encode()) + 1]) if name.encode() in words else None
