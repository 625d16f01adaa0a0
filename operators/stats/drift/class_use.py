"""Drift in how an annotator uses classes: evidence that one class is answered more often than before."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from operators.stats.drift.bank import Alarms, DetectorBank, SingleDetector, sum_of_columns
from operators.stats.drift.outcome import CELLS

CLASSES_MAX = 12
EFFECT = 0.25
PRIOR = 0.5
# Factor on the threshold that the bound asks for: the evidence jumps over its threshold. Measured.
CALIBRATION = 0.8


def raised_shares() -> NDArray[np.float64]:
    """Return the share of a class after a change by cell of its share before (CELLS,)."""
    share = np.arcsin((np.arange(CELLS) + 0.5) / CELLS)
    return np.round(np.sin(np.minimum(share + EFFECT, 1.5)) ** 2 * 2.0**30) / 2.0**30


class ClassUseBank(DetectorBank):
    """Detects that an annotator answers one of the classes more often than before, for many annotators at once.

    For each class `c`, with `p` the Dirichlet posterior mean of its share and `q` that share raised by a step on the
    arcsine scale, the others in their proportions: R[c] ← (R[c] + 1 / classes) · (q / p if the answer is c, else
    (1 − q) / (1 − p)). The evidence is the sum over classes. An annotator who avoids a class answers others more
    often, and is found by those.

    Parameters
    ----------
    capacity
        Annotators at first.
    classes
        Number of classes, 2 to 12; of a longer list, pool the rare ones in the last.
    false_alarms_per_million_judgements
        The promise.

    References
    ----------
    Shin, Ramdas, Rinaldo: E-detectors: a nonparametric framework for sequential change detection (2023).
    """

    def __init__(self, *, capacity: int, classes: int, false_alarms_per_million_judgements: float = 10.0) -> None:
        assert 2 <= classes <= CLASSES_MAX
        super().__init__(1 + 3 * classes, capacity, false_alarms_per_million_judgements)
        self.classes = classes
        self._raised = raised_shares()
        self._identity = np.eye(classes)
        self._counts = slice(1, 1 + classes)
        self._sums = slice(1 + classes, 1 + 2 * classes)
        self._moments = slice(1 + 2 * classes, 1 + 3 * classes)

    def update_many(self, annotator_slots: ArrayLike, answers: ArrayLike) -> Alarms:
        """Feed answers in order.

        Parameters
        ----------
        annotator_slots
            Slot of each answer's annotator.
        answers
            Number of the class answered, in [0, classes).

        Returns
        -------
        Alarms in the order of the batch; `detail` is the class whose use rose, `before` and `after` are its share.
        """
        answers = np.asarray(answers, np.int64)
        assert not np.any((answers < 0) | (answers >= self.classes))
        return self._update(annotator_slots, answers)

    def _advance(self, rows: NDArray, answers: NDArray) -> NDArray[np.bool_]:
        counts = rows[:, self._counts]
        share = (counts + PRIOR) / (sum_of_columns(counts)[:, None] + PRIOR * self.classes)
        raised = self._raised[(np.sqrt(share) * CELLS).astype(np.int64)]
        answered = self._identity[answers]
        factor = np.where(answered > 0, raised / share, (1.0 - raised) / (1.0 - share))
        weight = 1.0 / self.classes
        rows[:, self._sums] = (rows[:, self._sums] + weight) * factor
        rows[:, self._moments] = (rows[:, self._moments] + weight * rows[:, :1]) * factor
        rows[:, self._counts] += answered
        return self._evidence(rows) >= CALIBRATION * self.run_length

    def _evidence(self, rows: NDArray) -> NDArray[np.float64]:
        return sum_of_columns(rows[:, self._sums])

    def _describe(self, rows: NDArray) -> dict[str, NDArray]:
        each = np.arange(len(rows))
        top = rows[:, self._sums].argmax(axis=1)
        evidence = np.maximum(rows[:, self._sums][each, top], np.finfo(float).tiny)
        changed_at = np.rint(rows[:, self._moments][each, top] / evidence)
        total = sum_of_columns(rows[:, self._counts])
        share = (rows[:, self._counts][each, top] + PRIOR) / (total + PRIOR * self.classes)
        after = self._raised[(np.sqrt(share) * CELLS).astype(np.int64)]
        judgements_after = np.minimum(rows[:, 0] - changed_at + 1, 0.9 * total)
        before = (share * total - after * judgements_after) / np.maximum(total - judgements_after, 1.0)
        return {
            "is_rise": np.ones(len(rows), np.bool_),
            "changed_at": changed_at,
            "before": np.clip(before, 0.0, 1.0),
            "after": after,
            "detail": top,
        }


class ClassUseDrift(SingleDetector):
    """The detector of `ClassUseBank` for one stream, wherever River's detectors work.

    Parameters
    ----------
    classes
        Number of classes, 2 to 12.
    false_alarms_per_million_judgements
        The promise.

    Examples
    --------
    >>> detector = ClassUseDrift(classes=3)
    >>> for answer in [0, 1, 2] * 100 + [2] * 20:
    ...     detector.update(answer)
    ...     if detector.drift_detected:
    ...         print(detector.alarm.detail, detector.alarm.changed_at)
    [2] [294]
    """

    def __init__(self, classes: int = 2, false_alarms_per_million_judgements: float = 10.0) -> None:
        self.classes = classes
        self.false_alarms_per_million_judgements = false_alarms_per_million_judgements
        super().__init__(
            ClassUseBank(
                capacity=1,
                classes=classes,
                false_alarms_per_million_judgements=false_alarms_per_million_judgements,
            )
        )

    def update(self, x: int) -> None:
        """Feed the number of the class that was answered."""
        self._take(self.bank.update_many([0], [x]))
