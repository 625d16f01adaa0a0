"""SageMaker Ground Truth: output manifests, what a post-annotation function is given, and workers' responses.

It has no webhooks. A consolidated label counts as given by an annotator of its own, in a step of its own.
"""

import json
from collections.abc import Mapping
from typing import Any

from schemas.adapters import answers
from schemas.adapters.answers import Label, answer_of, first_of, number_of, whole_number_of
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
from schemas.adapters.emitting import Answer, Emitter, Submission, answers_to, bounded_identifier, digest
from schemas.adapters.reading import (
    array_in,
    array_of,
    duration_ms_of,
    identifier,
    object_in,
    object_of,
    objects_in,
    text_of,
    time_of,
)
from schemas.errors import ErrorCode

TOOL = "sagemaker"
CONSOLIDATE_STEP = "consolidate"
METADATA_SUFFIX = "-metadata"
REFERENCE_SUFFIX = "-ref"
JOB_PREFIX = "labeling-job/"
CONTENT_CHARACTERS_MAX = 5_000_000

Json = dict[str, Any]


def webhook_events(
    payload: object,
    *,
    received_at: str | None = None,
    settings: AdapterSettings = DEFAULTS,
    headers: Mapping[str, str] = NO_HEADERS,
) -> list[Outcome]:
    """Refuse: SageMaker Ground Truth has no webhooks."""
    return [Refusal(RefusalReason.NO_WEBHOOK, "Ground Truth has no webhooks; convert its output files")]


def export_events(
    record: object, *, received_at: str | None = None, settings: AdapterSettings = DEFAULTS
) -> list[Outcome]:
    """Return the events of one line of an output manifest, or of one object with its workers' annotations.

    Parameters
    ----------
    record
        A line of an output manifest; an object of a consolidation request or response (or the list of them); a file
        of workers' responses, whose item is the setting ``item_id``; or an output of a human loop of Augmented AI.
    received_at, settings
        As for the adapters of other tools. Annotations in consolidation requests may tell no time: ``occurred_at`` is
        taken for it.

    Raises
    ------
    AdapterError
        If it is none of these.
    """
    if type(record) is list:
        return [outcome for part in record for outcome in _record(part, received_at, settings)]
    return _record(record, received_at, settings)


def _record(record: object, received_at: str | None, settings: AdapterSettings) -> list[Outcome]:
    body = object_of(record, "record")
    if "datasetObjectId" in body:
        return _dataset_object(body, received_at, settings)
    if "humanAnswers" in body:
        return _human_loop(body, received_at, settings)
    if "answers" in body and "source" not in body and "source-ref" not in body:
        return _worker_responses(body, received_at, settings)
    if "source" in body or "source-ref" in body:
        return _manifest_line(body, received_at, settings)
    if any(_SEQUENCES & part.keys() for part in (body, *body.values()) if type(part) is dict):
        return [Refusal(RefusalReason.NO_ANNOTATOR, "frames of a sequence, without annotator, item or time")]
    if "workerId" in body or "workerMetadata" in body or "job-name" in body:
        return [Refusal(RefusalReason.NO_LABEL, "metadata of a worker or of a label, without the label")]
    raise AdapterError(ErrorCode.MISSING_FIELD, "record.source-ref: missing")


_SEQUENCES = frozenset({"tracking-annotations", "detection-annotations"})


# Annotations of single workers


def _dataset_object(body: Json, received_at: str | None, settings: AdapterSettings) -> list[Outcome]:
    item_id = bounded_identifier(body["datasetObjectId"], "datasetObjectId")
    emitter = Emitter(TOOL, None, received_at, settings)
    consolidated = object_in(object_in(body, "consolidatedAnnotation", "record"), "content", "consolidatedAnnotation")
    annotations = objects_in(body, "annotations", "record")
    for value in consolidated.values():
        if type(value) is dict:
            annotations = annotations + objects_in(value, "annotationsFromAllWorkers", "content")
    outcomes = _from_workers(emitter, item_id, annotations)
    return outcomes or [Refusal(RefusalReason.NO_LABEL, f"object {item_id}: has no annotation")]


def _worker_responses(body: Json, received_at: str | None, settings: AdapterSettings) -> list[Outcome]:
    if settings.item_id is None:
        return [Refusal(RefusalReason.NO_ITEM, "workers' responses: the item is in the file's path only; name it")]
    emitter = Emitter(TOOL, None, received_at, settings)
    return _from_workers(emitter, settings.item_id, objects_in(body, "answers", "record")) or [
        Refusal(RefusalReason.NO_LABEL, "workers' responses: there are none")
    ]


def _human_loop(body: Json, received_at: str | None, settings: AdapterSettings) -> list[Outcome]:
    """Return the events of an output of Augmented AI: its loop is the item, its flow definition the project."""
    flow = body.get("flowDefinitionArn")
    native = None if flow is None else bounded_identifier(text_of(flow, "flowDefinitionArn").rpartition("/")[2], "flow")
    item_id = bounded_identifier(body.get("humanLoopName"), "humanLoopName")
    emitter = Emitter(TOOL, native, received_at, settings)
    return _from_workers(emitter, item_id, objects_in(body, "humanAnswers", "record")) or [
        Refusal(RefusalReason.NO_LABEL, f"loop {item_id}: nobody answered")
    ]


def _from_workers(emitter: Emitter, item_id: str, annotations: list[Json]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for annotation in annotations:
        worker = first_of(annotation, "workerId") or emitter.settings.annotator_id
        if worker is None:
            outcomes.append(Refusal(RefusalReason.NO_ANNOTATOR, f"object {item_id}: an annotation without workerId"))
            continue
        worker_id = identifier(worker, "workerId")
        stamp = annotation.get("submissionTime")
        try:
            at = emitter.time_or_default(None if stamp is None else time_of(stamp, "submissionTime"))
        except RefusedError as error:
            outcomes.append(error.refusal)
            continue
        submission = Submission(
            annotation_id=digest("a", emitter.project_id, item_id, worker_id),
            item_id=item_id,
            annotator_id=worker_id,
            at=at,
            step=emitter.settings.step,
            duration_ms=duration_ms_of(annotation.get("timeSpentInSeconds")),
        )
        outcomes += emitter.submitted(submission, _form_answers(_content(annotation), emitter.settings))
    return outcomes


def _content(annotation: Json) -> Json:
    """Return what a worker's form was filled with: JSON inside a string, or behind a reference."""
    content = annotation.get("answerContent")
    if content is None:
        data = object_in(annotation, "annotationData", "annotation")
        content = data.get("content")
        if content is None and "s3Uri" in data:
            raise AdapterError(ErrorCode.MISSING_FIELD, "annotationData.content: behind s3Uri, which is not read")
    if type(content) is str:
        try:
            if len(content) > CONTENT_CHARACTERS_MAX:
                raise ValueError
            content = json.loads(content)
        except (ValueError, RecursionError):
            raise AdapterError(ErrorCode.NOT_JSON, "annotationData.content: no JSON") from None
    return object_of(content, "annotationData.content")


def _form_answers(content: Json, settings: AdapterSettings) -> list[Answer]:
    return [
        answer
        for name, value in content.items()
        for answer in answers_to(name, _form_answer, value, settings.questions.get(name, Question()))
    ]


def _form_answer(value: object, question: Question) -> Label:
    """Return the label of one element of a worker's form."""
    if type(value) is not dict or question.kind not in (None, "boxes", "spans"):
        return answer_of(value, question)
    if type(value.get("entities")) is list:
        return _entities(value["entities"])
    if "boundingBoxes" in value:
        image = object_in(value, "inputImageProperties", "content")
        return _pixel_boxes(array_in(value, "boundingBoxes", "content"), _size(image), {})
    if _SHAPES & value.keys():
        detail = "no kind of label holds a mask, polygon or key point"
        raise RefusedError(RefusalReason.UNSUPPORTED_LABEL, detail, _shape_classes(value))
    chosen = [name for name, part in value.items() if type(part) is dict and part.get("on") is True]
    if chosen:
        return answers.categorical(chosen[0]) if len(chosen) == 1 else answers.multi_label(chosen)
    if len(value) == 1 and type(value.get("value")) in (str, int, float, bool):
        return answer_of(value["value"], question)
    return answer_of(value["on"] if value.keys() == {"on"} else value, question)


_SHAPES = frozenset({"labeledImage", "polygons", "keypoints", "instances", "polylines"})


def _shape_classes(value: Json) -> list[Any]:
    """Return the classes of what was drawn: a mask maps those that it shows to colours."""
    drawn = [part for name in _SHAPES if type(value.get(name)) is list for part in value[name] if type(part) is dict]
    return sorted(_object_or_empty(value.get("labelMappings"))) or [part.get("label") for part in drawn]


# Output manifests


def _manifest_line(body: Json, received_at: str | None, settings: AdapterSettings) -> list[Outcome]:
    """Return the events of a manifest's line: one question for each label attribute."""
    item_id = bounded_identifier(_item_of(body), "source")
    outcomes: list[Outcome] = []
    for name, metadata in body.items():
        if not name.endswith(METADATA_SUFFIX) or type(metadata) is not dict or "creation-date" not in metadata:
            continue
        attribute = name.removesuffix(METADATA_SUFFIX)
        if attribute not in body:
            outcomes.append(Refusal(RefusalReason.NO_LABEL, f"{attribute}: has metadata but no label"))
            continue
        outcomes += _attribute(body[attribute], metadata, attribute, item_id, received_at, settings)
    return outcomes or [Refusal(RefusalReason.NO_LABEL, "a line of an input manifest, without labels")]


def _item_of(body: Json) -> str:
    """Return where the item lies; a text that stands in the line itself is named by a digest of it."""
    reference = body.get("source-ref")
    if reference is not None:
        return text_of(reference, "source-ref")
    return digest("t", text_of(body.get("source"), "source"))


def _attribute(
    value: object, metadata: Json, attribute: str, item_id: str, received_at: str | None, settings: AdapterSettings
) -> list[Outcome]:
    job = text_of(metadata.get("job-name"), "metadata.job-name").removeprefix(JOB_PREFIX)
    emitter = Emitter(TOOL, bounded_identifier(job, "metadata.job-name"), received_at, settings)
    if type(value) is dict and "annotationsFromAllWorkers" in value:
        annotations = objects_in(value, "annotationsFromAllWorkers", attribute)
        created = {"submissionTime": metadata["creation-date"]}
        return _from_workers(emitter, item_id, [{**created, **annotation} for annotation in annotations])
    maker = "model" if metadata.get("human-annotated") == "no" else "consolidated"
    submission = Submission(
        annotation_id=digest("a", emitter.project_id, item_id, attribute),
        item_id=item_id,
        annotator_id=bounded_identifier(f"{maker}:{job}", "metadata.job-name"),
        at=time_of(metadata["creation-date"], "metadata.creation-date"),
        step=CONSOLIDATE_STEP,
    )
    question_id = bounded_identifier(attribute, "attribute")
    question = settings.questions.get(question_id, Question())
    return emitter.submitted(submission, answers_to(question_id, _consolidated, value, metadata, attribute, question))


def _consolidated(value: object, metadata: Json, attribute: str, question: Question) -> Label:
    """Return the label that an attribute holds; its task type, where known, says which kind."""
    kind = metadata.get("type")
    task = kind.rpartition("/")[2] if type(kind) is str else ""
    if "class-name" in metadata:
        return answers.categorical(metadata["class-name"])
    if task.endswith("multilabel") and type(value) is list:
        return answers.multi_label(_class_name(part, metadata) for part in value)
    if type(value) is dict and "image_size" in value:
        sizes = array_of(value["image_size"], f"{attribute}.image_size")
        size = _size(sizes[0]) if sizes and type(sizes[0]) is dict else (0.0, 0.0)
        return _pixel_boxes(array_in(value, "annotations", attribute), size, metadata)
    if type(value) is dict and type(_object_or_empty(value.get("annotations")).get("entities")) is list:
        return _entities(value["annotations"]["entities"])
    if attribute.endswith(REFERENCE_SUFFIX):
        raise RefusedError(RefusalReason.LABEL_ELSEWHERE, f"it lies in another file ({task or 'of unknown type'})")
    if type(value) is int and "class-map" in metadata:
        return answers.categorical(_class_name(value, metadata))
    return _form_answer(value, question)


def _object_or_empty(value: object) -> Json:
    """Return an object, or an empty one for anything else."""
    return value if type(value) is dict else {}


def _pixel_boxes(found: list[Any], image: tuple[float, float], metadata: Json) -> Label:
    parts = [object_of(part, "annotations[]") for part in found]
    if any("vertices" in part for part in parts):
        classes = [_class_of(part, metadata) for part in parts]
        raise RefusedError(RefusalReason.UNSUPPORTED_LABEL, "no kind of label holds a polygon", classes)
    return answers.boxes(
        answers.box(
            _class_of(part, metadata),
            (number_of(part.get("left")), number_of(part.get("top"))),
            (number_of(part.get("width")), number_of(part.get("height"))),
            image,
        )
        for part in parts
    )


def _entities(found: list[Any]) -> Label:
    parts = [object_of(part, "entities[]") for part in found]
    return answers.spans(
        (part.get("label"), whole_number_of(part.get("startOffset")), whole_number_of(part.get("endOffset")))
        for part in parts
    )


def _class_of(part: Json, metadata: Json) -> Any:
    return part["label"] if "label" in part else _class_name(part.get("class_id"), metadata)


def _class_name(class_id: object, metadata: Json) -> str:
    """Return the name of a class; its number where the class map does not name it."""
    number = identifier(class_id, "class_id")
    return answers.name_of(object_in(metadata, "class-map", "metadata").get(number, number))


def _size(image: Json) -> tuple[float, float]:
    return number_of(first_of(image, "width") or 0), number_of(first_of(image, "height") or 0)
