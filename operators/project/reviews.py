"""The fold of a review: it finds its label, or waits for it."""

from operators.events import Reviewed
from operators.project.changes import Changes
from operators.project.outcomes import DUPLICATE, FOLDED, Outcome
from operators.project.review_order import ACCEPT, first_review
from operators.project.reviewing import count_reviews, rejudge_reviews, write_review
from operators.project.state import LabelRecord, QuestionRecord, ReviewRecord
from operators.project.workflow import waiting_ms
from schemas.errors import ErrorCode


def fold_review(changes: Changes, event: Reviewed, at: int, version: int) -> Outcome:
    """Attach a review to its label; one that comes before its label waits for it."""
    memory = changes.memory
    if at < memory.horizon:
        return ErrorCode.LATE
    question = memory.question_of(event.question_id)
    if event.correction is not None:
        refusal = memory.refusal_of(question, event.correction)
        if refusal is not None:
            return refusal
    if memory.is_seen(event.event_id):
        return DUPLICATE
    if memory.is_retracted(event.annotation_id):
        return FOLDED
    label = memory.label_of(event.annotation_id, event.question_id)
    review = _review_of(event, question, changes, at, version)
    if label is None or label.is_skip:
        memory.keep_review(event.annotation_id, event.question_id, review)
    else:
        attach(changes, label, [review], question, at, version)
    return FOLDED


def attach(
    changes: Changes, label: LabelRecord, reviews: list[ReviewRecord], question: QuestionRecord, at: int, version: int
) -> None:
    """Attach reviews, at least one, to a label that is in force."""
    annotator = changes.settled_annotator_of(label, question)
    if label.reviews:
        count_reviews(changes, -1, label, question, annotator, version)
    for review in reviews:
        review.waiting_ms = waiting_ms(label.occurred_at, review.occurred_at)
    label.reviews = [*(label.reviews or ()), *reviews]
    item = question.items[label.item_id]
    rejudge_reviews(changes, label, item, question, version)
    count_reviews(changes, 1, label, question, annotator, version)
    if changes.watch is not None and len(label.reviews) == len(reviews):
        changes.watch.reviewed(label, first_review(label).decision == ACCEPT, at, version)
    changes.write_label(label, question, version)
    changes.touch_item(question, item, at, version)


def detach(changes: Changes, label: LabelRecord, question: QuestionRecord, version: int) -> None:
    """Let the rows of a label's reviews cease with it; they are not counted any more."""
    for review in label.reviews or ():
        write_review(changes, review, label, question, version, is_deleted=1)


def _review_of(event: Reviewed, question: QuestionRecord, changes: Changes, at: int, version: int) -> ReviewRecord:
    value = content = None
    if event.correction is not None:
        value, content = changes.memory.answer_of(question, event.correction)
    return ReviewRecord(
        event.event_id, event.reviewer_id, event.step, event.decision, at, event.duration_ms, None,
        value, content, version,
    )  # fmt: skip
