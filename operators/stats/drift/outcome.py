"""Drift of an error rate: a Shiryaev-Roberts mixture over effect sizes with the base rate learnt on the go."""

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
from operators.stats.drift.population import (
    ODDS_MAX,
    ODDS_MIN,
    caution,
    learn_population,
    mixed_with_population,
    started,
)

LEVELS = 16
ANGLE_LOW, ANGLE_HIGH = 0.06, 1.25
EFFECT, EFFECT_SPREAD = 0.23, 0.15
SHARE_OTHER_EFFECTS = 0.06
SHARE_BETTER = 0.06
PRIOR_ERRORS, PRIOR_CORRECT = 0.5, 4.0
BASE_MIN, BASE_MAX = 1e-4, 1 - 1e-4
CELLS = 256

# Factor on the threshold that the bound asks for, by base rate: where errors are rare the evidence jumps over its
# threshold, so that a lower one keeps the promise. Measured on stable annotators (`benchmarks.drift`).
CALIBRATION_BASE = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 1.0)
CALIBRATION = (0.45, 0.5, 0.56, 0.66, 0.79, 0.84, 0.96, 1.1, 1.28, 1.28)
# The same for a judgement with noise, whose baseline is an approximation.
NOISE_CALIBRATION = 1.6

_LEVELS, _MOMENTS = slice(3, 3 + LEVELS), slice(3 + LEVELS, 3 + 2 * LEVELS)
_JUDGEMENTS, _WEIGHT, _ERRORS, _ODDS = 0, 1, 2, 3 + 2 * LEVELS


def _exact(values: NDArray) -> NDArray:
    """Round to a multiple of 2⁻³⁰, so that tables have the same bits wherever they are computed."""
    return np.round(values * 2.0**30) / 2.0**30


def error_levels() -> NDArray[np.float64]:
    """Return the error rates that a change may lead to, even on the arcsine scale."""
    return _exact(np.sin(np.linspace(ANGLE_LOW, ANGLE_HIGH, LEVELS)) ** 2)


def _one_sided(distance: NDArray) -> NDArray:
    """Return weights by distance, summing to 1 in each row: most near `EFFECT`, some on every level of the side."""
    near = np.exp(-0.5 * (np.log(np.maximum(distance, 1e-3) / EFFECT) / EFFECT_SPREAD) ** 2) + 1e-300
    side = (distance > 0) + 1e-9
    near, side = near / near.sum(axis=1, keepdims=True), side / side.sum(axis=1, keepdims=True)
    return (1 - SHARE_OTHER_EFFECTS) * near + SHARE_OTHER_EFFECTS * side


def change_weights() -> NDArray[np.float64]:
    """Return the weight of each level as the level after a change, by cell of the base rate (CELLS, LEVELS)."""
    base = (np.arange(CELLS) + 0.5) / CELLS
    distance = np.arcsin(np.sqrt(error_levels())) - np.arcsin(base)[:, None]
    mixed = (1 - SHARE_BETTER) * _one_sided(distance) + SHARE_BETTER * _one_sided(-distance)
    return _exact(np.maximum(mixed, 1e-6))


def thresholds(run_length: float) -> NDArray[np.float64]:
    """Return the evidence that makes an alarm, by cell of the base rate (CELLS,)."""
    base = ((np.arange(CELLS) + 0.5) / CELLS) ** 2
    return run_length * _exact(np.interp(np.sqrt(base), np.sqrt(CALIBRATION_BASE), CALIBRATION))


def _likelihood(
    base: NDArray, outcomes: NDArray, noise: NDArray | None
) -> tuple[NDArray, NDArray, NDArray | float, NDArray]:
    """Return the likelihood ratio of a rate `q` as constant + slope · q, and what the base rate learns.

    The way without noise is the other one with the zeros left out, to the bit.
    """
    if noise is None:
        per_correct = (1.0 - outcomes) / (1.0 - base)
        return per_correct, outcomes / base - per_correct, 1.0, outcomes
    gain = 1.0 - 2.0 * noise
    seen = noise + gain * base
    per_error, per_correct = outcomes / seen, (1.0 - outcomes) / (1.0 - seen)
    constant = noise * per_error + (1.0 - noise) * per_correct
    information = gain * gain * ((base * (1.0 - base)) / (seen * (1.0 - seen)))
    return constant, gain * (per_error - per_correct), information, information * ((outcomes - noise) / gain)


def _chance(rates: NDArray, outcomes: NDArray, noise: NDArray | None) -> NDArray[np.float64]:
    """Return the chance of each outcome at error rates, seen through the channel."""
    seen = rates if noise is None else noise + (1.0 - 2.0 * noise) * rates
    return outcomes * seen + (1.0 - outcomes) * (1.0 - seen)


def _bounded(rate: NDArray) -> NDArray[np.float64]:
    return np.minimum(np.maximum(rate, BASE_MIN), BASE_MAX)


class OutcomeBank(DetectorBank):
    """Detects a changed mean of outcomes in [0, 1] (1 is an error), for many annotators at once.

    With `p` the posterior mean of the base rate before the judgement and `q` a level after the change, the evidence is

        R[q] ← (R[q] + weight(q | p)) · (x · q / p + (1 − x) · (1 − q) / (1 − p)),    evidence = Σ R[q],

    the sum over all times of change of the likelihood ratio of 'changed then, to one of the levels' against 'never
    changed, base rate unknown with a Beta prior'. Less the number of judgements it is a martingale if the outcomes are
    0 or 1 with one unknown rate that has this prior. A first moment beside each sum gives the time of change.

    An outcome seen through a symmetric channel with a known error (the consensus instead of gold) enters with its
    `noise`: both rates are taken through the channel, and the base rate learns by the information that is left.

    Parameters
    ----------
    capacity
        Annotators at first.
    false_alarms_per_million_judgements
        The promise, whatever the base rate.
    is_calibrated
        Whether thresholds are those measured to keep the promise; if not, those that the bound asks for.
    prior_errors, prior_correct
        Beta prior of the base rate, > 0: of an annotator of whom nothing is known, or who is unlike the others.

    Attributes
    ----------
    population
        Pseudo-counts of errors and correct answers that the project's annotators have in common, or None. An
        annotator's base rate is then expected by a mixture of both priors, weighed by how well each foretold the
        judgements so far: early changes are found sooner. Set it anew now and then by `learn_population`.

    Examples
    --------
    >>> bank = OutcomeBank(capacity=2, false_alarms_per_million_judgements=10)
    >>> quiet = bank.update_many([0, 1] * 300, [0.0] * 600)
    >>> alarms = bank.update_many([0, 1] * 20, [1.0, 0.0] * 20)
    >>> alarms.slot.tolist(), alarms.is_rise.tolist(), alarms.changed_at.tolist()
    ([0], [True], [299])

    References
    ----------
    Shin, Ramdas, Rinaldo: E-detectors: a nonparametric framework for sequential change detection (2023).
    Pollak, Siegmund: Sequential detection of a change in a normal mean when the initial value is unknown (1991).
    """

    def __init__(
        self,
        *,
        capacity: int,
        false_alarms_per_million_judgements: float = 10.0,
        is_calibrated: bool = True,
        prior_errors: float = PRIOR_ERRORS,
        prior_correct: float = PRIOR_CORRECT,
    ) -> None:
        super().__init__(4 + 2 * LEVELS, capacity, false_alarms_per_million_judgements)
        assert prior_errors > 0
        assert prior_correct > 0
        self.prior_errors = prior_errors
        self.prior_correct = prior_correct
        self.is_calibrated = is_calibrated
        self._own_prior = np.array([[prior_errors, prior_errors + prior_correct]])
        self._levels = error_levels()
        self._weights = change_weights()
        self._thresholds = thresholds(self.run_length) if is_calibrated else np.full(CELLS, self.run_length)

    def update_many(self, annotator_slots: ArrayLike, outcomes: ArrayLike, noise: ArrayLike = 0.0) -> Alarms:
        """Feed judgements in order.

        Parameters
        ----------
        annotator_slots
            Slot of each judgement's annotator; one may occur several times.
        outcomes
            Share of error of each judgement in [0, 1].
        noise
            Probability that an outcome is turned round, in [0, 0.5): a number, or one per judgement.

        Returns
        -------
        Alarms in the order of the batch.
        """
        outcomes = np.asarray(outcomes, np.float64)
        noise = np.broadcast_to(np.asarray(noise, np.float64), outcomes.shape)
        assert not np.any((outcomes < 0) | (outcomes > 1))
        assert not np.any((noise < 0) | (noise >= 0.5))
        if not noise.any():
            return self._update(annotator_slots, outcomes)
        return self._update(annotator_slots, outcomes, noise)

    def base_rates(self, slots: ArrayLike) -> NDArray[np.float64]:
        """Return the expected error rate since the baseline began."""
        rows = self.table[np.asarray(slots, np.int64)]
        rates = self._rates(rows[:, _WEIGHT : _ERRORS + 1])
        return rates[0] if self.population is None else mixed_with_population(*rates, started(rows[:, _ODDS]))

    def learn_population(self, errors: ArrayLike, correct: ArrayLike) -> None:
        """Learn what the project's annotators have in common.

        Parameters
        ----------
        errors, correct
            Judgements of each annotator, whole numbers as of the last boundary of a chunk of the log.
        """
        counts = np.stack([np.asarray(errors, np.float64), np.asarray(correct, np.float64)], axis=1)
        self.population = learn_population(counts, np.array([self.prior_errors, self.prior_correct]))

    def learn_from_baselines(self) -> None:
        """Learn what the annotators have in common from their baselines in this bank, as far as they are known."""
        errors, weight = self.table[:, _ERRORS], self.table[:, _WEIGHT]
        self.learn_population(errors, weight - errors)

    def _rates(self, known: NDArray) -> NDArray[np.float64]:
        """Return the posterior mean of the error rate under each prior: the own, and the shared one if there is one.

        Parameters
        ----------
        known
            Weight and errors of each baseline, shape (baselines, 2).
        """
        prior = self._own_prior
        if self.population is not None:
            prior = np.array([prior[0], [float(self.population[0]), float(self.population.sum())]])
        return _bounded((known[:, 1] + prior[:, :1]) / (known[:, 0] + prior[:, 1:]))

    def _advance(
        self, rows: NDArray, sizes: list[int], outcomes: NDArray, noise: NDArray | None = None
    ) -> NDArray[np.bool_]:
        base, odds, constant, slope = self._expect(rows, sizes, outcomes, noise)
        cell = (np.sqrt(base) * CELLS).astype(np.int64)
        factors = constant[:, None] + slope[:, None] * self._levels
        weights = np.empty((2, len(cell), LEVELS))
        weights[0] = self._weights[cell]
        np.multiply(weights[0], numbers_of(rows, sizes)[:, None], out=weights[1])
        sums = np.stack([rows[:, _LEVELS], rows[:, _MOMENTS]])
        evidence = sum_of_columns(gather(sums, sizes, weights, factors)[0])
        rows[:, _LEVELS], rows[:, _MOMENTS] = sums
        needed = self._thresholds[cell]
        if self.population is not None:
            needed = needed * caution(odds)
        if noise is not None:
            needed = np.where(noise > 0, NOISE_CALIBRATION * self.run_length, needed)
        return evidence >= needed

    def _expect(
        self, rows: NDArray, sizes: list[int], outcomes: NDArray, noise: NDArray | None
    ) -> tuple[NDArray, NDArray, NDArray, NDArray]:
        """Let the baselines learn; return the base rate and odds before each judgement, and its likelihood ratio."""
        if noise is not None and len(sizes) > 1:  # what the baseline learns depends on what it knows
            parts = [
                self._expect(rows[:size], [size], outcomes[part], noise[part])
                for part, size in zip(slices_of(sizes), sizes, strict=True)
            ]
            return tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))
        learnt = np.empty((len(outcomes), 2))
        learnt[:, 0], learnt[:, 1] = 1.0, outcomes
        known = self._learn(rows, sizes, learnt) if noise is None else rows[:, _WEIGHT : _ERRORS + 1].copy()
        rates = self._rates(known)
        base, odds = rates[0], np.empty(len(outcomes))
        if self.population is not None:
            chances = _chance(rates, outcomes, noise)
            odds = self._weigh(rows, sizes, chances[0] / chances[1])
            base = mixed_with_population(*rates, odds)
        constant, slope, information, errors = _likelihood(base, outcomes, noise)
        if noise is not None:
            rows[:, _WEIGHT] += information
            rows[:, _ERRORS] += errors
        return base, odds, constant, slope

    def _learn(self, rows: NDArray, sizes: list[int], learnt: NDArray) -> NDArray[np.float64]:
        """Add to weight and errors of the rows; return both before each judgement, shape (judgements, 2)."""
        before, held = np.empty(learnt.shape), rows[:, _WEIGHT : _ERRORS + 1]
        for part, size in zip(slices_of(sizes), sizes, strict=True):
            before[part] = held[:size]
            held[:size] += learnt[part]
        return before

    def _weigh(self, rows: NDArray, sizes: list[int], ratio: NDArray) -> NDArray[np.float64]:
        """Multiply the odds of the rows by ratios; return them before each judgement."""
        before, held = np.empty(len(ratio)), started(rows[:, _ODDS])
        for part, size in zip(slices_of(sizes), sizes, strict=True):
            before[part] = held[:size]
            held[:size] = np.minimum(np.maximum(held[:size] * ratio[part], ODDS_MIN), ODDS_MAX)
        rows[:, _ODDS] = held
        return before

    def _evidence(self, rows: NDArray) -> NDArray[np.float64]:
        return sum_of_columns(rows[:, _LEVELS])

    def _describe(self, rows: NDArray) -> dict[str, NDArray]:
        evidence = np.maximum(self._evidence(rows), np.finfo(float).tiny)
        after = sum_of_columns(rows[:, _LEVELS] * self._levels) / evidence
        changed_at = np.rint(sum_of_columns(rows[:, _MOMENTS]) / evidence)
        weight_after = np.minimum(rows[:, _JUDGEMENTS] - changed_at + 1, 0.9 * rows[:, _WEIGHT])
        weight_before = np.maximum(rows[:, _WEIGHT] - weight_after, 1.0)
        before = np.clip((rows[:, _ERRORS] - after * weight_after) / weight_before, 0.0, 1.0)
        return {
            "is_rise": after > before,
            "changed_at": changed_at,
            "before": before,
            "after": after,
            "detail": np.zeros(len(rows)),
        }


class OutcomeDrift(SingleDetector):
    """The detector of `OutcomeBank` for one stream, wherever River's detectors work.

    Parameters
    ----------
    false_alarms_per_million_judgements
        The promise, whatever the base rate.
    is_calibrated
        As in `OutcomeBank`.

    Examples
    --------
    >>> detector = OutcomeDrift()
    >>> for error in [0] * 300 + [1] * 5:
    ...     detector.update(error)
    ...     if detector.drift_detected:
    ...         print(detector.alarm.judgement, detector.alarm.is_rise)
    [303] [ True]
    """

    def __init__(self, false_alarms_per_million_judgements: float = 10.0, is_calibrated: bool = True) -> None:
        self.false_alarms_per_million_judgements = false_alarms_per_million_judgements
        self.is_calibrated = is_calibrated
        super().__init__(
            OutcomeBank(
                capacity=1,
                false_alarms_per_million_judgements=false_alarms_per_million_judgements,
                is_calibrated=is_calibrated,
            )
        )

    def update(self, x: float, noise: float = 0.0) -> None:
        """Feed one outcome in [0, 1] (1 is an error), turned round with probability `noise`."""
        self._take(self.bank.update_many([0], [x], [noise]))
