"""The fold of one project: events in log order change its state; what they touch is noted for writing."""

from collections.abc import Callable, Sequence

from operators.events import FoldableEvent, Gold, Retracted, Submitted
from operators.project.contributions import contribute, contribute_judged, settle, touch_annotator
from operators.project.memory import Memory
from operators.project.rows import label_row
from operators.project.settings import FoldSettings
from operators.project.state import (
    CREDIT_UNITS,
    AnnotatorRecord,
    ItemRecord,
    LabelRecord,
    ProjectRecord,
    QuestionRecord,
    Truth,
)
from operators.project.touched import DriftFinding, Touched
from schemas.errors import ErrorCode

_NOT_JUDGED = (None, None)

FOLDED = "folded"
DUPLICATE = "duplicate"
Outcome = str
"""What became of an event: FOLDED, DUPLICATE, or the ErrorCode for which it was refused."""


class ProjectMachine:
    """Holds one project and folds its events.

    Parameters
    ----------
    record
        State of the project; changed in place.
    settings
        What decides how events become rows.
    """

    def __init__(self, record: ProjectRecord, settings: FoldSettings) -> None:
        self.record = record
        self.touched = Touched()
        self.memory = Memory(record, settings)
        self._settings = settings
        self._unsettled: list[tuple[QuestionRecord, AnnotatorRecord]] = []

    def fold_all(
        self, events: Sequence[FoldableEvent], times: Sequence[int], versions: Sequence[int]
    ) -> tuple[int, int, list[tuple[int, ErrorCode]]]:
        """Fold events in log order.

        Parameters
        ----------
        events, times, versions
            Each event, at least one, with its time in microseconds since the epoch and the version its rows get.

        Returns
        -------
        folded, duplicate, refused
            How many were folded, how many were duplicates, and the index of each other one with the reason.
        """
        record, memory = self.record, self.memory
        folded = duplicate = 0
        refused: list[tuple[int, ErrorCode]] = []
        for index, event in enumerate(events):
            at = times[index]
            if at > record.newest_at:
                memory.advance(at)
            outcome = _FOLDS[type(event)](self, event, at, versions[index])
            if outcome is FOLDED:
                folded += 1
            elif outcome is DUPLICATE:
                duplicate += 1
            else:
                refused.append((index, ErrorCode(outcome)))
        record.version = versions[-1]
        self.touched.project = record
        return folded, duplicate, refused

    def take_touched(self) -> Touched:
        """Return what was touched since the last call, and begin anew."""
        for question, annotator in self._unsettled:
            self._settle(question, annotator)
        self._unsettled = []
        touched, self.touched = self.touched, Touched()
        return touched

    # Submissions

    def _submit(self, event: Submitted, at: int, version: int) -> Outcome:
        memory, record = self.memory, self.record
        annotation_id, event_id = event.annotation_id, event.event_id
        label = None
        if annotation_id in memory.annotations:
            label = memory.label_of(annotation_id, event.question_id)
        if label is None and at < memory.horizon:
            return ErrorCode.LATE
        question = record.questions.get(event.question_id) or memory.question_of(event.question_id)
        value = question.classes.get(event.label.value) or memory.class_of(question, event.label.value)
        if value is None:
            return ErrorCode.TOO_MANY_CLASSES
        if event_id in record.seen or event_id in record.seen_before:
            return DUPLICATE
        record.seen.add(event_id)
        if annotation_id in record.retracted and memory.is_retracted(annotation_id):
            memory.match_retraction(annotation_id)
            return FOLDED
        if label is None:
            self._insert(event, value, question, at, version)
            return FOLDED
        if event.revision > label.revision:
            self._replace(label, event, value, question, at, version)
            return FOLDED
        if event.revision < label.first_revision and at >= memory.horizon:
            self._move_to_window(label, event.revision, question, at, version)
        return DUPLICATE

    def _insert(self, event: Submitted, value: str, question: QuestionRecord, at: int, version: int) -> None:
        """Take in a new label; most of what comes does, so lookups that usually succeed stand here as they are."""
        memory, touched, record = self.memory, self.touched, self.record
        item = question.items.get(event.item_id)
        if item is None or item.last_at < memory.horizon:
            item = memory.item_of(question, event.item_id, at)
        annotator = question.annotators.get(event.annotator_id)
        if annotator is None or at < annotator.last_at or annotator.last_at < memory.annotator_horizon:
            annotator = memory.annotator_of(question, event.annotator_id, at)
        else:
            annotator.last_at = at
        truth, credit = item.truth.judge(value) if item.truth is not None else _NOT_JUDGED
        annotation_id, step, revision, duration = event.annotation_id, event.step, event.revision, event.duration_ms
        item_id, annotator_id, question_id = item.item_id, annotator.annotator_id, question.question_id
        label = LabelRecord(
            annotation_id, question_id, item_id, annotator_id, step, revision,
            value, at, at, revision, duration, version, False, truth, credit, True,
        )  # fmt: skip
        touched.label_rows.append((
            record.project_id, question_id, item_id, annotation_id, annotator_id, step, revision, value, at, at,
            duration, truth, None if credit is None else credit / CREDIT_UNITS, self._settings.generation, version, 0,
        ))  # fmt: skip
        memory.remember(label)
        self._put_on_item(label, item, question, at, version)
        pending = annotator.pending
        if not pending:
            self._unsettled.append((question, annotator))
        pending.append(label)
        if credit is not None:
            self._judge_first(label, question, annotator, at, version)

    def _replace(
        self, label: LabelRecord, event: Submitted, value: str, question: QuestionRecord, at: int, version: int
    ) -> None:
        self._count(-1, label, question, self._settled_annotator_of(label, question), version)
        item = self.memory.item_of(question, event.item_id, at)
        annotator = self.memory.annotator_of(question, event.annotator_id, at)
        if item.item_id != label.item_id:
            self._leave_item(label, question, version)
            label.item_id = item.item_id
            self._put_on_item(label, item, question, at, version)
        label.annotator_id, label.step, label.revision = annotator.annotator_id, event.step, event.revision
        label.value, label.occurred_at, label.duration_ms = value, at, event.duration_ms
        label.truth, label.credit = item.truth.judge(value) if item.truth is not None else _NOT_JUDGED
        self._count(1, label, question, annotator, version)
        self._write_label(label, version)
        self._touch_item(question, item, at, version)
        if label.credit is not None and not label.is_judged:
            self._judge_first(label, question, annotator, at, version)

    def _move_to_window(
        self, label: LabelRecord, revision: int, question: QuestionRecord, at: int, version: int
    ) -> None:
        """Let a label belong to the window of its lowest revision, which has come late."""
        annotator = self._settled_annotator_of(label, question)
        self._count(-1, label, question, annotator, version)
        label.first_at, label.first_revision = at, revision
        self._count(1, label, question, annotator, version)
        self._write_label(label, version)
        item = question.items[label.item_id]
        item.oldest_label_at = min(item.oldest_label_at, at)
        self._touch_item(question, item, at, version)

    # Retractions

    def _retract(self, event: Retracted, at: int, version: int) -> Outcome:
        labels = self.memory.labels_of(event.annotation_id)
        if not labels and at < self.memory.horizon:
            return ErrorCode.LATE
        if self.memory.is_seen(event.event_id) or self.memory.is_retracted(event.annotation_id):
            return DUPLICATE
        self.memory.note_retraction(event.annotation_id, is_matched=bool(labels))
        for label in labels:
            self._remove(label, at, version)
        return FOLDED

    def _remove(self, label: LabelRecord, at: int, version: int) -> None:
        question = self.record.questions[label.question_id]
        self._count(-1, label, question, self._settled_annotator_of(label, question), version)
        item = question.items[label.item_id]
        item.labels = [other for other in item.labels if other is not label]
        self._touch_item(question, item, at, version)
        self.memory.forget_label(label)
        self._write_label(label, version, is_deleted=1)

    # Known answers

    def _set_gold(self, event: Gold, at: int, version: int) -> Outcome:
        question = self.memory.question_of(event.question_id)
        item = question.items.get(event.item_id)
        if at < self.memory.horizon and (item is None or item.last_at < self.memory.horizon):
            return ErrorCode.LATE
        values = [self.memory.class_of(question, answer.label.value) for answer in event.answers]
        if None in values:
            return ErrorCode.TOO_MANY_CLASSES
        if self.memory.is_seen(event.event_id):
            return DUPLICATE
        item = self.memory.item_of(question, event.item_id, at)
        if item.truth is not None and at < item.truth.occurred_at:
            return FOLDED
        if item.truth is None:
            self.record.truth_items += 1
        item.truth = _truth_of(event, at)
        self._touch_item(question, item, at, version)
        for label in item.labels:
            if label.first_at >= self.memory.horizon:
                self._judge_again(label, item.truth, question, at, version)
        return FOLDED

    def _judge_again(self, label: LabelRecord, truth: Truth, question: QuestionRecord, at: int, version: int) -> None:
        judged = truth.judge(label.value)
        if judged == (label.truth, label.credit):
            return
        annotator = self._settled_annotator_of(label, question)
        if label.credit is not None:
            self._count_judged(-1, label, question, annotator, version)
        label.truth, label.credit = judged
        self._count_judged(1, label, question, annotator, version)
        self._write_label(label, version)
        if not label.is_judged:
            self._judge_first(label, question, annotator, at, version)

    def _judge_first(
        self, label: LabelRecord, question: QuestionRecord, annotator: AnnotatorRecord, at: int, version: int
    ) -> None:
        """Let a label's first judgement enter the sequential statistics, unless the label is too old to tell of now."""
        label.is_judged = True
        if self.record.newest_at - label.first_at > self._settings.judgement_age_max:
            return
        assert label.credit is not None
        change = annotator.stream.update(label.credit / CREDIT_UNITS, label.first_at)
        touch_annotator(annotator, question, self.touched, version)
        if change is not None:
            annotator.drifts += 1
            self.touched.drifts.append(
                DriftFinding(
                    self.record.project_id,
                    question.question_id,
                    annotator.annotator_id,
                    annotator.drifts,
                    change,
                    at,
                    version,
                )  # fmt: skip
            )

    # Changes

    def _settled_annotator_of(self, label: LabelRecord, question: QuestionRecord) -> AnnotatorRecord:
        """Return the annotator of a label that is counted, now if it was not yet."""
        annotator = question.annotators[label.annotator_id]
        if label.is_pending:
            self._settle(question, annotator)
        return annotator

    def _settle(self, question: QuestionRecord, annotator: AnnotatorRecord) -> None:
        if annotator.pending:
            settle(self.record, question, annotator, self.memory.window_of, self.touched)

    def _count(
        self, sign: int, label: LabelRecord, question: QuestionRecord, annotator: AnnotatorRecord, version: int
    ) -> None:
        window = self.memory.window_of(question, label.first_at)
        contribute(sign, label, self.record, question, annotator, window, self.touched, version)

    def _count_judged(
        self, sign: int, label: LabelRecord, question: QuestionRecord, annotator: AnnotatorRecord, version: int
    ) -> None:
        window = self.memory.window_of(question, label.first_at)
        contribute_judged(sign, label, self.record, question, annotator, window, self.touched, version)

    def _put_on_item(
        self, label: LabelRecord, item: ItemRecord, question: QuestionRecord, at: int, version: int
    ) -> None:
        item.labels.append(label)
        if label.first_at < item.oldest_label_at:
            item.oldest_label_at = label.first_at
        self._touch_item(question, item, at, version)

    def _leave_item(self, label: LabelRecord, question: QuestionRecord, version: int) -> None:
        item = question.items[label.item_id]
        item.labels = [other for other in item.labels if other is not label]
        self._touch_item(question, item, item.last_at, version)
        self._write_label(label, version, is_deleted=1)

    def _write_label(self, label: LabelRecord, version: int, *, is_deleted: int = 0) -> None:
        label.version = version
        row = label_row(
            label, project_id=self.record.project_id, generation=self._settings.generation, is_deleted=is_deleted
        )
        self.touched.label_rows.append(row)

    def _touch_item(self, question: QuestionRecord, item: ItemRecord, at: int, version: int) -> None:
        if at > item.last_at:
            item.last_at = at
        elif at < item.first_at:
            item.first_at = at
        if item.oldest_label_at < self.memory.horizon:
            self.memory.forget_old_labels(item)
        item.version = version
        if not item.is_dirty:
            item.is_dirty = True
            self.touched.items.append((question, item))


_FOLDS: dict[type, Callable[..., Outcome]] = {
    Submitted: ProjectMachine._submit,
    Retracted: ProjectMachine._retract,
    Gold: ProjectMachine._set_gold,
}


def _truth_of(event: Gold, at: int) -> Truth:
    credits: dict[str, int] = {}
    for answer in event.answers:
        credit = round(answer.weight * CREDIT_UNITS)
        credits[answer.label.value] = max(credit, credits.get(answer.label.value, 0))
    primary = max(credits, key=lambda value: credits[value])
    return Truth(credits, primary, at)
