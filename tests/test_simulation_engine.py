"""Simulated histories through Bytewax itself, with a recovery store: crashes, drains, other numbers of workers."""

import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bytewax.dataflow import Dataflow
from bytewax.errors import BytewaxRuntimeError
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import cluster_main

from flows.dataflow import build_dataflow
from flows.guard import Guard
from flows.sources.slots import SlotContext
from schemas.errors import LabelpulseError
from schemas.rows import PROGRESS, TABLES
from sinks.clickhouse.sink import ClickHouseSink
from sinks.hooks.intake import Intake
from sinks.hooks.sink import AlertSink
from tests.support.keeping import MemoryDisk
from tests.support.simulation import outlets
from tests.support.simulation.history import Faults, History, described, history_of
from tests.support.simulation.log import TOPIC, GrowingFiles, SimulatedKafkaSource, SimulatedTopic
from tests.support.simulation.reference import Reference, require_balance

pytestmark = pytest.mark.slow

SEEDS = 200
EXECUTIONS_MAX = 12


class Crash(Exception):
    """Ends a worker in the middle of its work."""


@pytest.mark.parametrize("first", range(0, SEEDS, 20))
def test_histories_through_bytewax_hold_all_invariants(first: int, tmp_path: Path, caplog: Any) -> None:
    """Crashed by exceptions, drained and resumed with other numbers of workers, the engine leaves the same rows."""
    caplog.set_level("CRITICAL")
    for seed in range(first, first + 20):
        history = history_of(seed)
        (folder := tmp_path / str(seed)).mkdir()
        try:
            World(history, folder).live()
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}; history: {described(history)}") from error


class World:
    """A history whose engine is the real one: its threads take turns as they like, so a seed decides nearly all."""

    def __init__(self, history: History, folder: Path) -> None:
        self._history = history
        self._rng = random.Random(f"engine-{history.seed}")
        self._faults = history.faults
        (folder / "log").mkdir()
        self._topic = SimulatedTopic(history)
        self._files = GrowingFiles(folder / "log", history) if history.is_file else None
        (self._files or self._topic).complete()
        self._reference = Reference(history, f"file:{folder / 'log'}" if history.is_file else f"kafka:{TOPIC}")
        self._database = outlets.SimulatedDatabase(self._reference)
        self._letters: list[tuple[bytes, bytes]] = []
        self._outbox = outlets.SimulatedOutbox(folder, self._faults, self._rng, lambda: None)
        self._disk = MemoryDisk(history.seed)
        self._recovery = folder / "recovery"
        self._recovery.mkdir()
        init_db_dir(self._recovery, self._rng.randrange(1, 3))

    def live(self) -> None:
        """Run the flow until it ends by itself, and check what it has left."""
        for number in range(EXECUTIONS_MAX):
            if number == self._history.executions_max:
                self._faults = self._outbox.faults = Faults()
            try:
                if self._run(is_last=number >= self._history.executions_max):
                    break
            except (BytewaxRuntimeError, LabelpulseError):  # the engine wraps what was raised, or not
                assert number < self._history.executions_max, "nothing may fail any more"
        self._check()

    def _run(self, *, is_last: bool) -> bool:
        """Run the flow once; return whether it has read the log to its end."""
        crash = self._countdown(self._faults.crash > 0 and not is_last and self._rng.random() < 0.7)
        drain = self._countdown(not is_last and self._rng.random() < 0.5)
        context = SlotContext(self._history.limits, lambda: next(drain, None) is None)
        intake = Intake(self._outbox.open, on_commit=lambda _: None, clock=outlets.standing_clock)
        workers = self._rng.randrange(1, 4)
        try:
            with outlets.tables_as_they_should_be():
                cluster_main(
                    self._flow(context, intake, crash),
                    [],
                    0,
                    epoch_interval=timedelta(0),
                    recovery_config=RecoveryConfig(self._recovery),
                    worker_count_per_proc=workers,
                )
        finally:
            intake.close()
        return next(drain, None) is not None

    def _countdown(self, is_wanted: bool) -> Any:
        return iter(range(self._rng.randrange(1, 60))) if is_wanted else iter(int, 1)

    def _flow(self, context: SlotContext, intake: Intake, crash: Any) -> Dataflow:
        history = self._history

        def step() -> None:
            if next(crash, None) is None:
                raise Crash

        def observe(rows: Any) -> Any:
            step()
            return rows

        client: Any = outlets.SimulatedClient(self._database, self._faults, self._rng, lambda: None)
        sinks: dict[str, Any] = {
            "clickhouse": ClickHouseSink(lambda: client, open_writer=self._open_writer, slots=history.sink_slots),
            "dead_letter_topic": outlets.SimulatedLetters(self._letters, self._faults, self._rng, slots=2),
        }
        if history.fold.policy is not None:
            sinks["alerts"] = AlertSink(lambda: intake)
        return build_dataflow(
            source=self._source(context),
            sinks=sinks,
            decode_settings=history.decode,
            fold_settings=history.fold,
            observe=observe,
            guard=Guard(),
            keeping=self._disk.keeping(),
        )

    def _open_writer(self, client: Any) -> Any:
        return outlets.writer_of(self._history, client, _clock())

    def _source(self, context: SlotContext) -> Any:
        if self._files is not None:
            return self._files.source(until_eof=True, context=context)
        return SimulatedKafkaSource(
            self._topic, history=self._history, until_eof=True, context=context, rng=self._rng,
            check_commit=lambda _partition, _offset: None, faults=self._faults,
        )  # fmt: skip

    def _check(self) -> None:
        for table in TABLES:
            assert self._database.tables[table] == self._reference.in_force(table), f"{table} differs"
        require_balance(self._database.tables[PROGRESS.name])
        ends = {number: log[-1].offset + 1 for number, log in self._history.logs.items()}
        assert {key for key, _ in self._letters} == self._reference.letters(ends)
        if self._history.fold.policy is not None:
            assert self._outbox.told() == self._reference.alerts_told(ends)


def _clock() -> Callable[[], float]:
    """Return a clock by which time passes only when it is looked at: flushes by age come early and often."""
    seconds = iter(range(10**9))
    return lambda: next(seconds) / 10
