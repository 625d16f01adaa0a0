"""Writes rows in the background, in batches; a full buffer holds up whoever adds to it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_random_exponential,
)
from urllib3.exceptions import HTTPError

from schemas.errors import SinkError, TerminalSinkError, TransientSinkError
from schemas.records import RowBatch
from schemas.rows import TABLES
from sinks.clickhouse.buffer import RowBuffer, RowLists, rows_to_write
from sinks.clickhouse.encoding import INPUT_FORMAT, row_encoders
from sinks.clickhouse.failures import sink_error

LOGGER = structlog.get_logger("labelpulse")

JOIN_SECONDS = 5.0
"""How long `RowWriter.close` waits for an insertion under way."""


@dataclass(frozen=True, slots=True)
class WriterStatus:
    """How writing goes.

    Parameters
    ----------
    rows_waiting
        Rows added and not yet in the database.
    rows_written
        Rows in the database, those left out because a later row of the same flush supersedes them included.
    rows_superseded
        Those left out.
    flushes
        Batches written.
    flush_seconds
        How long writing them took, in all, with further tries.
    failures
        Insertions that failed and were, or are being, tried again.
    last_flush_at
        When the last batch was written, in seconds of the writer's clock; None before the first.
    last_error
        Why the insertion under way has failed so far; None if all is well.
    """

    rows_waiting: int
    rows_written: int
    rows_superseded: int
    flushes: int
    flush_seconds: float
    failures: int
    last_flush_at: float | None
    last_error: str | None


class RowWriter:
    """Takes rows from any thread and writes them from a thread of its own, by age or number, tables one after another.

    What fails in a way that may pass is tried again for as long as it takes; meanwhile the buffer fills, and `add`
    waits. Rows may be written twice, which their versions make harmless.

    Parameters
    ----------
    client
        Connection that nothing else uses; closed by `close`.
    flush_seconds
        Rows are written at the latest so many seconds after they came.
    flush_rows
        Rows are written when so many wait, over all tables.
    buffer_rows_max
        `add` waits while so many rows or more are not yet written.
    retry_seconds, retry_seconds_max
        The pause before a further try is random, up to `retry_seconds` after the first failure, twice that after the
        next, and so on up to `retry_seconds_max`.
    on_written
        Called after each flush, from the writer's thread, with the rows written so far.
    clock
        Seconds of a monotonic clock.

    Raises
    ------
    TerminalSinkError
        If the database lacks a table or column.
    """

    def __init__(
        self,
        client: Client,
        *,
        flush_seconds: float = 1.0,
        flush_rows: int = 50_000,
        buffer_rows_max: int = 100_000,
        retry_seconds: float = 0.5,
        retry_seconds_max: float = 30.0,
        on_written: Callable[[int], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._on_written = on_written
        self._encoders = row_encoders(client)
        client.set_client_setting("max_threads", 1)  # a second thread costs more than it saves at these sizes
        self._clock = clock
        self._buffer = RowBuffer(flush_seconds=flush_seconds, flush_rows=min(flush_rows, buffer_rows_max))
        self._buffer_rows_max = buffer_rows_max
        self._changed = threading.Condition()
        self._rows_added = self._rows_done = 0
        self._barriers_asked = self._barriers_done = 0
        self._rows_superseded = self._flushes = self._failures = 0
        self._flush_seconds = 0.0
        self._last_flush_at: float | None = None
        self._last_error: str | None = None
        self._failure: Exception | None = None
        self._give_up_at: float | None = None
        self._is_closing = False
        self._stop = threading.Event()
        self._retrying = Retrying(
            retry=retry_if_exception_type(TransientSinkError),
            wait=wait_random_exponential(multiplier=retry_seconds, max=retry_seconds_max),
            stop=stop_when_event_set(self._stop),
            sleep=sleep_using_event(self._stop),
            before_sleep=self._note_failure,
            reraise=True,
        )
        self._thread = threading.Thread(target=self._run, name="clickhouse-writer", daemon=True)
        self._thread.start()

    def add(self, batch: RowBatch) -> None:
        """Take rows in; waits while the buffer is full. The batch must not be changed afterwards.

        Raises
        ------
        SinkError
            If rows cannot be written: for good, or (see `give_up_after`) in time.
        """
        with self._changed:
            self._wait_until(lambda: self._rows_added - self._rows_done < self._buffer_rows_max, None)
            assert not self._is_closing, "the writer is closed"
            rows_before = self._buffer.rows
            self._buffer.add(batch.rows, now=self._clock())
            self._rows_added += self._buffer.rows - rows_before
            if rows_before == 0 or self._buffer.is_full or self._is_due():
                self._changed.notify_all()

    def flush(self, timeout_seconds: float | None = None) -> None:
        """Return once all rows added so far are in the database.

        Raises
        ------
        SinkError
            If they cannot be written: for good, or within `timeout_seconds`.
        """
        with self._changed:
            self._barriers_asked += 1
            barrier = self._barriers_asked
            self._changed.notify_all()
            self._wait_until(
                lambda: self._barriers_done >= barrier or self._rows_done == self._rows_added, timeout_seconds
            )

    def give_up_after(self, seconds: float) -> None:
        """Let no call wait longer than so many seconds from now on: those that would raise `SinkError`.

        For a drain that has to end in time. May be called from a signal handler.
        """
        with self._changed:
            self._give_up_at = self._clock() + seconds
            self._changed.notify_all()

    def close(self) -> None:
        """Close the connection and end; rows that have not been flushed are not written."""
        with self._changed:
            self._is_closing = True
            self._stop.set()
            self._changed.notify_all()
        self._thread.join(JOIN_SECONDS)
        if not self._thread.is_alive():  # else it still waits for the database, and ends with the process
            self._client.close()

    @property
    def status(self) -> WriterStatus:
        """How writing goes at this moment."""
        with self._changed:
            return WriterStatus(
                rows_waiting=self._rows_added - self._rows_done,
                rows_written=self._rows_done,
                rows_superseded=self._rows_superseded,
                flushes=self._flushes,
                flush_seconds=self._flush_seconds,
                failures=self._failures,
                last_flush_at=self._last_flush_at,
                last_error=self._last_error,
            )

    def _wait_until(self, is_met: Callable[[], bool], timeout_seconds: float | None) -> None:
        """Wait, with the lock held, until `is_met`; raise if that cannot be, or not in time."""
        deadline = None if timeout_seconds is None else self._clock() + timeout_seconds
        while True:
            if self._failure is not None:
                raise _told(self._failure) from self._failure
            if is_met():
                return
            limits = [limit for limit in (deadline, self._give_up_at) if limit is not None]
            seconds = min(limits) - self._clock() if limits else None
            if self._is_closing or (seconds is not None and seconds <= 0):
                raise SinkError(
                    f"{self._rows_added - self._rows_done} rows could not be written in time: "
                    f"{self._last_error or 'the database is too slow'}",
                    remedy="with a recovery directory nothing is lost: start the flow again once the database is back",
                )
            self._changed.wait(seconds)

    def _run(self) -> None:
        try:
            while (taken := self._take()) is not None:
                self._write(*taken)
        except Exception as error:  # whatever it is, whoever adds or flushes next must be told
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _take(self) -> tuple[RowLists, int] | None:
        """Wait for rows that are to be written; return them and the number of the last barrier before them, or None."""
        with self._changed:
            while not self._is_closing:
                barrier = self._barriers_asked
                if self._buffer.rows and (self._barriers_done < barrier or self._is_due()):
                    return self._buffer.take_all(), barrier
                if self._buffer.is_full:
                    return self._buffer.take_most(), self._barriers_done
                self._barriers_done = barrier
                self._changed.wait(None if self._buffer.due_at is None else self._buffer.due_at - self._clock())
        return None

    def _is_due(self) -> bool:
        return self._buffer.due_at is not None and self._clock() >= self._buffer.due_at

    def _write(self, lists: RowLists, barrier: int) -> None:
        taken = superseded = 0
        began = self._clock()
        for table in TABLES:
            if table in lists:
                rows = rows_to_write(table, lists[table])
                count = sum(map(len, lists[table]))
                taken, superseded = taken + count, superseded + count - len(rows)
                self._retrying(self._insert, table, self._encoders[table].encode(rows))
        with self._changed:
            self._rows_done += taken
            self._barriers_done = barrier
            self._rows_superseded += superseded
            self._flushes += 1
            self._last_flush_at = self._clock()
            self._flush_seconds += self._last_flush_at - began
            self._last_error = None
            self._on_written(self._rows_done)
            self._changed.notify_all()

    def _insert(self, table: str, block: memoryview) -> None:
        try:
            self._client.raw_insert(table, TABLES[table].columns, block, fmt=INPUT_FORMAT)
        except (ClickHouseError, HTTPError, OSError) as error:
            raise sink_error(error, doing=f"rows of {table} could not be written") from error

    def _note_failure(self, attempt: RetryCallState) -> None:
        error = attempt.outcome.exception() if attempt.outcome else None
        seconds = attempt.next_action.sleep if attempt.next_action else 0.0
        with self._changed:
            self._failures += 1
            self._last_error = str(error)
        LOGGER.warning(
            "clickhouse_insert_failed", error=str(error), attempt=attempt.attempt_number, retry_seconds=seconds
        )


def _told(failure: Exception) -> SinkError:
    if isinstance(failure, SinkError):
        return type(failure)(failure.message, remedy=failure.remedy)
    return TerminalSinkError(f"rows could not be written: {type(failure).__name__}: {failure}")
