"""Runs a history through the flow's own classes, with all that goes wrong in it, and checks what has become of it."""

import random
import tempfile
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSink, TestingSource

from flows.dataflow import FLOW_ID, build_dataflow
from flows.guard import Guard
from flows.sources.slots import SlotContext
from operators.kept_shard import Keeping
from schemas.errors import LabelpulseError
from schemas.rows import PROGRESS, TABLES
from sinks.clickhouse import writer as writer_module
from sinks.clickhouse.sink import ClickHouseSink
from sinks.hooks import intake as intake_module
from sinks.hooks.intake import Intake
from sinks.hooks.sink import AlertSink
from tests.support.keeping import MemoryDisk
from tests.support.simulation import outlets
from tests.support.simulation.engine import RecoveryStore, SimulatedEngine
from tests.support.simulation.history import EVENTS, Faults, History, described, history_of
from tests.support.simulation.log import TOPIC, GrowingFiles, SimulatedKafkaSource, SimulatedTopic
from tests.support.simulation.reference import Reference, require_balance
from tests.support.simulation.threads import Turns

TRACE_MAX = 40
STEPS_MAX = 200
QUIET = 50
LETTER_SLOTS = 2


class Crash(Exception):
    """The end of all processes at once."""


class HistoryFailed(AssertionError):
    """An invariant did not hold; the message names the seed, and how to see it again."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened in a history."""

    records: int
    executions: int
    workers: tuple[int, ...]
    counts: Counter[str]


def run_history(seed: int, *, events: int = EVENTS, tell: Callable[[str], None] = lambda _: None) -> Outcome:
    """Run the history of a seed.

    Parameters
    ----------
    tell
        Told what happens.

    Raises
    ------
    HistoryFailed
        If an invariant does not hold.
    """
    history = history_of(seed, events=events)
    before = random.getstate()
    random.seed(seed)  # for what draws from the global source of chance, such as pauses between attempts
    try:
        with tempfile.TemporaryDirectory(prefix="labelpulse-simulation-") as folder:
            world = World(history, Path(folder), tell)
            try:
                return world.live()
            except Exception as error:
                raise HistoryFailed(
                    f"seed {seed}: {type(error).__name__}: {error}\n"
                    f"again: python -m tests.soak --seed {seed} --events {events}\n"
                    f"history: {described(history)}\ntrace: {' · '.join(world.trace)}"
                ) from error
    finally:
        random.setstate(before)


class World:
    """Everything that outlives a crash, and the executions of the flow in it."""

    def __init__(self, history: History, folder: Path, tell: Callable[[str], None]) -> None:
        self._history = history
        self._tell = tell
        self._rng = random.Random(f"world-{history.seed}")
        self._faults = history.faults
        self.trace: deque[str] = deque(maxlen=TRACE_MAX)
        self._counts: Counter[str] = Counter()
        self._workers: list[int] = []
        (folder / "log").mkdir()
        self._topic = SimulatedTopic(history)
        self._files = GrowingFiles(folder / "log", history) if history.is_file else None
        stream = f"file:{folder / 'log'}" if history.is_file else f"kafka:{TOPIC}"
        self._reference = Reference(history, stream)
        self._store = RecoveryStore()
        self._durable: dict[int, int] = {}
        self._database = outlets.SimulatedDatabase(self._reference)
        self._letters: list[tuple[bytes, bytes]] = []
        self._outbox = outlets.SimulatedOutbox(folder, self._faults, self._rng, self._step)
        self._disk = MemoryDisk(history.seed)
        self._turns = Turns(self._rng)
        self._steps_left: int | None = None
        self._is_draining = False

    def live(self) -> Outcome:
        """Run the flow until its log is at its end, through all crashes, and check everything."""
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(QUIET))
        for _ in range(self._history.executions_max):
            self._execute(is_last=False)
        self._faults = self._outbox.faults = Faults()
        (self._files or self._topic).complete()
        self._execute(is_last=True)
        self._check_end()
        return Outcome(self._history.events, len(self._workers), tuple(self._workers), self._counts)

    def _execute(self, *, is_last: bool) -> None:
        workers = self._rng.randrange(1, 4)
        self._workers.append(workers)
        self._note(f"start {workers}")
        self._steps_left = None if is_last else self._rng.randrange(1, STEPS_MAX)
        self._is_draining = False
        self._turns = Turns(self._rng)
        with self._turns.taking_over(writer_module, intake_module), outlets.tables_as_they_should_be():
            engine = SimulatedEngine(
                _flow_of(self._history, self._disk.keeping()),
                self._ends(workers, until_eof=is_last),
                self._store,
                rng=self._rng,
                step=self._step,
                on_commit=self._committed,
                batches_per_epoch=self._history.batches_per_epoch,
            )
            try:
                engine.run()
                self._note("end")
            except (Crash, LabelpulseError) as error:
                self._note(f"{type(error).__name__}: {error}")
                self._counts[type(error).__name__] += 1
                assert not is_last, "nothing may fail any more"
                self._steps_left = None
                self._faults = Faults()
                engine.close(in_order=self._rng.random() < 0.5)
                self._faults = self._history.faults

    def _ends(self, workers: int, *, until_eof: bool) -> list[dict[str, Any]]:
        """Return sources and sinks of each worker: all threads of one process, or each a process of its own."""
        if self._rng.random() < 0.5:
            return [self._ends_of_process(until_eof)] * workers
        return [self._ends_of_process(until_eof) for _ in range(workers)]

    def _ends_of_process(self, until_eof: bool) -> dict[str, Any]:
        history, context = self._history, SlotContext(self._history.limits, lambda: self._is_draining)
        client: Any = outlets.SimulatedClient(self._database, self._faults, self._rng, self._step)
        clickhouse = ClickHouseSink(
            lambda: client,
            open_writer=lambda opened: outlets.writer_of(history, opened, self._turns.clock),
            slots=history.sink_slots,
        )
        letters = outlets.SimulatedLetters(self._letters, self._faults, self._rng, slots=LETTER_SLOTS)
        ends = {"clickhouse": clickhouse, "dead_letter_topic": letters}
        if history.fold.policy is not None:
            intake = Intake(self._outbox.open, on_commit=lambda _: None, clock=outlets.standing_clock, waiting_max=3)
            ends["alerts"] = AlertSink(lambda: intake)
        named = {f"{FLOW_ID}.{name}": end for name, end in ends.items()}
        return named | {f"{FLOW_ID}.source": self._source(until_eof, context)}

    def _source(self, until_eof: bool, context: SlotContext) -> Any:
        if self._files is not None:
            return self._files.source(until_eof=until_eof, context=context)
        return SimulatedKafkaSource(
            self._topic, history=self._history, until_eof=until_eof, context=context, rng=self._rng,
            check_commit=self._check_commit, faults=self._faults,
        )  # fmt: skip

    def _step(self) -> None:
        """Let the world go on by a little; end it now and then."""
        turns, rng = self._turns, self._rng
        if self._steps_left is not None:
            self._steps_left -= 1
            if rng.random() < 0.3:
                (self._files or self._topic).grow(rng)
            if rng.random() < self._faults.crash:
                self._counts["crashes"] += 1
                turns.fail(Crash("crash"))
            if self._steps_left <= 0 and not self._is_draining:
                self._note("drain")
                self._is_draining = True
        if rng.random() < self._history.turn_share:
            turns.give_way()

    def _check_commit(self, partition: int, offset: int) -> None:
        durable = self._durable.get(partition, 0)
        assert offset <= durable, f"the group is told {offset} of partition {partition}, but {durable} is durable"

    def _committed(self, states: list[Any]) -> None:
        """Check what must hold whenever an epoch has become durable."""
        self._note("epoch")
        self._counts["epochs"] += 1
        for state in states:
            self._durable |= {number: position[0] for number, position in state["partitions"].items()}
        for table in TABLES:
            self._reference.require_written(table, self._database.versions(table), self._durable)
        self._reference.require_balance(self._durable)
        self._require_told(is_end=False)

    def _check_end(self) -> None:
        """Check that everything is as if nothing had gone wrong."""
        for number, log in self._history.logs.items():
            expected = len(log) if self._history.is_file else log[-1].offset + 1
            assert self._durable[number] == expected, f"partition {number} was read to {self._durable[number]}"
        for table in TABLES:
            expected_rows = self._reference.in_force(table)
            assert self._database.tables[table] == expected_rows, f"{table} differs from the undisturbed run"
        require_balance(self._database.tables[PROGRESS.name])
        self._require_told(is_end=True)

    def _require_told(self, *, is_end: bool) -> None:
        """Raise if a dead letter or an alert is missing, or, at the end, if there is one too many."""
        expected: set[Any] = self._reference.letters(self._durable)
        found: set[Any] = {key for key, _ in self._letters}
        if self._history.fold.policy is not None:
            expected |= self._reference.alerts_told(self._durable)
            found |= self._outbox.told()
        assert expected <= found, f"not told: {sorted(map(str, expected - found))}"
        assert not is_end or found <= expected, f"told and not so: {sorted(map(str, found - expected))}"

    def _note(self, what: str) -> None:
        self.trace.append(what)
        self._tell(what)


def _flow_of(history: History, keeping: Keeping) -> Dataflow:
    """Return the flow; its sources and sinks are put in their place by the engine."""
    nowhere: Any = TestingSink([])
    sinks = dict.fromkeys(("clickhouse", "dead_letter_topic"), nowhere)
    if history.fold.policy is not None:
        sinks["alerts"] = nowhere
    nothing: Any = TestingSource([])
    return build_dataflow(
        source=nothing,
        sinks=sinks,
        decode_settings=history.decode,
        fold_settings=history.fold,
        observe=lambda rows: rows,
        guard=Guard(),
        keeping=keeping,
    )
