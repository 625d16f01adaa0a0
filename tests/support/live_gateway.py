"""A gateway as a process of its own that writes to a spool directory, and the flow that reads it."""

import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support.command import call, query, start

STOP_SECONDS_MAX = 30
ARRIVAL_SECONDS_MAX = 120
POLL_SECONDS = 0.25


class LiveGateway:
    """A running gateway.

    Parameters
    ----------
    folder
        For its spool, and for state and database of the flow.
    listen
        Address, HOST:PORT; port 0 is any free one.
    settings
        Settings by name, such as secrets.
    """

    def __init__(self, folder: Path, *, listen: str = "127.0.0.1:0", **settings: str) -> None:
        self._folder = folder
        self._dsn = f"chdb://{folder}/database"
        self.spool = folder / "spool"
        options = ("--spool-only", "--spool", self.spool, "--listen", listen)
        self._process = start("gateway", *options, **settings)
        self.url = self._told_address()

    def _told_address(self) -> str:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if b"listening on http" in line:
                return line.decode().split("listening on ")[1].split()[0]
        raise AssertionError("the gateway ended before it listened")

    def end(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.communicate(timeout=STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def wait_for(self, events: int) -> None:
        """Wait until so many events have arrived, for tools that send them when they have time."""
        for _ in range(round(ARRIVAL_SECONDS_MAX / POLL_SECONDS)):
            if self._arrived() >= events:
                break
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(POLL_SECONDS)
        assert self._arrived() == events

    def _arrived(self) -> int:
        return sum(path.read_bytes().count(b"\n") for path in self.spool.iterdir() if path.suffix == ".jsonl")

    def read_on(self) -> None:
        """Let the flow read what has arrived since it last did."""
        options = ("--clickhouse", self._dsn, "--recovery", self._folder / "state", "--until-eof")
        call("run", "--source", f"file:{self.spool}", *options)

    def ask(self, name: str, project: str) -> list[dict[str, Any]]:
        """Return the rows of a query about a project."""
        return query(name, self._dsn, "--project", project)

    def labels(self, project: str) -> dict[tuple[str, str], dict[str, Any]]:
        """Read on; return the labels in force by item and question."""
        self.read_on()
        return {(row["item_id"], row["question_id"]): row for row in self.ask("labels", project)}
