"""Known answers that people keep in an item's own metadata, where the tool has no place for them."""

from collections.abc import Mapping
from typing import Any

from schemas.adapters.answers import Label, answer_of
from schemas.adapters.common import Outcome, Question, Refusal, RefusalReason, RefusedError
from schemas.adapters.emitting import Emitter

ORIGIN = "metadata"


def metadata_gold(
    emitter: Emitter, metadata: Mapping[str, Any], item_id: str, at: int, questions: Mapping[str, Question]
) -> list[Outcome]:
    """Return a ``gold.set`` for each known answer in an item's metadata, under the key that the settings name.

    The value is an object of answers by question, or one answer: to the only question that has such a class, or to the
    only question there is. An answer is written as the tool writes it, or as a label of the contract. One that names no
    question, and fits none, is no known answer.

    Parameters
    ----------
    questions
        What is known of the project's questions, by id.
    at
        When the item was made, in microseconds since the epoch.
    """
    value = metadata.get(emitter.settings.gold_key) if emitter.settings.gold_key else None
    if value is None or value == "":
        return []
    outcomes: list[Outcome] = []
    for question_id, answer in _by_question(value, questions).items():
        try:
            label = _label_of(answer, questions.get(question_id, Question()))
        except RefusedError as error:
            if type(value) is dict:
                detail = f"known answer to {question_id}: {error.refusal.detail}"
                outcomes.append(Refusal(error.refusal.reason_code, detail))
            continue
        outcomes.append(emitter.gold(item_id, question_id, [(label, 1.0)], at, origin=ORIGIN))
    return outcomes


def _by_question(value: object, questions: Mapping[str, Question]) -> dict[str, Any]:
    if type(value) is dict:
        named = {name: answer for name, answer in value.items() if name in questions or not questions}
        return {} if "kind" in value else named
    candidates = [name for name, question in questions.items() if _has_class(question, value)]
    if len(candidates) != 1:
        candidates = list(questions)
    return {candidates[0]: value} if len(candidates) == 1 else {}


def _has_class(question: Question, value: object) -> bool:
    names = value if type(value) is list and value else [value]
    return all(type(name) is str and name in question.classes for name in names)


def _label_of(answer: object, question: Question) -> Label:
    if type(answer) is dict and "kind" in answer:
        return answer
    if question.classes and question.kind in ("categorical", "multi_label"):
        names = answer if type(answer) is list else [answer]
        if not all(name in question.classes for name in names):
            raise RefusedError(RefusalReason.LABEL_INVALID, "it is not among the question's classes")
    return answer_of(answer, question)
