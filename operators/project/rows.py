"""Rows of what a batch has touched, in the order of the columns in schemas.rows."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from operators.project.agreement_rows import agreement_row, agreement_window_row, pair_row
from operators.project.consensus_rows import consensus_rows, option_rows
from operators.project.estimates import chance_of_longest_run, consensus_accuracy, estimate_of, haste_figures
from operators.project.review_order import REJECT, newest_review
from operators.project.settings import FoldSettings
from operators.project.standing import NAMES
from operators.project.state import (
    CREDIT_UNITS,
    AnnotatorRecord,
    Count,
    ItemRecord,
    LabelRecord,
    ProjectRecord,
    QuestionRecord,
    ReviewerRecord,
    ReviewRecord,
    StepCounts,
    WindowCounts,
    WindowRecord,
)
from operators.project.touched import DriftFinding, Touched
from operators.stats import log_histogram
from operators.stats.jeffreys import jeffreys_bounds
from schemas import rows

NEW, ANNOTATED, REVIEWED, ADJUDICATED = "new", "annotated", "reviewed", "adjudicated"
"""Stages of an item: the last step of the workflow that something was done in."""
ADWIN = "adwin"
SIGNAL = "accuracy"

Row = tuple[Any, ...]


class RowMaker:
    """Makes the rows of one project; what has come down to nothing gets a tombstone and leaves the state."""

    def __init__(self, record: ProjectRecord, settings: FoldSettings) -> None:
        self._record = record
        self._project_id = record.project_id
        self._settings = settings
        self._generation = settings.generation

    def add_rows(self, touched: Touched, out: dict[str, list[Row]]) -> None:
        """Add the rows of all that was touched to `out`, by table; nothing is dirty afterwards."""
        makers: tuple[tuple[rows.Table, list[Any], Callable[..., Row]], ...] = (
            (rows.ITEMS, touched.items, self._item),
            (rows.ANNOTATORS, touched.annotators, self._annotator),
            (rows.ANNOTATOR_WINDOWS, touched.annotator_windows, self._annotator_window),
            (rows.PROJECT_WINDOWS, touched.project_windows, self._project_window),
            (rows.CLASS_WINDOWS, touched.class_windows, self._class_window),
            (rows.CONFUSION, touched.confusion, self._confusion),
            (rows.REVIEWERS, touched.reviewers, self._reviewer),
            (rows.STEP_WINDOWS, touched.step_windows, self._step_window),
        )
        made = (
            (rows.LABELS, touched.label_rows), (rows.SKIPS, touched.skip_rows), (rows.REVIEWS, touched.review_rows)
        )  # fmt: skip
        for table, made_rows in made:
            if made_rows:
                out.setdefault(table.name, []).extend(made_rows)
        for table, records, maker in makers:
            if records:
                out.setdefault(table.name, []).extend([maker(*record) for record in records])
        self._add_agreement(touched, out)
        for question in touched.consensus:
            self._add_consensus(question, out)
        if touched.drift_rows:
            out.setdefault(rows.DRIFT.name, []).extend(touched.drift_rows)
        if touched.alerts:
            out.setdefault(rows.ALERTS.name, []).extend(alert.to_row() for alert in touched.alerts)
        if touched.drifts:
            out.setdefault(rows.DRIFT.name, []).extend(map(self._drift, touched.drifts))
        if touched.project is not None:
            out.setdefault(rows.PROJECTS.name, []).append(self._project(touched.project))

    def _item(self, question: QuestionRecord, item: ItemRecord) -> Row:
        item.is_dirty = False
        annotators, top, share = plurality(item.labels)
        truth, skips = item.truth, item.skips
        kind = question.kind if item.labels or truth else None
        started_at = finished_at = adjudicator = None
        stage = NEW
        if item.labels:
            stage = ANNOTATED
            started_at = item.labels[0].first_at
            if len(item.labels) > 1:
                started_at = min([label.first_at for label in item.labels])
            if question.reviewers:
                stage, finished_at = _reviewed_stage(item)
        if item.adjudicated is not None:
            stage, finished_at = ADJUDICATED, item.adjudicated.occurred_at
            adjudicator = item.adjudicated.adjudicator_id
        is_gone = not item.labels and truth is None and not skips
        return (
            self._project_id, question.question_id, item.item_id,
            len(item.labels), annotators, top, share, truth.primary if truth else None,
            NAMES[truth.standing] if truth else None, kind, stage, len(skips) if skips else 0,
            adjudicator, started_at, finished_at,
            item.first_at, item.last_at, self._generation, item.version, int(is_gone),
        )  # fmt: skip

    def _annotator(self, question: QuestionRecord, annotator: AnnotatorRecord) -> Row:
        annotator.is_dirty = False
        runs = annotator.runs
        stream, effective = annotator.stream, annotator.stream.effective_judgements
        decayed = stream.decayed.get() if stream.judgements else None
        width = stream.window.width
        adaptive = stream.window.estimation if stream.judgements else None
        return (
            self._project_id, question.question_id, annotator.annotator_id,
            annotator.labels, *_accuracy(annotator.gold_credit, annotator.gold_labels),
            stream.judgements, decayed, *_bounds_of_mean(decayed, effective),
            adaptive, *_bounds_of_mean(adaptive, width), int(width),
            annotator.timed_labels, annotator.duration_p50.get(), annotator.duration_p90.get(), annotator.drifts,
            annotator.reviews, annotator.accepted, annotator.fixed, annotator.rejected,
            annotator.first_reviews, annotator.first_accepted, annotator.reworked,
            annotator.corrected_labels, annotator.corrected_credit / CREDIT_UNITS,
            annotator.skips, annotator.skips_in_a_row,
            *estimate_of(annotator, question), *haste_figures(annotator, question),
            runs.longest if runs else 0, runs.longest_answer if runs else None,
            chance_of_longest_run(annotator, question), *consensus_accuracy(annotator, question),
            annotator.first_at, annotator.last_at,
            self._generation, annotator.version, int(annotator.labels == 0 and annotator.skips == 0),
        )  # fmt: skip

    def _annotator_window(
        self, question: QuestionRecord, window: WindowRecord, annotator_id: str, counts: WindowCounts
    ) -> Row:
        counts.is_dirty = False
        is_gone = counts.labels == 0 and counts.skips == 0
        if is_gone:
            del window.annotators[annotator_id]
        return (
            self._project_id, question.question_id, window.start, annotator_id, window.start + self._settings.window,
            counts.labels, *_accuracy(counts.gold_credit, counts.gold_labels),
            counts.timed_labels, counts.duration_ms_sum, counts.skips,
            self._generation, counts.version, int(is_gone),
        )  # fmt: skip

    def _project_window(self, question: QuestionRecord, window: WindowRecord) -> Row:
        counts = window.project
        counts.is_dirty = False
        return (
            self._project_id, question.question_id, window.start, window.start + self._settings.window,
            counts.labels, *_accuracy(counts.gold_credit, counts.gold_labels),
            counts.timed_labels, counts.duration_ms_sum, counts.annotators, counts.skips,
            self._generation, counts.version, int(counts.labels == 0 and counts.skips == 0),
        )  # fmt: skip

    def _class_window(self, question: QuestionRecord, window: WindowRecord, value: str, count: Count) -> Row:
        count.is_dirty = False
        if count.labels == 0:
            del window.classes[value]
        return (
            self._project_id, question.question_id, window.start, value, window.start + self._settings.window,
            count.labels, self._generation, count.version, int(count.labels == 0),
        )  # fmt: skip

    def _confusion(
        self, question: QuestionRecord, annotator: AnnotatorRecord, truth: str, value: str, count: Count
    ) -> Row:
        count.is_dirty = False
        if count.labels == 0:
            del annotator.confusion[truth][value]
        return (
            self._project_id, question.question_id, annotator.annotator_id, truth, value,
            count.labels, self._generation, count.version, int(count.labels == 0),
        )  # fmt: skip

    def _reviewer(self, question: QuestionRecord, reviewer: ReviewerRecord) -> Row:
        reviewer.is_dirty = False
        if reviewer.reviews == 0:
            del question.reviewers[reviewer.reviewer_id]
        judged, agreeing, agreement, agreement_low, agreement_high = _accuracy(reviewer.agreeing, reviewer.judged)
        wrong, _, leniency, leniency_low, leniency_high = _accuracy(
            reviewer.wrongly_accepted * CREDIT_UNITS, reviewer.wrong_labels
        )
        return (
            self._project_id, question.question_id, reviewer.reviewer_id,
            reviewer.reviews, reviewer.accepted, reviewer.fixed, reviewer.rejected,
            judged, agreeing, agreement, agreement_low, agreement_high,
            wrong, reviewer.wrongly_accepted, leniency, leniency_low, leniency_high, reviewer.wrongly_refused,
            reviewer.first_at, reviewer.last_at,
            self._generation, reviewer.version, int(reviewer.reviews == 0),
        )  # fmt: skip

    def _step_window(self, question: QuestionRecord, window: WindowRecord, step: str, counts: StepCounts) -> Row:
        counts.is_dirty = False
        is_gone = not (counts.done or counts.skips or counts.first_reviews)
        if is_gone:
            del window.steps[step]
        return (
            self._project_id, question.question_id, window.start, step, window.start + self._settings.window,
            counts.done, counts.skips, counts.timed, counts.duration_ms_sum, counts.reworked,
            counts.first_reviews, counts.first_accepted, counts.waited, counts.waiting_ms_sum,
            log_histogram.quantile(counts.waits, 0.5), log_histogram.quantile(counts.waits, 0.9),
            self._generation, counts.version, int(is_gone),
        )  # fmt: skip

    def _add_agreement(self, touched: Touched, out: dict[str, list[Row]]) -> None:
        project, generation = self._project_id, self._generation
        if touched.agreement:
            made = [agreement_row(question, project, generation) for question in touched.agreement]
            out.setdefault(rows.AGREEMENT.name, []).extend(made)
        if touched.agreement_windows:
            length = self._settings.window
            made = [agreement_window_row(*place, length, project, generation) for place in touched.agreement_windows]
            out.setdefault(rows.AGREEMENT_WINDOWS.name, []).extend(made)
        if touched.pairs:
            made = [
                pair_row(self._record.questions[question_id], pair, version, project, generation)
                for (question_id, *pair), version in touched.pairs.items()
            ]
            out.setdefault(rows.PAIRS.name, []).extend(made)

    def _add_consensus(self, question: QuestionRecord, out: dict[str, list[Row]]) -> None:
        consensus = question.consensus
        assert consensus is not None
        out.setdefault(rows.CONSENSUS.name, []).extend(consensus_rows(question, self._project_id, self._settings))
        if consensus.changed_options:
            made = option_rows(question, self._project_id, self._generation)
            out.setdefault(rows.OPTIONS.name, []).extend(made)
        consensus.is_dirty, consensus.changed, consensus.changed_options = False, {}, {}

    def _drift(self, finding: DriftFinding) -> Row:
        change = finding.change
        return (
            finding.project_id, finding.question_id, finding.annotator_id, SIGNAL, ADWIN, finding.sequence,
            "worse" if change.is_worse else "better", finding.detected_at, change.changed_at,
            change.before, change.after, change.judgements_after,
            self._generation, finding.version, 0,
        )  # fmt: skip

    def _project(self, record: ProjectRecord) -> Row:
        return (
            record.project_id, record.stream, record.partition,
            record.newest_at - self._settings.disorder, record.newest_at,
            record.labels, record.items, record.annotators, record.truth_items,
            record.gold_labels, record.gold_credit / CREDIT_UNITS,
            record.unmatched_retractions, record.unmatched_reviews, int(record.is_unordered),
            self._generation, record.version, 0,
        )  # fmt: skip


def label_row(
    label: LabelRecord, standing: str | None, *, project_id: str, generation: int, is_deleted: int = 0
) -> Row:
    """Return the row of a label; `standing` is the standing of what is held against it."""
    truth, credit = (
        (label.truth, label.credit) if label.credit is not None else (label.corrected, label.corrected_credit)
    )
    return (
        project_id, label.question_id, label.item_id, label.annotation_id,
        label.annotator_id, label.step, label.revision, label.value, label.occurred_at, label.first_at,
        label.duration_ms, truth, None if credit is None else credit / CREDIT_UNITS, standing, label.attributes,
        generation, label.version, is_deleted,
    )  # fmt: skip


def skip_row(skip: LabelRecord, *, project_id: str, generation: int, is_deleted: int = 0) -> Row:
    """Return the row of a skip."""
    return (
        project_id, skip.question_id, skip.item_id, skip.annotation_id, skip.annotator_id, skip.step, skip.revision,
        skip.occurred_at, skip.first_at, skip.duration_ms, skip.attributes, generation, skip.version, is_deleted,
    )  # fmt: skip


def review_row(
    review: ReviewRecord, label: LabelRecord, *, is_first: bool, project_id: str, generation: int, is_deleted: int = 0
) -> Row:
    """Return the row of a review of a label."""
    return (
        project_id, label.question_id, label.annotation_id, review.review_id,
        label.item_id, label.annotator_id, review.reviewer_id, review.step, review.decision, review.correction,
        int(is_first), None if review.credit is None else review.credit / CREDIT_UNITS,
        review.occurred_at, review.duration_ms, review.waiting_ms, generation, review.version, is_deleted,
    )  # fmt: skip


def plurality(labels: list[LabelRecord]) -> tuple[int, str | None, float | None]:
    """Return the number of annotators, the class with most votes and its share of the votes.

    One person has one vote, divided evenly over their labels of the item. Of classes with equal votes the first in
    alphabetical order is returned. The class and share are None where there is no label.
    """
    if not labels:
        return 0, None, None
    if len(labels) == 1:
        return 1, labels[0].value, 1.0
    values = {label.value for label in labels}
    if len(values) == 1:
        return len({label.annotator_id for label in labels}), values.pop(), 1.0
    by_annotator: dict[str, int] = {}
    for label in labels:
        by_annotator[label.annotator_id] = by_annotator.get(label.annotator_id, 0) + 1
    has_repeats = len(by_annotator) < len(labels)
    votes: dict[str, Fraction | int] = {}
    for label in labels:
        vote = Fraction(1, by_annotator[label.annotator_id]) if has_repeats else 1
        votes[label.value] = votes.get(label.value, 0) + vote
    top = max(sorted(votes), key=lambda value: votes[value])
    return len(by_annotator), top, float(votes[top]) / len(by_annotator)


def _reviewed_stage(item: ItemRecord) -> tuple[str, int | None]:
    """Return the stage of an item with labels, and when the last of them passed its review, if all did."""
    newest = [newest_review(label) for label in item.labels if label.reviews]
    if not newest:
        return ANNOTATED, None
    is_passed = len(newest) == len(item.labels) and all(review.decision != REJECT for review in newest)
    return REVIEWED, max(review.occurred_at for review in newest) if is_passed else None


def _accuracy(credit: int, judged: int) -> tuple[int, float, float | None, float | None, float | None]:
    if judged == 0:
        return 0, 0.0, None, None, None
    correct = credit / CREDIT_UNITS
    return judged, correct, correct / judged, *jeffreys_bounds(correct, float(judged))


def _bounds_of_mean(mean: float | None, trials: float) -> tuple[float | None, float | None]:
    if mean is None or trials <= 0:
        return None, None
    return jeffreys_bounds(min(max(mean, 0.0), 1.0) * trials, float(trials))
