"""The database of a run: opened and checked at its start, written to until its end."""

from collections.abc import Callable

from clickhouse_connect.driver.client import Client

from flows.settings import Settings
from sinks.clickhouse import migrate
from sinks.clickhouse.client import connect, is_embedded
from sinks.clickhouse.sink import ClickHouseSink
from sinks.clickhouse.writer import RowWriter, WriterStatus


class Database:
    """The database of one run: a connection, opened and checked at the start, and the writer that takes it over.

    Parameters
    ----------
    settings
        Where it is, and when rows are written.
    on_written
        Called after each flush, from the writer's thread, with the rows written so far.
    """

    def __init__(self, settings: Settings, *, on_written: Callable[[int], None] = lambda _: None) -> None:
        self._settings = settings
        self._on_written = on_written
        self._client: Client | None = None
        self._writer: RowWriter | None = None
        self._is_ending = False

    def open(self) -> None:
        """Connect; bring an embedded database up to date; require that a server is, since others may be using it."""
        client = self._client = connect(self._settings.clickhouse)
        if is_embedded(client):
            migrate.apply(client, client.database or "")
        else:
            migrate.require_current(client, client.database or "")

    def close(self) -> None:
        """Close the connection, if no writer has taken it over."""
        if self._client is not None:
            self._client.close()

    def sink(self) -> ClickHouseSink:
        """Return the sink."""
        return ClickHouseSink(self._taken_client, open_writer=self._open_writer, slots=self._settings.sink_slots)

    def _taken_client(self) -> Client:
        client, self._client = self._client, None
        return client if client is not None else connect(self._settings.clickhouse)

    def give_up_in_time(self) -> None:
        """Let the writer, even one that is opened later, wait no longer than the grace period for the database."""
        self._is_ending = True
        if self._writer is not None:
            self._writer.give_up_after(self._settings.grace_seconds)

    def writer_status(self) -> WriterStatus | None:
        """Return how writing goes; None before anything was to be written."""
        return self._writer.status if self._writer is not None else None

    def _open_writer(self, client: Client) -> RowWriter:
        settings = self._settings
        self._writer = RowWriter(
            client,
            flush_seconds=settings.flush_seconds,
            flush_rows=settings.flush_rows,
            buffer_rows_max=2 * settings.flush_rows,
            on_written=self._on_written,
        )
        if self._is_ending:  # asked to end while the first records were still being folded
            self.give_up_in_time()
        return self._writer
