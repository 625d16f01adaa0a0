"""What is true about a simulated stream: its world, and exact counts of what was put into it."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.simulator.records import Kind, Records
from flows.simulator.settings import SimulationSettings
from flows.simulator.world import Annotator, Project, Question, World, drift_moment
from schemas.errors import ErrorCode


class Tally:
    """Counts of the records that were handed out, by kind, by annotator and by true class."""

    def __init__(self, world: World, *, kinds: int) -> None:
        self.records = 0
        self.kinds = np.zeros(kinds, dtype=np.int64)
        self.labels = np.zeros(sum(_annotator_cells(project) for project in world.projects), dtype=np.int64)
        self.items = np.zeros(sum(_item_cells(project) for project in world.projects), dtype=np.int64)

    def add(self, records: Records) -> None:
        """Count records."""
        self.records += len(records.payloads)
        self.kinds += np.bincount(records.kinds, minlength=len(self.kinds))
        self.labels += _counts(records.annotator_cells, len(self.labels))
        self.items += _counts(records.item_cells, len(self.items))

    @staticmethod
    def first_cells(world: World) -> Iterator[tuple[int, int]]:
        """Yield, for each project, where its counters of labels and of items begin."""
        label_cell = item_cell = 0
        for project in world.projects:
            yield label_cell, item_cell
            label_cell += _annotator_cells(project)
            item_cell += _item_cells(project)


def _annotator_cells(project: Project) -> int:
    return len(project.pool) * len(project.questions)


def _item_cells(project: Project) -> int:
    return sum(len(question.classes) for question in project.questions)


def _counts(cells: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    return np.bincount(cells[cells >= 0], minlength=length)


def truth_of(
    settings: SimulationSettings, world: World, tally: Tally, bad_codes: Sequence[ErrorCode]
) -> dict[str, Any]:
    """Return the truth as one document for JSON.

    Parameters
    ----------
    settings, world
        What was simulated.
    tally
        What was counted over the whole stream.
    bad_codes
        Reason codes of bad records, in the order of their kinds.
    """
    count = {kind: int(tally.kinds[kind]) for kind in Kind if kind is not Kind.FIRST_BAD}
    bad = tally.kinds[Kind.FIRST_BAD :].tolist()
    return {
        "settings": settings.model_dump(mode="json"),
        "records": tally.records,
        "labels": count[Kind.LABEL],
        "injected": {
            "duplicates": count[Kind.DUPLICATE],
            "late": count[Kind.LATE],
            "revisions": count[Kind.REVISION],
            "retractions": count[Kind.RETRACTION_AFTER] + count[Kind.RETRACTION_BEFORE],
            "retractions_before_annotation": count[Kind.RETRACTION_BEFORE],
            "bad": {code.value: number for code, number in zip(bad_codes, bad, strict=True)},
        },
        "gold": {
            "before_labels": count[Kind.GOLD_BEFORE],
            "after_labels": count[Kind.GOLD_AFTER],
            "corrections": count[Kind.GOLD_CORRECTION],
        },
        "projects": [
            _project_truth(project, tally.items[item_cell : item_cell + _item_cells(project)].tolist())
            for project, (_, item_cell) in zip(world.projects, Tally.first_cells(world), strict=True)
        ],
        "annotators": [_annotator_truth(world, tally, number) for number in range(len(world.annotators))],
    }


def _project_truth(project: Project, items: list[int]) -> dict[str, Any]:
    questions = []
    for question in project.questions:
        counts, items = items[: len(question.classes)], items[len(question.classes) :]
        questions.append(
            {
                "question_id": question.name,
                "classes": list(question.classes),
                "class_shares": list(question.shares),
                "labelled_items": dict(zip(question.classes, counts, strict=True)),
            }
        )
    return {
        "project_id": project.name,
        "labels_per_item": project.labels_per_item,
        "annotators": len(project.pool),
        "questions": questions,
    }


def _annotator_truth(world: World, tally: Tally, number: int) -> dict[str, Any]:
    annotator = world.annotators[number]
    moment = drift_moment(annotator)
    return {
        "annotator_id": annotator.name,
        "profile": annotator.profile,
        "duration_ms_median": annotator.duration_ms_median,
        "drift_at": None if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "drift_direction": annotator.direction,
        "questions": list(_answering(world, tally, number)),
    }


def _answering(world: World, tally: Tally, number: int) -> Iterator[dict[str, Any]]:
    """Yield how an annotator answers each question of the projects they work in."""
    annotator = world.annotators[number]
    for project, (first_cell, _) in zip(world.projects, Tally.first_cells(world), strict=True):
        place = int(np.searchsorted(project.pool, number))
        if place == len(project.pool) or project.pool[place] != number:
            continue
        for question_number, question in enumerate(project.questions):
            cell = first_cell + question_number * len(project.pool) + place
            yield {
                "project_id": project.name,
                "question_id": question.name,
                "labels": int(tally.labels[cell]),
                **_rates(annotator, question),
            }


def _rates(annotator: Annotator, question: Question) -> dict[str, Any]:
    rates: dict[str, Any] = {}
    for phase, behaviour in (("before", annotator.before), ("after", annotator.after)):
        confusion = behaviour.confusion(question)
        rates[f"accuracy_{phase}"] = float((np.array(question.shares) * np.diag(confusion)).sum())
        rates[f"confusion_{phase}"] = confusion.tolist()
    return rates
