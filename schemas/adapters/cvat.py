"""CVAT: a job with its annotations, as its API gives them, and what it exports. Its webhooks hold no labels."""

from collections.abc import Iterable, Mapping
from typing import Any

from schemas.adapters import answers
from schemas.adapters.answers import Label, first_of, number_of
from schemas.adapters.common import (
    DEFAULTS,
    NO_HEADERS,
    AdapterError,
    AdapterSettings,
    Outcome,
    Refusal,
    RefusalReason,
    RefusedError,
)
from schemas.adapters.cvat_files import BOXES_QUESTION, SHAPES_QUESTION, TAGS_QUESTION, TOOL, from_coco, from_image
from schemas.adapters.emitting import Answer, Emitter, Submission, answers_to, digest
from schemas.adapters.reading import (
    identifier,
    identifier_in,
    member,
    object_in,
    object_of,
    objects_in,
    revision_of,
    text_of,
    time_of,
)
from schemas.errors import ErrorCode

FRAMES_MAX = 100_000
STEPS = {"annotation": "annotate", "validation": "review", "acceptance": "accept"}
"""The step of the workflow that each stage of a job is."""

Json = dict[str, Any]


def webhook_events(
    payload: object,
    *,
    received_at: str | None = None,
    settings: AdapterSettings = DEFAULTS,
    headers: Mapping[str, str] = NO_HEADERS,
) -> list[Outcome]:
    """Refuse, with the name of the event: a CVAT webhook tells that something changed, never what was labelled.

    Parameters
    ----------
    payload
        The body, parsed.
    received_at, settings, headers
        Not looked at.

    Raises
    ------
    AdapterError
        If it is no body of a CVAT webhook.
    """
    event = text_of(object_of(payload, "payload").get("event"), "event")
    if event == "ping":
        return [Refusal(RefusalReason.NO_LABEL, "ping: tells of no label")]
    detail = f"{event}: CVAT's webhooks hold no labels; convert the job with its annotations from the API"
    return [Refusal(RefusalReason.LABEL_ELSEWHERE, detail)]


def export_events(
    record: object, *, received_at: str | None = None, settings: AdapterSettings = DEFAULTS
) -> list[Outcome]:
    """Return the events of one job.

    Parameters
    ----------
    record
        What the API says of the job, put together: ``job`` (``/api/jobs/ID``), ``annotations``
        (``/api/jobs/ID/annotations``), ``labels`` (the results of ``/api/labels?job_id=ID``) and ``meta``
        (``/api/jobs/ID/data/meta``), which has the sizes of the frames; or an image of an XML export, as
        `schemas.adapters.cvat_xml` reads it; or COCO, which names neither annotator nor time: both are settings.
    received_at, settings
        As for the adapters of other tools.

    Raises
    ------
    AdapterError
        If it is no such document.
    """
    body = object_of(record, "record")
    try:
        if "head" in body:
            return from_image(body, received_at, settings)
        if "images" in body and "annotations" in body:
            return from_coco(body, received_at, settings)
        if "job" in body:
            return _Job(body, received_at, settings).outcomes()
    except RefusedError as error:
        return [error.refusal]
    if "items" in body and "categories" in body:
        detail = (
            "Datumaro's form names no annotator; convert the job from the API, or COCO with the setting annotator_id"
        )
        return [Refusal(RefusalReason.NO_ANNOTATOR, detail)]
    if "shapes" in body and "tags" in body:
        return [Refusal(RefusalReason.NO_ANNOTATOR, "annotations without their job; convert them together")]
    raise AdapterError(ErrorCode.MISSING_FIELD, "record.job: missing")


class _Job:
    """One job: an item for each frame that it covers."""

    def __init__(self, body: Json, received_at: str | None, settings: AdapterSettings) -> None:
        job = object_of(body["job"], "job")
        native = first_of(job, "project_id", "task_id")
        self._emitter = Emitter(
            TOOL, None if native is None else identifier(native, "job.project_id"), received_at, settings
        )
        self._job = job
        self._job_id = identifier_in(job, "id", "job")
        self._annotations = object_of(body.get("annotations"), "annotations")
        self._labels = _labels(first_of(body, "labels") or job.get("labels"))
        self._meta = object_in(body, "meta", "record")
        self._task_id = identifier_in(job, "task_id", "job")

    def outcomes(self) -> list[Outcome]:
        """Return the events of all frames."""
        is_gold = self._job.get("type") == "ground_truth"
        created = time_of(member(self._job, "created_date", "job"), "job.created_date")
        updated = time_of(member(self._job, "updated_date", "job"), "job.updated_date")
        annotator_id = "" if is_gold else self._annotator()
        stage = self._job.get("stage")
        step = STEPS.get(stage, self._emitter.settings.step) if type(stage) is str else self._emitter.settings.step
        outcomes = self._tracks()
        for frame, found in self._answers_by_frame().items():
            item_id = f"{self._task_id}:{frame}"
            if is_gold:
                outcomes += self._gold(item_id, found, updated)
                continue
            submission = Submission(
                annotation_id=digest("a", self._emitter.project_id, self._job_id, frame),
                item_id=item_id,
                annotator_id=annotator_id,
                at=updated,
                revision=revision_of(created, updated),
                step=step,
            )
            outcomes += self._emitter.submitted(submission, found)
        return outcomes or [Refusal(RefusalReason.NO_LABEL, f"job {self._job_id}: has no annotation")]

    def _annotator(self) -> str:
        assignee = self._job.get("assignee")
        if type(assignee) is dict:
            assignee = first_of(assignee, "id", "username")
        if assignee is None:
            assignee = self._emitter.settings.annotator_id
        if assignee is None:
            raise RefusedError(RefusalReason.NO_ANNOTATOR, f"job {self._job_id}: has no assignee")
        return identifier(assignee, "job.assignee")

    def _gold(self, item_id: str, found: Iterable[Answer], at: int) -> list[Outcome]:
        origin = f"ground_truth:{self._job_id}"
        return [
            answer
            if type(answer) is Refusal
            else self._emitter.gold(item_id, question_id, [(answer, 1.0)], at, origin=origin)
            for question_id, answer in found
        ]

    def _tracks(self) -> list[Outcome]:
        if not self._annotations.get("tracks"):
            return []
        detail = f"job {self._job_id}: no kind of label holds tracks, which run over frames"
        return [Refusal(RefusalReason.UNSUPPORTED_LABEL, detail)]

    def _answers_by_frame(self) -> dict[int, list[Answer]]:
        """Return the answers of each frame; a completed job's frames without boxes answer that there are none."""
        tags = self._by_frame("tags")
        shapes = self._by_frame("shapes")
        frames = sorted({*tags, *shapes, *self._empty_frames()})
        by_frame: dict[int, list[Answer]] = {}
        for frame in frames:
            found: list[Answer] = []
            drawn = shapes.get(frame, [])
            boxes = [shape for shape in drawn if shape.get("type") == "rectangle"]
            if boxes or (self._asks_for_boxes() and len(drawn) == len(boxes)):
                found += answers_to(BOXES_QUESTION, self._boxes, frame, boxes)
            if len(drawn) > len(boxes):
                others = [shape for shape in drawn if shape.get("type") != "rectangle"]
                found += answers_to(SHAPES_QUESTION, self._unsupported, others)
            if frame in tags:
                found += answers_to(TAGS_QUESTION, self._tags, tags[frame])
            by_frame[frame] = found
        return by_frame

    def _by_frame(self, name: str) -> dict[int, list[Json]]:
        by_frame: dict[int, list[Json]] = {}
        for part in objects_in(self._annotations, name, "annotations"):
            frame = part.get("frame")
            if type(frame) is not int or not 0 <= frame < 2**31:
                raise AdapterError(ErrorCode.INVALID_VALUE, f"annotations.{name}[].frame: no number of a frame")
            by_frame.setdefault(frame, []).append(part)
        return by_frame

    def _asks_for_boxes(self) -> bool:
        return any(kind == "rectangle" for _, kind in self._labels.values())

    def _empty_frames(self) -> range:
        first, last = self._job.get("start_frame"), self._job.get("stop_frame")
        is_completed = self._job.get("state") == "completed" and self._asks_for_boxes()
        if not is_completed or type(first) is not int or type(last) is not int:
            return range(0)
        return range(first, last + 1) if 0 <= first <= last < first + FRAMES_MAX else range(0)

    def _boxes(self, frame: int, shapes: list[Json]) -> Label:
        classes = [self._label_name(shape) for shape in shapes]
        if any(number_of(shape.get("rotation") or 0) % 360 for shape in shapes):
            raise RefusedError(RefusalReason.ROTATED_BOX, f"frame {frame}: a box is rotated", classes)
        image = self._size(frame) if shapes else (1.0, 1.0)
        return answers.boxes(_box(name, shape, image) for name, shape in zip(classes, shapes, strict=True))

    def _tags(self, tags: list[Json]) -> Label:
        return answers.multi_label(self._label_name(tag) for tag in tags)

    def _unsupported(self, shapes: list[Json]) -> Label:
        kinds = sorted({shape["type"] for shape in shapes if type(shape.get("type")) is str})
        classes = [self._label_name(shape) for shape in shapes]
        raise RefusedError(RefusalReason.UNSUPPORTED_LABEL, f"no kind of label holds {', '.join(kinds)}", classes)

    def _label_name(self, part: Json) -> str:
        label_id = identifier_in(part, "label_id", "annotations[]")
        return self._labels[label_id][0] if label_id in self._labels else label_id

    def _size(self, frame: int) -> tuple[float, float]:
        """Return the width and height of a frame; a video has one entry for all of them."""
        frames = objects_in(self._meta, "frames", "meta")
        first = self._meta.get("start_frame")
        index = 0 if len(frames) == 1 else frame - (first if type(first) is int else 0)
        if not 0 <= index < len(frames):
            raise RefusedError(RefusalReason.IMAGE_SIZE_UNKNOWN, f"frame {frame}: meta does not tell its size")
        return number_of(frames[index].get("width")), number_of(frames[index].get("height"))


def _box(name: str, shape: Json, image: tuple[float, float]) -> Label:
    points = shape.get("points")
    if type(points) is not list or len(points) != 4:
        raise RefusedError(RefusalReason.LABEL_INVALID, "a rectangle without two corners")
    left, top, right, bottom = (number_of(point) for point in points)
    return answers.box(name, (left, top), (right - left, bottom - top), image)


def _labels(value: object) -> dict[str, tuple[str, object]]:
    """Return the name and the kind of shape of each label, by its id; nothing where the API gave a link only."""
    if type(value) is dict and type(value.get("results")) is list:
        value = value["results"]
    if type(value) is not list:
        return {}
    labels = [object_of(part, "labels[]") for part in value]
    return {
        identifier_in(label, "id", "labels[]"): (identifier_in(label, "name", "labels[]"), label.get("type"))
        for label in labels
    }
