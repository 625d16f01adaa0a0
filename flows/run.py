"""Runs the flow: opens everything, refuses what does not fit before anything is read, ends cleanly when asked to."""

import gc
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bytewax.dataflow import Dataflow
from bytewax.outputs import FixedPartitionedSink
from bytewax.run import cli_main

from flows.cluster import Member, member_of
from flows.database import Database
from flows.dataflow import build_dataflow, decode_settings_of, fold_settings_of, frozen_settings
from flows.drain import Drain
from flows.generations import with_generation
from flows.guard import Guard
from flows.member_watch import DRAIN_MARK, MemberWatch
from flows.observer import Observer
from flows.opening import limits_of, open_source, records_expected
from flows.policy import load_policy
from flows.quarantine import Quarantine
from flows.recovery import RecoveryDirectory
from flows.recovery_lock import WAIT_SECONDS
from flows.run_report import Reporter
from flows.run_state import RunState, RunSummary
from flows.settings import Settings
from flows.sources.slots import SlotContext
from flows.sources.urls import KafkaSpec, SourceSpec, parse_source
from flows.watching import serve_watching
from schemas.errors import ClusterError, ConfigurationError, LabelpulseError, PoisonError
from schemas.policy import Policy
from sinks.dead_letter_topic import DeadLetterTopicSink

GC_THRESHOLDS = (1_000_000, 50, 100)
"""Collections of cycles are rare: state grows to millions of objects, none of which is part of a cycle."""


def run(settings: Settings, *, state: RunState | None = None, reporter: Reporter | None = None) -> RunSummary:
    """Run the flow, or one process of it, until its source ends or a signal asks it to.

    Parameters
    ----------
    settings
        Everything that can be set; `source` must be.
    state
        Counters to keep up while it runs.
    reporter
        Way to the process that started this one as a worker, if there is one.

    Raises
    ------
    LabelpulseError
        ConfigurationError, IncompatibleStateError or UnavailableError before anything was read; SourceError,
        SinkError or ClusterError while it ran.
    """
    state, settings = state if state is not None else RunState(), with_generation(settings)
    state.generation = settings.generation or 0
    member = member_of(settings, has_parent=reporter is not None)
    database, guard = Database(settings, on_written=state.note_written), Guard()
    drain = Drain(on_ask=database.give_up_in_time)
    with ExitStack() as stack:
        stack.callback(database.close)
        flow, recovery = _prepared(settings, state, drain, database, stack, member=member, guard=guard)
        if reporter is None:
            has_monitor = settings.monitor and (member is None or member.is_first)
            serve_watching(settings, state, stack, writer=database.writer_status, has_monitor=has_monitor)
        stack.enter_context(drain.on_signals(insists=reporter is None))
        if member is not None:
            mark = settings.recovery / DRAIN_MARK if reporter is None and settings.recovery is not None else None
            watch = MemberWatch(drain, state, has_begun=lambda: guard.has_begun, mark=mark, reporter=reporter)
            stack.enter_context(watch.watching())
        stack.enter_context(rare_collections())
        began = time.monotonic()
        _execute(flow, settings, recovery, member=member, guard=guard)
    return RunSummary("signal" if drain.is_asked else "end", time.monotonic() - began, state)


def _prepared(
    settings: Settings,
    state: RunState,
    drain: Drain,
    database: Database,
    stack: ExitStack,
    *,
    member: Member | None,
    guard: Guard,
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
        waits = 0.0 if member is None else WAIT_SECONDS
        recovery = RecoveryDirectory(
            settings.recovery, frozen=frozen, started_at=started_at, member=member, wait_seconds=waits
        )
        stack.enter_context(recovery)
    database.open()
    flow = build_dataflow(
        source=source,
        sinks=_sinks(settings, spec, policy, database, stack),
        decode_settings=decode_settings_of(
            settings,
            first_started_at=recovery.manifest.created_at if recovery is not None else started_at,
            quarantined=_quarantine(settings, recovery.path).positions() if recovery is not None else frozenset(),
        ),
        fold_settings=fold_settings_of(settings, policy=policy),
        observe=Observer(state),
        guard=guard,
        keeping=recovery.keeping if recovery is not None else None,
    )
    return flow, recovery


def _sinks(
    settings: Settings, spec: SourceSpec, policy: Policy, database: Database, stack: ExitStack
) -> dict[str, FixedPartitionedSink[Any, Any]]:
    sinks: dict[str, FixedPartitionedSink[Any, Any]] = {"clickhouse": database.sink()}
    if isinstance(spec, KafkaSpec) and settings.dead_letter_topic is not None:
        sinks["dead_letter_topic"] = _dead_letter_topic(spec, settings.dead_letter_topic, settings)
    if settings.alerts and settings.hooks and policy.hooks:
        from flows.hooks import delivery_on_demand

        kafka = spec if isinstance(spec, KafkaSpec) else None
        delivery = delivery_on_demand(settings, policy.hooks, kafka=kafka, is_replay=settings.replay)
        stack.callback(delivery.stop, seconds=settings.grace_seconds)
        sinks["alerts"] = delivery.sink()
    return sinks


def _quarantine(settings: Settings, folder: Path) -> Quarantine:
    return Quarantine(folder, attempts=settings.poison_attempts, records_max=settings.poison_records_max)


def _dead_letter_topic(spec: KafkaSpec, topic: str, settings: Settings) -> DeadLetterTopicSink:
    sink = DeadLetterTopicSink(
        brokers=spec.brokers,
        topic=topic,
        slots=settings.sink_slots,
        options={**settings.kafka_options, **spec.options},
    )
    sink.check()
    return sink


def _execute(
    flow: Dataflow, settings: Settings, recovery: RecoveryDirectory | None, *, member: Member | None, guard: Guard
) -> None:
    os.environ.pop("BYTEWAX_DATAFLOW_API_ENABLED", None)  # whatever its value, it opens a port on all interfaces
    try:
        cli_main(
            flow,
            process_id=member.process_id if member is not None else None,
            addresses=list(member.addresses) if member is not None else None,
            epoch_interval=timedelta(seconds=settings.snapshot_seconds),
            recovery_config=recovery.config if recovery is not None else None,
        )
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        cause = _cause_of(error, guard)
        if isinstance(cause, PoisonError) and recovery is not None:
            _quarantine(settings, recovery.path).note(cause)
        if cause is error:
            raise
        raise cause from error


def _cause_of(error: BaseException, guard: Guard) -> BaseException:
    """Return the first of our own errors behind one of the engine's; what else went wrong; or that one itself."""
    cause: BaseException | None = guard.failure or error
    while cause is not None:
        if isinstance(cause, LabelpulseError):
            return cause
        cause = cause.__cause__ or cause.__context__
    if guard.failure is not None:
        return guard.failure
    if isinstance(error, Exception):
        return error
    # a panic of the engine is no Exception: it tells of a connection to another process that is gone
    return ClusterError(
        "another process of the cluster has ended, or cannot be reached",
        remedy="look at what that process told; then start all of them again: they go on where they were",
    )


@contextmanager
def rare_collections() -> Iterator[None]:
    """Look for cycles seldom while the block runs, and not among what there is already."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
