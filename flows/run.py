"""Runs the flow: opens everything, refuses what does not fit before anything is read, ends cleanly when asked to."""

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from types import FrameType

from bytewax.dataflow import Dataflow
from bytewax.errors import BytewaxRuntimeError
from bytewax.outputs import Sink
from bytewax.run import cli_main
from clickhouse_connect.driver.client import Client

from flows.dataflow import build_dataflow, decode_settings_of, fold_settings_of, frozen_settings
from flows.observer import Observer
from flows.opening import limits_of, open_source, records_expected
from flows.policy import load_policy
from flows.recovery import RecoveryDirectory
from flows.run_state import RunState, RunSummary
from flows.settings import Settings
from flows.sources.slots import SlotContext
from flows.sources.urls import KafkaSpec, parse_source
from schemas.errors import ConfigurationError, LabelpulseError
from schemas.records import RowBatch
from sinks.clickhouse import migrate
from sinks.clickhouse.client import connect, is_embedded
from sinks.clickhouse.sink import ClickHouseSink
from sinks.clickhouse.writer import RowWriter
from sinks.dead_letter_topic import DeadLetterTopicSink

GC_THRESHOLDS = (1_000_000, 50, 100)
"""Collections of cycles are rare: state grows to millions of objects, none of which is part of a cycle."""


class Drain:
    """Whether the flow has been asked to end.

    Parameters
    ----------
    on_ask
        Called once it is asked, from a signal handler.
    """

    def __init__(self, on_ask: Callable[[], None]) -> None:
        self.is_asked = False
        self._on_ask = on_ask

    def __call__(self) -> bool:
        """Return whether the flow has been asked to end."""
        return self.is_asked

    @contextmanager
    def on_signals(self) -> Iterator[None]:
        """Ask for the end at SIGINT or SIGTERM while the block runs; a second signal ends the process at once."""

        def ask(number: int, _: FrameType | None) -> None:
            self.is_asked = True
            signal.signal(number, signal.SIG_DFL)
            self._on_ask()

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run(settings: Settings, *, state: RunState | None = None) -> RunSummary:
    """Run the flow until its source ends or a signal asks it to.

    Parameters
    ----------
    settings
        Everything that can be set; `source` must be.
    state
        Counters to keep up while it runs.

    Raises
    ------
    LabelpulseError
        ConfigurationError, IncompatibleStateError or UnavailableError before anything was read; SourceError or
        SinkError while it ran.
    """
    state = state if state is not None else RunState()
    database = Database(settings)
    drain = Drain(on_ask=database.give_up_in_time)
    with ExitStack() as stack:
        stack.callback(database.close)
        flow, recovery = _prepared(settings, state, drain, database, stack)
        if settings.monitor:
            from flows.monitor import monitor_server

            state.monitor_url = stack.enter_context(monitor_server(settings)).url
        stack.enter_context(drain.on_signals())
        stack.enter_context(_rare_collections())
        began = time.monotonic()
        _execute(flow, settings, recovery)
        state.rows_written = database.rows_written()
    return RunSummary("signal" if drain.is_asked else "end", time.monotonic() - began, state)


class Database:
    """The database of one run: a connection, opened and checked at the start, and the writer that takes it over.

    Parameters
    ----------
    settings
        Where it is, and when rows are written.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._writer: RowWriter | None = None

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
        """Let the writer wait no longer than the grace period for a database that does not answer."""
        if self._writer is not None:
            self._writer.give_up_after(self._settings.grace_seconds)

    def rows_written(self) -> int:
        """Return the rows written so far."""
        return self._writer.status.rows_written if self._writer is not None else 0

    def _open_writer(self, client: Client) -> RowWriter:
        settings = self._settings
        self._writer = RowWriter(
            client,
            flush_seconds=settings.flush_seconds,
            flush_rows=settings.flush_rows,
            buffer_rows_max=2 * settings.flush_rows,
        )
        return self._writer


def _prepared(
    settings: Settings, state: RunState, drain: Drain, database: Database, stack: ExitStack
) -> tuple[Dataflow, RecoveryDirectory | None]:
    """Open all that the flow needs; whatever is wrong is found here, before anything is read."""
    if settings.source is None:
        raise ConfigurationError("no source is given", remedy="add --source, such as --source simulate:events=100000")
    spec, started_at = parse_source(settings.source), datetime.now(UTC)
    policy = load_policy(settings.policy)
    state.records_expected = records_expected(spec)
    context = SlotContext(limits=limits_of(settings), drain=drain, intake=state.intake)
    source = open_source(spec, settings, context=context)
    recovery = None
    if settings.recovery is not None:
        frozen = frozen_settings(settings, policy=policy, source=source.stream)
        recovery = stack.enter_context(RecoveryDirectory(settings.recovery, frozen=frozen, started_at=started_at))
    database.open()
    sinks: dict[str, Sink[RowBatch]] = {"clickhouse": database.sink()}
    if isinstance(spec, KafkaSpec) and settings.dead_letter_topic is not None:
        sinks["dead_letter_topic"] = _dead_letter_topic(spec, settings.dead_letter_topic, settings)
    if settings.alerts and settings.hooks and policy.hooks:
        from flows.hooks import open_delivery

        kafka = spec if isinstance(spec, KafkaSpec) else None
        delivery = open_delivery(settings, policy.hooks, kafka=kafka, is_replay=settings.replay)
        stack.callback(delivery.stop, seconds=settings.grace_seconds)
        sinks["alerts"] = delivery.sink()
    flow = build_dataflow(
        source=source,
        sinks=sinks,
        decode_settings=decode_settings_of(
            settings, first_started_at=recovery.manifest.created_at if recovery is not None else started_at
        ),
        fold_settings=fold_settings_of(settings, policy=policy),
        observe=Observer(state, rows_written=database.rows_written),
    )
    return flow, recovery


def _dead_letter_topic(spec: KafkaSpec, topic: str, settings: Settings) -> DeadLetterTopicSink:
    return DeadLetterTopicSink(
        brokers=spec.brokers,
        topic=topic,
        slots=settings.sink_slots,
        options={**settings.kafka_options, **spec.options},
    )


def _execute(flow: Dataflow, settings: Settings, recovery: RecoveryDirectory | None) -> None:
    os.environ.pop("BYTEWAX_DATAFLOW_API_ENABLED", None)  # whatever its value, it opens a port on all interfaces
    try:
        cli_main(
            flow,
            epoch_interval=timedelta(seconds=settings.snapshot_seconds),
            recovery_config=recovery.config if recovery is not None else None,
        )
    except BytewaxRuntimeError as error:
        raise _cause_of(error) from error


def _cause_of(error: BaseException) -> BaseException:
    """Return the first of our own errors behind one of the engine's, or that one itself."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, LabelpulseError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return error


@contextmanager
def _rare_collections() -> Iterator[None]:
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
