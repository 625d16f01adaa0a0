"""What is in force in a project after its events, by the rules of docs/decisions/0002 and 0003, an event at a time.

Nothing is counted here: the outcome is the labels, skips, reviews and decisions that count, and the items. The figures
are sums over these (see flows.audit.figures). So the audit has no totals to keep right through corrections, which is
what the flow is about.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flows.audit.answers import CREDIT_UNITS, KnownAnswers, classes_of, known_answers, likeness, text_of
from flows.audit.records import (
    LONG_AGO,
    Adjudication,
    FirstReview,
    GoldWord,
    Item,
    Label,
    Person,
    Question,
    Review,
    StepWork,
)
from flows.audit.rules import Quota, Rules
from schemas.events import (
    EXPECTED_ORIGIN,
    AnnotationRetracted,
    AnnotationSkipped,
    AnnotationSubmitted,
    GoldSet,
    GoldWithdrawn,
    ItemAdjudicated,
    ReviewDecided,
)
from schemas.labels.any_label import AnyLabel

FOLDED, DUPLICATE, LATE, DEAD = "folded", "duplicate", "late", "dead"


@dataclass(slots=True)
class History:
    """The events of one project so far.

    Attributes
    ----------
    labels
        Labels and skips that count or have counted, those retracted included.
    label_rows
        Question, item, annotation and whether it is a skip → the label or skip of that row.
    items, all_items
        Question and item → the item; and all items there were, those that were forgotten and begun anew included.
    people
        Question and annotator → the annotator.
    confused
        Question, annotator, truth and answer → whose figures this cell of the confusion matrix last belonged to.
    work, first_reviews
        Decisions of experts, by identity; and what is counted of reviews for good, being too old to be taken out.
    unmatched_retractions, unmatched_reviews
        Retractions and reviews of annotations that have not been seen.
    """

    rules: Rules
    project_id: str = ""
    newest_at: int = LONG_AGO
    labels: list[Label] = field(default_factory=list)
    label_rows: dict[tuple[str, str, str, bool], Label] = field(default_factory=dict)
    items: dict[tuple[str, str], Item] = field(default_factory=dict)
    all_items: list[Item] = field(default_factory=list)
    people: dict[tuple[str, str], Person] = field(default_factory=dict)
    confused: dict[tuple[str, str, str, str], Person] = field(default_factory=dict)
    work: dict[int, StepWork] = field(default_factory=dict)
    first_reviews: list[FirstReview] = field(default_factory=list)
    unmatched_retractions: int = 0
    unmatched_reviews: int = 0
    _of_annotation: dict[str, list[Label]] = field(default_factory=dict)
    _retracted_at: dict[str, int] = field(default_factory=dict)
    _unmatched: set[str] = field(default_factory=set)
    _waiting: dict[str, list[tuple[str, int, Review]]] = field(default_factory=dict)
    _questions: dict[str, Question] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _seen_before: set[str] = field(default_factory=set)
    _seen_until: int = LONG_AGO
    _quota: Quota = field(default_factory=Quota)

    @property
    def horizon(self) -> int:
        """What is older than this is absent."""
        return self.newest_at - self.rules.memory

    def take(self, event: Any, at: int) -> str:
        """Take in the next event of the project, which occurred at `at`; return what became of it."""
        if self._quota.is_over(self.rules, max(at, self.newest_at), begins_item=self._begins_item(event)):
            return DEAD
        if at > self.newest_at:
            self._advance(at)
        return _TAKERS[type(event)](self, event, at)

    def _begins_item(self, event: Any) -> bool:
        item = self.items.get((getattr(event, "question_id", ""), getattr(event, "item_id", "")))
        return hasattr(event, "item_id") and (item is None or item.last_at < self.horizon)

    def _advance(self, at: int) -> None:
        self.newest_at = at
        if at >= self._seen_until:
            self._seen_before, self._seen, self._seen_until = self._seen, set(), at + self.rules.memory

    def _is_repeat(self, event_id: str) -> bool:
        if event_id in self._seen or event_id in self._seen_before:
            return True
        self._seen.add(event_id)
        return False

    def _is_retracted(self, annotation: str) -> bool:
        return self._retracted_at.get(annotation, LONG_AGO) >= self.horizon

    def _takes(self, question: str, answers: list[AnyLabel]) -> bool:
        """Return whether a question takes answers: they are of its kind, and there is room for their classes."""
        known = self._questions.setdefault(question, Question())
        for answer in answers:
            known.kind = known.kind or answer.kind
            if answer.kind != known.kind:
                return False
            names = classes_of(answer)
            for name in names:
                if len(known.classes) < self.rules.classes_max:
                    known.classes.add(name)
            if not known.classes.issuperset(names):
                return False
        return True

    def _present(self, annotation: str, question: str | None = None) -> list[Label]:
        """Return the labels and skips of an annotation that are in force and not forgotten."""
        known = self._of_annotation.get(annotation, ())
        found = [label for label in known if not label.is_retracted and label.first_at >= self.horizon]
        if found:
            self._of_annotation[annotation] = found
        return [label for label in found if question in (None, label.question)]

    # Submissions and skips

    def _submit(self, event: AnnotationSubmitted, at: int) -> str:
        present = self._present(event.annotation_id, event.question_id)
        if not present and at < self.horizon:
            return LATE
        if not self._takes(event.question_id, [event.label]):
            return DEAD
        if self._is_repeat(event.event_id):
            return DUPLICATE
        if event.expected is not None and at >= self.horizon and self._takes(event.question_id, [event.expected]):
            item = self._item(event.question_id, event.item_id, at)
            self._hear_gold(item, EXPECTED_ORIGIN, [(event.expected, 1.0)], at)
        return self._enter(event, event.annotation_id, event.label, present, at)

    def _skip(self, event: AnnotationSkipped, at: int) -> str:
        annotation = event.annotation_id or event.event_id
        present = self._present(annotation, event.question_id)
        if not present and at < self.horizon:
            return LATE
        if self._is_repeat(event.event_id):
            return DUPLICATE
        return self._enter(event, annotation, None, present, at)

    def _enter(
        self,
        event: AnnotationSubmitted | AnnotationSkipped,
        annotation: str,
        answer: AnyLabel | None,
        present: list[Label],
        at: int,
    ) -> str:
        if self._is_retracted(annotation):
            if annotation in self._unmatched:
                self._unmatched.discard(annotation)
                self.unmatched_retractions -= 1
            return FOLDED
        if not present:
            self._add(event, annotation, answer, at)
            return FOLDED
        [label] = present
        if event.revision > label.revision:
            self._revise(label, event, answer, at)
            return FOLDED
        if event.revision < label.first_revision and at >= self.horizon:
            self._uncount(label)
            label.first_at, label.first_revision = at, event.revision
            self._count(label)
            self._touch(self.items[label.question, label.item], at)
        return DUPLICATE

    def _add(
        self, event: AnnotationSubmitted | AnnotationSkipped, annotation: str, answer: AnyLabel | None, at: int
    ) -> None:
        person = self._person(event.question_id, event.annotator_id, at)
        label = Label(
            event.question_id, event.item_id, annotation, event.annotator_id, event.step, event.revision, answer,
            at, at, event.revision, event.duration_ms, self._kept(event.attributes), person,
        )  # fmt: skip
        self.labels.append(label)
        self._of_annotation.setdefault(annotation, []).append(label)
        self._put(label, at)
        self._vote(label)

    def _revise(
        self, label: Label, event: AnnotationSubmitted | AnnotationSkipped, answer: AnyLabel | None, at: int
    ) -> None:
        seen_at = at if at >= self.horizon else label.first_at
        self._vote(label, is_leaving=True)
        self._take_off(label, seen_at, is_touched=event.item_id != label.item or (answer is None) != label.is_skip)
        label.item, label.annotator, label.step, label.revision = (
            event.item_id, event.annotator_id, event.step, event.revision,
        )  # fmt: skip
        label.answer, label.occurred_at, label.duration_ms = answer, at, event.duration_ms
        label.attributes = self._kept(event.attributes)
        label.person = self._person(event.question_id, event.annotator_id, seen_at)
        if answer is None:
            for review in label.reviews:
                self._let_wait(label.annotation, label.question, review)
            label.reviews = []
        self._put(label, seen_at)
        self._vote(label)

    def _kept(self, attributes: dict[str, str] | None) -> dict[str, str] | None:
        """Return the attributes that the policy knows."""
        if self.rules.attributes_of is None or not attributes:
            return attributes
        names = self.rules.attributes_of(self.project_id)
        return {name: value for name, value in attributes.items() if name in names}

    def _put(self, label: Label, at: int) -> None:
        """Put a label or skip on its item, with the reviews that waited for it."""
        item = self._item(label.question, label.item, at)
        (item.skips if label.is_skip else item.labels).append(label)
        self.label_rows[label.question, label.item, label.annotation, label.is_skip] = label
        if not label.is_skip and label.annotation in self._waiting:
            self._attach(label, self._waited_for(label))
        self._judge(label, item)
        self._count(label)
        self._touch(item, at)

    def _take_off(self, label: Label, at: int, *, is_touched: bool = True) -> None:
        self._uncount(label)
        item = self.items[label.question, label.item]
        item.labels = [other for other in item.labels if other is not label]
        item.skips = [other for other in item.skips if other is not label]
        del self.label_rows[label.question, label.item, label.annotation, label.is_skip]
        if is_touched:
            self._touch(item, at)

    def _retract(self, event: AnnotationRetracted, at: int) -> str:
        labels = self._present(event.annotation_id)
        if not labels and at < self.horizon:
            return LATE
        is_retracted = self._is_retracted(event.annotation_id)
        if self._is_repeat(event.event_id) or is_retracted:
            return DUPLICATE
        self._retracted_at[event.annotation_id] = self.newest_at
        if not labels:
            self._unmatched.add(event.annotation_id)
            self.unmatched_retractions += 1
        for label in labels:
            self._vote(label, is_leaving=True)
            self._take_off(label, at)
            label.is_retracted = True
        return FOLDED

    def _vote(self, label: Label, *, is_leaving: bool = False) -> None:
        """Let the latest label of an annotator for an item be their vote, without one that is about to leave."""
        if label.answer is None:
            return
        item, window = self.items[label.question, label.item], self.rules.window
        own = [other for other in item.labels if other.annotator == label.annotator]
        own = [other for other in own if not (is_leaving and other is label)]
        latest = max(reversed(own), key=lambda other: other.occurred_at, default=None)
        before, after = item.votes.get(label.annotator), latest and latest.answer
        if (before and text_of(before)) == (after and text_of(after)):
            return
        if not item.votes:
            item.votes_window = label.first_at // window * window
        counted = [item.votes]
        if item.votes_window + window > self.horizon:
            counted.append(item.window_votes.setdefault(item.votes_window, {}))
        for votes in counted:
            votes.pop(label.annotator, None)
            if after is not None:
                votes[label.annotator] = after

    # Known answers

    def _is_late_for_item(self, question: str, name: str, at: int) -> bool:
        item = self.items.get((question, name))
        return at < self.horizon and (item is None or item.last_at < self.horizon)

    def _learn(self, event: GoldSet | GoldWithdrawn, at: int) -> str:
        """Take in what is said of an item's gold, or that it is withdrawn."""
        answers = [(answer.label, answer.weight) for answer in event.answers] if isinstance(event, GoldSet) else []
        if self._is_late_for_item(event.question_id, event.item_id, at):
            return LATE
        if not self._takes(event.question_id, [label for label, _ in answers]):
            return DEAD
        if self._is_repeat(event.event_id):
            return DUPLICATE
        self._hear_gold(self._item(event.question_id, event.item_id, at), event.origin, answers, at)
        return FOLDED

    def _hear_gold(self, item: Item, origin: str | None, answers: list[tuple[AnyLabel, float]], at: int) -> None:
        """Let the newest word of each origin about an item's gold count; without an origin it withdraws all."""
        if all(at >= word.at for word in item.gold_words if origin == word.origin or word.origin is None):
            item.gold_words = [word for word in item.gold_words if word.origin != origin]
            item.gold_words.append(GoldWord(origin, at, known_answers(answers, "gold") if answers else None))
            self._hold(item, at)

    def _adjudicate(self, event: ItemAdjudicated, at: int) -> str:
        if self._is_late_for_item(event.question_id, event.item_id, at):
            return LATE
        if not self._takes(event.question_id, [event.label]):
            return DEAD
        if self._is_repeat(event.event_id):
            return DUPLICATE
        item = self._item(event.question_id, event.item_id, at)
        before = item.adjudication
        if before is not None and at < before.at:
            return FOLDED
        if before is not None and before.at >= self.horizon:
            del self.work[id(before.work)]
        done_at = [label.occurred_at for label in item.labels if label.first_at >= self.horizon]
        waited = (at - max(done_at)) // 1000 if done_at and at >= max(done_at) else None
        work = StepWork(event.question_id, event.step, at, event.duration_ms, waited)
        answer = known_answers([(event.label, 1.0)], "adjudication")
        item.adjudication = Adjudication(event.adjudicator_id, at, answer, work)
        if at >= self.horizon:
            self.work[id(work)] = work
        self._hold(item, at)
        return FOLDED

    def _hold(self, item: Item, at: int) -> None:
        self._touch(item, at)
        for label in item.labels:
            self._uncount(label)
            self._judge(label, item)
            self._count(label)

    def _judge(self, label: Label, item: Item) -> None:
        """Hold what is known of an item against a label and its reviews."""
        known = item.known
        if label.answer is None or known is None:
            label.truth = label.credit = label.standing = None
        else:
            label.truth, label.credit = known.judge(label.answer)
            label.standing = known.standing
            self.confused[label.question, label.annotator, label.truth, text_of(label.answer)] = label.person
        newest = max(reversed(label.reviews), key=lambda review: review.occurred_at, default=None)
        label.corrected = label.corrected_credit = None
        if newest is not None and newest.correction is not None and label.answer is not None:
            label.corrected = text_of(newest.correction)
            label.corrected_credit = likeness(label.answer, newest.correction)
        for review in label.reviews:
            review.agreement = _agreement(review, label, known)

    # Reviews

    def _review(self, event: ReviewDecided, at: int) -> str:
        if at < self.horizon:
            return LATE
        if event.correction is not None and not self._takes(event.question_id, [event.correction]):
            return DEAD
        if self._is_repeat(event.event_id):
            return DUPLICATE
        if self._is_retracted(event.annotation_id):
            return FOLDED
        review = Review(
            event.event_id, event.reviewer_id, event.step, event.decision, at, event.duration_ms, event.correction
        )
        labels = [x for x in self._present(event.annotation_id, event.question_id) if not x.is_skip]
        if not labels:
            self._let_wait(event.annotation_id, event.question_id, review)
        for label in labels:
            item = self.items[label.question, label.item]
            self._uncount(label)
            self._attach(label, [review])
            self._judge(label, item)
            self._count(label)
            self._touch(item, at)
        return FOLDED

    def _attach(self, label: Label, reviews: list[Review]) -> None:
        for review in reviews:
            is_after = review.occurred_at >= label.occurred_at
            review.waited_ms = (review.occurred_at - label.occurred_at) // 1000 if is_after else None
        label.reviews += reviews

    def _let_wait(self, annotation: str, question: str, review: Review) -> None:
        self._waiting.setdefault(annotation, []).append((question, self.newest_at, review))
        self.unmatched_reviews += 1

    def _waited_for(self, label: Label) -> list[Review]:
        """Return the reviews that waited for a label and are not forgotten; they wait no longer."""
        waiting = self._waiting.pop(label.annotation)
        others = [entry for entry in waiting if entry[0] != label.question]
        if others:
            self._waiting[label.annotation] = others
        found = [review for name, at, review in waiting if name == label.question and at >= self.horizon]
        self.unmatched_reviews -= len(found)
        return found

    def _uncount(self, label: Label) -> None:
        """Take the reviews of a label out of their windows, but for those that are too old for that."""
        for review in label.reviews:
            if review.work is not None and review.work.at < self.horizon:
                self.work[id(review.work)] = review.work
            review.work = None
        if label.first_review is not None and label.first_review.at < self.horizon:
            self.first_reviews.append(label.first_review)
        label.first_review = None

    def _count(self, label: Label) -> None:
        """Put the reviews of a label into their windows, but for those that are too old for that."""
        for review in label.reviews:
            if review.occurred_at >= self.horizon:
                review.work = StepWork(
                    label.question, review.step, review.occurred_at, review.duration_ms, review.waited_ms
                )
        first = min(label.reviews, key=lambda review: review.occurred_at, default=None)
        if first is not None and first.occurred_at >= self.horizon:
            label.first_review = FirstReview(label.question, first.step, first.occurred_at, first.decision == "accept")

    # Items and annotators

    def _item(self, question: str, name: str, at: int) -> Item:
        """Return an item; a new one if there is none, or if nothing has touched it since the horizon."""
        item = self.items.get((question, name))
        if item is None or item.last_at < self.horizon:
            item = self.items[question, name] = Item(question, name, at, at)
            self.all_items.append(item)
        return item

    def _touch(self, item: Item, at: int) -> None:
        item.first_at, item.last_at = min(at, item.first_at), max(at, item.last_at)
        item.labels = [label for label in item.labels if label.first_at >= self.horizon]
        item.skips = [skip for skip in item.skips if skip.first_at >= self.horizon]

    def _person(self, question: str, annotator: str, at: int) -> Person:
        """Return an annotator; a new one if there is none, or if there was no label for long."""
        person = self.people.get((question, annotator))
        if person is None or person.last_at < self.newest_at - self.rules.annotator_memory:
            person = self.people[question, annotator] = Person(question, annotator, at, at)
        person.first_at, person.last_at = min(at, person.first_at), max(at, person.last_at)
        return person


def _agreement(review: Review, label: Label, known: KnownAnswers | None) -> int | None:
    """Return how far a decision agrees with what is known, in millionths; None while nothing is."""
    if known is None or label.credit is None:
        return None
    if review.decision == "accept":
        return label.credit
    if review.decision == "reject":
        return CREDIT_UNITS - label.credit
    assert review.correction is not None
    return known.judge(review.correction)[1]


_TAKERS: dict[type, Callable[[History, Any, int], str]] = {
    AnnotationSubmitted: History._submit,
    AnnotationSkipped: History._skip,
    AnnotationRetracted: History._retract,
    GoldSet: History._learn,
    GoldWithdrawn: History._learn,
    ItemAdjudicated: History._adjudicate,
    ReviewDecided: History._review,
}
