"""Labelbox: data rows of its exports (version 1, version 2 and the streamed one), and its label webhooks.

The webhooks are read as the vendor documents them; none was seen from the running service.
"""

import json
from collections.abc import Mapping
from typing import Any

from schemas.adapters import answers
from schemas.adapters.answers import Label, first_of, number_of, whole_number_of
from schemas.adapters.common import (
    DEFAULTS,
    NO_HEADERS,
    AdapterError,
    AdapterSettings,
    Outcome,
    Question,
    Refusal,
    RefusalReason,
    RefusedError,
)
from schemas.adapters.emitting import Answer, Emitter, Submission, answers_to, bounded_identifier
from schemas.adapters.reading import (
    array_in,
    duration_ms_of,
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

TOOL = "labelbox"
BOXES_QUESTION = "bounding_boxes"
SPANS_QUESTION = "entities"
OBJECTS_QUESTION = "objects"
SKIPPED_QUESTION = "label"
"""The question of a skip: a skipped label shows none."""
EVENT_HEADER = "x-labelbox-event"
LABEL_CHARACTERS_MAX = 5_000_000
DECISIONS = {"approve": "accept", "approved": "accept", "reject": "reject", "rejected": "reject"}

_FRAMES = frozenset({"frames", "segments"})

Json = dict[str, Any]


def webhook_events(
    payload: object,
    *,
    received_at: str | None = None,
    settings: AdapterSettings = DEFAULTS,
    headers: Mapping[str, str] = NO_HEADERS,
) -> list[Outcome]:
    """Return the events of a webhook's body.

    Parameters
    ----------
    payload
        The body, parsed.
    received_at
        RFC 3339, when it came.
    settings
        What people set.
    headers
        Those of the request: ``X-Labelbox-Event`` tells a deletion.

    Raises
    ------
    AdapterError
        If it is no body of a Labelbox webhook.
    """
    body = object_of(payload, "payload")
    event = next((value for name, value in headers.items() if name.lower() == EVENT_HEADER), "")
    if "label" not in body and event.upper() != "LABEL_DELETED":
        if "project" not in body and "id" not in body:
            raise AdapterError(ErrorCode.MISSING_FIELD, "payload.label: missing")
        return [Refusal(RefusalReason.NO_LABEL, f"{event or 'webhook'}: tells of no label")]
    project = object_in(body, "project", "payload")
    native = None if project.get("id") is None else identifier_in(project, "id", "payload.project")
    emitter = Emitter(TOOL, native, received_at, settings)
    label_id = identifier_in(body, "id", "payload")
    try:
        if event.upper() == "LABEL_DELETED":
            return [emitter.retracted(label_id, emitter.time_or_default(None))]
        return _from_webhook(emitter, body, label_id)
    except RefusedError as error:
        return [error.refusal]


def export_events(
    record: object, *, received_at: str | None = None, settings: AdapterSettings = DEFAULTS
) -> list[Outcome]:
    """Return the events of one data row of an export, from all projects that labelled it.

    Parameters
    ----------
    record
        The data row, parsed; exported with ``label_details`` and, for times spent, ``performance_details``. In version
        1, one label.
    received_at, settings
        See `webhook_events`.

    Raises
    ------
    AdapterError
        If it is no data row.
    """
    body = object_of(record, "record")
    if "DataRow ID" in body:
        body = _modern(body)
    row = object_of(body.get("data_row"), "data_row")
    item_id = identifier_in(row, "id", "data_row")
    media = object_in(body, "media_attributes", "record")
    image = _number_or_zero(media.get("width")), _number_or_zero(media.get("height"))
    outcomes: list[Outcome] = []
    for native, project in object_in(body, "projects", "record").items():
        emitter = Emitter(TOOL, identifier(native, "projects"), received_at, settings)
        outcomes += _project(emitter, object_of(project, "projects[]"), item_id, image, _attributes(emitter, body))
    return outcomes or [Refusal(RefusalReason.NO_LABEL, f"data row {item_id}: has no label")]


def _modern(body: Json) -> Json:
    """Return a label of an export of version 1 as version 2 would have it."""
    content = body.get("Label")
    is_skipped = body.get("Skipped") is True or content == "Skip"
    reviews = [
        {"reviewed_by": review.get("createdBy"), "created_at": review.get("createdAt"), "score": review.get("score")}
        for review in objects_in(body, "Reviews", "record")
    ]
    label = {
        "id": body.get("ID"),
        "label_details": {
            "created_by": body.get("Created By"),
            "created_at": body.get("Created At"),
            "updated_at": body.get("Updated At"),
            "reviews": reviews,
        },
        "performance_details": {
            "seconds_to_create": body.get("Seconds to Label"),
            "benchmark_reference_label": body.get("Benchmark ID"),
            "skipped": is_skipped,
        },
        "annotations": {} if is_skipped else _content(content, "record.Label"),
    }
    project = first_of(body, "Project ID", "Project Name") or TOOL
    return {
        "data_row": {"id": body["DataRow ID"]},
        "media_attributes": body.get("Media Attributes"),
        "projects": {bounded_identifier(project, "record.Project Name"): {"labels": [label]}},
    }


def _number_or_zero(value: object) -> float:
    """Return a number; 0 for anything else."""
    return value if type(value) in (int, float) and abs(value) < 1e9 else 0.0


def _attributes(emitter: Emitter, body: Json) -> dict[str, str] | None:
    fields = objects_in(body, "metadata_fields", "record")
    names = [field.get("schema_name") for field in fields]
    return emitter.attributes_of(
        {name: field.get("value") for name, field in zip(names, fields, strict=True) if type(name) is str}
    )


def _project(
    emitter: Emitter, project: Json, item_id: str, image: tuple[float, float], attributes: dict[str, str] | None
) -> list[Outcome]:
    labels = objects_in(project, "labels", "project")
    benchmarks = {
        performance.get("benchmark_reference_label")
        for performance in (object_in(label, "performance_details", "label") for label in labels)
        if type(performance.get("benchmark_reference_label")) is str
    }
    outcomes: list[Outcome] = []
    history = _history(project) if len(labels) == 1 else []
    for label in labels:
        try:
            outcomes += _label(emitter, label, item_id, image, attributes, benchmarks, history)
        except RefusedError as error:
            outcomes.append(error.refusal)
    return outcomes


def _history(project: Json) -> list[Json]:
    """Return the verdicts in the workflow of a data row; they are about its label where it has one only."""
    details = object_in(project, "project_details", "project")
    return [
        {"created_at": step.get("created_at"), "created_by": step.get("created_by"), "status": step.get("action")}
        for step in objects_in(details, "workflow_history", "project_details")
        if type(step.get("action")) is str and step["action"].lower() in DECISIONS
    ]


def _label(
    emitter: Emitter,
    label: Json,
    item_id: str,
    image: tuple[float, float],
    attributes: dict[str, str] | None,
    benchmarks: set[Any],
    history: list[Json],
) -> list[Outcome]:
    label_id = identifier_in(label, "id", "label")
    details = object_in(label, "label_details", "label")
    performance = object_in(label, "performance_details", "label")
    submission = _submission(emitter, label_id, item_id, details, performance.get("seconds_to_create"), attributes)
    if performance.get("skipped") is True:
        return emitter.skipped(submission, list(emitter.settings.questions) or [SKIPPED_QUESTION])
    if "annotations" not in label:
        return [Refusal(RefusalReason.NO_LABEL, f"label {label_id}: exported without its annotations")]
    annotations = object_in(label, "annotations", "label")
    found = _annotations(annotations, image, emitter.settings)
    if not _FRAMES.isdisjoint(annotations):
        found.append(("frames", Refusal(RefusalReason.UNSUPPORTED_LABEL, "no kind of label holds what frames show")))
    outcomes = emitter.submitted(submission, found)
    if not outcomes:
        return [Refusal(RefusalReason.NO_LABEL, f"label {label_id}: answers no question")]
    labels = {outcome["question_id"]: outcome["label"] for outcome in outcomes if type(outcome) is dict}
    is_benchmark = label.get("label_kind") == "Benchmark" or label.get("is_benchmark_reference") is True
    if is_benchmark or label_id in benchmarks:
        for question_id, value in labels.items():
            gold = emitter.gold(item_id, question_id, [(value, 1.0)], submission.at, origin=f"benchmark:{label_id}")
            outcomes.append(gold)
    for review in objects_in(details, "reviews", "label_details") + history:
        outcomes += _review(emitter, review, label_id, list(labels))
    return outcomes


def _submission(
    emitter: Emitter,
    label_id: str,
    item_id: str,
    details: Json,
    seconds: object,
    attributes: dict[str, str] | None = None,
) -> Submission:
    annotator = details.get("created_by")
    if annotator is None:
        raise RefusedError(RefusalReason.NO_ANNOTATOR, f"label {label_id}: exported without label_details")
    created = details.get("created_at")
    created_at = emitter.time_or_default(None if created is None else time_of(created, "label_details.created_at"))
    changed = first_of(details, "content_last_updated_at", "updated_at")
    updated_at = created_at if changed is None else max(time_of(changed, "label_details.updated_at"), created_at)
    return Submission(
        annotation_id=label_id,
        item_id=item_id,
        annotator_id=bounded_identifier(annotator, "label_details.created_by"),
        at=updated_at,
        revision=revision_of(created_at, updated_at),
        step=emitter.settings.step,
        duration_ms=duration_ms_of(seconds),
        attributes=attributes,
    )


def _review(emitter: Emitter, review: Json, label_id: str, question_ids: list[str]) -> list[Outcome]:
    reviewer = first_of(review, "reviewed_by", "created_by")
    verdict = first_of(review, "status", "review_status", "label_review_score", "score")
    if type(verdict) is int:
        verdict = "approve" if verdict > 0 else "reject" if verdict < 0 else ""
    decision = DECISIONS.get(verdict.lower()) if type(verdict) is str else None
    if reviewer is None or decision is None:
        return [Refusal(RefusalReason.NO_LABEL, f"label {label_id}: a review without reviewer or verdict")]
    at = time_of(first_of(review, "reviewed_at", "created_at"), "reviews[].reviewed_at")
    return emitter.reviewed(label_id, question_ids, bounded_identifier(reviewer, "reviewed_by"), decision, at)


# Annotations


def _annotations(body: Json, image: tuple[float, float], settings: AdapterSettings) -> list[Answer]:
    found: list[Answer] = []
    for classification in objects_in(body, "classifications", "annotations"):
        name = bounded_identifier(first_of(classification, "name", "title", "value"), "classification.name")
        found += answers_to(name, _classification, classification, settings.questions.get(name, Question()))
    return found + _objects(objects_in(body, "objects", "annotations"), image)


def _classification(classification: Json, question: Question) -> Label:
    if "radio_answer" in classification:
        return answers.categorical(_option(classification["radio_answer"]))
    if "checklist_answers" in classification:
        chosen = array_in(classification, "checklist_answers", "classification")
        return answers.multi_label(_option(option) for option in chosen)
    if "text_answer" in classification:
        return _text(object_of(classification["text_answer"], "text_answer").get("content"))
    if "answers" in classification:
        return answers.multi_label(_option(option) for option in array_in(classification, "answers", "classification"))
    given = classification.get("answer")
    if type(given) is dict:
        return answers.categorical(_option(given))
    if type(given) is list:
        return answers.multi_label(_option(option) for option in given)
    return _text(given)


def _option(option: object) -> object:
    return first_of(object_of(option, "answer"), "name", "title", "value")


def _text(content: object) -> Label:
    if content is None or content == "":
        raise RefusedError(RefusalReason.NO_LABEL, "nothing was written")
    return answers.text(content)


def _objects(objects: list[Json], image: tuple[float, float]) -> list[Answer]:
    """Return the objects drawn, by what can hold them: boxes, spans, or classes only."""
    groups: dict[str, list[Json]] = {}
    for drawn in objects:
        groups.setdefault(_group(drawn), []).append(drawn)
    readers = {BOXES_QUESTION: _boxes, SPANS_QUESTION: _spans}
    return [
        answer
        for name, group in groups.items()
        for answer in answers_to(name, readers.get(name, _unsupported), group, image)
    ]


def _group(drawn: Json) -> str:
    if "bounding_box" in drawn or "bbox" in drawn:
        return BOXES_QUESTION
    if _text_place(drawn) is not None:
        return SPANS_QUESTION
    return OBJECTS_QUESTION


def _name(drawn: Json) -> Any:
    return first_of(drawn, "name", "title", "value")


def _boxes(objects: list[Json], image: tuple[float, float]) -> Label:
    if min(image) <= 0:
        detail = "the image's width and height are not said"
        raise RefusedError(RefusalReason.IMAGE_SIZE_UNKNOWN, detail, map(_name, objects))
    return answers.boxes(_box(drawn, image) for drawn in objects)


def _box(drawn: Json, image: tuple[float, float]) -> Label:
    place = object_of(first_of(drawn, "bounding_box", "bbox"), "bounding_box")
    corner = number_of(place.get("left")), number_of(place.get("top"))
    size = number_of(place.get("width")), number_of(place.get("height"))
    return answers.box(_name(drawn), corner, size, image)


def _spans(objects: list[Json], image: tuple[float, float]) -> Label:
    found = []
    for drawn in objects:
        place = object_of(_text_place(drawn), "location")
        # Labelbox gives the last position inside, the contract the first one behind.
        found.append((_name(drawn), whole_number_of(place.get("start")), whole_number_of(place.get("end")) + 1))
    return answers.spans(found)


def _text_place(drawn: Json) -> Any:
    data = drawn.get("data")
    return first_of(drawn, "location", "text_location") or (data.get("location") if type(data) is dict else None)


def _unsupported(objects: list[Json], image: tuple[float, float]) -> Label:
    kinds = sorted({text_of(drawn.get("annotation_kind") or "object", "annotation_kind") for drawn in objects})
    classes = [_name(drawn) for drawn in objects]
    raise RefusedError(RefusalReason.UNSUPPORTED_LABEL, f"no kind of label holds {', '.join(kinds)}", classes)


# Webhooks


def _from_webhook(emitter: Emitter, body: Json, label_id: str) -> list[Outcome]:
    row = object_of(first_of(body, "dataRow", "data_row"), "payload.dataRow")
    creator = first_of(body, "createdBy", "created_by")
    details = {
        "created_by": first_of(creator, "email", "id") if type(creator) is dict else creator,
        "created_at": first_of(body, "createdAt", "created_at"),
        "updated_at": first_of(body, "updatedAt", "updated_at"),
    }
    item_id = identifier_in(row, "id", "payload.dataRow")
    seconds = first_of(body, "secondsToLabel", "seconds_to_label")
    submission = _submission(emitter, label_id, item_id, details, seconds)
    content = _content(member(body, "label", "payload"), "payload.label")
    found = _annotations(content, (0.0, 0.0), emitter.settings)
    return emitter.submitted(submission, found) or [
        Refusal(RefusalReason.NO_LABEL, f"label {label_id}: answers no question")
    ]


def _content(content: object, name: str) -> Json:
    """Return a label's objects and classifications, which may come as JSON inside a string."""
    if type(content) is str:
        try:
            if len(content) > LABEL_CHARACTERS_MAX:
                raise ValueError
            content = json.loads(content)
        except (ValueError, RecursionError):
            raise AdapterError(ErrorCode.NOT_JSON, f"{name}: no JSON") from None
    return object_of(content, name)
