"""ClickHouse over HTTP on a bad day: resets, errors, half answers, delays and time-outs by chance, and outages."""

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import chdb

from schemas.rows import TABLES
from tests.support.clickhouse_front import ClickHouseFront, Fault, FaultKind

DATABASE, REFERENCE = "labelpulse", "undisturbed"
TIMEOUT_SECONDS = 4
INSERTS = "INSERT INTO"
LONG_SECONDS = (1.0, TIMEOUT_SECONDS + 2.0)


class BadDatabase:
    """A front over the embedded engine in this process.

    Parameters
    ----------
    path
        Folder of the engine.
    rng
        Decides the faults.
    fault_share
        Share of insertions that each kind of fault hits.
    """

    def __init__(self, path: Path, rng: random.Random, *, fault_share: float) -> None:
        self._rng = rng
        self._fault_share = fault_share
        self._front = ClickHouseFront(path, seed=rng.randrange(2**31))
        self._engine = chdb.connect(str(path))
        self.outages = 0

    @property
    def faults(self) -> int:
        """How many requests went wrong."""
        return sum(self._front.seen[kind] for kind in FaultKind)

    def dsn(self, database: str = DATABASE) -> str:
        """Return the address of a database."""
        return f"{self._front.dsn}/{database}?send_receive_timeout={TIMEOUT_SECONDS}"

    @contextmanager
    def running(self) -> Iterator["BadDatabase"]:
        """Serve while the block runs."""
        with self._front:
            try:
                yield self
            finally:
                self._engine.close()

    def trouble(self) -> None:
        """Let faults begin."""
        kinds = (FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER, FaultKind.STATUS, FaultKind.STATUS_AFTER)
        for kind in (*kinds, FaultKind.HALF_ANSWER):
            self._front.inject(Fault(kind, matching=INSERTS, times=None, probability=self._fault_share))

    def calm(self) -> None:
        """Let faults end."""
        self._front.clear()

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Answer nobody while the block runs, in one way or another."""
        self.outages += 1
        kind = self._rng.choice((FaultKind.RESET_BEFORE, FaultKind.STATUS, FaultKind.HOLD_BEFORE, FaultKind.HOLD_AFTER))
        self._front.clear()
        self._front.inject(Fault(kind, times=None))
        try:
            yield
        finally:
            self._front.clear()
            self.trouble()

    def hiccup(self) -> None:
        """Hold the answer to an insertion, for less or more than its writer waits."""
        fault = Fault(self._rng.choice((FaultKind.HOLD_BEFORE, FaultKind.HOLD_AFTER)), matching=INSERTS)
        self._front.inject(fault)
        release = threading.Timer(self._rng.choice(LONG_SECONDS), fault.released.set)
        release.daemon = True
        release.start()

    def position(self) -> int:
        """Return how many records the flow has accounted for: never less than at any time before."""
        found = self._query(
            "SELECT sum(latest) AS position FROM (SELECT partition, max(offset) + 1 AS latest"
            f" FROM {DATABASE}.progress_versions WHERE part = 'source' GROUP BY partition)"
        )
        return int(found[0]["position"])

    def differing_rows(self) -> dict[str, int]:
        """Return how many rows of each table are not as the undisturbed run has left them, or missing."""
        counts = {}
        for name, table in TABLES.items():
            columns = ", ".join(table.columns)
            ours, theirs = (
                f"(SELECT {columns} FROM {database}.{name} FINAL WHERE is_deleted = 0)"
                for database in (DATABASE, REFERENCE)
            )
            count = 0
            for one, other in ((ours, theirs), (theirs, ours)):
                count += int(self._query(f"SELECT count() AS n FROM ({one} EXCEPT {other})")[0]["n"])
            counts[name] = count
        return {name: count for name, count in counts.items() if count}

    def rows(self) -> int:
        """Return how many rows are in force."""
        tables = (f"SELECT count() AS n FROM {DATABASE}.{name} FINAL WHERE is_deleted = 0" for name in TABLES)
        return sum(int(self._query(query)[0]["n"]) for query in tables)

    def _query(self, query: str) -> list[dict[str, str]]:
        return json.loads(self._engine.query(query, "JSON").bytes())["data"]
