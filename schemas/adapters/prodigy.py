"""Prodigy: lines of ``db-out``. It has no webhooks."""

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
    identifier_in,
    object_in,
    object_of,
    objects_in,
    text_of,
    unix_time_of,
)
from schemas.errors import ErrorCode
from schemas.events import REVISION_MAX
from schemas.timestamps import MICROSECONDS_PER_SECOND

TOOL = "prodigy"

CHOICE_QUESTION = "choice"
SPANS_QUESTION = "spans"
BOXES_QUESTION = "boxes"
ANSWER_QUESTION = "answer"
RELATIONS_QUESTION = "relations"
TEXT_FIELD = "user_input"
ANSWERS = ("accept", "reject", "ignore")
MANUAL_VIEWS = (
    "ner_manual", "spans_manual", "image_manual", "audio_manual", "choice", "text_input", "blocks", "relations",
)  # fmt: skip
"""Interfaces in which the annotator makes the answer, rather than judging a suggested one."""

Json = dict[str, Any]


def webhook_events(
    payload: object,
    *,
    received_at: str | None = None,
    settings: AdapterSettings = DEFAULTS,
    headers: Mapping[str, str] = NO_HEADERS,
) -> list[Outcome]:
    """Refuse: Prodigy has no webhooks."""
    return [Refusal(RefusalReason.NO_WEBHOOK, "Prodigy has no webhooks; convert what db-out writes")]


def export_events(
    record: object, *, received_at: str | None = None, settings: AdapterSettings = DEFAULTS
) -> list[Outcome]:
    """Return the events of one line of ``db-out``.

    A manual interface answers the questions ``choice``, ``spans``, ``boxes`` and those of its text fields; a binary one
    answers accept or reject to the question named as the label that was suggested. Lines do not name their dataset:
    it is the setting ``project_id``.

    Parameters
    ----------
    record
        The line, parsed.
    received_at, settings
        As for the adapters of other tools.

    Raises
    ------
    AdapterError
        If it is no such line.
    """
    task = object_of(record, "task")
    answer = text_of(task.get("answer"), "task.answer")
    if answer not in ANSWERS:
        raise AdapterError(ErrorCode.INVALID_VALUE, f"task.answer: none of {', '.join(ANSWERS)}: {answer[:40]!r}")
    dataset = task.get("_dataset")
    emitter = Emitter(TOOL, None if dataset is None else identifier_in(task, "_dataset", "task"), received_at, settings)
    try:
        submission = _submission(emitter, task)
    except RefusedError as error:
        return [error.refusal]
    found = _answers(task, answer, settings)
    if answer == "ignore":
        return emitter.skipped(submission, [name for name, _ in found] or [ANSWER_QUESTION])
    if task.get("_view_id") == "review":
        return _adjudication(emitter, submission, found)
    return emitter.submitted(submission, found)


def _submission(emitter: Emitter, task: Json) -> Submission:
    annotator = first_of(task, "_annotator_id", "_session_id") or emitter.settings.annotator_id
    if annotator is None:
        raise RefusedError(RefusalReason.NO_ANNOTATOR, "task: written by a version that names no annotator")
    annotator_id = bounded_identifier(annotator, "task._annotator_id")
    item_id = identifier_in(task, "_input_hash", "task")
    task_id = identifier_in(task, "_task_hash", "task") if task.get("_task_hash") is not None else item_id
    stamp = task.get("_timestamp")
    at = emitter.time_or_default(None if stamp is None else unix_time_of(stamp, "task._timestamp"))
    return Submission(
        annotation_id=digest("a", emitter.project_id, task_id, annotator_id),
        item_id=item_id,
        annotator_id=annotator_id,
        at=at,
        revision=0 if stamp is None else min(at // MICROSECONDS_PER_SECOND, REVISION_MAX),
        step=emitter.settings.step,
        attributes=emitter.attributes_of(object_in(task, "meta", "task")),
    )


def _answers(task: Json, answer: str, settings: AdapterSettings) -> list[Answer]:
    """Return the answer to each question of a task.

    A binary interface asks whether a suggestion is right. What a manual one shows as rejected is no answer to its
    questions: it answers only that the task was rejected.
    """
    view = task.get("view_id") if task.get("_view_id") == "review" else task.get("_view_id")
    if type(task.get("accept")) is dict:  # of two that are compared, the better one by what is known before
        return [(ANSWER_QUESTION, answers.categorical(answer))]
    if view not in MANUAL_VIEWS and "accept" not in task and (view is not None or "label" in task):
        name = bounded_identifier(task["label"], "task.label") if "label" in task else ANSWER_QUESTION
        return [(name, answers.categorical(answer))]
    if answer == "reject":
        return [(ANSWER_QUESTION, answers.categorical(answer))]
    found = answers_to(CHOICE_QUESTION, _choice, task, settings) if "accept" in task else []
    for name in _text_fields(task):
        if name in task:
            found += answers_to(name, _written, task[name], settings.questions.get(name))
    found += _regions(task, view)
    if view == "relations" or task.get("relations"):
        found.append((RELATIONS_QUESTION, Refusal(RefusalReason.UNSUPPORTED_LABEL, "no kind of label holds relations")))
    return found or [(ANSWER_QUESTION, answers.categorical(answer))]


def _choice(task: Json, settings: AdapterSettings) -> Label:
    """Return the options chosen: one class where the interface takes one."""
    chosen = array_of(task["accept"], "task.accept")
    question = settings.questions.get(CHOICE_QUESTION)
    if question is not None:
        return answer_of(chosen if question.kind == "multi_label" else next(iter(chosen), None), question)
    style = object_in(task, "config", "task").get("choice_style")
    if style == "multiple" or (style != "single" and len(chosen) != 1):
        return answers.multi_label(chosen)
    if not chosen:
        raise RefusedError(RefusalReason.NO_LABEL, "no option was chosen")
    return answers.categorical(chosen[0])


def _text_fields(task: Json) -> list[str]:
    """Return the names of the fields that a ``text_input`` interface fills."""
    blocks = [block for block in array_in(object_in(task, "config", "task"), "blocks", "config") if type(block) is dict]
    names = [block.get("field_id") for block in (task, *blocks)] + [TEXT_FIELD]
    return list(dict.fromkeys(name for name in names if type(name) is str and name))


def _written(value: object, question: Question | None) -> Label:
    if type(value) is list:
        value = "\n".join(answers.name_of(part) for part in value)
    return answer_of(value, question or Question(kind="text"))


def _regions(task: Json, view: object) -> list[Answer]:
    """Return the spans or boxes drawn; none drawn is an answer of an interface for drawing."""
    drawn = objects_in(task, "audio_spans" if "audio_spans" in task else "spans", "task")
    if view == "image_manual" or any("points" in span or "x" in span for span in drawn):
        return answers_to(BOXES_QUESTION, _boxes, task, drawn)
    if drawn or "spans" in task or "audio_spans" in task or view in ("ner_manual", "spans_manual", "audio_manual"):
        return answers_to(SPANS_QUESTION, _spans, drawn)
    return []


def _boxes(task: Json, drawn: list[Json]) -> Label:
    image = number_of(task.get("width") or 0), number_of(task.get("height") or 0)
    if any(span.get("type", "rect") != "rect" for span in drawn):
        classes = [span.get("label") for span in drawn]
        raise RefusedError(RefusalReason.UNSUPPORTED_LABEL, "no kind of label holds a polygon", classes)
    return answers.boxes(
        answers.box(
            span.get("label"),
            (number_of(span.get("x")), number_of(span.get("y"))),
            (number_of(span.get("width")), number_of(span.get("height"))),
            image,
        )
        for span in drawn
    )


def _spans(drawn: list[Json]) -> Label:
    return answers.spans((span.get("label"), *_offsets(span)) for span in drawn)


def _offsets(span: Json) -> tuple[int, int]:
    """Return the offsets of a span: characters, or milliseconds of a recording, whose offsets are seconds."""
    start, end = number_of(span.get("start")), number_of(span.get("end"))
    if type(start) is float or type(end) is float:
        return round(start * 1_000), round(end * 1_000)
    return whole_number_of(start), whole_number_of(end)


def _adjudication(emitter: Emitter, submission: Submission, found: list[Answer]) -> list[Outcome]:
    """Return what a reviewer of several annotators' answers decided."""
    return [
        answer
        if type(answer) is Refusal
        else emitter.adjudicated(submission.item_id, name, submission.annotator_id, answer, submission.at)
        for name, answer in found
    ]
