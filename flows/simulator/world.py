"""The simulated world: projects, their questions, and how well their annotators answer, before and after drift.

Everything random is drawn as uniform doubles, and what needs a logarithm or an exponential is rounded to integers, so
that the world is the same on every machine.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from flows.simulator.settings import SimulationSettings
from schemas.timestamps import microseconds, moment_of

NEVER_MS = 2**62
"""Time of a drift that does not happen."""
DURATION_SIGMA = 0.5
DURATION_QUANTILES = 1_024
DRIFT_FROM, DRIFT_TO = 0.35, 0.55
"""Part of the stream, in time, over which the drifts are spread."""
HIGH_ACCURACY, LOW_ACCURACY = 0.95, 0.65
"""Accuracies on the two sides of a drift."""
DRIFT_BIAS = 0.4
PROFILE_BIAS = 0.25
SHARED_SHARE = 0.1
"""Share of annotators who work in a second project as well."""
MILLISECONDS_PER_SECOND = 1_000
WORLD_DRAWS, FAULT_DRAWS, PROJECT_DRAWS = 1, 2, 3
"""Purposes of random draws; each project has its own, from `PROJECT_DRAWS` on."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a project: its classes, and the share of items that each is true of."""

    name: str
    classes: tuple[str, ...]
    shares: tuple[float, ...]


CATALOGUE: tuple[tuple[str, tuple[Question, ...]], ...] = (
    ("sentiment", (Question("label", ("Positive", "Neutral", "Negative"), (0.45, 0.35, 0.2)),)),
    ("toxicity", (Question("toxic", ("Acceptable", "Toxic"), (0.7, 0.3)),)),
    (
        "intent",
        (
            Question(
                "intent",
                ("Order status", "Refund", "Cancel order", "Change address", "Other"),
                (0.3, 0.25, 0.2, 0.15, 0.1),
            ),
            Question("urgency", ("Low", "Normal", "High"), (0.25, 0.5, 0.25)),
        ),
    ),
    ("topic", (Question("topic", ("Politics", "Business", "Sport", "Culture"), (0.3, 0.3, 0.2, 0.2)),)),
    ("entailment", (Question("relation", ("Entailment", "Neutral", "Contradiction"), (0.4, 0.3, 0.3)),)),
    ("summary-preference", (Question("better", ("First", "Second"), (0.5, 0.5)),)),
)
"""Projects by name; more of them repeat these under a number."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How somebody answers.

    Parameters
    ----------
    accuracy
        Probability of the true class where no habit interferes, 0 to 1.
    habit
        Share of answers given without looking, 0 to 1.
    favourite
        Number of the class that these answers name (modulo the classes of the question, counted from the rarest);
        None: any class, evenly.
    """

    accuracy: float
    habit: float = 0.0
    favourite: int | None = None

    def confusion(self, question: Question) -> NDArray[np.float64]:
        """Return P(answer | true class), shape (classes, classes), rows summing to 1.

        Mistakes fall on neighbouring classes three times as often as on others.
        """
        count = len(question.classes)
        distance = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
        weight = np.where(distance == 0, 0.0, np.where(distance == 1, 3.0, 1.0))
        looked = (1 - self.accuracy) * weight / weight.sum(axis=1, keepdims=True) + self.accuracy * np.eye(count)
        unlooked = np.full(count, 1 / count)
        if self.favourite is not None:
            unlooked = np.eye(count)[count - 1 - self.favourite % count]
        return (1 - self.habit) * looked + self.habit * unlooked


@dataclass(frozen=True, slots=True)
class Annotator:
    """An annotator: who, how fast, and how well before and after `drift_ms` (milliseconds since the epoch)."""

    name: str
    profile: str
    duration_ms_median: int
    before: Behaviour
    after: Behaviour
    drift_ms: int = NEVER_MS
    direction: str | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """A project, its questions, who works on it, and its share of all labels.

    Parameters
    ----------
    number
        Number of the project, from 0.
    pool
        Numbers of the annotators, ascending.
    weights
        Cumulative share of the work that each of the pool does, shape (pool,).
    """

    number: int
    name: str
    questions: tuple[Question, ...]
    share: float
    pool: NDArray[np.int64]
    weights: NDArray[np.float64]
    labels_per_item: int


@dataclass(frozen=True, slots=True)
class World:
    """All projects and annotators, and the stretch of simulated time that they are observed for."""

    projects: tuple[Project, ...]
    annotators: tuple[Annotator, ...]
    start_ms: int


def build_world(settings: SimulationSettings) -> World:
    """Return the world that `settings` describe."""
    rng = generator(settings, WORLD_DRAWS)
    start_ms = microseconds(settings.start) // 1_000
    homes = _homes(settings, rng)
    annotators = _annotators(settings, rng, _by_turns(homes), start_ms)
    return World(_projects(settings, homes, annotators), annotators, start_ms)


def generator(settings: SimulationSettings, purpose: int) -> np.random.Generator:
    """Return the source of all that is random for a purpose: one of the numbers named ``…_DRAWS``."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([settings.seed, purpose])))


def drift_moment(annotator: Annotator) -> datetime | None:
    """Return when an annotator changes, None if never."""
    return None if annotator.drift_ms == NEVER_MS else moment_of(annotator.drift_ms * 1_000)


def duration_factors() -> NDArray[np.int64]:
    """Return quantiles of a log-normal distribution of median 1, in thousandths, shape (DURATION_QUANTILES,)."""
    normal = NormalDist(0, DURATION_SIGMA)
    levels = ((index + 0.5) / DURATION_QUANTILES for index in range(DURATION_QUANTILES))
    return np.array([round(1_000 * math.exp(normal.inv_cdf(level))) for level in levels], dtype=np.int64)


def _homes(settings: SimulationSettings, rng: np.random.Generator) -> list[list[int]]:
    """Return the annotators of each project, as many as its annotations need, everybody in one."""
    work = [_share(number) / len(_template(number)[1]) for number in range(settings.projects)]
    ends = np.round(np.cumsum(work) / math.fsum(work) * settings.annotators).astype(np.int64).tolist()
    shuffled = np.argsort(rng.random(settings.annotators), kind="stable").tolist()
    return [shuffled[begin:end] for begin, end in zip([0, *ends[:-1]], ends, strict=True)]


def _share(project: int) -> float:
    """Return how many labels a project gets, relative to the first."""
    return 1 / (project + 1)


def _template(project: int) -> tuple[str, tuple[Question, ...]]:
    return CATALOGUE[project % len(CATALOGUE)]


def _by_turns(homes: list[list[int]]) -> list[int]:
    """Return all annotators, one of each project in turn for as long as it has some."""
    return [number for turn in zip_longest(*homes) for number in turn if number is not None]


def _annotators(
    settings: SimulationSettings, rng: np.random.Generator, ranked: list[int], start_ms: int
) -> tuple[Annotator, ...]:
    """Return the annotators by number, with roles handed out in the order of `ranked`."""
    count = settings.annotators
    drifting = max(1, round(count * settings.drift_share)) if settings.drift_share else 0
    roles = ["drifting"] * drifting
    for profile, share in (("spammer", 1 / 30), ("biased", 0.1), ("average", 0.3)):
        roles += [profile] * round(count * share)
    roles = (roles + ["good"] * count)[:count]
    found: dict[int, Annotator] = {}
    for rank, number in enumerate(ranked):
        name, noise, speed = f"ann-{number + 1:03d}", rng.random(), rng.random()
        if roles[rank] == "drifting":
            drift_ms = start_ms + _drift_after_ms(settings, rank, drifting)
            found[number] = _drifting(name, rank, speed=speed, drift_ms=drift_ms)
        else:
            found[number] = _steady(name, roles[rank], rank, noise=noise, speed=speed)
    return tuple(found[number] for number in range(count))


def _drift_after_ms(settings: SimulationSettings, rank: int, drifting: int) -> int:
    span_seconds = settings.events / settings.events_per_second
    part = DRIFT_FROM + (DRIFT_TO - DRIFT_FROM) * (rank + 0.5) / drifting
    return int(span_seconds * part * MILLISECONDS_PER_SECOND)


def _drifting(name: str, rank: int, *, speed: float, drift_ms: int) -> Annotator:
    """Return an annotator who changes: of four, one gets better, and one starts to favour the rarest class."""
    high, low = Behaviour(HIGH_ACCURACY), Behaviour(LOW_ACCURACY)
    duration_ms_median = 2_500 + int(speed * 1_500)
    if rank % 4 == 1:
        return Annotator(name, "learner", duration_ms_median, low, high, drift_ms, "better")
    worse = Behaviour(HIGH_ACCURACY, DRIFT_BIAS, favourite=0) if rank % 4 == 3 else low
    return Annotator(name, "good", duration_ms_median, high, worse, drift_ms, "worse")


def _steady(name: str, profile: str, rank: int, *, noise: float, speed: float) -> Annotator:
    duration_ms_median = 2_500 + int(speed * 5_500)
    if profile == "spammer":
        behaviour = Behaviour(0.5, habit=1.0, favourite=None if rank % 2 else 1)
        duration_ms_median = 1_200 + int(speed * 600)
    elif profile == "biased":
        behaviour = Behaviour(0.92 + 0.04 * noise, habit=PROFILE_BIAS, favourite=rank)
    else:
        behaviour = Behaviour((0.78 if profile == "average" else 0.91) + 0.06 * noise)
    return Annotator(name, profile, duration_ms_median, behaviour, behaviour)


def _projects(
    settings: SimulationSettings, homes: list[list[int]], annotators: tuple[Annotator, ...]
) -> tuple[Project, ...]:
    pools = _pools(settings, homes, annotators)
    memberships = np.bincount(np.concatenate(pools), minlength=len(annotators))
    speeds = np.array([1 / annotator.duration_ms_median for annotator in annotators]) / np.maximum(memberships, 1)
    total = math.fsum(map(_share, range(settings.projects)))
    projects = []
    for number, pool in enumerate(pools):
        name, questions = _template(number)
        cumulative = np.cumsum(speeds[pool])
        projects.append(
            Project(
                number=number,
                name=name if number < len(CATALOGUE) else f"{name}-{number // len(CATALOGUE) + 1}",
                questions=questions,
                share=_share(number) / total,
                pool=pool,
                weights=cumulative / cumulative[-1],
                labels_per_item=min(settings.labels_per_item, len(pool)),
            )
        )
    return tuple(projects)


def _pools(
    settings: SimulationSettings, homes: list[list[int]], annotators: tuple[Annotator, ...]
) -> list[NDArray[np.int64]]:
    """Return who works on each project: those at home there, a few guests, and more if an item needs them.

    Guests are people who do not drift, so that drifting people give enough labels in one place for it to be seen.
    """
    ranked = _by_turns(homes)
    steady = [number for number in reversed(ranked) if annotators[number].direction is None]
    guests = steady[: round(SHARED_SHARE * len(annotators))]
    pools = []
    for project, home in enumerate(homes):
        members = dict.fromkeys([*home, *guests[project :: len(homes)]])
        for number in ranked:
            if len(members) >= settings.labels_per_item:
                break
            members.setdefault(number)
        pools.append(np.array(sorted(members), dtype=np.int64))
    return pools
