"""Histories full of faults, run through the flow's own classes: whatever happens, the rows are the undisturbed run's.

A history that fails names its seed; ``python -m tests.soak --seed SEED`` runs it again, the same in every step.
"""

import random
from collections import Counter
from typing import Any

import pytest

from flows.sources import kafka as kafka_module
from flows.sources.kafka_slot import KafkaSlot
from operators.shard import Shard
from sinks.clickhouse.sink import ClickHouseSlot
from sinks.dead_letter_topic import DeadLetterTopicSlot
from sinks.hooks.sink import AlertSlot
from tests.support.simulation.history import Faults, history_of
from tests.support.simulation.run import HistoryFailed, run_history
from tests.support.simulation.threads import Deadlock, Turns

SHORT = 8
SEEDS = 25
SEEDS_SLOW = 1_500
SEEDS_TO_FIND_A_DEFECT = 150


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL", logger="labelpulse.kafka")


def test_short_histories_hold_all_invariants() -> None:
    """Crashes, lost acknowledgements, duplicates, delays, disorder, other numbers of workers: rows stay the same."""
    counts: Counter[str] = Counter()
    for seed in range(SEEDS):
        counts += run_history(seed, events=SHORT).counts
    assert counts["crashes"] > SEEDS // 2 and counts["epochs"] > SEEDS


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS_SLOW, 300))
def test_histories_hold_all_invariants(first: int) -> None:
    """The same for more and longer histories."""
    for seed in range(first, first + 300):
        run_history(seed)


def test_a_seed_is_one_history() -> None:
    """Run twice, a seed takes the same steps: a failure can be seen again."""
    seed = next(seed for seed in range(100) if history_of(seed).faults.crash and history_of(seed).fold.policy)
    traces: list[list[str]] = [[], []]
    outcomes = [run_history(seed, tell=trace.append) for trace in traces]
    assert outcomes[0] == outcomes[1] and traces[0] == traces[1] and len(traces[0]) > 5


def test_each_fault_happens_in_some_history() -> None:
    """No fault is drawn never, or always: some histories have it, and some are free of it."""
    drawn = [history_of(seed).faults for seed in range(60)]
    for name in Faults.__slots__:
        assert 5 < sum(getattr(faults, name) > 0 for faults in drawn) < 60, name
    assert {history.is_file for history in map(history_of, range(60))} == {False, True}


def _no_flush(_self: ClickHouseSlot) -> int:
    return 0


def _one_too_far(**arguments: Any) -> Any:
    cursors = _STARTING_CURSORS(**arguments)
    for cursor in cursors.values() if arguments["state"] is not None else ():
        if not cursor.is_done and cursor.next_offset < cursor.high:
            cursor.next_offset += 1
    return cursors


def _no_tombstones(self: Shard, batches: Any) -> Any:
    taken = _TAKE(self, batches)
    for name, rows in taken.rows.items():
        taken.rows[name] = [row for row in rows if not row[-1]]
    return taken


def _commit_at_once(self: KafkaSlot) -> Any:
    batches = _READ(self)
    self._durable = self._next_offsets()
    return batches


def _no_delivery(_self: DeadLetterTopicSlot) -> dict[str, int]:
    return {"version": 1}


_STARTING_CURSORS, _TAKE, _READ = kafka_module.starting_cursors, Shard.take, KafkaSlot.read
DEFECTS = {
    "rows are not flushed ahead of the snapshot": (ClickHouseSlot, "snapshot", _no_flush, "lost"),
    "a resume begins one record too far": (kafka_module, "starting_cursors", _one_too_far, ""),
    "what ceases leaves no tombstone": (Shard, "take", _no_tombstones, "lost|differs"),
    "the group is told what is not durable": (KafkaSlot, "read", _commit_at_once, "is durable"),
    "dead letters are not waited for": (DeadLetterTopicSlot, "snapshot", _no_delivery, "not told"),
    "alerts are not waited for": (AlertSlot, "snapshot", _no_flush, "not told"),
}


@pytest.mark.parametrize(
    "defect",
    [pytest.param(name, marks=[pytest.mark.slow] if number > 2 else []) for number, name in enumerate(DEFECTS)],
)
def test_a_planted_defect_is_found(defect: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow with a defect does not get through the histories, and the failure names the seed."""
    place, name, broken, told = DEFECTS[defect]
    monkeypatch.setattr(place, name, broken)
    with pytest.raises(HistoryFailed, match=rf"^seed \d+: .*({told})"):
        for seed in range(SEEDS_TO_FIND_A_DEFECT):
            run_history(seed, events=12)


def test_threads_that_wait_for_one_another_are_told() -> None:
    """A deadlock ends the history, instead of hanging it."""
    turns = Turns(random.Random(1))
    with pytest.raises(Deadlock):
        turns.block(None)


def test_waiting_takes_virtual_time_only() -> None:
    """A time-out passes when nothing else can go on."""
    turns = Turns(random.Random(1))
    assert not turns.block(3600.0)
    assert turns.clock() == 3600.0
