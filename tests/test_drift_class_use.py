"""The detector of a changed use of classes."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.stats.drift.class_use import CALIBRATION, CLASSES_MAX, PRIOR, ClassUseBank, ClassUseDrift


def _draw(random: np.random.Generator, shares: np.ndarray, annotators: int) -> np.ndarray:
    """Return class numbers of shape (steps, annotators) for shares of shape (steps, classes)."""
    drawn = random.random((len(shares), annotators))
    return (drawn[:, :, None] >= shares.cumsum(axis=1)[:, None, :-1]).sum(axis=2)


def test_evidence_less_judgements_is_a_martingale():
    """If each answer comes from the predictive law of the Dirichlet prior, a step adds one to the evidence exactly."""
    random, classes = np.random.default_rng(1), 4
    answers = random.integers(0, classes, 30)
    bank = ClassUseBank(capacity=classes, classes=classes, false_alarms_per_million_judgements=1e-200)
    for step in range(len(answers)):
        counts = np.bincount(answers[:step], minlength=classes)
        predictive = (counts + PRIOR) / (step + PRIOR * classes)
        before = bank.evidence([0])[0]
        ahead = ClassUseBank(capacity=classes, classes=classes, false_alarms_per_million_judgements=1e-200)
        ahead.load_bytes(bank.to_bytes())
        ahead.update_many(np.arange(classes), np.arange(classes))
        np.testing.assert_allclose((predictive * ahead.evidence(np.arange(classes))).sum(), before + 1, rtol=1e-10)
        bank.update_many(np.arange(classes), np.full(classes, answers[step]))


def test_promise_and_detection():
    """Stable annotators stay within the promise; one who answers one class more often is found, with the class."""
    random = np.random.default_rng(2)
    stable = np.tile([0.5, 0.3, 0.15, 0.05], (1500, 1))
    changed = np.where(np.arange(1500)[:, None] < 900, stable, [0.3, 0.2, 0.1, 0.4])
    values = np.concatenate([_draw(random, stable, 300), _draw(random, changed, 60)], axis=1)
    bank, found = ClassUseBank(capacity=360, classes=4, false_alarms_per_million_judgements=50), {}
    false = 0
    for row in values:
        alarms = bank.update_many(np.arange(360), row)
        false += int((alarms.slot < 300).sum())
        for index in np.flatnonzero(alarms.slot >= 300):
            found[int(alarms.slot[index])] = (alarms.detail[index], alarms.changed_at[index])
    assert false <= 22 + 4 * np.sqrt(22)
    assert len(found) >= 58
    assert np.mean([detail == 3 for detail, _ in found.values()]) >= 0.9
    assert np.median([abs(when - 901) for _, when in found.values()]) <= 15


@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_cuts_make_no_difference_to_any_bit(data):
    """However answers are cut into batches, the state is that of one scalar detector per annotator."""
    size = data.draw(st.integers(1, 200))
    random = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    slots, answers = random.integers(0, 4, size), random.choice(5, size, p=[0.6, 0.2, 0.1, 0.05, 0.05])
    cut = data.draw(st.integers(0, size))
    bank = ClassUseBank(capacity=4, classes=5, false_alarms_per_million_judgements=20_000)
    count = len(bank.update_many(slots[:cut], answers[:cut])) + len(bank.update_many(slots[cut:], answers[cut:]))
    singles = [ClassUseDrift(classes=5, false_alarms_per_million_judgements=20_000) for _ in range(4)]
    for slot, answer in zip(slots, answers, strict=True):
        singles[slot].update(int(answer))
        count -= singles[slot].drift_detected
    assert count == 0
    assert bank.table.tobytes() == b"".join(single.bank.table.tobytes() for single in singles)


def test_state_is_small():
    """An annotator's state is at most 300 bytes at the largest number of classes."""
    assert ClassUseBank(capacity=1, classes=CLASSES_MAX).bytes_per_annotator <= 300
    assert CALIBRATION <= 1
