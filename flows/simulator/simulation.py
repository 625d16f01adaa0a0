"""A simulation: the stream of a simulated world with its faults, and the truth about it."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from flows.simulator.bad_records import BAD_CODES, bad_record
from flows.simulator.project_stream import ProjectStream, Timeline
from flows.simulator.records import Kind, Records
from flows.simulator.settings import SimulationSettings
from flows.simulator.truth import Tally, truth_of
from flows.simulator.world import FAULT_DRAWS, Project, World, build_world, generator
from schemas.errors import ErrorCode

BLOCK_LABELS = 4_096
"""Labels drawn at a time. What follows from one comes within two blocks, so memory does not grow with the stream."""
BLOCKS = 16
"""A short stream has at least so many blocks, so that its items are labelled in time."""
PROJECT_BLOCK_LABELS = 64
"""Labels a block has at least for each project."""
NEVER_REPEATED = (Kind.LATE,)
"""Whoever refuses a late record need not remember it, so would refuse it again rather than know it."""


def simulate(settings: SimulationSettings) -> Iterator[bytes]:
    """Return the records of a simulated log, each a JSON line without its end, in the order of the log."""
    return Simulation(settings).records()


def truth(settings: SimulationSettings) -> dict[str, Any]:
    """Return what is true about a simulated stream, by drawing all of it; see `Simulation.truth`."""
    simulation = Simulation(settings)
    for _ in simulation.records():
        pass
    return simulation.truth


class Simulation:
    """A simulated world and its stream.

    The stream is drawn in blocks. The labels of an item fall into one block, at random places; what follows from a
    label (a revision, a retraction, a known answer, a repetition) falls into the same block or a later one. Time
    advances evenly along the log; labels are stamped up to ``disorder_seconds`` before they arrive, all else when it
    arrives.

    Parameters
    ----------
    settings
        What the stream is like.

    Examples
    --------
    >>> simulation = Simulation(SimulationSettings(events=1000, seed=7))
    >>> len(list(simulation.records()))
    1000
    >>> simulation.truth["injected"]["late"]
    0
    """

    def __init__(self, settings: SimulationSettings) -> None:
        self._settings = settings
        self._world = build_world(settings)
        self._bad_codes = (*BAD_CODES, ErrorCode.OVERSIZED) if settings.oversized_bytes else BAD_CODES
        self._tally: Tally | None = None

    @property
    def settings(self) -> SimulationSettings:
        """The settings."""
        return self._settings

    @property
    def truth(self) -> dict[str, Any]:
        """What is true about the stream as one document for JSON, once the stream has been read to its end.

        Counts are exact. Rates are what labels were drawn with: the matrix in force at a label's ``occurred_at``.
        """
        assert self._tally is not None, "read the records to their end first"
        return truth_of(self._settings, self._world, self._tally, self._bad_codes)

    def records(self) -> Iterator[bytes]:
        """Yield the records; each call draws the same ones anew."""
        plan = _Plan(self._settings, self._world)
        tally = Tally(self._world, kinds=Kind.FIRST_BAD + len(self._bad_codes))
        rng = generator(self._settings, FAULT_DRAWS)
        pending: list[Records] = []
        begin = serial = 0
        while tally.records < self._settings.events:
            # Nothing is late before the projects' clocks run: the first block has no late labels.
            good = Records.joined(
                part for stream in plan.streams for part in stream.block(begin, may_be_late=begin > 0)
            )
            bad = self._bad(good, rng, plan, begin, serial)
            repeated = self._repeated(good, rng, plan.timeline)
            serial += len(bad.payloads)
            begin += plan.timeline.block_labels
            ready, later = Records.joined([*pending, good, repeated, bad]).split(begin)
            pending = [later]
            ready = ready.first(self._settings.events - tally.records)
            tally.add(ready)
            yield from ready.payloads
        self._tally = tally

    def _repeated(self, good: Records, rng: np.random.Generator, timeline: Timeline) -> Records:
        """Return some of the records again, later."""
        draws = rng.random(len(good.payloads))
        places = np.flatnonzero((draws < self._settings.duplicate_rate) & ~np.isin(good.kinds, NEVER_REPEATED))
        positions = good.positions[places] + 1 + rng.random(len(places)) * timeline.block_labels
        return Records.of(Kind.DUPLICATE, positions, [good.payloads[place] for place in places.tolist()])

    def _bad(self, good: Records, rng: np.random.Generator, plan: "_Plan", begin: int, serial: int) -> Records:
        """Return bad records, the reason codes taking turns, each made from a submission of the block."""
        rate = self._settings.bad_rate
        count = int((rng.random(plan.block_good_records) < rate / (1 - rate)).sum())
        submitted = np.flatnonzero(np.isin(good.kinds, (Kind.LABEL, Kind.LATE)))
        models = submitted[(rng.random(count) * len(submitted)).astype(np.int64)].tolist()
        turns = [(serial + number) % len(self._bad_codes) for number in range(count)]
        payloads = [
            bad_record(
                self._bad_codes[turn],
                good.payloads[model],
                serial=serial + number,
                oversized_bytes=self._settings.oversized_bytes,
            )
            for number, (turn, model) in enumerate(zip(turns, models, strict=True))
        ]
        positions = begin + rng.random(count) * plan.timeline.block_labels
        return Records.of(np.array(turns, dtype=np.int64) + Kind.FIRST_BAD, positions, payloads)


class _Plan:
    """How much of what a block holds, and the stream of each project."""

    def __init__(self, settings: SimulationSettings, world: World) -> None:
        target = min(BLOCK_LABELS, settings.events // BLOCKS)
        target = max(target, PROJECT_BLOCK_LABELS * len(world.projects))
        items = [_items_of(project, target) for project in world.projects]
        labels = sum(count * _labels_of_item(project) for count, project in zip(items, world.projects, strict=True))
        expected = sum(
            count * _records_of_item(project, settings) for count, project in zip(items, world.projects, strict=True)
        )
        self.block_good_records = round(expected)
        records = expected / (1 - settings.bad_rate)
        step_ms = 1_000 / settings.events_per_second * records / labels
        self.timeline = Timeline(world.start_ms, step_ms, labels)
        cells = Tally.first_cells(world)
        self.streams = [
            ProjectStream(
                project,
                [world.annotators[number] for number in project.pool.tolist()],
                settings,
                self.timeline,
                items_per_block=count,
                first_annotator_cell=annotator_cell,
                first_item_cell=item_cell,
            )
            for project, count, (annotator_cell, item_cell) in zip(world.projects, items, cells, strict=True)
        ]


def _labels_of_item(project: Project) -> int:
    return project.labels_per_item * len(project.questions)


def _items_of(project: Project, block_labels: int) -> int:
    return max(1, math.floor(block_labels * project.share / _labels_of_item(project) + 0.5))


def _records_of_item(project: Project, settings: SimulationSettings) -> float:
    """Return how many good records an item of the project brings on average."""
    labels = _labels_of_item(project) * (1 + settings.revision_rate)
    golds = settings.gold_rate * (1 + settings.gold_corrected_share) * len(project.questions)
    retractions = project.labels_per_item * settings.retraction_rate
    return (labels + golds + retractions) * (1 + settings.duplicate_rate)
