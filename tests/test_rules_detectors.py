"""The detectors of a project: chunks, alarms with times, what they remember over restarts."""

import itertools
import random

import msgspec
import numpy as np
import pytest

from operators.rules.detectors import CHUNK, DetectorState, ProjectDetectors
from operators.stats.drift.class_use import CLASSES_MAX, ClassUseBank
from schemas.signals import DRIFTS
from tests.support.rules import MINUTE, SECOND, START

PROMISE = 200
VALUES = 15_000


def detectors_of(state: DetectorState) -> ProjectDetectors:
    """Return detectors of all signals."""
    return ProjectDetectors(state, false_alarms_per_million_judgements=PROMISE, signals=frozenset(DRIFTS))


def restarted(detectors: ProjectDetectors, state: DetectorState) -> tuple[ProjectDetectors, DetectorState]:
    """Return detectors that go on from the bytes of the state."""
    detectors.save()
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=DetectorState)
    return detectors_of(state), state


def told(seed: int, restarts: random.Random | None) -> list:
    """Feed a log in which annotator a0 changes half-way; return all that was found."""
    rng, state, at, found = random.Random(seed), DetectorState(), START, []
    detectors = detectors_of(state)
    next_tick = START + MINUTE
    for index in range(6000):
        at += rng.randrange(3 * SECOND)
        name = f"a{rng.randrange(15)}"
        is_changed = name == "a0" and index > 3000
        if at >= next_tick:
            next_tick = at + MINUTE
            found += detectors.flush_all(at)
        if rng.random() < 0.5:
            detectors.judged("q", name, float(rng.random() < (0.5 if is_changed else 0.05)), at, rng.choice((0, 0.1)))
        detectors.answered("q", name, rng.choice("aaab" if not is_changed else "abbb"), at)
        detectors.timed("q", name, int(4000 * rng.lognormvariate(0, 0.5) / (3 if is_changed else 1)), at)
        if rng.random() < 0.002:
            detectors.answered("q", name, f"c{rng.randrange(20)}", at)
        if detectors.is_due:
            found += detectors.flush(at)
        if restarts is not None and restarts.random() < 0.02:
            detectors, state = restarted(detectors, state)
    found.append(detectors.evidence("accuracy", START))
    return found


@pytest.mark.parametrize("seed", range(2))
def test_changes_are_found_with_time_and_direction_wherever_it_is_restarted(seed):
    """Worse, other classes and faster are found soon after the change, and the same after any restart."""
    *findings, evidence = told(seed, None)
    of_a0 = {(finding.signal, finding.direction) for _, name, finding in findings if name == "a0"}
    assert {("accuracy", "worse"), ("class_use", "more"), ("speed", "faster")} <= of_a0
    promised = PROMISE * VALUES / 1e6
    assert sum(name != "a0" for _, name, _ in findings) <= promised + 4 * promised**0.5
    for _, name, finding in findings:
        assert finding.changed_at <= finding.at
        if name == "a0" and finding.signal == "speed":
            assert abs(finding.changed_at - (START + 3000 * 1.5 * SECOND)) < 15 * MINUTE
    assert len(evidence.keys) == 15
    assert told(seed, random.Random(seed)) == [*findings, evidence]


def test_values_that_say_nothing_wait_for_a_full_chunk():
    """Values far from an alarm wait until there are as many as a chunk holds."""
    detectors = detectors_of(DetectorState())
    for index in range(CHUNK):
        assert not detectors.is_due
        detectors.judged("q", f"a{index % 3}", 0.0, START)
    assert detectors.is_due
    detectors.flush(START)
    assert not detectors.is_due


def found_at(seed: int, *, at_each: bool) -> dict[tuple[str, str, str], int]:
    """Return the number of the event at which each change was first told, of annotators who all get worse and rush."""
    rng, detectors, found = random.Random(seed), detectors_of(DetectorState()), {}
    for index in range(2000):
        name, is_late = f"a{rng.randrange(8)}", index > 1200
        detectors.judged("q", name, float(rng.random() < (0.3 if is_late else 0.05)), START + index)
        detectors.timed("q", name, int(4000 * rng.lognormvariate(0, 0.5) / (3 if is_late else 1)), START + index)
        detectors.answered("q", name, rng.choice("aaab" if not is_late else "abbb"), START + index)
        for _, who, finding in (detectors.flush_all if at_each else detectors.flush)(START + index):
            found.setdefault((finding.signal, finding.direction, who), index)
    return found


@pytest.mark.slow
def test_an_alarm_comes_at_the_event_that_completes_its_evidence():
    """Detectors that look only when scouts say so find nearly all changes at the event at which looking always does."""
    always, scouted = found_at(3, at_each=True), found_at(3, at_each=False)
    assert len(always) >= 20
    late = [scouted.get(key, 9_999) - index for key, index in always.items()]
    assert min(late) >= 0
    assert sum(wait == 0 for wait in late) >= 0.8 * len(late)


def test_only_signals_that_are_asked_for_are_kept():
    """Values of signals that no rule asks for leave nothing behind."""
    state = DetectorState()
    detectors = ProjectDetectors(state, false_alarms_per_million_judgements=10, signals=frozenset({"speed"}))
    detectors.judged("q", "a", 1.0, START)
    detectors.answered("q", "a", "x", START)
    detectors.timed("q", "a", 0, START)
    assert list(state.signals) == [("speed", "q")]


def test_evidence_is_of_those_active_since_a_time():
    """Annotators who have been away are left out; a forgotten one begins anew."""
    detectors = detectors_of(DetectorState())
    for at, name in ((START, "old"), (START + MINUTE, "new")):
        for _ in range(30):
            detectors.judged("q", name, 0.0, at)
        detectors.judged("q", name, 1.0, at)
    detectors.flush_all(START + MINUTE)
    assert detectors.evidence("accuracy", START).keys == [("q", "old"), ("q", "new")]
    assert detectors.evidence("accuracy", START + 1).keys == [("q", "new")]
    assert min(detectors.evidence("accuracy", START).evidence) > 0
    detectors.forget("q", "new")
    assert detectors.evidence("accuracy", START).keys == [("q", "old")]


def test_widening_a_bank_keeps_what_is_known():
    """Counts and evidence of the classes so far stay when further ones get room."""
    bank = ClassUseBank(capacity=3, classes=2)
    values = np.random.default_rng(1).integers(0, 2, 300)
    bank.update_many(np.arange(300) % 3, values)
    before = bank.evidence([0, 1, 2])
    counts = bank.table[:, 1:3].copy()
    bank.widen(CLASSES_MAX)
    np.testing.assert_array_equal(bank.table[:, 1:3], counts)
    np.testing.assert_allclose(bank.evidence([0, 1, 2]), before)
    assert ClassUseBank.classes_in(bank.to_bytes()) == CLASSES_MAX
    for classes in itertools.chain(range(2, CLASSES_MAX)):
        bank.widen(classes)
    assert bank.classes == CLASSES_MAX
