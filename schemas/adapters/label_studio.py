"""Label Studio: webhooks of its community edition and of its enterprise edition, and its JSON and JSON_MIN exports."""

from collections.abc import Mapping
from typing import Any

from schemas.adapters.answers import answer_of, first_of, multi_label
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
from schemas.adapters.emitting import Answer, Emitter, Submission, answers_to
from schemas.adapters.known_answers import metadata_gold
from schemas.adapters.label_studio_config import NO_CONTROLS, Control, Controls, read_label_config
from schemas.adapters.label_studio_controls import read_answers
from schemas.adapters.reading import (
    array_in,
    array_of,
    duration_ms_of,
    identifier,
    identifier_in,
    object_of,
    objects_in,
    revision_of,
    text_of,
    time_of,
)
from schemas.errors import ErrorCode
from schemas.events import IDENTIFIER_CHARACTERS_MAX

TOOL = "label-studio"
SKIPPED_QUESTION = "label"
"""The question of a skip where the project's questions are not known."""

ANNOTATION_ACTIONS = frozenset({"ANNOTATION_CREATED", "ANNOTATIONS_CREATED", "ANNOTATION_UPDATED"})
DELETE_ACTIONS = frozenset({"ANNOTATIONS_DELETED", "ANNOTATION_DELETED"})
TASK_ACTIONS = frozenset({"TASKS_CREATED", "TASK_CREATED"})
TASK_DELETE_ACTIONS = frozenset({"TASKS_DELETED", "TASK_DELETED"})
REVIEW_ACTIONS = frozenset({"REVIEW_CREATED", "REVIEW_UPDATED"})

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
        RFC 3339, when it came; the time of a deletion, which tells none.
    settings
        What people set.
    headers
        Not looked at.

    Raises
    ------
    AdapterError
        If it is no body of a Label Studio webhook.
    """
    body = object_of(payload, "payload")
    action = text_of(body.get("action"), "action")
    if len(body) == 1:
        return [Refusal(RefusalReason.NO_PAYLOAD, f"{action}: turn on the webhook's payload")]
    if action in TASK_DELETE_ACTIONS:
        return [Refusal(RefusalReason.ITEM_DELETED, f"{action}: which annotations went with them is not said")]
    project = _project(body.get("project"))
    emitter = Emitter(TOOL, _project_id(project, body), received_at, settings)
    controls = _controls(project, settings)
    if action in ANNOTATION_ACTIONS:
        return _from_annotations(emitter, body, controls)
    if action in DELETE_ACTIONS:
        return _from_deletion(emitter, body)
    if action in TASK_ACTIONS:
        return _from_tasks(emitter, body, controls)
    if action in REVIEW_ACTIONS:
        return _from_review(emitter, body, controls)
    return [Refusal(RefusalReason.NO_LABEL, f"{action}: tells of no label")]


def export_events(
    record: object, *, received_at: str | None = None, settings: AdapterSettings = DEFAULTS
) -> list[Outcome]:
    """Return the events of one task of an export.

    Parameters
    ----------
    record
        A task with its annotations (JSON export, API, task files of a target storage), an annotation with its task
        (annotation files of a target storage), or a flat record (JSON_MIN).
    received_at, settings
        See `webhook_events`. Exports do not hold the labeling configuration; with ``label_config`` single and multiple
        choices, scales of ratings and empty drawings are told apart as webhooks do.

    Raises
    ------
    AdapterError
        If it is no such record.
    """
    task = object_of(record, "record")
    if "result" in task and "task" in task:
        annotation, owner = task, task["task"]
        task = {"id": owner} if type(owner) is not dict else owner
        task = {**task, "project": first_of(task, "project") or annotation.get("project"), "annotations": [annotation]}
    elif "annotation_id" in task and "annotations" not in task:
        return _from_flat(task, received_at, settings)
    project = _project(task.get("project"))
    emitter = Emitter(TOOL, _project_id(project, {}), received_at, settings)
    controls = _controls(project, settings)
    annotations = objects_in(task, "annotations" if "annotations" in task else "completions", "task")
    if not annotations and "data" not in task:
        raise AdapterError(ErrorCode.MISSING_FIELD, "task.annotations: missing")
    outcomes = [outcome for annotation in annotations for outcome in _annotation(emitter, annotation, task, controls)]
    seen = {outcome["question_id"]: outcome["label"]["kind"] for outcome in outcomes if _is_submission(outcome)}
    known = controls or {name: Control("", Question(kind=kind), False, False) for name, kind in seen.items()}
    gold = _gold(emitter, task, known)
    return outcomes + gold or [Refusal(RefusalReason.NO_LABEL, "task: has no annotation")]


# What a payload is about


def _project(value: object) -> Json:
    if type(value) is dict:
        return value
    return {} if value is None else {"id": identifier(value, "project")}


def _project_id(project: Json, body: Json) -> str | None:
    native = project.get("id")
    if native is None:
        annotation = body.get("annotation")
        native = annotation.get("project") if type(annotation) is dict else None
    return None if native is None else identifier(native, "project.id")


def _controls(project: Json, settings: AdapterSettings) -> Controls:
    config = settings.label_config or project.get("label_config")
    controls = read_label_config(config) if type(config) is str else NO_CONTROLS
    if not settings.questions:
        return controls
    told = {name: Control("", question, False, False) for name, question in settings.questions.items()}
    return {**controls, **told}


def _questions(controls: Controls) -> dict[str, Question]:
    return {name: control.question for name, control in controls.items() if not control.is_per_region}


# Webhooks


def _from_annotations(emitter: Emitter, body: Json, controls: Controls) -> list[Outcome]:
    annotations = _one_or_many(first_of(body, "annotation", "annotations"), "annotation")
    tasks = _one_or_many(body.get("task"), "task") if type(body.get("task")) in (dict, list) else []
    by_id = {identifier(task["id"], "task.id"): task for task in tasks if task.get("id") is not None}
    outcomes: list[Outcome] = []
    for annotation in annotations:
        owner = annotation.get("task")
        if owner is None and len(tasks) == 1:
            task = tasks[0]
        else:
            task_id = identifier_in(object_of(owner, "annotation.task"), "id", "task") if type(owner) is dict else (
                identifier_in(annotation, "task", "annotation")
            )  # fmt: skip
            task = by_id.get(task_id) or {"id": task_id}
        outcomes += _annotation(emitter, annotation, task, controls)
        outcomes += _gold(emitter, task, controls)
    return outcomes


def _from_deletion(emitter: Emitter, body: Json) -> list[Outcome]:
    gone = first_of(body, "annotations", "annotation")
    gone = _one_or_many({"id": body.get("id")} if gone is None else gone, "annotations")
    ids = [identifier_in(annotation, "id", "annotations[]") for annotation in gone]
    try:
        at = emitter.time_or_default(None)
    except RefusedError as error:
        return [error.refusal]
    return [emitter.retracted(annotation_id, at) for annotation_id in ids]


def _from_tasks(emitter: Emitter, body: Json, controls: Controls) -> list[Outcome]:
    tasks = _one_or_many(first_of(body, "tasks", "task"), "tasks")
    outcomes: list[Outcome] = []
    for task in tasks:
        for annotation in objects_in(task, "annotations", "task"):
            outcomes += _annotation(emitter, annotation, task, controls)
        outcomes += _gold(emitter, task, controls)
    return outcomes or [Refusal(RefusalReason.NO_LABEL, f"{body['action']}: its tasks hold no known answer")]


def _from_review(emitter: Emitter, body: Json, controls: Controls) -> list[Outcome]:
    review = object_of(body.get("review"), "review")
    annotation = review.get("annotation") if type(review.get("annotation")) is dict else body.get("annotation")
    if type(annotation) is not dict or "result" not in annotation:
        return _review_of_all(emitter, body["action"], review, controls)
    answers = read_answers(array_in(annotation, "result", "annotation"), controls)
    return _review(
        emitter, review, identifier_in(annotation, "id", "annotation"), _labels(emitter, annotation, answers)
    )


def _review_of_all(emitter: Emitter, action: str, review: Json, controls: Controls) -> list[Outcome]:
    """Return what a review without the annotation's result says: the same of each question, unless it was fixed."""
    annotation_id = review.get("annotation")
    is_fix = review.get("fixed_annotation_history") is not None
    if annotation_id is None or type(annotation_id) is dict or is_fix or not controls:
        return [Refusal(RefusalReason.NO_QUESTION, f"{action}: holds no result, so no questions")]
    return _review(emitter, review, identifier(annotation_id, "review.annotation"), dict.fromkeys(_questions(controls)))


# Annotations


def _annotation(emitter: Emitter, annotation: Json, task: Json, controls: Controls) -> list[Outcome]:
    """Return what an annotation says: its answers, that they are known to be right or no longer, and its reviews."""
    try:
        submission = _submission(emitter, annotation, task)
    except RefusedError as error:
        return [error.refusal]
    outcomes = _answers(emitter, submission, annotation, controls)
    if submission.revision and ("ground_truth" in annotation or "honeypot" in annotation):
        outcomes += _withdrawals(emitter, submission, annotation, controls, outcomes)
    return outcomes


def _withdrawals(
    emitter: Emitter, submission: Submission, annotation: Json, controls: Controls, outcomes: list[Outcome]
) -> list[Outcome]:
    """Return what a changed annotation no longer knows: all answers without the mark, with it those it left out."""
    answered = [outcome["question_id"] for outcome in outcomes if _is_submission(outcome)]
    if _is_ground_truth(annotation):
        names = [name for name in _questions(controls) if name not in answered]
    else:
        names = list(dict.fromkeys([*_questions(controls), *answered]))
    return [emitter.withdrawn(submission.item_id, name, submission.at, origin=_origin(submission)) for name in names]


def _answers(emitter: Emitter, submission: Submission, annotation: Json, controls: Controls) -> list[Outcome]:
    if annotation.get("was_cancelled") is True:
        return _skip(emitter, submission, controls)
    answers = read_answers(array_in(annotation, "result", "annotation"), controls)
    if not answers and submission.revision and controls:
        # What it answered before would count on.
        return _skip(emitter, submission, controls)
    if not answers:
        return [Refusal(RefusalReason.NO_LABEL, f"annotation {submission.annotation_id}: answers no question")]
    outcomes = emitter.submitted(submission, answers)
    reviews = annotation.get("reviews")
    is_known = _is_ground_truth(annotation)
    if not is_known and not reviews:
        return outcomes
    labels = {outcome["question_id"]: outcome["label"] for outcome in outcomes if _is_submission(outcome)}
    if is_known:
        outcomes += [
            emitter.gold(submission.item_id, question_id, [(label, 1.0)], submission.at, origin=_origin(submission))
            for question_id, label in labels.items()
        ]
    for review in objects_in(annotation, "reviews", "annotation"):
        outcomes += _review(emitter, review, submission.annotation_id, labels)
    return outcomes


def _is_ground_truth(annotation: Json) -> bool:
    return annotation.get("ground_truth") is True or annotation.get("honeypot") is True


def _origin(submission: Submission) -> str:
    return f"ground_truth:{submission.annotation_id}"[:IDENTIFIER_CHARACTERS_MAX]


def _submission(emitter: Emitter, annotation: Json, task: Json) -> Submission:
    annotation_id, item_id = annotation.get("id"), task.get("id")
    annotator = annotation.get("completed_by")
    if type(annotator) is dict:
        annotator = first_of(annotator, "id", "email")
    annotator = emitter.settings.annotator_id if annotator is None else annotator
    if annotator is None or annotation_id is None:
        raise RefusedError(RefusalReason.NO_ANNOTATOR, "annotation: imported without id or completed_by")
    if item_id is None:
        raise RefusedError(RefusalReason.NO_ITEM, "task.id: missing, as in files made for import")
    created, updated = annotation.get("created_at"), annotation.get("updated_at")
    created_at = None if created is None else time_of(created, "annotation.created_at")
    updated_at = created_at if updated is None else time_of(updated, "annotation.updated_at")
    at = emitter.time_or_default(updated_at)
    metadata = task.get("meta")
    return Submission(
        annotation_id=identifier(annotation_id, "annotation.id"),
        item_id=identifier(item_id, "task.id"),
        annotator_id=identifier(annotator, "annotation.completed_by"),
        at=at,
        revision=revision_of(at if created_at is None else created_at, at),
        step=emitter.settings.step,
        duration_ms=duration_ms_of(annotation.get("lead_time")),
        attributes=emitter.attributes_of(metadata) if type(metadata) is dict else None,
    )


def _skip(emitter: Emitter, submission: Submission, controls: Controls) -> list[Outcome]:
    """Return a skip for each question, which takes the place of what the annotation answered before."""
    return emitter.skipped(submission, list(_questions(controls)) or [SKIPPED_QUESTION])


def _labels(emitter: Emitter, annotation: Json, answers: list[Answer]) -> dict[str, Json]:
    annotation_id = identifier_in(annotation, "id", "annotation")
    throwaway = Submission(annotation_id=annotation_id, item_id="-", annotator_id="-", at=0)
    outcomes = emitter.submitted(throwaway, answers)
    return {outcome["question_id"]: outcome["label"] for outcome in outcomes if _is_submission(outcome)}


def _review(emitter: Emitter, review: Json, annotation_id: str, labels: Mapping[str, Json]) -> list[Outcome]:
    """Return what a reviewer of the enterprise edition decided."""
    reviewer, accepted = first_of(review, "created_by", "reviewer"), review.get("accepted")
    if type(reviewer) is dict:
        reviewer = first_of(reviewer, "id", "email")
    if reviewer is None or type(accepted) is not bool:
        return [
            Refusal(RefusalReason.NO_ANNOTATOR, f"annotation {annotation_id}: a review without reviewer or verdict")
        ]
    is_fix = review.get("fixed_annotation_history") is not None
    at = time_of(first_of(review, "updated_at", "created_at"), "review.created_at")
    decision = ("fix" if is_fix else "accept") if accepted else "reject"
    corrections = labels if decision == "fix" else None
    reviewer_id = identifier(reviewer, "review.created_by")
    return emitter.reviewed(annotation_id, labels, reviewer_id, decision, at, corrections=corrections)


def _gold(emitter: Emitter, task: Json, controls: Controls) -> list[Outcome]:
    metadata = task.get("meta")
    if type(metadata) is not dict or emitter.settings.gold_key not in metadata or task.get("id") is None:
        return []
    created = task.get("created_at")
    try:
        at = emitter.time_or_default(None if created is None else time_of(created, "task.created_at"))
    except RefusedError as error:
        return [error.refusal]
    return metadata_gold(emitter, metadata, identifier(task["id"], "task.id"), at, _questions(controls))


# Flat exports


def _from_flat(record: Json, received_at: str | None, settings: AdapterSettings) -> list[Outcome]:
    """Return the events of a JSON_MIN record, which holds data and answers side by side."""
    project = _project(record.get("project"))
    emitter = Emitter(TOOL, _project_id(project, {}), received_at, settings)
    questions = _questions(_controls(project, settings)) or _telling_members(record)
    if not questions:
        detail = "JSON_MIN does not say which members are answers; give the labeling configuration"
        return [Refusal(RefusalReason.NO_QUESTION, detail)]
    annotation = {
        "id": record["annotation_id"],
        "completed_by": first_of(record, "annotator", "completed_by"),
        **{key: record.get(key) for key in ("created_at", "updated_at", "lead_time")},
    }
    try:
        submission = _submission(emitter, annotation, record)
    except RefusedError as error:
        return [error.refusal]
    answers = [
        answer
        for name, question in questions.items()
        if name in record
        for answer in _flat_answers(name, record[name], question)
    ]
    return emitter.submitted(submission, answers) or [Refusal(RefusalReason.NO_LABEL, "record: answers no question")]


def _telling_members(record: Json) -> dict[str, Question]:
    """Return the members of a flat record that can be nothing but answers: lists of regions, choices of several."""
    return {name: Question() for name, value in record.items() if _is_choices(value) or _is_regions(value)}


def _is_choices(value: object) -> bool:
    return type(value) is dict and type(value.get("choices")) is list


def _is_regions(value: object) -> bool:
    return (
        type(value) is list
        and bool(value)
        and all(type(part) is dict and any(key.endswith("labels") for key in part) for part in value)
    )


def _flat_answers(name: str, value: object, question: Question) -> list[Answer]:
    if _is_regions(value):
        key = next(key for key in value[0] if key.endswith("labels"))
        return read_answers([{"type": key, "from_name": name, "value": part} for part in value], NO_CONTROLS)
    if _is_choices(value):
        return answers_to(name, multi_label, value["choices"])
    if question.kind == "text" and type(value) is list:
        value = "\n".join(line for line in value if type(line) is str)
    return answers_to(name, answer_of, value, question)


def _one_or_many(value: object, name: str) -> list[Json]:
    if type(value) is list:
        return [object_of(part, f"{name}[]") for part in array_of(value, name)]
    return [object_of(value, name)]


def _is_submission(outcome: Outcome) -> bool:
    return type(outcome) is dict and outcome["type"] == "annotation.submitted"
