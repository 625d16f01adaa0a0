"""The detector of a changed speed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.stats.drift.speed import SpeedBank, SpeedDrift

LAWS = {
    "log-normal": lambda random, shape: np.exp(0.7 * random.standard_normal(shape)),
    "narrow": lambda random, shape: np.exp(0.2 * random.standard_normal(shape)),
    "exponential": lambda random, shape: random.exponential(5.0, shape),
    "heavy-tailed": lambda random, shape: np.exp(0.5 * random.standard_t(3, shape)),
    "with breaks": lambda random, shape: np.exp(
        0.6 * random.standard_normal(shape) + 4 * (random.random(shape) < 0.05)
    ),
}


@pytest.mark.parametrize("law", LAWS)
def test_promise_holds_for_several_laws(law):
    """Durations that do not change stay within chance of the promise, whatever their law."""
    values = LAWS[law](np.random.default_rng(1), (800, 500))
    bank = SpeedBank(capacity=500, false_alarms_per_million_judgements=100)
    assert sum(len(bank.update_many(np.arange(500), row)) for row in values) <= 40 + 4 * np.sqrt(40)


@pytest.mark.parametrize(("factor", "is_rise"), [(0.5, False), (2.0, True)])
def test_halving_and_doubling(factor, is_rise):
    """A halved or doubled duration is found soon, with direction, time and both levels."""
    values = LAWS["log-normal"](np.random.default_rng(2), (600, 100)) * 8.0
    values[500:] *= factor
    bank, found = SpeedBank(capacity=100), {}
    for row in values:
        alarms = bank.update_many(np.arange(100), row)
        for index, slot in enumerate(alarms.slot):
            found[int(slot)] = [
                getattr(alarms, name)[index] for name in ("is_rise", "changed_at", "before", "after", "judgement")
            ]
    columns = np.array(list(found.values()), float).T
    assert len(found) >= 98
    assert np.mean(columns[0] == is_rise) >= 0.97
    assert np.median(np.abs(columns[1] - 501)) <= 8
    assert abs(np.median(columns[2]) / 8.0 - 1) < 0.1
    assert abs(np.median(columns[3]) / (8.0 * factor) - 1) < 0.35
    assert np.median(columns[4]) <= 535


@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_cuts_make_no_difference_to_any_bit(data):
    """However durations are cut into batches, the state is that of one scalar detector per annotator."""
    size = data.draw(st.integers(1, 200))
    random = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    slots, durations = random.integers(0, 4, size), np.exp(random.standard_normal(size) + (np.arange(size) > 120))
    cut = data.draw(st.integers(0, size))
    bank = SpeedBank(capacity=4, false_alarms_per_million_judgements=20_000)
    count = len(bank.update_many(slots[:cut], durations[:cut])) + len(bank.update_many(slots[cut:], durations[cut:]))
    singles = [SpeedDrift(false_alarms_per_million_judgements=20_000) for _ in range(4)]
    for slot, duration in zip(slots, durations, strict=True):
        singles[slot].update(duration)
        count -= singles[slot].drift_detected
    assert count == 0
    assert bank.table.tobytes() == b"".join(single.bank.table.tobytes() for single in singles)


def test_state_round_trip_and_size():
    """The state is at most 300 bytes an annotator and survives a round trip to the bit."""
    values = LAWS["log-normal"](np.random.default_rng(3), (60, 10))
    bank, restored = SpeedBank(capacity=10), SpeedBank(capacity=0)
    for row in values:
        bank.update_many(np.arange(10), row)
    restored.load_bytes(bank.to_bytes())
    assert bank.bytes_per_annotator <= 300
    assert restored.to_bytes() == bank.to_bytes()
