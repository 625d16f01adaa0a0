"""Argilla: webhooks of version 2, and records with their responses as its API or its Python client give them."""

from collections.abc import Mapping
from typing import Any

from schemas.adapters.answers import Label, answer_of, first_of, number_of
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
from schemas.adapters.emitting import Answer, Emitter, Submission, answers_to, digest
from schemas.adapters.known_answers import metadata_gold
from schemas.adapters.reading import (
    array_in,
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

TOOL = "argilla"
FLAT_SUFFIX = ".responses"
SKIPPED_QUESTION = "label"
"""The question of a discarded response where the dataset's questions are not known."""

KINDS = {
    "label_selection": "categorical",
    "multi_label_selection": "multi_label",
    "dynamic_multi_label_selection": "multi_label",
    "rating": "rating",
    "text": "text",
    "ranking": "ranking",
    "span": "spans",
}

Json = dict[str, Any]
Questions = Mapping[str, Question]


def webhook_events(
    payload: object,
    *,
    received_at: str | None = None,
    settings: AdapterSettings = DEFAULTS,
    headers: Mapping[str, str] = NO_HEADERS,
) -> list[Outcome]:
    """Return the events of a webhook's body.

    Each retry has a ``webhook-id`` of its own, so ids derive from the response and the time of its last change.

    Parameters
    ----------
    payload
        The body, parsed.
    received_at
        RFC 3339, when it came.
    settings
        What people set.
    headers
        Not looked at.

    Raises
    ------
    AdapterError
        If it is no body of an Argilla webhook.
    """
    body = object_of(payload, "payload")
    kind = text_of(body.get("type"), "type")
    data = object_of(body.get("data"), "data")
    if kind.startswith("response."):
        return _from_response(kind, body, data, received_at, settings)
    if kind.startswith("record.") and kind != "record.deleted":
        dataset = object_in(data, "dataset", "data")
        emitter = Emitter(TOOL, identifier_in(dataset, "id", "data.dataset"), received_at, settings)
        gold = _gold(emitter, data, _questions(dataset, settings))
        return gold or [Refusal(RefusalReason.NO_LABEL, f"{kind}: holds no known answer")]
    return [Refusal(RefusalReason.NO_LABEL, f"{kind}: tells of no label")]


def export_events(
    record: object, *, received_at: str | None = None, settings: AdapterSettings = DEFAULTS
) -> list[Outcome]:
    """Return the events of one record with its responses.

    Parameters
    ----------
    record
        A record of the API (``include=responses``), with its dataset under ``dataset`` where that is to tell the kinds
        of its questions; or a record of the Python client's export, flat or not, which tells no times; or a record of
        version 1.
    received_at, settings
        See `webhook_events`.

    Raises
    ------
    AdapterError
        If it is no such record.
    """
    body = object_of(record, "record")
    dataset = object_in(body, "dataset", "record")
    native = first_of(body, "dataset_id") or dataset.get("id")
    native_id = None if native is None else identifier(native, "record.dataset_id")
    emitter = Emitter(TOOL, native_id, received_at, settings)
    questions = _questions(dataset, settings)
    responses = body.get("responses") or _flat_responses(body)
    if "annotation_agent" in body and "annotation" in body:
        outcomes = _from_version_1(emitter, body, questions)
    elif type(responses) is dict:
        outcomes = _from_client_export(emitter, body, responses, questions)
    elif _is_feedback(responses):
        outcomes = _from_client_export(emitter, body, _by_question(responses, questions), questions)
    elif "responses" in body or "fields" in body:
        outcomes = [
            outcome
            for response in objects_in(body, "responses", "record")
            for outcome in _response(emitter, response, body, response.get("user_id"), questions)
        ]
    else:
        raise AdapterError(ErrorCode.MISSING_FIELD, "record.responses: missing")
    outcomes += _gold(emitter, body, questions)
    return outcomes or [Refusal(RefusalReason.NO_LABEL, "record: has no response")]


def _from_response(
    kind: str, body: Json, data: Json, received_at: str | None, settings: AdapterSettings
) -> list[Outcome]:
    record = object_of(data.get("record"), "data.record")
    dataset = object_of(record.get("dataset"), "data.record.dataset")
    emitter = Emitter(TOOL, identifier_in(dataset, "id", "data.record.dataset"), received_at, settings)
    if kind == "response.deleted":
        at = time_of(member(body, "timestamp", "payload"), "timestamp")
        return [emitter.retracted(identifier_in(data, "id", "data"), at)]
    user = data.get("user")
    user_id = user.get("id") if type(user) is dict else data.get("user_id")
    questions = _questions(dataset, settings)
    outcomes = _response(emitter, data, record, user_id, questions)
    return outcomes + _gold(emitter, record, questions)


def _response(emitter: Emitter, response: Json, record: Json, user_id: object, questions: Questions) -> list[Outcome]:
    status = text_of(response.get("status"), "response.status")
    response_id = identifier_in(response, "id", "response")
    if status == "draft":
        return [Refusal(RefusalReason.DRAFT, f"response {response_id}: a draft")]
    if user_id is None:
        return [Refusal(RefusalReason.NO_ANNOTATOR, f"response {response_id}: its user was deleted")]
    created = time_of(member(response, "inserted_at", "response"), "response.inserted_at")
    updated = time_of(member(response, "updated_at", "response"), "response.updated_at")
    submission = Submission(
        annotation_id=response_id,
        item_id=_item_id(record),
        annotator_id=identifier(user_id, "user.id"),
        at=updated,
        revision=revision_of(created, updated),
        step=emitter.settings.step,
        attributes=emitter.attributes_of(object_in(record, "metadata", "record")),
    )
    if status == "discarded":
        return emitter.skipped(submission, list(questions) or [SKIPPED_QUESTION])
    if status != "submitted":
        raise AdapterError(ErrorCode.INVALID_VALUE, f"response.status: no status of a response: {status[:40]!r}")
    values = object_in(response, "values", "response")
    found = [
        answer
        for name, value in values.items()
        for answer in _answers(name, object_of(value, "values[]").get("value"), questions)
    ]
    if not found:
        return [Refusal(RefusalReason.NO_LABEL, f"response {response_id}: answers no question")]
    return emitter.submitted(submission, found)


def _item_id(record: Json) -> str:
    """Return people's own id of a record where it has one."""
    return identifier(first_of(record, "external_id", "id", "_server_id"), "record.id")


def _answers(name: str, value: object, questions: Questions) -> list[Answer]:
    question = questions.get(name, Question())
    # A whole number is a rating, whose scale only the dataset tells.
    if question.kind is None and type(value) is int:
        question = Question(kind="rating")
    return answers_to(name, answer_of, value, question)


def _questions(dataset: Json, settings: AdapterSettings) -> dict[str, Question]:
    """Return what is known of a dataset's questions, by name; what people set comes first."""
    told = {}
    for question in objects_in(dataset, "questions", "dataset"):
        details = object_in(question, "settings", "dataset.questions[]")
        kind = KINDS.get(text_of(details.get("type"), "dataset.questions[].settings.type"))
        options = [object_of(option, "options[]").get("value") for option in array_in(details, "options", "settings")]
        told[identifier_in(question, "name", "dataset.questions[]")] = _question(kind, options)
    return {**told, **settings.questions}


def _question(kind: str | None, options: list[Any]) -> Question:
    if kind == "rating":
        try:
            numbers = [float(number_of(option)) for option in options]
        except RefusedError as error:
            raise AdapterError(ErrorCode.INVALID_VALUE, f"dataset.questions[].settings.options: {error}") from None
        return Question(kind=kind, low=min(numbers, default=None), high=max(numbers, default=None))
    return Question(kind=kind, classes=tuple(option for option in options if type(option) is str))


def _gold(emitter: Emitter, record: Json, questions: Questions) -> list[Outcome]:
    metadata = record.get("metadata")
    if type(metadata) is not dict or metadata.get(emitter.settings.gold_key) is None:
        return []
    inserted = record.get("inserted_at")
    try:
        at = emitter.time_or_default(None if inserted is None else time_of(inserted, "record.inserted_at"))
    except RefusedError as error:
        return [error.refusal]
    return metadata_gold(emitter, metadata, _item_id(record), at, questions)


def _flat_responses(record: Json) -> dict[str, list[Json]] | None:
    """Return the responses of a flat record: answers, users and states in lists beside one another."""
    names = [name.removesuffix(FLAT_SUFFIX) for name in record if name.endswith(FLAT_SUFFIX)]
    responses: dict[str, list[Json]] = {}
    for name in names:
        answers = array_in(record, name + FLAT_SUFFIX, "record")
        users = array_in(record, f"{name}{FLAT_SUFFIX}.users", "record")
        states = array_in(record, f"{name}{FLAT_SUFFIX}.status", "record") or ["submitted"] * len(answers)
        if not len(answers) == len(users) == len(states):
            raise AdapterError(ErrorCode.INVALID_VALUE, f"record.{name[:40]}{FLAT_SUFFIX}: not one user and state each")
        told = zip(answers, users, states, strict=True)
        responses[name] = [{"value": value, "user_id": user, "status": state} for value, user, state in told]
    return responses or None


def _is_feedback(responses: object) -> bool:
    """Return whether responses are those of a feedback data set of version 1, which have neither ids nor times."""
    return type(responses) is list and any(type(part) is dict and part.get("id") is None for part in responses)


def _by_question(responses: list[Json], questions: Questions) -> dict[str, list[Json]]:
    """Return responses that hold a person's answers as answers that name their person."""
    found: dict[str, list[Json]] = {}
    for response in objects_in({"responses": responses}, "responses", "record"):
        values = object_in(response, "values", "responses[]")
        given = {key: response.get(key) for key in ("user_id", "status")}
        for name in values or questions or [SKIPPED_QUESTION]:
            value = object_in(values, name, "values").get("value")
            found.setdefault(name, []).append({**given, "value": value})
    return found


def _from_version_1(emitter: Emitter, record: Json, questions: Questions) -> list[Outcome]:
    """Return the events of a record of Argilla's version 1: its one annotation, by its agent."""
    item_id = identifier_in(record, "id", "record")
    agent = first_of(record, "annotation_agent") or emitter.settings.annotator_id
    if record["annotation"] is None and record.get("status") != "Discarded":
        return []
    if agent is None:
        return [Refusal(RefusalReason.NO_ANNOTATOR, f"record {item_id}: does not say who annotated it")]
    stamp = record.get("event_timestamp")
    try:
        at = emitter.time_or_default(None if stamp is None else time_of(stamp, "record.event_timestamp"))
    except RefusedError as error:
        return [error.refusal]
    annotator_id = identifier(agent, "record.annotation_agent")
    submission = Submission(digest("a", emitter.project_id, item_id, annotator_id), item_id, annotator_id, at)
    if record.get("status") == "Discarded":
        return emitter.skipped(submission, [SKIPPED_QUESTION])
    question = questions.get(SKIPPED_QUESTION, Question())
    return emitter.submitted(
        submission, answers_to(SKIPPED_QUESTION, _version_1_answer, record["annotation"], question)
    )


def _version_1_answer(annotation: object, question: Question) -> Label:
    """Return a class, a set of classes, a text, or spans, which are lists of class, start and end."""
    if type(annotation) is list and annotation and all(type(part) is list and len(part) >= 3 for part in annotation):
        annotation = [{"label": part[0], "start": part[1], "end": part[2]} for part in annotation]
    return answer_of(annotation, question)


def _from_client_export(emitter: Emitter, record: Json, responses: Json, questions: Questions) -> list[Outcome]:
    """Return the events of a record of the Python client's export: answers by question, each with its user."""
    by_user: dict[str, list[Answer]] = {}
    skipped: dict[str, list[str]] = {}
    for name, given in responses.items():
        for response in objects_in({"responses": given}, "responses", name):
            status = response.get("status")
            user = response.get("user_id")
            if user is None and emitter.settings.annotator_id is None:
                return [Refusal(RefusalReason.NO_ANNOTATOR, f"{name}: a response that does not say whose it is")]
            user_id = identifier(emitter.settings.annotator_id if user is None else user, "responses[].user_id")
            if status == "discarded":
                skipped.setdefault(user_id, []).append(name)
            elif status in (None, "submitted"):
                by_user.setdefault(user_id, []).extend(_answers(name, response.get("value"), questions))
    if not by_user and not skipped:
        return []
    item_id = _item_id(record)
    server_id = identifier(first_of(record, "_server_id", "id", "external_id"), "record._server_id")
    try:
        at = emitter.time_or_default(None)
    except RefusedError as error:
        return [error.refusal]
    outcomes: list[Outcome] = []
    for user_id in {**by_user, **skipped}:
        submission = Submission(digest("a", emitter.project_id, server_id, user_id), item_id, user_id, at)
        outcomes += emitter.submitted(submission, by_user.get(user_id, []))
        outcomes += emitter.skipped(submission, skipped.get(user_id, []))
    return outcomes
