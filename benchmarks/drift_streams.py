"""Simulated and real streams of judgements for the drift benchmark."""

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

CLASS_SHARES = (0.4, 0.3, 0.2, 0.1)
CLASS_SHARES_AFTER = (0.3, 0.225, 0.4, 0.075)
WATCHED_CLASS = 2
LOG_DURATION_SPREAD = 0.7
CROWD = Path(__file__).resolve().parents[2] / "shared" / "data" / "crowd"
CATEGORICAL = (
    "cf_amt", "cf_weather", "d_possent", "d_product", "duck_bluebird", "ms_genre", "rte", "s_adult", "s_rel", "sp_amt",
    "sp_polarity", "temp", "wsd", "zencrowd_in", "zencrowd_us",
)  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """A change of one signal.

    Parameters
    ----------
    name
        Title in the report.
    signal
        ``error`` (0/1), ``class`` (class numbers) or ``speed`` (durations).
    before, after
        Error rate, or share of the watched class, or median duration.
    gradual
        Judgements over which the change takes place.
    is_abrupt_error
        Whether the target of 1.3 times the bound applies.
    """

    name: str
    signal: str
    before: float
    after: float
    gradual: int = 0
    is_abrupt_error: bool = False

    @property
    def divergence(self) -> float:
        """Kullback-Leibler divergence of the law after the change from the one before, in nats a judgement."""
        if self.signal == "speed":
            return float(np.log(self.after / self.before) ** 2 / (2 * LOG_DURATION_SPREAD**2))
        after, before = self.after, self.before
        return float(after * np.log(after / before) + (1 - after) * np.log((1 - after) / (1 - before)))


SCENARIOS = (
    Scenario("error .05 → .20", "error", 0.05, 0.20, is_abrupt_error=True),
    Scenario("error .02 → .10", "error", 0.02, 0.10, is_abrupt_error=True),
    Scenario("error .10 → .25", "error", 0.10, 0.25, is_abrupt_error=True),
    Scenario("error .20 → .40", "error", 0.20, 0.40, is_abrupt_error=True),
    Scenario("error .05 → .20 over 200", "error", 0.05, 0.20, gradual=200),
    Scenario("one class of four: error .05 → .50", "error", 0.05, 0.1625),
    Scenario("class use .20 → .40", "class", 0.20, 0.40),
    Scenario("duration halves", "speed", 1.0, 0.5),
)


def draw(
    scenario: Scenario, annotators: int, quiet: int, after: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Return judgements of shape (quiet + after, annotators), of which the first `quiet` come before the change."""
    steps = quiet + after
    progress = np.clip((np.arange(steps) - quiet + 1) / max(scenario.gradual, 1), 0.0, 1.0)
    level = scenario.before + (scenario.after - scenario.before) * progress
    if scenario.signal == "error":
        return (random.random((steps, annotators)) < level[:, None]).astype(np.float64)
    if scenario.signal == "speed":
        noise = random.standard_normal((steps, annotators))
        return level[:, None] * np.exp(LOG_DURATION_SPREAD * noise)
    shares = np.where(progress[:, None] > 0, CLASS_SHARES_AFTER, CLASS_SHARES)
    drawn = random.random((steps, annotators))
    return (drawn[:, :, None] >= shares.cumsum(axis=1)[:, None, :-1]).sum(axis=2).astype(np.float64)


def draw_stable(
    scenario: Scenario, annotators: int, steps: int, strength: float, random: np.random.Generator
) -> NDArray[np.float64]:
    """Return judgements of shape (steps, annotators) of annotators who do not change.

    Parameters
    ----------
    strength
        Their error rates, or class shares, come from a Beta (Dirichlet) law of this strength about the scenario's; log
        durations from a normal law of variance 1/strength. 0: all have the scenario's own.
    """
    if not strength or not annotators:
        return draw(scenario, annotators, steps, 0, random)
    if scenario.signal == "error":
        rates = random.beta(strength * scenario.before, strength * (1 - scenario.before), annotators)
        return (random.random((steps, annotators)) < rates).astype(np.float64)
    if scenario.signal == "speed":
        centres = random.standard_normal(annotators) / np.sqrt(strength)
        return scenario.before * np.exp(centres + LOG_DURATION_SPREAD * random.standard_normal((steps, annotators)))
    bounds = random.dirichlet(strength * np.array(CLASS_SHARES), annotators).cumsum(axis=1)[:, :-1]
    return (random.random((steps, annotators))[:, :, None] >= bounds).sum(axis=2).astype(np.float64)


def as_river_input(scenario: Scenario, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a detector of a changed mean is given: log durations, or whether the watched class was answered."""
    if scenario.signal == "speed":
        return np.log(values)
    if scenario.signal == "class":
        return (values == WATCHED_CLASS).astype(np.float64)
    return values


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def real_errors() -> dict[str, list[NDArray[np.float64]]]:
    """Return each worker's errors against gold, by categorical data set; empty if they are not there."""
    found = {}
    for name in CATEGORICAL:
        if not (CROWD / name / "answers.csv").exists():
            continue
        gold = _gold(name)
        of_worker = defaultdict(list)
        for row in _rows(CROWD / name / "answers.csv"):
            if row["item"] in gold:
                of_worker[row["worker"]].append(float(row["label"] != gold[row["item"]]))
        found[name] = [np.array(errors) for errors in of_worker.values()]
    return found


def _gold(name: str) -> dict[str, str]:
    rows = _rows(CROWD / name / "gold.csv")
    label = next(column for column in rows[0] if column != "item")
    return {row["item"]: row[label] for row in rows}


def real_durations() -> dict[str, list[NDArray[np.float64]]]:
    """Return each worker's seconds per answer where the data sets hold them, by data set; empty if they do not."""
    found = {}
    for name in ("cf_amt", "sp_amt"):
        if not (CROWD / name / "answers.csv").exists():
            continue
        of_worker = defaultdict(list)
        for row in _rows(CROWD / name / "answers.csv"):
            if row["secs"] and float(row["secs"]) > 0:
                of_worker[row["worker"]].append(float(row["secs"]))
        found[name] = [np.array(seconds) for seconds in of_worker.values()]
    return found
