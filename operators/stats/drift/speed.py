"""Drift of speed: a Shiryaev-Roberts mixture over shifts of the log duration, with mean and spread learnt on the go."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from operators.stats.drift.bank import (
    Alarms,
    DetectorBank,
    SingleDetector,
    gather,
    numbers_of,
    slices_of,
    sum_of_columns,
)

SHIFTS = np.array([-1.5, -0.9, 0.9, 1.5])
DEGREES = 7.0
SCALE = 0.95
DEVIATION_MAX = 3.0
WARM_UP = 10
# Factor on the threshold that the bound asks for: the working density is wider than a normal one, which makes the
# evidence of stable annotators smaller than the bound allows. Measured, with a reserve for odd shapes.
CALIBRATION = 0.7
PRIOR_SPREAD, PRIOR_WEIGHT = 0.6, 4.0

_COUNT, _MEAN, _SQUARES = 1, 2, 3
_SUMS, _MOMENTS = slice(4, 4 + len(SHIFTS)), slice(4 + len(SHIFTS), 4 + 2 * len(SHIFTS))


class SpeedBank(DetectorBank):
    """Detects a changed level of log durations, for many annotators at once.

    A log duration is standardised by the mean `m` and spread `s` of those before it (after ten of them). For each
    shift `d` in units of the spread R[d] ← (R[d] + weight) · t(z − d) / t(z), with Student's density of 7 degrees of
    freedom, which one very long or very short duration does not impress. For deviations beyond three spreads mean and
    spread learn from three. The evidence is the sum over shifts in both directions.

    Parameters
    ----------
    capacity
        Annotators at first.
    false_alarms_per_million_judgements
        The promise, for durations that are near log-normal.

    References
    ----------
    Shin, Ramdas, Rinaldo: E-detectors: a nonparametric framework for sequential change detection (2023).
    """

    def __init__(self, *, capacity: int, false_alarms_per_million_judgements: float = 10.0) -> None:
        super().__init__(4 + 2 * len(SHIFTS), capacity, false_alarms_per_million_judgements)

    def update_many(self, annotator_slots: ArrayLike, durations: ArrayLike) -> Alarms:
        """Feed durations in order.

        Parameters
        ----------
        annotator_slots
            Slot of each duration's annotator.
        durations
            Time spent in any unit (the same one always), > 0.

        Returns
        -------
        Alarms in the order of the batch; `is_rise` means slower, `before` and `after` are geometric means.
        """
        durations = np.asarray(durations, np.float64)
        assert not np.any(durations <= 0)
        return self._update(annotator_slots, np.log(durations))

    def sides(self, rows: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the evidence for faster and for slower, each of shape (rows,)."""
        sums = rows[:, _SUMS]
        return sum_of_columns(sums[:, SHIFTS < 0]), sum_of_columns(sums[:, SHIFTS > 0])

    def baseline(self, rows: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return durations seen, and mean and spread of their logarithms, each of shape (rows,)."""
        return rows[:, _COUNT], rows[:, _MEAN], self._spread(rows)

    def _spread(self, rows: NDArray) -> NDArray[np.float64]:
        squares = rows[:, _SQUARES] + PRIOR_SPREAD**2 * PRIOR_WEIGHT
        return np.sqrt(squares / (np.maximum(rows[:, _COUNT] - 1.0, 0.0) + PRIOR_WEIGHT))

    def _advance(self, rows: NDArray, sizes: list[int], values: NDArray) -> NDArray[np.bool_]:
        count, deviation, spread = self._expect(rows, sizes, values)
        scale = SCALE * np.sqrt(1.0 + 1.0 / np.maximum(count, 1.0))
        standard = deviation / (spread * scale)
        distance = standard[:, None] - SHIFTS / scale[:, None]
        root = (DEGREES + standard * standard)[:, None] / (DEGREES + distance * distance)
        factors = (root * root) * (root * root)
        weight = np.where(count >= WARM_UP, 1.0 / len(SHIFTS), 0.0)
        weights = np.empty((2, *factors.shape))
        weights[0], weights[1] = weight[:, None], (weight * numbers_of(rows, sizes))[:, None]
        sums = np.stack([rows[:, _SUMS], rows[:, _MOMENTS]])
        evidence = sum_of_columns(gather(sums, sizes, weights, factors)[0])
        rows[:, _SUMS], rows[:, _MOMENTS] = sums
        return evidence >= CALIBRATION * self.run_length

    def _expect(self, rows: NDArray, sizes: list[int], values: NDArray) -> NDArray[np.float64]:
        """Let mean and spread learn; return values seen, deviation from the mean, and spread before each value."""
        before = np.empty((3, len(values)))
        for part, size in zip(slices_of(sizes), sizes, strict=True):
            held = rows[:size]
            count, spread = held[:, _COUNT], self._spread(held)
            deviation = np.where(count > 0, values[part] - held[:, _MEAN], 0.0)
            before[0, part], before[1, part], before[2, part] = count, deviation, spread
            self._learn(held, values[part], deviation, spread)
        return before

    def _learn(self, rows: NDArray, values: NDArray, deviation: NDArray, spread: NDArray) -> None:
        """Take the value into mean and squares, as far as `DEVIATION_MAX` spreads from the mean."""
        is_first = rows[:, _COUNT] == 0
        bound = DEVIATION_MAX * spread
        held = np.minimum(np.maximum(deviation, -bound), bound)
        rows[:, _COUNT] += 1.0
        step = held / rows[:, _COUNT]
        rows[:, _MEAN] = np.where(is_first, values, rows[:, _MEAN] + step)
        rows[:, _SQUARES] += held * (held - step)

    def _evidence(self, rows: NDArray) -> NDArray[np.float64]:
        return sum_of_columns(rows[:, _SUMS])

    def _describe(self, rows: NDArray) -> dict[str, NDArray]:
        evidence = np.maximum(self._evidence(rows), np.finfo(float).tiny)
        shift = sum_of_columns(rows[:, _SUMS] * SHIFTS) / evidence
        changed_at = np.rint(sum_of_columns(rows[:, _MOMENTS]) / evidence)
        count = rows[:, _COUNT]
        share_after = np.clip((rows[:, 0] - changed_at + 1) / np.maximum(count, 1.0), 0.0, 0.9)
        before = rows[:, _MEAN] - share_after * shift * self._spread(rows)
        return {
            "is_rise": shift > 0,
            "changed_at": changed_at,
            "before": np.exp(before),
            "after": np.exp(before + shift * self._spread(rows)),
            "detail": np.zeros(len(rows)),
        }


class SpeedDrift(SingleDetector):
    """The detector of `SpeedBank` for one stream, wherever River's detectors work.

    Parameters
    ----------
    false_alarms_per_million_judgements
        The promise, for durations that are near log-normal.

    Examples
    --------
    >>> detector = SpeedDrift()
    >>> for duration in [4.0, 6.0, 5.0, 9.0] * 50 + [2.0, 3.0, 2.5, 4.5] * 10:
    ...     detector.update(duration)
    ...     if detector.drift_detected:
    ...         print(detector.alarm.is_rise, detector.alarm.changed_at)
    [False] [201]
    """

    def __init__(self, false_alarms_per_million_judgements: float = 10.0) -> None:
        self.false_alarms_per_million_judgements = false_alarms_per_million_judgements
        super().__init__(SpeedBank(capacity=1, false_alarms_per_million_judgements=false_alarms_per_million_judgements))

    def update(self, x: float) -> None:
        """Feed one duration, > 0."""
        self._take(self.bank.update_many([0], [x]))
