"""Scouts: a few scalars an annotator that tell when waiting judgements are worth a detector's look.

A bank of detectors is fast for many judgements at once, so they wait; but an alarm should not wait for others to come.
A scout starts from the bank's own evidence and carries on, in plain Python, a coarser sum of the same kind. When that
comes near the bank's threshold, the bank looks. What is found is the bank's to say: a scout decides only when.
"""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from operators.stats.drift.bank import DetectorBank
from operators.stats.drift.class_use import ClassUseBank
from operators.stats.drift.outcome import OutcomeBank
from operators.stats.drift.speed import DEGREES, WARM_UP, SpeedBank

ALERT_SHARE = 0.1
"""Evidence from which the bank is to look, as a share of the run length that was promised."""
GROWTH = 8.0
"""By which a single value may multiply the evidence, but for very few."""
ERROR_EFFECT, ERROR_ANGLE_MAX = 0.25, 1.4
SHIFT = 1.0
RATE_MIN = 1e-3


class Scouts:
    """Scouts of one bank's annotators; they hold nothing that does not follow from the bank and what waits.

    Parameters
    ----------
    bank
        The bank.
    chunk
        Values that wait at most; how many of them an annotator may have decides whose evidence is worth a scout.

    Examples
    --------
    >>> bank = OutcomeBank(capacity=1, false_alarms_per_million_judgements=10)
    >>> quiet = bank.update_many([0] * 200, [0.0] * 200)
    >>> scouts = Scouts(bank, chunk=64)
    >>> [scouts.note(0, 1.0) for _ in range(4)]
    [False, True, True, True]
    """

    def __init__(self, bank: DetectorBank, *, chunk: int) -> None:
        self._bank = bank
        self._alert = ALERT_SHARE * bank.run_length
        self._least = self._alert / GROWTH ** min(1.0 + chunk / bank.capacity, 300.0)
        kind = next(kind for kind in _KINDS if isinstance(bank, kind))
        self._start, self._follow = _KINDS[kind]
        self._held: list[list | None] = [None] * bank.capacity
        self.read(range(bank.capacity))

    def note(self, slot: int, value: float, noise: float = 0.0) -> bool:
        """Take in a judgement that waits; return whether the bank should look.

        Parameters
        ----------
        slot, value, noise
            As `update_many` of the bank will be told.
        """
        held = self._held[slot]
        return held is not None and self._follow(held, value, noise) >= self._alert

    def read(self, slots: Iterable[int]) -> None:
        """Start anew from what the bank knows of these slots."""
        slots = np.fromiter(slots, np.int64)
        evidence = self._bank.evidence(slots)
        is_worth = evidence >= self._least
        chosen, held = slots[is_worth], self._held
        for slot in slots[~is_worth].tolist():
            held[slot] = None
        if len(chosen):
            started = self._start(self._bank, self._bank.table[chosen], evidence[is_worth])
            for slot, scalars in zip(chosen.tolist(), started, strict=True):
                held[slot] = scalars


def _start_errors(bank: OutcomeBank, rows: NDArray, evidence: NDArray) -> list[list[float]]:
    """Evidence, base rate and the rate after a usual change, by the annotator's own record."""
    weight, errors = rows[:, 1], rows[:, 2]
    own = (errors + bank.prior_errors) / (weight + bank.prior_errors + bank.prior_correct)
    base = np.maximum(own, RATE_MIN)
    after = np.sin(np.minimum(np.arcsin(np.sqrt(base)) + ERROR_EFFECT, ERROR_ANGLE_MAX)) ** 2
    return np.stack([evidence, base, np.maximum(after, base)], axis=1).tolist()


def _follow_errors(held: list[float], error: float, noise: float) -> float:
    before, base, after = held
    if noise:
        gain = 1.0 - 2.0 * noise
        base, after = noise + gain * base, noise + gain * after
    evidence = (before + 1.0) * (error * after / base + (1.0 - error) * (1.0 - after) / (1.0 - base))
    held[0] = evidence
    return evidence if evidence > before else 0.0  # what speaks against a rise completes no evidence of one


def _start_classes(bank: ClassUseBank, rows: NDArray, evidence: NDArray) -> list[list]:
    """Sum of each class, and its factors when it is answered and when it is not."""
    del evidence
    sums, share, raised = bank.alternatives(rows)
    return list(
        map(list, zip(sums.tolist(), (raised / share).tolist(), ((1 - raised) / (1 - share)).tolist(), strict=True))
    )


def _follow_classes(held: list, answer: float, noise: float) -> float:
    del noise
    sums, when_answered, else_ = held
    number, weight = int(answer), 1.0 / len(sums)
    after = [(part + weight) * factor for part, factor in zip(sums, else_, strict=True)]
    after[number] = (sums[number] + weight) * when_answered[number]
    held[0] = after
    return sum(after)


def _start_speeds(bank: SpeedBank, rows: NDArray, evidence: NDArray) -> list[list[float]]:
    """Sums for faster and slower, mean and spread of the logarithm, and the weight of a further change."""
    del evidence
    faster, slower = bank.sides(rows)
    count, mean, spread = bank.baseline(rows)
    weight = np.where(count >= WARM_UP, 0.5, 0.0)
    return np.stack([faster, slower, mean, spread, weight], axis=1).tolist()


def _follow_speeds(held: list[float], duration: float, noise: float) -> float:
    del noise
    faster, slower, mean, spread, weight = held
    standard = (math.log(duration) - mean) / spread
    level = DEGREES + standard * standard
    down, up = level / (DEGREES + (standard + SHIFT) ** 2), level / (DEGREES + (standard - SHIFT) ** 2)
    held[0] = faster = (faster + weight) * down**4
    held[1] = slower = (slower + weight) * up**4
    return faster + slower


_KINDS = {
    OutcomeBank: (_start_errors, _follow_errors),
    ClassUseBank: (_start_classes, _follow_classes),
    SpeedBank: (_start_speeds, _follow_speeds),
}
