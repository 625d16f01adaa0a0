"""What the reviews of a label contribute: to its annotator, its reviewers and the windows of their step.

Reviews are counted with their label: what corrects it takes all of them out, changes it, and puts them in again.
"""

from typing import TYPE_CHECKING

from operators.labels import compare_contents
from operators.project.contributions import touch_annotator
from operators.project.estimates import count_lesser_evidence
from operators.project.review_order import ACCEPT, FIX, REJECT, first_review, newest_review
from operators.project.rows import review_row
from operators.project.state import (
    CREDIT_UNITS,
    AnnotatorRecord,
    ItemRecord,
    LabelRecord,
    QuestionRecord,
    ReviewerRecord,
    ReviewRecord,
)
from operators.project.workflow import count_step, count_work

if TYPE_CHECKING:
    from operators.project.changes import Changes


def correct_label(label: LabelRecord) -> None:
    """Hold the correction of the newest review against a label."""
    newest = newest_review(label) if label.reviews else None
    if newest is None or newest.correction is None:
        label.corrected = label.corrected_credit = None
        return
    label.corrected = newest.correction
    label.corrected_credit = _credit_of(label.value, label.content, newest.correction, newest.correction_content)


def count_reviews(
    changes: "Changes",
    sign: int,
    label: LabelRecord,
    question: QuestionRecord,
    annotator: AnnotatorRecord,
    version: int,
) -> None:
    """Add what the reviews of a label contribute (sign 1), or take it out (sign -1)."""
    assert label.reviews
    for review in label.reviews:
        _count_review(changes, sign, review, label, question, version)
        annotator.accepted += sign * (review.decision == ACCEPT)
        annotator.fixed += sign * (review.decision == FIX)
        annotator.rejected += sign * (review.decision == REJECT)
    annotator.reviews += sign * len(label.reviews)
    first = first_review(label)
    is_accepted = first.decision == ACCEPT
    annotator.first_reviews += sign
    annotator.first_accepted += sign * is_accepted
    if label.corrected_credit is not None:
        annotator.corrected_labels += sign
        annotator.corrected_credit += sign * label.corrected_credit
    count_lesser_evidence(sign, label, annotator, question, is_passed=newest_review(label).decision == ACCEPT)
    touch_annotator(annotator, question, changes.touched, version)
    if first.occurred_at >= changes.memory.horizon:
        window = changes.memory.window_of(question, first.occurred_at)
        counts = count_step(question, window, first.step, changes.touched, version)
        counts.first_reviews += sign
        counts.first_accepted += sign * is_accepted


def judge_reviews(
    changes: "Changes", label: LabelRecord, item: ItemRecord, question: QuestionRecord, version: int
) -> None:
    """Hold the item's known answer against what reviewers decided; to be done while they are not counted."""
    for review in label.reviews or ():
        credit = _agreement(review, label, item)
        if credit != review.credit:
            review.credit = credit
            write_review(changes, review, label, question, version)


def rejudge_reviews(
    changes: "Changes", label: LabelRecord, item: ItemRecord, question: QuestionRecord, version: int
) -> None:
    """Let the reviews of a label speak of what it has become; to be done while they are not counted."""
    correct_label(label)
    for review in label.reviews or ():
        review.credit = _agreement(review, label, item)
        write_review(changes, review, label, question, version)


def write_review(
    changes: "Changes", review: ReviewRecord, label: LabelRecord, question: QuestionRecord, version: int, *,
    is_deleted: int = 0,
) -> None:  # fmt: skip
    """Note the row of a review."""
    review.version = version
    row = review_row(
        review,
        label,
        is_first=review is first_review(label),
        project_id=changes.record.project_id,
        generation=changes.settings.generation,
        is_deleted=is_deleted,
    )
    changes.write("review_rows", row)


def _count_review(
    changes: "Changes", sign: int, review: ReviewRecord, label: LabelRecord, question: QuestionRecord, version: int
) -> None:
    if review.occurred_at >= changes.memory.horizon:
        window = changes.memory.window_of(question, review.occurred_at)
        counts = count_step(question, window, review.step, changes.touched, version)
        count_work(counts, sign, review.duration_ms, review.waiting_ms)
    reviewer = _reviewer_of(review, question)
    reviewer.reviews += sign
    reviewer.accepted += sign * (review.decision == ACCEPT)
    reviewer.fixed += sign * (review.decision == FIX)
    reviewer.rejected += sign * (review.decision == REJECT)
    if review.credit is not None and label.credit is not None:
        is_right = 2 * label.credit >= CREDIT_UNITS
        reviewer.judged += sign
        reviewer.agreeing += sign * review.credit
        reviewer.wrong_labels += sign * (not is_right)
        reviewer.wrongly_accepted += sign * (review.decision == ACCEPT and not is_right)
        reviewer.wrongly_refused += sign * (review.decision != ACCEPT and is_right)
    if version > reviewer.version:
        reviewer.version = version
    if not reviewer.is_dirty:
        reviewer.is_dirty = True
        changes.touched.reviewers.append((question, reviewer))


def _reviewer_of(review: ReviewRecord, question: QuestionRecord) -> ReviewerRecord:
    at = review.occurred_at
    reviewer = question.reviewers.get(review.reviewer_id)
    if reviewer is None:
        reviewer = question.reviewers[review.reviewer_id] = ReviewerRecord(review.reviewer_id, at, at)
    if not reviewer.reviews:  # as if the batch had ended and the reviewer been forgotten
        reviewer.first_at = reviewer.last_at = at
    reviewer.first_at, reviewer.last_at = min(reviewer.first_at, at), max(reviewer.last_at, at)
    return reviewer


def _agreement(review: ReviewRecord, label: LabelRecord, item: ItemRecord) -> int | None:
    """Return how far a decision agrees with the item's known answer, in millionths; None while it is not known."""
    if item.truth is None or label.credit is None:
        return None
    if review.decision == ACCEPT:
        return label.credit
    if review.decision == REJECT:
        return CREDIT_UNITS - label.credit
    assert review.correction is not None
    return item.truth.judge_answer(review.correction, review.correction_content)[1]


def _credit_of(value: str, content: str | None, correction: str, correction_content: str | None) -> int:
    if content is None or correction_content is None:
        return CREDIT_UNITS * (value == correction)
    return round(CREDIT_UNITS * compare_contents(content, correction_content))
