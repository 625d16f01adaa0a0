"""Files that CVAT exports: images of its XML, and COCO."""

from collections.abc import Iterable
from typing import Any

from schemas.adapters import answers
from schemas.adapters.answers import Label, first_of, number_of
from schemas.adapters.common import AdapterSettings, Outcome, Refusal, RefusalReason, RefusedError
from schemas.adapters.emitting import Answer, Emitter, Submission, answers_to, bounded_identifier, digest
from schemas.adapters.reading import (
    array_in,
    identifier,
    identifier_in,
    object_in,
    object_of,
    objects_in,
    revision_of,
    time_of,
)

TOOL = "cvat"
BOXES_QUESTION = "boxes"
TAGS_QUESTION = "tags"
SHAPES_QUESTION = "shapes"

Json = dict[str, Any]


def from_image(body: Json, received_at: str | None, settings: AdapterSettings) -> list[Outcome]:
    """Return the events of an image of an XML export: by the assignee, at the last change of the task or job."""
    if "tracks" in body:
        return [Refusal(RefusalReason.UNSUPPORTED_LABEL, "no kind of label holds tracks, which run over frames")]
    head, image = object_in(body, "head", "record"), object_of(body.get("image"), "image")
    tasks = object_in(head, "tasks", "meta")
    task_id = image.get("task_id")
    owner = object_of(tasks[task_id], "meta.task") if type(task_id) is str and task_id in tasks else head
    native = None if owner.get("id") is None else identifier_in(owner, "id", "meta")
    emitter = Emitter(TOOL, None if native is None else _project(head, native), received_at, settings)
    created, updated = owner.get("created"), owner.get("updated")
    updated_at = None if updated is None else time_of(updated, "meta.updated")
    at = emitter.time_or_default(updated_at)
    item_id = _item(image, native, head.get("kind") == "job")
    submission = Submission(
        annotation_id=digest("a", emitter.project_id, "xml", item_id),
        item_id=item_id,
        annotator_id=_annotator(owner.get("assignee"), settings),
        at=at,
        revision=0 if created is None or updated_at is None else revision_of(time_of(created, "meta.created"), at),
        step=settings.step,
    )
    return emitter.submitted(submission, _image_answers(image)) or [
        Refusal(RefusalReason.NO_LABEL, f"image {item_id}: has no annotation")
    ]


def _project(head: Json, native: str) -> str:
    return identifier_in(head, "id", "meta") if head.get("kind") == "project" and head.get("id") is not None else native


def _item(image: Json, owner: str | None, is_job: bool) -> str:
    """Return what a conversion of the job from the API calls the frame, as far as the file tells its task."""
    frame = first_of(image, "id", "name")
    if frame is None:
        raise RefusedError(RefusalReason.NO_ITEM, "image: has neither id nor name")
    prefix = "" if owner is None else f"job-{owner}:" if is_job else f"{owner}:"
    return bounded_identifier(prefix + identifier(frame, "image.id"), "image.id")


def _annotator(assignee: object, settings: AdapterSettings) -> str:
    annotator = settings.annotator_id if assignee is None else assignee
    if annotator is None:
        raise RefusedError(RefusalReason.NO_ANNOTATOR, "the file names no assignee; say who annotated")
    return bounded_identifier(annotator, "assignee")


def _image_answers(image: Json) -> list[Answer]:
    drawn = objects_in(image, "shapes", "image")
    boxes = [shape for shape in drawn if shape.get("type") == "box"]
    others = [shape for shape in drawn if shape.get("type") != "box"]
    found: list[Answer] = []
    if boxes:
        size = number_of(image.get("width") or 0), number_of(image.get("height") or 0)
        found += answers_to(BOXES_QUESTION, _boxes, boxes, size)
    if others:
        found += answers_to(SHAPES_QUESTION, _unsupported, others)
    tags = array_in(image, "tags", "image")
    return found + (answers_to(TAGS_QUESTION, answers.multi_label, tags) if tags else [])


def _boxes(shapes: list[Json], size: tuple[float, float]) -> Label:
    classes = [shape.get("label") for shape in shapes]
    if any(number_of(shape.get("rotation") or 0) % 360 for shape in shapes):
        raise RefusedError(RefusalReason.ROTATED_BOX, "a box is rotated", classes)
    return answers.boxes(_box(shape, size) for shape in shapes)


def _box(shape: Json, size: tuple[float, float]) -> Label:
    left, top, right, bottom = (number_of(shape.get(edge)) for edge in ("xtl", "ytl", "xbr", "ybr"))
    return answers.box(shape.get("label"), (left, top), (right - left, bottom - top), size)


def _unsupported(shapes: list[Json]) -> Label:
    kinds = sorted({shape["type"] for shape in shapes if type(shape.get("type")) is str})
    classes = [shape.get("label") for shape in shapes]
    raise RefusedError(RefusalReason.UNSUPPORTED_LABEL, f"no kind of label holds {', '.join(kinds)}", classes)


def from_coco(body: Json, received_at: str | None, settings: AdapterSettings) -> list[Outcome]:
    """Return the events of a COCO file: each image is an item, named as its file is.

    An image without boxes answers that there are none, as COCO lists all images that were annotated.
    """
    emitter = Emitter(TOOL, None, received_at, settings)
    if settings.annotator_id is None:
        return [Refusal(RefusalReason.NO_ANNOTATOR, "COCO names no annotator; say who annotated, or convert jobs")]
    at = emitter.time_or_default(None)
    names = {_id_of(category, "categories[]"): category.get("name") for category in objects_in(body, "categories", "")}
    drawn: dict[str, list[Json]] = {}
    for annotation in objects_in(body, "annotations", "record"):
        drawn.setdefault(identifier_in(annotation, "image_id", "annotations[]"), []).append(annotation)
    outcomes: list[Outcome] = []
    for image in objects_in(body, "images", "record"):
        item_id = bounded_identifier(first_of(image, "file_name", "id"), "images[].file_name")
        shapes = drawn.get(_id_of(image, "images[]"), [])
        submission = Submission(
            annotation_id=digest("a", emitter.project_id, "coco", item_id, settings.annotator_id),
            item_id=item_id,
            annotator_id=settings.annotator_id,
            at=at,
            step=settings.step,
        )
        outcomes += emitter.submitted(submission, answers_to(BOXES_QUESTION, _coco_boxes, image, shapes, names))
    return outcomes or [Refusal(RefusalReason.NO_LABEL, "COCO: has no image")]


def _id_of(part: Json, name: str) -> str:
    return identifier_in(part, "id", name)


def _coco_boxes(image: Json, shapes: Iterable[Json], names: dict[str, object]) -> Label:
    size = number_of(image.get("width") or 0), number_of(image.get("height") or 0)
    classes, boxes = [], []
    for shape in shapes:
        classes.append(names.get(identifier_in(shape, "category_id", "annotations[]")))
        attributes = shape.get("attributes")
        if type(attributes) is dict and number_of(attributes.get("rotation") or 0) % 360:
            raise RefusedError(RefusalReason.ROTATED_BOX, "a box is rotated", classes)
        place = array_in(shape, "bbox", "annotations[]")
        if shape.get("segmentation") or len(place) != 4:
            raise RefusedError(RefusalReason.UNSUPPORTED_LABEL, "no kind of label holds masks or polygons", classes)
        left, top, width, height = (number_of(edge) for edge in place)
        boxes.append(answers.box(classes[-1], (left, top), (width, height), size))
    return answers.boxes(boxes)
