"""Answers of the database: each asked once at a time, kept for a moment, and shown as stale while it is down."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from clickhouse_connect.driver.client import Client

from monitor.queries.run import run_query
from schemas.errors import IncompatibleStateError, UnavailableError

ANSWERS_MAX = 1_000
ANSWERS_BYTES_MAX = 128 * 2**20


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the database.

    Parameters
    ----------
    body
        The rows in the format that was asked for.
    tag
        Names the bytes.
    asked_at
        When the database gave it.
    at
        The same, in seconds of a clock that never goes back.
    is_stale
        Whether the database could not be asked again since.
    """

    body: bytes
    tag: str
    asked_at: datetime
    at: float
    is_stale: bool = False


class Answers:
    """Asks the database, from a few threads of its own.

    Parameters
    ----------
    connect
        Opens a connection; called when it is first needed, and again after it broke.
    fresh_seconds
        An answer is given again for so long, so that a hundred viewers cost as much as one.
    threads
        How many questions are asked at once.
    seconds_max
        The database gives up on a question after so many seconds.
    """

    def __init__(
        self, connect: Callable[[], Client], *, fresh_seconds: float = 0.5, threads: int = 2, seconds_max: int = 20
    ) -> None:
        self._connect = connect
        self._fresh_seconds = fresh_seconds
        self._seconds_max = seconds_max
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="monitor-query")
        self._client: Client | None = None
        self._kept: OrderedDict[Hashable, Answer] = OrderedDict()
        self._bytes = 0
        self._outdated_at = 0.0
        self._under_way: dict[Hashable, asyncio.Future[Answer]] = {}
        self.is_down = False

    async def ask(self, name: str, *, form: str, parameters: dict[str, Any], scope: Collection[str] = ()) -> Answer:
        """Return the answer to a named query, at most `fresh_seconds` old; the last one, marked stale, if it is down.

        Raises
        ------
        ConfigurationError
            If the question is wrong.
        UnavailableError, IncompatibleStateError
            If the database cannot answer and never has.
        """
        key = (name, form, tuple(sorted(parameters.items())), tuple(sorted(scope)))
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() - kept.at < self._fresh_seconds and kept.at > self._outdated_at:
            return kept
        under_way = self._under_way.get(key)
        if under_way is None:
            under_way = asyncio.ensure_future(self._asked(key, name, form, parameters, sorted(scope)))
            self._under_way[key] = under_way
            under_way.add_done_callback(lambda _: self._under_way.pop(key, None))
        return await asyncio.shield(under_way)

    def outdate(self) -> None:
        """Ask the database again from now on: there are rows that the answers so far may lack."""
        self._outdated_at = time.monotonic()

    def close(self) -> None:
        """Wait for questions under way, and close the connection."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _asked(self, key: Hashable, name: str, form: str, parameters: dict[str, Any], scope: list[str]) -> Answer:
        loop = asyncio.get_running_loop()
        try:
            body = await loop.run_in_executor(self._threads, self._run, name, form, parameters, scope)
        except (UnavailableError, IncompatibleStateError):
            self.is_down = True
            if key not in self._kept:
                raise
            return replace(self._kept[key], is_stale=True)
        self.is_down = False
        tag = hashlib.blake2b(body, digest_size=12).hexdigest()
        answer = Answer(body, tag, datetime.now(UTC), time.monotonic())
        self._keep(key, answer)
        return answer

    def _run(self, name: str, form: str, parameters: dict[str, Any], scope: list[str]) -> bytes:
        if self._client is None:
            self._client = self._connect()
        return run_query(
            self._client, name, format=form, parameters=parameters, scope=scope, seconds_max=self._seconds_max
        )

    def _keep(self, key: Hashable, answer: Answer) -> None:
        old = self._kept.pop(key, None)
        self._bytes += len(answer.body) - (len(old.body) if old is not None else 0)
        self._kept[key] = answer
        while len(self._kept) > ANSWERS_MAX or self._bytes > ANSWERS_BYTES_MAX:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= len(dropped.body)
