"""Rows of the consensus: of each item whose answer may have changed, and of each option of preferences."""

from collections.abc import Iterator
from typing import Any

from operators.project.memory import Memory
from operators.project.settings import FoldSettings
from operators.project.state import QuestionRecord
from operators.stats.consensus.categorical import Answer

KNOWN, SETTLED, NEEDS_LABEL, ESCALATE = "known", "settled", "needs_label", "escalate"

Row = tuple[Any, ...]


def consensus_rows(question: QuestionRecord, project_id: str, settings: FoldSettings) -> Iterator[Row]:
    """Yield the rows of a question's items whose answers may have changed."""
    consensus = question.consensus
    assert consensus is not None
    place, generation = (project_id, question.question_id), settings.generation
    if consensus.ratings is not None:
        for item_id, version in consensus.changed.items():
            rating = consensus.ratings.answer(item_id)
            if rating is None:
                yield (*place, item_id, None, None, None, 0, NEEDS_LABEL, None, generation, version, 1)
                continue
            status = KNOWN if _is_known(question, item_id) else NEEDS_LABEL if rating.labels < 2 else SETTLED
            value = f"{rating.value:.6g}"
            yield (
                *place, item_id, value, None, rating.deviation, rating.labels, status, None, generation, version, 0
            )  # fmt: skip
        return
    assert consensus.classes is not None
    answers = consensus.classes.answers(consensus.changed)
    for (item_id, version), answer in zip(consensus.changed.items(), answers, strict=True):
        if answer is None:
            yield (*place, item_id, None, None, None, 0, NEEDS_LABEL, None, generation, version, 1)
            continue
        status = KNOWN if _is_known(question, item_id) else _status_of(answer, settings)
        posterior = {name: share for name, share in answer.posterior.items() if share > 0.0}
        yield (
            *place, item_id, answer.label_class, answer.confidence, None, answer.labels, status, posterior,
            generation, version, 0,
        )  # fmt: skip


def option_rows(question: QuestionRecord, project_id: str, generation: int) -> Iterator[Row]:
    """Yield the rows of a question's options whose strengths may have changed."""
    consensus = question.consensus
    assert consensus is not None and consensus.options is not None
    for option, version in consensus.changed_options.items():
        strength = consensus.options.strength(option)
        is_gone = strength is None or not strength.comparisons
        value, deviation, comparisons = strength or (0.0, 0.0, 0)
        yield (
            project_id, question.question_id, option, value, deviation, comparisons, generation, version, int(is_gone)
        )  # fmt: skip


def _status_of(answer: Answer, settings: FoldSettings) -> str:
    if answer.confidence >= settings.consensus_confidence:
        return SETTLED
    return ESCALATE if answer.labels >= settings.consensus_labels_max else NEEDS_LABEL


def _is_known(question: QuestionRecord, item_id: str) -> bool:
    item = Memory.find_item(question, item_id)
    return item is not None and item.truth is not None
