"""The events of one simulated project, block by block."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flows.simulator.lines import QuestionLines, retracted_lines
from flows.simulator.records import NO_CELL, Kind, Records
from flows.simulator.settings import SimulationSettings
from flows.simulator.world import DURATION_QUANTILES, PROJECT_DRAWS, Annotator, Project, duration_factors, generator

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RETRACTED_IN_ADVANCE = 0.2
"""Share of retractions that come before their annotation."""
LATE_SPREAD = 0.5
"""Late labels are late by up to so much more than they must be."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """From places in the log to simulated time.

    Parameters
    ----------
    start_ms
        Time of the first record, milliseconds since the epoch.
    step_ms
        Time from one label to the next, milliseconds.
    block_labels
        Length of a block, in labels.
    """

    start_ms: int
    step_ms: float
    block_labels: int

    def moments_ms(self, positions: Floats) -> Integers:
        """Return when the records at `positions` arrive."""
        return self.start_ms + np.floor(positions * self.step_ms).astype(np.int64)


@dataclass(frozen=True, slots=True)
class _Annotations:
    """Annotations of a block, item by item; all arrays have shape (annotations,)."""

    numbers: Integers
    items: Integers
    annotators: Integers
    positions: Floats
    moments_ms: Integers
    is_late: NDArray[np.bool_]
    is_first: NDArray[np.bool_]


class _QuestionPart:
    """One question of a project: how its events are written, and how its truths and answers are drawn."""

    def __init__(self, project: Project, number: int, annotators: list[Annotator], *, teams: int) -> None:
        question = project.questions[number]
        self.lines = QuestionLines(project, number, [annotator.name for annotator in annotators], teams=teams)
        self.classes = len(question.classes)
        self.cumulative_shares = np.cumsum(question.shares)[:-1]
        matrices = [
            (annotator.before.confusion(question), annotator.after.confusion(question)) for annotator in annotators
        ]
        self.thresholds = np.cumsum(np.array(matrices), axis=-1)[..., :-1]
        """Cumulative P(answer | annotator, phase, true class), shape (annotators, 2, classes, classes − 1)."""


class ProjectStream:
    """Draws the events of a project: items, their labels, and what happens to these afterwards.

    Parameters
    ----------
    project, annotators
        The project, and its pool of annotators.
    settings
        The settings.
    timeline
        Where records lie in time.
    items_per_block
        Items that each block brings.
    first_annotator_cell, first_item_cell
        Where the project's counters begin: of labels by (question, annotator), of items by (question, class).
    """

    def __init__(
        self,
        project: Project,
        annotators: list[Annotator],
        settings: SimulationSettings,
        timeline: Timeline,
        *,
        items_per_block: int,
        first_annotator_cell: int,
        first_item_cell: int,
    ) -> None:
        self._project = project
        self._settings = settings
        self._timeline = timeline
        self._rng = generator(settings, PROJECT_DRAWS + project.number)
        self._items_per_block = items_per_block
        self._first_annotator_cell = first_annotator_cell
        self._first_item_cell = first_item_cell
        numbers = range(len(project.questions))
        self._questions = [_QuestionPart(project, number, annotators, teams=settings.teams) for number in numbers]
        self._durations_ms = np.array([annotator.duration_ms_median for annotator in annotators])
        self._drifts_ms = np.array([annotator.drift_ms for annotator in annotators])
        self._factors = duration_factors()
        self._next_item = 1

    def block(self, begin: float, *, may_be_late: bool) -> Iterator[Records]:
        """Yield the records that a block which begins at position `begin` brings; some lie behind its end."""
        annotations = self._annotations(begin, may_be_late=may_be_late)
        golds = self._rng.random((3, self._items_per_block))
        for number, question in enumerate(self._questions):
            truths = np.searchsorted(question.cumulative_shares, self._rng.random(self._items_per_block), side="right")
            yield from self._gold(question, truths, golds, annotations, begin)
            yield self._labels(number, truths, annotations)
            yield self._revisions(question, truths, annotations)
        yield from self._retractions(annotations, begin)
        self._next_item += self._items_per_block

    def _annotations(self, begin: float, *, may_be_late: bool) -> _Annotations:
        shape = (self._items_per_block, self._project.labels_per_item)
        size = shape[0] * shape[1]
        pool = self._chosen(shape)
        positions = begin + self._rng.random(shape) * self._timeline.block_labels
        is_late = self._rng.random(shape) < (self._settings.late_rate if may_be_late else 0.0)
        arrival_order = np.where(is_late, np.inf, positions)
        is_first = ~is_late & (np.arange(shape[1]) == arrival_order.argmin(axis=1)[:, np.newaxis])
        delays_ms = self._delays_ms(is_late)
        return _Annotations(
            numbers=(self._next_item - 1) * shape[1] + 1 + np.arange(size),
            items=np.repeat(np.arange(shape[0]), shape[1]),
            annotators=pool.ravel(),
            positions=positions.ravel(),
            moments_ms=(self._timeline.moments_ms(positions) - delays_ms).ravel(),
            is_late=is_late.ravel(),
            is_first=is_first.ravel(),
        )

    def _chosen(self, shape: tuple[int, int]) -> Integers:
        """Return places in the pool, no two of an item equal: who is there already passes on to the next one."""
        chosen = np.searchsorted(self._project.weights, self._rng.random(shape), side="right")
        for column in range(1, shape[1]):
            clash = (chosen[:, :column] == chosen[:, column, np.newaxis]).any(axis=1)
            while clash.any():
                chosen[clash, column] = (chosen[clash, column] + 1) % len(self._project.pool)
                clash = (chosen[:, :column] == chosen[:, column, np.newaxis]).any(axis=1)
        return chosen

    def _delays_ms(self, is_late: NDArray[np.bool_]) -> Integers:
        """Return how long labels take to arrive: mostly not long, as the fourth power of a uniform number is small."""
        uniform = self._rng.random(is_late.shape)
        square = uniform * uniform
        disorder_ms = self._settings.disorder_seconds * 1_000
        late_ms = self._settings.late_seconds * 1_000
        late = 2 * disorder_ms + late_ms * (1 + LATE_SPREAD * uniform)
        return np.where(is_late, np.ceil(late), np.floor(square * square * disorder_ms)).astype(np.int64)

    def _answers(
        self, question: _QuestionPart, annotators: Integers, truths: Integers, moments_ms: Integers
    ) -> Integers:
        has_drifted = (moments_ms >= self._drifts_ms[annotators]).astype(np.int64)
        thresholds = question.thresholds[annotators, has_drifted, truths]
        return (self._rng.random(len(truths))[:, np.newaxis] >= thresholds).sum(axis=1)

    def _submitted(
        self,
        question: _QuestionPart,
        revision: int,
        truths: Integers,
        of: _Annotations,
        places: Integers,
        moments_ms: Integers,
    ) -> list[bytes]:
        annotators, items = of.annotators[places], of.items[places]
        factors = self._factors[(self._rng.random(len(places)) * DURATION_QUANTILES).astype(np.int64)]
        return question.lines.submitted(
            revision=revision,
            annotations=of.numbers[places],
            moments_ms=moments_ms,
            items=self._next_item + items,
            annotators=annotators,
            answers=self._answers(question, annotators, truths[items], moments_ms),
            durations_ms=self._durations_ms[annotators] * factors // 1_000,
        )

    def _labels(self, number: int, truths: Integers, of: _Annotations) -> Records:
        question = self._questions[number]
        places = np.arange(len(of.numbers))
        payloads = self._submitted(question, 0, truths, of, places, of.moments_ms)
        annotator_cell = self._first_annotator_cell + number * len(self._project.pool) + of.annotators
        classes_before = sum(question.classes for question in self._questions[:number])
        item_cell = self._first_item_cell + classes_before + truths[of.items]
        return Records(
            of.positions,
            np.where(of.is_late, Kind.LATE, Kind.LABEL),
            np.where(of.is_late, NO_CELL, annotator_cell),
            np.where(of.is_first, item_cell, NO_CELL),
            payloads,
        )

    def _revisions(self, question: _QuestionPart, truths: Integers, of: _Annotations) -> Records:
        draws = self._rng.random(len(of.numbers))
        places = np.flatnonzero((draws < self._settings.revision_rate) & ~of.is_late)
        positions = self._afterwards(of.positions[places])
        payloads = self._submitted(question, 1, truths, of, places, self._timeline.moments_ms(positions))
        return Records.of(Kind.REVISION, positions, payloads)

    def _retractions(self, of: _Annotations, begin: float) -> Iterator[Records]:
        draws = self._rng.random(len(of.numbers))
        is_retracted = (draws < self._settings.retraction_rate) & ~of.is_late
        in_advance = draws < self._settings.retraction_rate * RETRACTED_IN_ADVANCE
        for kind, chosen in (
            (Kind.RETRACTION_BEFORE, is_retracted & in_advance),
            (Kind.RETRACTION_AFTER, is_retracted & ~in_advance),
        ):
            places = np.flatnonzero(chosen)
            if kind is Kind.RETRACTION_BEFORE:
                positions = self._beforehand(of.positions[places], begin)
            else:
                positions = self._afterwards(of.positions[places])
            lines = retracted_lines(self._project, of.numbers[places].tolist(), self._timeline.moments_ms(positions))
            yield Records.of(kind, positions, lines)

    def _gold(
        self,
        question: _QuestionPart,
        truths: Integers,
        golds: Floats,
        of: _Annotations,
        begin: float,
    ) -> Iterator[Records]:
        """Yield the known answers; `golds` are draws of whether, when and how right, shape (3, items)."""
        settings, classes = self._settings, question.classes
        positions = of.positions.reshape(self._items_per_block, -1)
        is_gold, is_after = golds[0] < settings.gold_rate, golds[1] < settings.gold_after_share
        is_wrong = golds[2] < settings.gold_corrected_share
        before, after = np.flatnonzero(is_gold & ~is_after), np.flatnonzero(is_gold & is_after)
        places = np.concatenate([before, after])
        first = np.concatenate(
            [
                self._beforehand(positions[before].min(axis=1), begin),
                self._afterwards(positions[after].max(axis=1)),
            ]
        )
        kinds = np.repeat([Kind.GOLD_BEFORE, Kind.GOLD_AFTER], [len(before), len(after)])
        answers = (truths[places] + is_wrong[places]) % classes
        yield Records.of(kinds, first, self._gold_lines(question, 0, places, answers, first))
        corrected = np.flatnonzero(is_wrong[places])
        again = self._afterwards(first[corrected] + self._timeline.block_labels / 2 + 2 / self._timeline.step_ms)
        answers, places = truths[places[corrected]], places[corrected]
        yield Records.of(Kind.GOLD_CORRECTION, again, self._gold_lines(question, 1, places, answers, again))

    def _gold_lines(
        self, question: _QuestionPart, edition: int, items: Integers, answers: Integers, positions: Floats
    ) -> list[bytes]:
        moments_ms = self._timeline.moments_ms(positions)
        return question.lines.gold(
            edition=edition, items=self._next_item + items, moments_ms=moments_ms, answers=answers
        )

    def _beforehand(self, positions: Floats, begin: float) -> Floats:
        return begin + self._rng.random(len(positions)) * (positions - begin)

    def _afterwards(self, positions: Floats) -> Floats:
        """Return positions behind these, by a block at most."""
        return positions + 1 + self._rng.random(len(positions)) * self._timeline.block_labels
