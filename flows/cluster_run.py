"""Runs the flow in several workers of this machine: refuses what does not fit first, as one process would."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

from flows.cluster import require_server
from flows.database import Database
from flows.dataflow import frozen_settings
from flows.generations import with_generation
from flows.opening import limits_of, open_source, records_expected
from flows.policy import load_policy
from flows.recovery import RecoveryDirectory
from flows.recovery_lock import WAIT_SECONDS
from flows.run_state import RunState, RunSummary
from flows.settings import Settings
from flows.sources.slots import SlotContext
from flows.sources.urls import parse_source
from flows.watching import serve_watching
from flows.workers import Workers


def run_cluster(settings: Settings, command: Sequence[str], *, state: RunState) -> RunSummary:
    """Run workers until the source ends or a signal asks any of them to.

    Parameters
    ----------
    settings
        Everything that can be set; `source` must be.
    command
        What runs the flow with these settings.
    state
        Counters of all workers together, kept up while they run.

    Raises
    ------
    LabelpulseError
        If something does not fit, before anything was read; or what a worker failed with.
    """
    assert settings.source is not None and settings.workers > 1
    require_server(settings, processes=settings.workers)
    settings = with_generation(settings)
    state.generation = settings.generation or 0
    _require_fitting(settings)
    state.records_expected = records_expected(parse_source(settings.source))
    workers = Workers(command, count=settings.workers, state=state, grace_seconds=settings.grace_seconds)
    with ExitStack() as stack:
        serve_watching(settings, state, stack, writer=lambda: None, has_monitor=settings.monitor)
        return workers.run()


def _require_fitting(settings: Settings) -> None:
    """Open what the workers will open, and close it again: what is wrong is told once."""
    assert settings.source is not None
    policy = load_policy(settings.policy)
    source = open_source(parse_source(settings.source), settings, context=SlotContext(limits=limits_of(settings)))
    if settings.recovery is not None:
        frozen = frozen_settings(settings, policy=policy, source=source.stream)
        RecoveryDirectory(
            settings.recovery, frozen=frozen, started_at=datetime.now(UTC), wait_seconds=WAIT_SECONDS
        ).close()
    database = Database(settings)
    try:
        database.open()
    finally:
        database.close()
