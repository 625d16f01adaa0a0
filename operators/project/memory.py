"""What a project remembers, and for how long.

Retention is logical: what is older than the project's clock less the retention counts as absent at each event, whether
or not `Memory.sweep` has removed it. A sweep comes when the project's clock says so, never at the end of a batch.
"""

from collections.abc import Callable

from river import stats

from operators.label_reading import Categorical
from operators.labels import OtherLabel, classes_of
from operators.project.estimates import FIRST_BOUND
from operators.project.items import Items
from operators.project.settings import FoldSettings
from operators.project.state import (
    NEVER,
    AnnotatorRecord,
    ItemRecord,
    LabelRecord,
    PopulationPart,
    ProjectRecord,
    QuestionRecord,
    ReviewRecord,
    WindowCounts,
    WindowRecord,
)
from operators.stats.accuracy.repeated_answers import AnswerRuns
from operators.stats.judgement_stream import JudgementStream
from schemas.errors import ErrorCode

SWEEPS_PER_RETENTION = 16
ATTRIBUTE_SETS_SHARED_MAX = 10_000


class Memory:
    """Finds, creates and forgets the records of one project.

    Parameters
    ----------
    record
        State of the project; changed in place.
    settings
        What decides how long is remembered.

    Attributes
    ----------
    horizon
        The clock less the retention, in microseconds since the epoch: what is older is absent.
    annotator_horizon
        The same for annotators.
    annotations
        Labels by annotation, those that are absent by now included, and ids of items at rest that hold more of them;
        read by `labels_of` and `label_of`.
    attribute_names
        Names of the attributes that are kept; None for all.
    before_forgetting, on_forgetting
        Called before an item is forgotten that an event needs anew, and whenever one is forgotten.
    on_forgetting_annotator
        Called whenever an annotator is forgotten, with question and annotator.
    """

    def __init__(self, record: ProjectRecord, settings: FoldSettings) -> None:
        self.record = record
        self.annotations: dict[str, LabelRecord | str | list[LabelRecord | str]] = {}
        self._settings = settings
        self.window = settings.window
        self._horizon_lag = settings.disorder + settings.retention
        self._annotator_horizon_lag = settings.disorder + settings.annotator_retention
        self.horizon = record.newest_at - self._horizon_lag
        self.annotator_horizon = record.newest_at - self._annotator_horizon_lag
        for question in record.questions.values():
            self._remember_all(question)
        self.before_forgetting: Callable[[], None] = lambda: None
        self.on_forgetting: Callable[[QuestionRecord, ItemRecord], None] = lambda question, item: None
        self.on_forgetting_annotator: Callable[[str, str], None] = lambda question_id, annotator_id: None
        self.attribute_names: frozenset[str] | None = None
        self._attributes: dict[tuple[tuple[str, str], ...], dict[str, str]] = {}

    def advance(self, newest_at: int) -> None:
        """Move the clock on to a new newest time."""
        record = self.record
        record.newest_at = newest_at
        self.horizon = newest_at - self._horizon_lag
        self.annotator_horizon = newest_at - self._annotator_horizon_lag
        if newest_at >= record.seen_until:
            record.seen_before, record.seen = record.seen, set()
            record.seen_until = newest_at + self._horizon_lag

    def is_seen(self, event_id: str) -> bool:
        """Return whether an event was seen in this period or the last; from now on it was."""
        record = self.record
        if event_id in record.seen or event_id in record.seen_before:
            return True
        record.seen.add(event_id)
        return False

    def note_retraction(self, annotation_id: str, *, is_matched: bool) -> None:
        """Remember that an annotation was retracted, and whether it had been seen by then."""
        record = self.record
        record.retracted[annotation_id] = record.newest_at
        if not is_matched:
            record.unmatched[annotation_id] = record.newest_at
            record.unmatched_retractions += 1

    def is_retracted(self, annotation_id: str) -> bool:
        """Return whether an annotation was retracted."""
        return self.record.retracted.get(annotation_id, NEVER) >= self.horizon

    def match_retraction(self, annotation_id: str) -> None:
        """Note that the annotation of an earlier retraction has come."""
        if self.record.unmatched.pop(annotation_id, None) is not None:
            self.record.unmatched_retractions -= 1

    def labels_of(self, annotation_id: str) -> list[LabelRecord]:
        """Return the labels in force of an annotation."""
        return [label for label in self._remembered(annotation_id) if label.first_at >= self.horizon]

    def label_of(self, annotation_id: str, question_id: str) -> LabelRecord | None:
        """Return the label in force of an annotation under a question."""
        labels = self.labels_of(annotation_id)
        return next((label for label in labels if label.question_id == question_id), None)

    def question_of(self, question_id: str) -> QuestionRecord:
        """Return the record of a question, new if need be."""
        question = self.record.questions.get(question_id)
        if question is None:
            question = self.record.questions[question_id] = QuestionRecord(question_id, {}, Items(), {}, {})
            question.items.wake = self._wake
            if self._settings.has_estimates:
                question.population = PopulationPart(due=FIRST_BOUND)
        return question

    def class_of(self, question: QuestionRecord, value: str) -> str | None:
        """Return the one copy of a class name that is kept, or None if the question has no room for another."""
        known = question.classes.get(value)
        if known is None and len(question.classes) < self._settings.classes_max:
            known = question.classes[value] = value
        return known

    def refusal_of(self, question: QuestionRecord, answer: Categorical | OtherLabel) -> ErrorCode | None:
        """Return why a question cannot take an answer: another kind than before, or no room for another class."""
        if question.kind is None:
            question.kind = answer.kind
        elif answer.kind != question.kind:
            return ErrorCode.LABEL_KIND_MISMATCH
        content = answer.content if isinstance(answer, OtherLabel) else None
        names = classes_of(answer.kind, answer.value, content)
        if any([self.class_of(question, name) is None for name in names]):
            return ErrorCode.TOO_MANY_CLASSES
        return None

    def answer_of(self, question: QuestionRecord, answer: Categorical | OtherLabel) -> tuple[str, str | None]:
        """Return an answer's value, the one copy of it where it is a class, and its content."""
        value = question.classes.get(answer.value, answer.value)
        return value, answer.content if isinstance(answer, OtherLabel) else None

    def interned(self, attributes: dict[str, str]) -> dict[str, str] | None:
        """Return the one copy of attributes that is kept, of those whose names the policy knows."""
        names = self.attribute_names
        if names is not None and not names.issuperset(attributes):
            attributes = {name: value for name, value in attributes.items() if name in names}
        if not attributes:
            return None
        if len(self._attributes) > ATTRIBUTE_SETS_SHARED_MAX:
            self._attributes.clear()
        return self._attributes.setdefault(tuple(sorted(attributes.items())), attributes)

    def keep_review(self, annotation_id: str, question_id: str, review: ReviewRecord) -> None:
        """Let a review wait for its label."""
        record = self.record
        waiting = record.waiting_reviews.setdefault(annotation_id, [])
        waiting.append((question_id, record.newest_at, review))
        record.unmatched_reviews += 1

    def take_reviews(self, annotation_id: str, question_id: str) -> list[ReviewRecord]:
        """Return the reviews that waited for a label; they wait no longer."""
        waiting = self.record.waiting_reviews.pop(annotation_id, [])
        others = [entry for entry in waiting if entry[0] != question_id]
        if others:
            self.record.waiting_reviews[annotation_id] = others
        found = [review for waits_for, at, review in waiting if waits_for == question_id and at >= self.horizon]
        self.record.unmatched_reviews -= len(found)
        return found

    @staticmethod
    def find_item(question: QuestionRecord, item_id: str) -> ItemRecord | None:
        """Return the record of an item, absent or not; None if there is none."""
        assert isinstance(question.items, Items)
        return question.items.find(item_id)

    def item_of(self, question: QuestionRecord, item_id: str, at: int) -> ItemRecord:
        """Return the record of an item, new if there is none or it is too old."""
        item = self.find_item(question, item_id)
        if item is not None:
            if item.last_at >= self.horizon:
                return item
            self.before_forgetting()
            self.forget_item(question, item)
        item = question.items[item_id] = ItemRecord(item_id, [], at, at, at)
        self.record.items += 1
        return item

    def annotator_of(self, question: QuestionRecord, annotator_id: str, at: int) -> AnnotatorRecord:
        """Return the record of an annotator who was active at `at`, new if there is none or it is too old."""
        annotator = question.annotators.get(annotator_id)
        if annotator is None or annotator.last_at < self.annotator_horizon:
            if annotator is not None:
                self.on_forgetting_annotator(question.question_id, annotator_id)
            annotator = question.annotators[annotator_id] = self._new_annotator(annotator_id, at)
            self.record.annotators += 1
        if at > annotator.last_at:
            annotator.last_at = at
        elif at < annotator.first_at:
            annotator.first_at = at
        return annotator

    def window_of(self, question: QuestionRecord, at: int) -> WindowRecord:
        """Return the record of the window that holds `at`, new if need be."""
        start = at - at % self.window
        window = question.windows.get(start)
        if window is None:
            window = question.windows[start] = WindowRecord(start, WindowCounts(), {}, {})
        return window

    def remember(self, label: LabelRecord) -> None:
        """Enter a label under its annotation. Most have one label, and go without a list of their own."""
        found = self.annotations.setdefault(label.annotation_id, label)
        if found is not label:
            self.annotations[label.annotation_id] = [*self._remembered(label.annotation_id), label]

    def forget_label(self, label: LabelRecord) -> None:
        """Remove a label from its annotation."""
        remaining = [other for other in self._remembered(label.annotation_id) if other is not label]
        if remaining:
            self.annotations[label.annotation_id] = remaining
        else:
            del self.annotations[label.annotation_id]

    def _remembered(self, annotation_id: str) -> list[LabelRecord]:
        found = self.annotations.get(annotation_id)
        if found is None:
            return []
        if isinstance(found, LabelRecord):
            return [found]
        for item_id in [found] if isinstance(found, str) else [entry for entry in found if isinstance(entry, str)]:
            self._wake(item_id)
        found = self.annotations[annotation_id]
        return found if isinstance(found, list) else [found]

    def _remember_all(self, question: QuestionRecord) -> None:
        """Enter the labels of a question that has been read back; of items at rest, the item under the annotation."""
        items = question.items if isinstance(question.items, Items) else Items(question.items.items())
        question.items, items.wake = items, self._wake
        for item in items.values():
            for label in (*item.labels, *(item.skips or ())):
                self.remember(label)
        annotations = self.annotations
        for item_id, held in items.at_rest.items():
            for annotation_id in (held.annotations,) if isinstance(held.annotations, str) else held.annotations:
                found = annotations.setdefault(annotation_id, item_id)
                if found != item_id:
                    annotations[annotation_id] = [*(found if isinstance(found, list) else [found]), item_id]

    def _wake(self, item_id: str) -> None:
        """Make an item from its bytes, under each question that has it at rest."""
        for question in self.record.questions.values():
            assert isinstance(question.items, Items)
            item = question.items.take(item_id)
            for label in (*item.labels, *(item.skips or ())) if item is not None else ():
                label.question_id = question.question_id
                self._wake_label(label)

    def _wake_label(self, label: LabelRecord) -> None:
        found = self.annotations[label.annotation_id]
        if isinstance(found, str):
            self.annotations[label.annotation_id] = label
        else:
            others = [entry for entry in (found if isinstance(found, list) else [found]) if entry != label.item_id]
            self.annotations[label.annotation_id] = [*others, label]

    def forget_old_labels(self, item: ItemRecord) -> None:
        """Remove the labels of an item that are older than the horizon."""
        for label in (*item.labels, *(item.skips or ())):
            if label.first_at < self.horizon:
                self.forget_label(label)
        item.labels = [label for label in item.labels if label.first_at >= self.horizon]
        item.skips = [skip for skip in item.skips or () if skip.first_at >= self.horizon] or None
        held = (*item.labels, *(item.skips or ()))
        item.oldest_label_at = min((label.first_at for label in held), default=item.last_at)

    def forget_item(self, question: QuestionRecord, item: ItemRecord) -> None:
        """Remove an item with its labels."""
        for label in (*item.labels, *(item.skips or ())):
            self.forget_label(label)
        del question.items[item.item_id]
        self.on_forgetting(question, item)

    @property
    def is_sweep_due(self) -> bool:
        """Whether the clock has gone on for some time since the last sweep."""
        return self.record.newest_at - self.record.swept_at >= self._settings.retention // SWEEPS_PER_RETENTION

    def sweep(self) -> None:
        """Free the memory of what is absent."""
        record = self.record
        record.swept_at = record.newest_at
        record.retracted = {key: at for key, at in record.retracted.items() if at >= self.horizon}
        record.unmatched = {key: at for key, at in record.unmatched.items() if at >= self.horizon}
        self._sweep_waiting_reviews()
        for question in record.questions.values():
            self._sweep_question(question)

    def _sweep_waiting_reviews(self) -> None:
        waiting = self.record.waiting_reviews
        for annotation_id, entries in list(waiting.items()):
            if all(at < self.horizon for _, at, _ in entries):
                del waiting[annotation_id]

    def _sweep_question(self, question: QuestionRecord) -> None:
        assert isinstance(question.items, Items)
        for item_id in question.items.due_before(self.horizon):
            self._wake(item_id)
        horizon = self.horizon
        due = [item for item in question.items.values() if item.last_at < horizon or item.oldest_label_at < horizon]
        for item in sorted(due, key=lambda item: item.item_id):  # an order that no restart changes
            if item.last_at < horizon:
                self.forget_item(question, item)
            else:
                self.forget_old_labels(item)
        for start in [start for start in question.windows if start + self._settings.window <= self.horizon]:
            del question.windows[start]
        oldest = self.annotator_horizon
        for annotator_id in [key for key, annotator in question.annotators.items() if annotator.last_at < oldest]:
            del question.annotators[annotator_id]
            self.on_forgetting_annotator(question.question_id, annotator_id)

    def _new_annotator(self, annotator_id: str, at: int) -> AnnotatorRecord:
        settings = self._settings
        stream = JudgementStream.start(fading_factor=settings.fading_factor, delta=settings.adwin_delta)
        runs = AnswerRuns() if settings.has_estimates else None
        return AnnotatorRecord(
            annotator_id, at, at, stream, stats.Quantile(0.5), stats.Quantile(0.9), confusion={}, runs=runs
        )
