"""The fold of one project: events in log order change its state; what they touch is noted for writing."""

from collections.abc import Callable, Sequence

from operators.events import (
    AcceptedAnswer,
    Adjudicated,
    FoldableEvent,
    Gold,
    Retracted,
    Reviewed,
    Skipped,
    Submitted,
    Withdrawn,
)
from operators.labels import CATEGORICAL, is_class
from operators.project.changes import NOT_JUDGED, Changes
from operators.project.known_answers import fold_adjudication, fold_gold, fold_withdrawal, hear_gold
from operators.project.outcomes import DUPLICATE, FOLDED, Outcome
from operators.project.reviewing import rejudge_reviews
from operators.project.reviews import attach, detach, fold_review
from operators.project.standing import NAMES
from operators.project.state import (
    CREDIT_UNITS,
    LabelRecord,
    QuestionRecord,
)
from schemas.errors import ErrorCode
from schemas.events import EXPECTED_ORIGIN


class ProjectMachine(Changes):
    """Holds one project and folds its events.

    Parameters
    ----------
    record
        State of the project; changed in place.
    settings
        What decides how events become rows.
    """

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
            self.version = versions[index]
            if self.quota is not None and not self.quota.takes(event, at):
                refused.append((index, ErrorCode.OVER_QUOTA))
                continue
            if at > record.newest_at:
                refusal = self._refusal_of(event)
                if refusal is not None:  # a dead letter moves no clock
                    refused.append((index, refusal))
                    continue
                memory.advance(at)
                if memory.is_sweep_due:
                    self.tick()
            outcome = _FOLDS[type(event)](self, event, at, self.version)
            if self._event_rows:
                self.end_event()
            if self.watch is not None:
                self.watch.end_event(at, self.version)
            if self.is_population_due:
                self.renew_populations()
            if outcome is FOLDED:
                folded += 1
            elif outcome is DUPLICATE:
                duplicate += 1
            else:
                refused.append((index, ErrorCode(outcome)))
        record.version = versions[-1]
        self.touched.project = record
        return folded, duplicate, refused

    def _refusal_of(self, event: FoldableEvent) -> ErrorCode | None:
        """Return why an event cannot be taken for what its labels are."""
        kind = type(event)
        if kind is Submitted:
            question = self.record.questions.get(event.question_id)
            answer = event.label
            if (
                question is not None
                and question.kind == CATEGORICAL == answer.kind
                and answer.value in question.classes
            ):
                return None
            labels = [answer]
        elif kind is Gold:
            labels = [answer.label for answer in event.answers]
        elif kind is Reviewed:
            labels = [event.correction] if event.correction is not None else []
        else:
            labels = [event.label] if kind is Adjudicated else []
        if not labels:
            return None
        question = self.memory.question_of(event.question_id)
        refusals = [self.memory.refusal_of(question, label) for label in labels]
        return next((refusal for refusal in refusals if refusal is not None), None)

    # Submissions

    def submit(self, event: Submitted, at: int, version: int) -> Outcome:
        """Take in an answer: a new label, a higher revision of one, or what is known already."""
        memory, record = self.memory, self.record
        annotation_id, event_id = event.annotation_id, event.event_id
        label = None
        if annotation_id in memory.annotations:
            label = memory.label_of(annotation_id, event.question_id)
        if label is None and at < memory.horizon:
            return ErrorCode.LATE
        question = record.questions.get(event.question_id) or memory.question_of(event.question_id)
        answer, content = event.label, None
        value = question.classes.get(answer.value) if question.kind == CATEGORICAL == answer.kind else None
        if value is None:
            refusal = memory.refusal_of(question, answer)
            if refusal is not None:
                return refusal
            value, content = memory.answer_of(question, answer)
        if event_id in record.seen or event_id in record.seen_before:
            return DUPLICATE
        record.seen.add(event_id)
        if event.expected is not None and at >= memory.horizon:
            self._expect(event, question, at, version)
        if annotation_id in record.retracted and memory.is_retracted(annotation_id):
            memory.match_retraction(annotation_id)
            return FOLDED
        if label is None:
            self._insert(event, value, content, question, at, version)
            return FOLDED
        return self._revise(label, event, value, content, question, at, version)

    def _insert(
        self, event: Submitted, value: str, content: str | None, question: QuestionRecord, at: int, version: int
    ) -> None:
        """Take in a new label; most of what comes does, so lookups that usually succeed stand here as they are."""
        memory, record = self.memory, self.record
        item = question.items.get(event.item_id)
        if item is None or item.last_at < memory.horizon:
            item = memory.item_of(question, event.item_id, at)
        annotator = question.annotators.get(event.annotator_id)
        if annotator is None or at < annotator.last_at or annotator.last_at < memory.annotator_horizon:
            annotator = memory.annotator_of(question, event.annotator_id, at)
        else:
            annotator.last_at = at
        annotation_id, step, revision, duration = event.annotation_id, event.step, event.revision, event.duration_ms
        item_id, annotator_id, question_id = item.item_id, annotator.annotator_id, question.question_id
        attributes = memory.interned(event.attributes) if event.attributes else None
        touched = self.touched  # only now: what is forgotten above hands on what was touched before
        item_truth, truth, credit, standing = item.truth, None, None, None
        if item_truth is not None:
            truth, credit = item_truth.judge_answer(value, content)
            standing = NAMES[item_truth.standing]
        label = LabelRecord(
            annotation_id, question_id, item_id, annotator_id, step, revision,
            value, at, at, revision, duration, version, False, truth, credit, True, False, content, attributes,
        )  # fmt: skip
        touched.label_rows.append((
            record.project_id, question_id, item_id, annotation_id, annotator_id, step, revision, value, at, at,
            duration, truth, None if credit is None else credit / CREDIT_UNITS, standing, attributes,
            self.settings.generation, version, 0,
        ))  # fmt: skip
        memory.remember(label)
        self.put_on_item(label, item, question, at, version)
        pending = annotator.pending
        if not pending:
            self.unsettled.append((question, annotator))
        pending.append(label)
        if question.population is not None:
            self.note_seen(question.population)
        if self.watch is not None:
            self.watch.submitted(label, at, version, is_class=content is None or is_class(question.kind, content))
        if credit is not None:
            self.judge_first(label, question, annotator, at, version)
        if record.waiting_reviews and annotation_id in record.waiting_reviews:
            self.write("label_rows", touched.label_rows.pop())
            self._attach_waiting(label, question, at, version)
        if self.settings.has_consensus or self.settings.has_agreement:
            self.learn(label, question, version)

    def _expect(self, event: Submitted, question: QuestionRecord, at: int, version: int) -> None:
        """Hold the answer that a tool expects, told along with an annotator's, to be the item's gold."""
        assert event.expected is not None
        if self.memory.refusal_of(question, event.expected) is not None:
            return
        item = self.memory.item_of(question, event.item_id, at)
        hear_gold(self, item, question, EXPECTED_ORIGIN, [AcceptedAnswer(label=event.expected)], at, version)

    def _attach_waiting(self, label: LabelRecord, question: QuestionRecord, at: int, version: int) -> None:
        reviews = self.memory.take_reviews(label.annotation_id, label.question_id)
        if reviews:
            attach(self, label, reviews, question, at, version)

    def _revise(
        self, label: LabelRecord, event: Submitted | Skipped, value: str, content: str | None,
        question: QuestionRecord, at: int, version: int,
    ) -> Outcome:  # fmt: skip
        """Let a higher revision replace what is known; a lower one may still tell of the label's window."""
        if event.revision > label.revision:
            self._replace(label, event, value, content, question, at, version)
            return FOLDED
        if event.revision < label.first_revision and at >= self.memory.horizon:
            self._move_to_window(label, event.revision, question, at, version)
        return DUPLICATE

    def _replace(
        self, label: LabelRecord, event: Submitted | Skipped, value: str, content: str | None,
        question: QuestionRecord, at: int, version: int,
    ) -> None:  # fmt: skip
        seen_at = at if at >= self.memory.horizon else label.first_at
        item = self.memory.item_of(question, event.item_id, seen_at)
        is_skip = isinstance(event, Skipped)
        self.count(-1, label, question, self.settled_annotator_of(label, question), version)
        annotator = self.memory.annotator_of(question, event.annotator_id, seen_at)
        if not label.is_skip:
            self.unlearn(label, question, version)
        if item.item_id != label.item_id or is_skip != label.is_skip:
            self.take_off_item(label, question, seen_at, version)
            label.item_id, label.is_skip = item.item_id, is_skip
            self.put_on_item(label, item, question, seen_at, version)
        label.annotator_id, label.step, label.revision = annotator.annotator_id, event.step, event.revision
        label.value, label.content, label.occurred_at, label.duration_ms = value, content, at, event.duration_ms
        label.attributes = self.memory.interned(event.attributes) if event.attributes else None
        if is_skip:
            detach(self, label, question, version)
            for review in label.reviews or ():
                self.memory.keep_review(label.annotation_id, label.question_id, review)
            label.reviews = None
        is_judged = item.truth is not None and not is_skip
        label.truth, label.credit = item.truth.judge_label(label) if is_judged else NOT_JUDGED
        rejudge_reviews(self, label, item, question, version)
        self.count(1, label, question, annotator, version)
        if not is_skip:
            self.learn(label, question, version)
        self.write_label(label, question, version)
        self.touch_item(question, item, seen_at, version)
        if label.credit is not None and not label.is_judged:
            self.judge_first(label, question, annotator, at, version)
        if not is_skip and label.annotation_id in self.record.waiting_reviews:
            self._attach_waiting(label, question, at, version)

    def _move_to_window(
        self, label: LabelRecord, revision: int, question: QuestionRecord, at: int, version: int
    ) -> None:
        """Let a label belong to the window of its lowest revision, which has come late."""
        annotator = self.settled_annotator_of(label, question)
        self.count(-1, label, question, annotator, version)
        label.first_at, label.first_revision = at, revision
        self.count(1, label, question, annotator, version)
        self.write_label(label, question, version)
        item = question.items[label.item_id]
        item.oldest_label_at = min(item.oldest_label_at, at)
        self.touch_item(question, item, at, version)

    # Skips

    def skip(self, event: Skipped, at: int, version: int) -> Outcome:
        """Take in that an annotator declined an item: as a submission without an answer."""
        memory = self.memory
        annotation_id = event.annotation_id or event.event_id
        label = memory.label_of(annotation_id, event.question_id)
        if label is None and at < memory.horizon:
            return ErrorCode.LATE
        question = memory.question_of(event.question_id)
        if memory.is_seen(event.event_id):
            return DUPLICATE
        if memory.is_retracted(annotation_id):
            memory.match_retraction(annotation_id)
            return FOLDED
        if label is not None:
            return self._revise(label, event, "", None, question, at, version)
        item = memory.item_of(question, event.item_id, at)
        annotator = memory.annotator_of(question, event.annotator_id, at)
        self.settle(question, annotator)
        skip = LabelRecord(
            annotation_id, question.question_id, item.item_id, annotator.annotator_id, event.step, event.revision,
            "", at, at, event.revision, event.duration_ms, version, is_skip=True,
            attributes=memory.interned(event.attributes) if event.attributes else None,
        )  # fmt: skip
        memory.remember(skip)
        annotator.skips_in_a_row += 1
        self.count(1, skip, question, annotator, version)
        if self.watch is not None:
            self.watch.skipped(skip, at, version)
        self.put_on_item(skip, item, question, at, version)
        self.write_label(skip, question, version)
        return FOLDED

    # Retractions

    def retract(self, event: Retracted, at: int, version: int) -> Outcome:
        """Take all labels of an annotation back, for good."""
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
        self.count(-1, label, question, self.settled_annotator_of(label, question), version)
        if not label.is_skip:
            self.unlearn(label, question, version)
        detach(self, label, question, version)
        self.take_off_item(label, question, at, version)
        self.memory.forget_label(label)


_FOLDS: dict[type, Callable[..., Outcome]] = {
    Submitted: ProjectMachine.submit,
    Skipped: ProjectMachine.skip,
    Retracted: ProjectMachine.retract,
    Gold: fold_gold,
    Withdrawn: fold_withdrawal,
    Reviewed: fold_review,
    Adjudicated: fold_adjudication,
}
