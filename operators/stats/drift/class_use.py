"""Drift in how an annotator uses classes: evidence that one class is answered more often than before."""

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
from operators.stats.drift.outcome import CELLS
from operators.stats.drift.population import (
    ODDS_MAX,
    ODDS_MIN,
    caution,
    learn_population,
    mixed_with_population,
    started,
)

CLASSES_MAX = 11
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
        Number of classes, 2 to 11; of a longer list, pool the rare ones in the last.
    false_alarms_per_million_judgements
        The promise.

    Attributes
    ----------
    population
        Pseudo-counts by class that the project's annotators have in common, or None; see `OutcomeBank`.

    References
    ----------
    Shin, Ramdas, Rinaldo: E-detectors: a nonparametric framework for sequential change detection (2023).
    """

    def __init__(self, *, capacity: int, classes: int, false_alarms_per_million_judgements: float = 10.0) -> None:
        assert 2 <= classes <= CLASSES_MAX
        super().__init__(2 + 3 * classes, capacity, false_alarms_per_million_judgements)
        self._raised = raised_shares()
        self._set_classes(classes)

    def _set_classes(self, classes: int) -> None:
        self.classes = classes
        self._identity = np.eye(classes)
        self._counts = slice(1, 1 + classes)
        self._sums = slice(1 + classes, 1 + 2 * classes)
        self._moments = slice(1 + 2 * classes, 1 + 3 * classes)

    def widen(self, classes: int) -> None:
        """Make room for further classes, which nobody has answered so far; what is known of the others stays."""
        assert classes <= CLASSES_MAX
        if classes <= self.classes:
            return
        old, parts = self.table, (self._counts, self._sums, self._moments)
        self._set_classes(classes)
        self.table = np.zeros((len(old), 2 + 3 * classes))
        self.table[:, [0, -1]] = old[:, [0, -1]]
        for before, after in zip(parts, (self._counts, self._sums, self._moments), strict=True):
            self.table[:, after.start : after.start + before.stop - before.start] = old[:, before]
        self.population = None

    @staticmethod
    def classes_in(state: bytes) -> int:
        """Return the number of classes of a bank that `to_bytes` wrote."""
        return (int(np.frombuffer(state, "<i8", count=3)[2]) - 2) // 3

    def learn_from_baselines(self) -> None:
        """Learn what the annotators have in common from their baselines in this bank."""
        self.learn_population(self.table[:, self._counts])

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

    def learn_population(self, counts: ArrayLike) -> None:
        """Learn what the project's annotators have in common, from how often each answered each class.

        Parameters
        ----------
        counts
            Whole numbers as of the last boundary of a chunk of the log, shape (annotators, classes).
        """
        self.population = learn_population(counts, np.full(self.classes, PRIOR))

    def alternatives(self, rows: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Return sum, share and raised share of each class by the own prior, each of shape (rows, classes)."""
        share = self._shares(rows[:, self._counts])[0]
        return rows[:, self._sums], share, self._raised[(np.sqrt(share) * CELLS).astype(np.int64)]

    def _shares(self, counts: NDArray) -> tuple[NDArray, NDArray]:
        """Return the expected shares by the own prior, and by the shared one (the own, if there is none)."""
        total = sum_of_columns(counts)[:, None]
        own = (counts + PRIOR) / (total + PRIOR * self.classes)
        if self.population is None:
            return own, own
        return own, (counts + self.population) / (total + float(self.population.sum()))

    def _advance(self, rows: NDArray, sizes: list[int], answers: NDArray) -> NDArray[np.bool_]:
        answered = self._identity[answers]
        share, odds = self._expect(rows, sizes, answered)
        raised = self._raised[(np.sqrt(share) * CELLS).astype(np.int64)]
        factors = np.where(answered > 0, raised / share, (1.0 - raised) / (1.0 - share))
        weight, numbers = 1.0 / self.classes, numbers_of(rows, sizes)
        weights = np.empty((2, *share.shape))
        weights[0], weights[1] = weight, (weight * numbers)[:, None]
        sums = np.stack([rows[:, self._sums], rows[:, self._moments]])
        evidence = sum_of_columns(gather(sums, sizes, weights, factors)[0])
        rows[:, self._sums], rows[:, self._moments] = sums
        needed = CALIBRATION * self.run_length
        return evidence >= (needed if self.population is None else needed * caution(odds))

    def _expect(self, rows: NDArray, sizes: list[int], answered: NDArray) -> tuple[NDArray, NDArray]:
        """Let the baselines learn; return the expected shares and the odds before each answer."""
        counts, parts = np.empty(answered.shape), slices_of(sizes)
        for part, size in zip(parts, sizes, strict=True):
            held = rows[:size, self._counts]
            counts[part] = held
            held += answered[part]
        own, shared = self._shares(counts)
        if self.population is None:
            return own, rows[:1, -1]
        ratio = sum_of_columns(answered * own) / sum_of_columns(answered * shared)
        odds, now = np.empty(len(answered)), started(rows[:, -1])
        for part, size in zip(parts, sizes, strict=True):
            odds[part] = now[:size]
            now[:size] = np.minimum(np.maximum(now[:size] * ratio[part], ODDS_MIN), ODDS_MAX)
        rows[:, -1] = now
        return mixed_with_population(own, shared, odds[:, None]), odds

    def _evidence(self, rows: NDArray) -> NDArray[np.float64]:
        return sum_of_columns(rows[:, self._sums])

    def _describe(self, rows: NDArray) -> dict[str, NDArray]:
        each = np.arange(len(rows))
        top = rows[:, self._sums].argmax(axis=1)
        evidence = np.maximum(rows[:, self._sums][each, top], np.finfo(float).tiny)
        changed_at = np.rint(rows[:, self._moments][each, top] / evidence)
        total = sum_of_columns(rows[:, self._counts])
        own, shared = self._shares(rows[:, self._counts])
        expected = own if self.population is None else mixed_with_population(own, shared, started(rows[:, -1])[:, None])
        share = expected[each, top]
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
        Number of classes, 2 to 11.
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
