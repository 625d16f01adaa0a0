"""Toloka: assignments and tasks as its API or its table of results give them. Its webhooks hold hardly any answers."""

from collections.abc import Mapping
from typing import Any

from schemas.adapters.answers import answer_of, first_of, number_of
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
from schemas.adapters.emitting import Answer, Emitter, RawLabel, Submission, answers_to, bounded_identifier, digest
from schemas.adapters.reading import (
    MICROSECONDS_PER_MILLISECOND,
    identifier,
    identifier_in,
    member,
    object_in,
    object_of,
    objects_in,
    text_of,
    time_of,
)
from schemas.errors import ErrorCode
from schemas.events import DURATION_MS_MAX, REVISION_MAX
from schemas.timestamps import MICROSECONDS_PER_SECOND

TOOL = "toloka"
SKIPPED_QUESTION = "label"
"""The question of a skip where the task does not show its questions."""
AGGREGATE_ANNOTATOR = "toloka:dynamic-overlap"
AGGREGATE_STEP = "consolidate"
REQUESTER = "toloka:requester"
"""Who accepts or rejects where the payload does not name the requester."""

Json = dict[str, Any]


def webhook_events(
    payload: object,
    *,
    received_at: str | None = None,
    settings: AdapterSettings = DEFAULTS,
    headers: Mapping[str, str] = NO_HEADERS,
) -> list[Outcome]:
    """Return the events of a webhook's body.

    Only the answer that a task's dynamic overlap settled on is in a webhook: it counts as given by an annotator of its
    own, in a step of its own. All else names assignments or pools, whose answers are behind the API.

    Parameters
    ----------
    payload
        The body, parsed: ``{"events": […]}``, one notification, or several.
    received_at
        RFC 3339, when it came.
    settings
        What people set.
    headers
        Not looked at.

    Raises
    ------
    AdapterError
        If it is no body of a Toloka webhook.
    """
    parts = payload["events"] if type(payload) is dict and "events" in payload else payload
    if type(parts) is list:
        return [outcome for part in parts for outcome in _notification(part, received_at, settings)]
    return _notification(parts, received_at, settings)


def export_events(
    record: object, *, received_at: str | None = None, settings: AdapterSettings = DEFAULTS
) -> list[Outcome]:
    """Return the events of an assignment, a task with known solutions, an aggregated solution, or a row of the results.

    Parameters
    ----------
    record
        The assignment, task, solution or row, parsed.
    received_at, settings
        See `webhook_events`. Rows name no pool: it is the setting ``project_id``. Aggregated solutions tell no time:
        ``occurred_at`` is taken for it.

    Raises
    ------
    AdapterError
        If it is no object of Toloka at all.
    """
    body = object_of(record, "record")
    if "solutions" in body or "task_suite_id" in body:
        return _assignment(body, received_at, settings)
    if "ASSIGNMENT:assignment_id" in body:
        return _row(body, received_at, settings)
    if "output_values" in body and "task_id" in body:
        return _aggregated(body, received_at, settings)
    if "input_values" in body:
        emitter = Emitter(TOOL, _pool(body, "task"), received_at, settings)
        gold = _known_solutions(emitter, body)
        return gold or [Refusal(RefusalReason.NO_LABEL, "task: has no known solutions")]
    if "id" in body or "configs" in body or "collector_config" in body:
        return [Refusal(RefusalReason.NO_LABEL, "neither an assignment nor a task")]
    raise AdapterError(ErrorCode.MISSING_FIELD, "record.solutions: missing")


def _notification(payload: object, received_at: str | None, settings: AdapterSettings) -> list[Outcome]:
    body = object_of(payload, "payload")
    kind = text_of(first_of(body, "type", "event_type"), "type")
    if kind != "DYNAMIC_OVERLAP_COMPLETED" or "webhook_url" in body:
        where = RefusalReason.LABEL_ELSEWHERE if "assignment_id" in body else RefusalReason.NO_LABEL
        return [Refusal(where, f"{kind}: holds no answers; convert the assignments that the API gives")]
    member(body, "event_time", "payload")
    return _aggregated(body, received_at, settings)


def _aggregated(body: Json, received_at: str | None, settings: AdapterSettings) -> list[Outcome]:
    """Return the answer that a task's overlap settled on."""
    task_id = identifier_in(body, "task_id", "payload")
    emitter = Emitter(TOOL, _pool(body, "payload"), received_at, settings)
    stamp = body.get("event_time")
    try:
        at = emitter.time_or_default(None if stamp is None else time_of(stamp, "event_time"))
    except RefusedError as error:
        return [error.refusal]
    submission = Submission(
        annotation_id=digest("a", emitter.project_id, task_id, AGGREGATE_ANNOTATOR),
        item_id=task_id,
        annotator_id=AGGREGATE_ANNOTATOR,
        at=at,
        # A task settles once more if its overlap is raised; the time then tells the later answer.
        revision=min(at // MICROSECONDS_PER_SECOND, REVISION_MAX),
        step=AGGREGATE_STEP,
    )
    found = _answers(object_in(body, "output_values", "payload"), settings)
    return emitter.submitted(submission, found) or [
        Refusal(RefusalReason.NO_LABEL, f"task {task_id}: has no output_values")
    ]


# Assignments


def _assignment(body: Json, received_at: str | None, settings: AdapterSettings) -> list[Outcome]:
    """Return the events of an assignment: the answers of one person to a page of tasks."""
    assignment_id = identifier_in(body, "id", "assignment")
    status = text_of(body.get("status"), "assignment.status")
    emitter = Emitter(TOOL, _pool(body, "assignment"), received_at, settings)
    if status in ("ACTIVE", "EXPIRED"):
        return [Refusal(RefusalReason.UNFINISHED, f"assignment {assignment_id}: {status}")]
    annotator_id = identifier_in(body, "user_id", "assignment")
    tasks = objects_in(body, "tasks", "assignment")
    solutions = objects_in(body, "solutions", "assignment")
    if len(solutions) > len(tasks):
        raise AdapterError(ErrorCode.INVALID_VALUE, "assignment: more solutions than tasks")
    created = time_of(member(body, "created", "assignment"), "assignment.created")
    done = first_of(body, "skipped", "submitted") if status == "SKIPPED" else body.get("submitted")
    at = created if done is None else time_of(done, "assignment.submitted")
    outcomes: list[Outcome] = []
    for position, task in enumerate(tasks):
        task_id = identifier_in(task, "id", "assignment.tasks[]")
        submission = Submission(
            annotation_id=bounded_identifier(f"{assignment_id}:{task_id}", "assignment.id"),
            item_id=task_id,
            annotator_id=annotator_id,
            at=at,
            step=settings.step,
            duration_ms=_share_of_time(created, at, len(tasks)),
            attributes=emitter.attributes_of(object_in(task, "input_values", "task")),
        )
        if status == "SKIPPED":
            outcomes += emitter.skipped(submission, _task_questions(task, settings))
        elif position < len(solutions):
            outcomes += _solution(emitter, submission, solutions[position], body, status, settings)
        if task.get("known_solutions"):
            outcomes += _known_solutions(emitter, {"pool_id": body.get("pool_id"), **task})
    return outcomes or [Refusal(RefusalReason.NO_LABEL, f"assignment {assignment_id}: has no solutions")]


def _solution(
    emitter: Emitter, submission: Submission, solution: Json, body: Json, status: str, settings: AdapterSettings
) -> list[Outcome]:
    """Return the answers to one task, and what the requester decided of them."""
    values = object_in(solution, "output_values", "assignment.solutions[]")
    outcomes = emitter.submitted(submission, _answers(values, settings))
    decided = body.get({"ACCEPTED": "accepted", "REJECTED": "rejected"}.get(status, ""))
    if decided is None:
        return outcomes
    at = time_of(decided, "assignment.accepted")
    # A pool that accepts by itself does so at the moment of submission; nobody decided that.
    if status == "ACCEPTED" and at == submission.at:
        return outcomes
    owner = object_in(body, "owner", "assignment").get("id")
    reviewer = REQUESTER if owner is None else identifier(owner, "assignment.owner.id")
    answered = [outcome["question_id"] for outcome in outcomes if type(outcome) is dict]
    decision = "accept" if status == "ACCEPTED" else "reject"
    return outcomes + emitter.reviewed(submission.annotation_id, answered, reviewer, decision, at)


def _share_of_time(created: int, at: int, tasks: int) -> int | None:
    """Return the time spent on one of the tasks of a page, in milliseconds."""
    share = (at - created) // MICROSECONDS_PER_MILLISECOND // max(tasks, 1)
    return share if 0 <= share <= DURATION_MS_MAX else None


def _task_questions(task: Json, settings: AdapterSettings) -> list[str]:
    names = {name for solution in objects_in(task, "known_solutions", "task") for name in
             object_in(solution, "output_values", "known_solutions[]")}  # fmt: skip
    return list(settings.questions) or sorted(names) or [SKIPPED_QUESTION]


def _answers(values: Json, settings: AdapterSettings) -> list[Answer]:
    return [
        answer
        for name, value in values.items()
        if value is not None
        for answer in answers_to(name, answer_of, value, settings.questions.get(name, Question()))
    ]


# Known answers


def _known_solutions(emitter: Emitter, task: Json) -> list[Outcome]:
    """Return a ``gold.set`` for each field of a task's known solutions, each answer with its greatest weight."""
    solutions = objects_in(task, "known_solutions", "task")
    if not solutions:
        return []
    item_id = identifier_in(task, "id", "task")
    created = task.get("created")
    try:
        at = emitter.time_or_default(None if created is None else time_of(created, "task.created"))
    except RefusedError as error:
        return [error.refusal]
    by_question: dict[str, list[tuple[RawLabel, float]]] = {}
    outcomes: list[Outcome] = []
    for solution in solutions:
        weight = _weight(solution)
        for name, answer in _answers(object_in(solution, "output_values", "known_solutions[]"), emitter.settings):
            if type(answer) is Refusal:
                outcomes.append(answer)
            else:
                by_question.setdefault(name, []).append((answer, weight))
    for name, known in by_question.items():
        # A task's known solutions are set once; the time of a row of the table is not theirs.
        outcomes.append(emitter.gold(item_id, name, known, at, origin="known_solutions", has_one_time=True))
    return outcomes


def _weight(solution: Json) -> float:
    weight = solution.get("correctness_weight")
    try:
        return 1.0 if weight is None else float(number_of(weight))
    except RefusedError as error:
        raise AdapterError(ErrorCode.WRONG_TYPE, f"known_solutions[].correctness_weight: {error}") from None


# Rows of the table of results


def _row(row: Json, received_at: str | None, settings: AdapterSettings) -> list[Outcome]:
    """Return the events of one row; its columns are named ``INPUT:``, ``OUTPUT:``, ``GOLDEN:`` and ``ASSIGNMENT:``."""
    parts = {name.partition(":")[2]: value for name, value in row.items() if name.startswith("ASSIGNMENT:")}
    values = {
        group: {
            name.partition(":")[2]: value
            for name, value in row.items()
            if name.startswith(f"{group}:") and value not in (None, "")
        }
        for group in ("INPUT", "OUTPUT", "GOLDEN")
    }
    task_id = identifier_in(parts, "task_id", "ASSIGNMENT")
    status = text_of(parts.get("status") or "SUBMITTED", "ASSIGNMENT:status").upper()
    known = [{"output_values": values["GOLDEN"]}] if values["GOLDEN"] else []
    task = {"id": task_id, "input_values": values["INPUT"], "known_solutions": known, "created": parts.get("started")}
    body = {
        "id": identifier_in(parts, "assignment_id", "ASSIGNMENT"),
        "status": "ACCEPTED" if status == "APPROVED" else status,
        "user_id": parts.get("worker_id"),
        "created": parts.get("started"),
        **{name: parts[name] for name in ("submitted", "accepted", "rejected", "skipped") if parts.get(name)},
        "tasks": [task],
        "solutions": [{"output_values": values["OUTPUT"]}],
    }
    return _assignment({name: value for name, value in body.items() if value is not None}, received_at, settings)


def _pool(owner: Json, name: str) -> str | None:
    return None if owner.get("pool_id") is None else identifier_in(owner, "pool_id", name)
