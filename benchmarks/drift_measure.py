"""What the drift benchmark measures: false-alarm rates, delays, tuning with hindsight, cost."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from benchmarks.drift_river import Many, RiverMany, first_alarms, largest_statistics
from benchmarks.drift_streams import CLASS_SHARES, Scenario
from operators.stats.drift.bank import DetectorBank
from operators.stats.drift.class_use import ClassUseBank
from operators.stats.drift.outcome import PRIOR_CORRECT, PRIOR_ERRORS, OutcomeBank
from operators.stats.drift.speed import SpeedBank

PROMISE_PER_MILLION = 10.0
EARLY = 200
COLLEAGUES = 400
VALUES_AT_ONCE = 20_000_000
BOUNDARIES_FIRST, BOUNDARY_EVERY = (10, 20, 40, 80, 160), 200


@dataclass
class Rate:
    """False alarms over judgements."""

    alarms: int = 0
    judgements: int = 0

    def __add__(self, other: "Rate") -> "Rate":
        return Rate(self.alarms + other.alarms, self.judgements + other.judgements)

    @property
    def per_100k(self) -> float:
        """Alarms per 100,000 judgements."""
        return self.alarms / max(self.judgements, 1) * 1e5

    @property
    def interval(self) -> tuple[float, float]:
        """Exact 95 % Poisson interval of the rate per 100,000."""
        low = chi2.ppf(0.025, 2 * self.alarms) / 2 if self.alarms else 0.0
        high = chi2.ppf(0.975, 2 * self.alarms + 2) / 2
        scale = 1e5 / max(self.judgements, 1)
        return float(low * scale), float(high * scale)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.per_100k:5.2f} [{low:.2f}, {high:.2f}] ({self.alarms}/{self.judgements:,})"


@dataclass
class Delay:
    """Delays of one detector on one scenario."""

    median: float
    missed: int
    dropped: int
    runs: int
    setting: str = ""

    def __str__(self) -> str:
        return f"{self.median:6.0f} (missed {self.missed}, dropped {self.dropped} of {self.runs})"


def our_bank(signal: str, annotators: int) -> DetectorBank:
    """Return our detector for a signal: the one setting."""
    if signal == "class":
        return ClassUseBank(
            capacity=annotators,
            classes=len(CLASS_SHARES),
            false_alarms_per_million_judgements=PROMISE_PER_MILLION,
        )
    kind = SpeedBank if signal == "speed" else OutcomeBank
    return kind(capacity=annotators, false_alarms_per_million_judgements=PROMISE_PER_MILLION)


def learn_population(bank: DetectorBank, step: int, seen: NDArray) -> None:
    """At a boundary of a chunk, let a bank learn from the counts of all: `seen` of shape (outcomes, annotators)."""
    if step not in BOUNDARIES_FIRST and (step < BOUNDARY_EVERY or step % BOUNDARY_EVERY):
        return
    if isinstance(bank, OutcomeBank):
        bank.learn_population(errors=seen[1], correct=seen[0])
    elif isinstance(bank, ClassUseBank):
        bank.learn_population(seen.T)


def count(seen: NDArray, row: NDArray) -> None:
    """Count one judgement of each annotator by outcome."""
    seen[row.astype(np.int64), np.arange(len(row))] += 1


def our_first_alarms(bank: DetectorBank, values: NDArray, colleagues: int = 0) -> tuple[NDArray, NDArray]:
    """Return the step of each stream's first alarm and the estimated step of change there (infinite without one).

    Parameters
    ----------
    colleagues
        So many of the first streams are of annotators who do not change, from whose counts the bank learns what the
        project's annotators have in common; they are left out of the result.
    """
    slots = np.arange(values.shape[1])
    found, changed = np.full(len(slots), np.inf), np.full(len(slots), np.inf)
    seen = np.zeros((len(CLASS_SHARES), colleagues), np.int64)
    for step, row in enumerate(values):
        if colleagues and not isinstance(bank, SpeedBank):
            learn_population(bank, step, seen)
            count(seen, row[:colleagues])
        alarms = bank.update_many(slots, row)
        new = alarms.slot[np.isinf(found[alarms.slot])]
        found[new] = step
        changed[new] = alarms.changed_at[np.isin(alarms.slot, new)] - 1
        if len(new) and not np.isinf(found[colleagues:]).any():
            break
    return found[colleagues:], changed[colleagues:]


def delay_of(first: NDArray, quiet: int, setting: str = "") -> Delay:
    """Summarise first alarms: earlier ones are dropped, missing ones are infinite."""
    kept = first[first >= quiet]
    median = float(np.median(kept - quiet + 1)) if len(kept) else float("inf")
    return Delay(median, int(np.isinf(kept).sum()), len(first) - len(kept), len(first), setting)


def stable_rates(
    bank: DetectorBank,
    draw_row: Callable[[int], NDArray],
    steps: int,
    groups: NDArray,
    *,
    learns: bool,
    others: int | None = None,
) -> list[tuple[Rate, Rate]]:
    """Return the false alarms in judgements 1–200 and after them of annotators whose law never changes.

    Parameters
    ----------
    groups
        Group of each annotator, numbered from 0; one pair of rates is returned for each.
    learns
        Whether the bank learns what the annotators have in common.
    others
        So many of the first annotators are learnt from; all if not given.
    """
    slots, alarms = np.arange(len(groups)), np.zeros((2, len(groups)), np.int64)
    seen = np.zeros((2, len(groups)), np.int64)
    for step in range(steps):
        row = draw_row(step)
        if learns:
            learn_population(bank, step, seen[:, :others])
            count(seen, row)
        alarms[int(step >= EARLY), bank.update_many(slots, row).slot] += 1
    sizes = np.bincount(groups)
    early, late = (np.bincount(groups, weights=part) for part in alarms)
    return [
        (Rate(int(first), int(size * EARLY)), Rate(int(then), int(size * (steps - EARLY))))
        for first, then, size in zip(early, late, sizes, strict=True)
    ]


def stable_errors(
    rates: NDArray, groups: NDArray, steps: int, seed: int, *, learns: bool, others: int | None = None
) -> list[tuple[Rate, Rate]]:
    """Return our false alarms at constant error rates, by group of annotators."""
    random = np.random.default_rng([seed, int(rates[0] * 1000)])
    bank = our_bank("error", len(rates))
    return stable_rates(
        bank, lambda _: (random.random(len(rates)) < rates) * 1.0, steps, groups, learns=learns, others=others
    )


def shuffled_rates(kind: str, sequences: list[NDArray], shuffles: int, seed: int, *, learns: bool) -> tuple[Rate, Rate]:
    """Return our false alarms on the real sequences of a project, each shuffled anew so that no drift exists.

    As many shuffles run side by side as memory allows; what annotators have in common is learnt from the first of them.
    """
    random = np.random.default_rng(seed)
    early, late, done = Rate(), Rate(), 0
    longest = max(len(sequence) for sequence in sequences)
    while done < shuffles:
        copies = min(shuffles - done, max(1, VALUES_AT_ONCE // (longest * len(sequences))))
        first, then = _shuffled(kind, sequences * copies, len(sequences) if learns else 0, random)
        early, late, done = early + first, late + then, done + copies
    return early, late


def _shuffled(kind: str, sequences: list[NDArray], learnt_from: int, random: np.random.Generator) -> tuple[Rate, Rate]:
    early, late = Rate(), Rate()
    lengths = np.array([len(sequence) for sequence in sequences])
    padded = np.ones((lengths.max(), len(sequences)))
    for column, sequence in enumerate(sequences):
        padded[: len(sequence), column] = random.permutation(sequence)
    bank, seen = our_bank(kind, len(sequences)), np.zeros((2, learnt_from), np.int64)
    for step, row in enumerate(padded):
        active = np.flatnonzero(lengths > step)
        if learnt_from:
            learn_population(bank, step, seen)
            counted = active[active < learnt_from]
            seen[row[counted].astype(np.int64), counted] += 1
        rate = early if step < EARLY else late
        rate.alarms += len(bank.update_many(active, row[active]))
        rate.judgements += len(active)
    return early, late


def rate_of_first(first: NDArray, steps: int) -> float:
    """Return first alarms per 100,000 judgements up to them."""
    return float(np.isfinite(first).sum() / np.minimum(first + 1, steps).sum() * 1e5)


def tune_limit(kind: type[Many], name: str, settings: dict, values: NDArray, target: float) -> dict:
    """Return `settings` with the least strict limit that keeps the rate on stable `values` at or below `target`."""
    largest = np.sort(largest_statistics(kind(values.shape[1], **settings), values))[::-1]
    allowed = int(target * values.size / 1e5)
    limit = float(largest[min(allowed, len(largest) - 1)])
    return settings | {name: -limit if name == "beta" else limit}


def tune_grid(kind: type[Many] | type[RiverMany], grid: Iterable[dict], values: NDArray, target: float) -> list[dict]:
    """Return the settings of the grid that keep the rate on stable `values` at or below `target`."""
    kept = []
    for settings in grid:
        first = first_alarms(kind(values.shape[1], **settings), values)
        if rate_of_first(first, len(values)) <= target:
            kept.append(settings)
    return kept


def best_delay(kind: type, candidates: list[dict], values: NDArray, quiet: int) -> Delay:
    """Return the shortest median delay over the candidates: the choice with hindsight."""
    best = Delay(float("inf"), values.shape[1], 0, values.shape[1], "none keeps the rate")
    for settings in candidates:
        found = delay_of(first_alarms(kind(values.shape[1], **settings), values), quiet, _text(settings))
        if found.median < best.median or best.setting == "none keeps the rate":
            best = found
    return best


def _text(settings: dict) -> str:
    return ", ".join(f"{name}={value:.4g}" for name, value in settings.items()) or "default"


def bound(scenario: Scenario) -> float:
    """Return log(ARL)/KL at the promised rate, in judgements."""
    return float(np.log(1e6 / PROMISE_PER_MILLION) / scenario.divergence)


def cost(signal: str, batch: int, annotators: int = 10_000, repeats: int = 100) -> float:
    """Return microseconds of processor time per judgement in batches of random annotators."""
    random = np.random.default_rng(5)
    bank = our_bank(signal, annotators)
    slots = [random.integers(0, annotators, batch) for _ in range(repeats)]
    draws = {
        "error": lambda: (random.random(batch) < 0.05) * 1.0,
        "class": lambda: random.integers(0, len(CLASS_SHARES), batch),
        "speed": lambda: np.exp(0.7 * random.standard_normal(batch)),
    }
    values = [draws[signal]() for _ in range(repeats)]
    times = []
    for _ in range(7):
        started = time.process_time()
        for slot, value in zip(slots, values, strict=True):
            bank.update_many(slot, value)
        times.append(time.process_time() - started)
    return float(np.median(times)) / repeats / batch * 1e6


def limit_delay(
    scenario: Scenario, stable: NDArray, values: NDArray, quiet: int, target: float, is_base_known: bool
) -> Delay:
    """Return the delay of the Shiryaev-Roberts sum that is told the error rate after the change.

    It is told the base rate as well or has our prior of it; its threshold keeps the target on stable streams. No
    detector that has to promise for every base rate can be expected to do much better than the one not told.
    """
    told = 1e9 if is_base_known else 0.0
    errors, correct = scenario.before * told + PRIOR_ERRORS, (1 - scenario.before) * told + PRIOR_CORRECT
    largest = np.sort(_told(scenario.after, errors, correct, stable).max(axis=0))[::-1]
    threshold = largest[min(int(target * stable.size / 1e5), len(largest) - 1)]
    exceeds = _told(scenario.after, errors, correct, values) > threshold
    first = np.where(exceeds.any(axis=0), exceeds.argmax(axis=0).astype(float), np.inf)
    return delay_of(first, quiet)


def _told(after: float, errors: float, correct: float, values: NDArray) -> NDArray[np.float32]:
    """Return the logarithm of the sum at each step of (steps, streams)."""
    evidence, logarithms = np.zeros(values.shape[1]), np.empty(values.shape, np.float32)
    for step, row in enumerate(values):
        base = errors / (errors + correct)
        evidence = (evidence + 1.0) * np.where(row > 0, after / base, (1 - after) / (1 - base))
        errors, correct = errors + row, correct + (1 - row)
        logarithms[step] = np.log(evidence)
    return logarithms
