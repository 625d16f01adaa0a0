"""The figures of a log by their batch definition: read it all, then count. Written from the contract alone."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from schemas.events import (
    AnnotationRetracted,
    AnnotationSkipped,
    AnnotationSubmitted,
    GoldSet,
    GoldWithdrawn,
    ItemAdjudicated,
    ReviewDecided,
    parse_event,
)
from schemas.timestamps import MICROSECONDS_PER_SECOND, microseconds

WINDOW = 900 * MICROSECONDS_PER_SECOND


@dataclass
class Figures:
    """Expected rows by key; only the columns that have a batch definition. No retention."""

    labels: dict[tuple, tuple] = field(default_factory=dict)
    skips: dict[tuple, tuple] = field(default_factory=dict)
    reviews: dict[tuple, tuple] = field(default_factory=dict)
    reviewers: dict[tuple, tuple] = field(default_factory=dict)
    annotators: dict[tuple, tuple] = field(default_factory=dict)
    annotator_reviews: dict[tuple, tuple] = field(default_factory=dict)
    annotator_windows: dict[tuple, tuple] = field(default_factory=dict)
    project_windows: dict[tuple, tuple] = field(default_factory=dict)
    step_windows: dict[tuple, tuple] = field(default_factory=dict)
    class_windows: dict[tuple, int] = field(default_factory=dict)
    confusion: dict[tuple, int] = field(default_factory=dict)
    items: dict[tuple, tuple] = field(default_factory=dict)
    dead: int = 0
    events: int = 0


@dataclass
class World:
    """What the log says, before anything is counted; keys begin with the project."""

    submissions: dict[tuple, list] = field(default_factory=lambda: defaultdict(list))
    retracted: set[tuple] = field(default_factory=set)
    gold: dict[tuple, list] = field(default_factory=lambda: defaultdict(list))
    adjudications: dict[tuple, ItemAdjudicated] = field(default_factory=dict)
    reviews: dict[tuple, list[ReviewDecided]] = field(default_factory=lambda: defaultdict(list))

    def truth(self, key: tuple) -> tuple[str | None, list[tuple[Any, float]]]:
        """Return the standing of an item's known answer, and its answers with their weights."""
        if key in self.adjudications:
            return "adjudication", [(self.adjudications[key].label, 1.0)]
        event = _gold_in_force(self.gold.get(key, []))
        if event is None:
            return None, []
        if isinstance(event, AnnotationSubmitted):
            return "gold", [(event.expected, 1.0)]
        return "gold", [(answer.label, answer.weight) for answer in event.answers]


def figures_of(lines: list[bytes]) -> Figures:
    """Compute all figures from the lines of a log."""
    figures, world, seen = Figures(), World(), set()
    for line in lines:
        figures.events += 1
        try:
            event: Any = parse_event(line)
        except ValidationError:
            figures.dead += 1
            continue
        if (event.project_id, event.event_id) not in seen:
            seen.add((event.project_id, event.event_id))
            _take(event, world)
    _Counting(world, figures).run()
    return figures


def _take(event: Any, world: World) -> None:
    project = event.project_id
    if isinstance(event, AnnotationSubmitted | AnnotationSkipped):
        world.submissions[project, event.question_id, event.annotation_id or event.event_id].append(event)
    if isinstance(event, AnnotationRetracted):
        world.retracted.add((project, event.annotation_id))
    elif isinstance(event, ReviewDecided):
        world.reviews[project, event.question_id, event.annotation_id].append(event)
    else:
        key = project, event.question_id, event.item_id
        if isinstance(event, ItemAdjudicated):
            if key not in world.adjudications or event.occurred_at >= world.adjudications[key].occurred_at:
                world.adjudications[key] = event
        elif _is_about_gold(event):
            world.gold[key].append(event)


def _is_about_gold(event: Any) -> bool:
    return isinstance(event, GoldSet | GoldWithdrawn) or getattr(event, "expected", None) is not None


def _gold_in_force(events: list[Any]) -> Any | None:
    """Return the newest word about an item's gold that no later word of its origin, or of all, replaced or withdrew."""
    by_origin: dict[str, Any] = {}
    for event in sorted(events, key=lambda event: event.occurred_at):  # of equal times, the later in the log is newer
        if isinstance(event, GoldWithdrawn):
            gone = list(by_origin) if event.origin is None else [event.origin]
            for origin in gone:
                by_origin.pop(origin, None)
        else:
            origin = event.origin if isinstance(event, GoldSet) else "expected"
            by_origin.pop(origin, None)
            by_origin[origin] = event
    return list(by_origin.values())[-1] if by_origin else None


class _Counting:
    def __init__(self, world: World, figures: Figures) -> None:
        self.world, self.figures = world, figures
        self.facts: dict[str, Any] = {
            name: defaultdict(list) for name in ("annotators", "annotator_windows", "project_windows")
        }
        self.skips: dict[str, Counter] = {name: Counter() for name in self.facts}
        self.steps: dict[tuple, Counter] = defaultdict(Counter)
        self.reviewers: dict[tuple, Counter] = defaultdict(Counter)
        self.of_annotator: dict[tuple, Counter] = defaultdict(Counter)
        self.of_item: dict[tuple, list] = defaultdict(list)
        self.skipped_items: Counter = Counter()

    def run(self) -> None:
        for (project, question, annotation), revisions in self.world.submissions.items():
            if (project, annotation) in self.world.retracted:
                continue
            first = min(revisions, key=lambda event: event.revision)
            last = max(revisions, key=lambda event: event.revision)
            start = microseconds(first.occurred_at) // WINDOW * WINDOW
            if isinstance(last, AnnotationSkipped):
                self._skip(project, question, annotation, first, last, start)
            else:
                self._label(project, question, annotation, first, last, start)
        for (project, question, _), event in self.world.adjudications.items():
            self._work(project, question, event)
        self._finish()

    def _skip(self, project: str, question: str, annotation: str, first: Any, last: Any, start: int) -> None:
        person = last.annotator_id
        self.figures.skips[project, question, last.item_id, annotation] = (
            person, last.step, last.revision, microseconds(last.occurred_at), microseconds(first.occurred_at),
            last.duration_ms,
        )  # fmt: skip
        self.skips["annotators"][project, question, person] += 1
        self.skips["annotator_windows"][project, question, start, person] += 1
        self.skips["project_windows"][project, question, start] += 1
        self.steps[project, question, start, last.step]["skips"] += 1
        self.skipped_items[project, question, last.item_id] += 1

    def _label(self, project: str, question: str, annotation: str, first: Any, last: Any, start: int) -> None:
        person, text = last.annotator_id, _text(last.label)
        standing, answers = self.world.truth((project, question, last.item_id))
        truth, credit = _judged(last.label, answers)
        fact = (credit, last.duration_ms, person)
        self.facts["annotators"][project, question, person].append(fact)
        self.facts["annotator_windows"][project, question, start, person].append(fact)
        self.facts["project_windows"][project, question, start].append(fact)
        self.figures.class_windows.setdefault((project, question, start, text), 0)
        self.figures.class_windows[project, question, start, text] += 1
        self._work(project, question, last, at=microseconds(first.occurred_at))
        is_reworked = last.revision > first.revision
        self.steps[project, question, start, last.step]["reworked"] += is_reworked
        self.of_annotator[project, question, person]["reworked"] += is_reworked
        if credit is not None:
            cell = (project, question, person, truth, text)
            self.figures.confusion[cell] = self.figures.confusion.get(cell, 0) + 1
        reviews = self.world.reviews.get((project, question, annotation), [])
        if reviews:
            self._reviews(project, question, annotation, last, credit, answers, reviews)
        self.of_item[project, question, last.item_id].append((person, text, reviews))
        if credit is None and reviews:
            newest = max(reversed(reviews), key=lambda review: review.occurred_at)
            if newest.correction is not None:
                standing, truth = "correction", _text(newest.correction)
                credit = _judged(last.label, [(newest.correction, 1.0)])[1]
                self.of_annotator[project, question, person]["corrected"] += 1
        elif reviews:
            newest = max(reversed(reviews), key=lambda review: review.occurred_at)
            self.of_annotator[project, question, person]["corrected"] += newest.correction is not None
        self.figures.labels[project, question, last.item_id, annotation] = (
            person, last.step, last.revision, text, microseconds(last.occurred_at), microseconds(first.occurred_at),
            last.duration_ms, truth, credit, standing if credit is not None else None,
            dict(last.attributes) if last.attributes else None,
        )  # fmt: skip

    def _reviews(
        self,
        project: str,
        question: str,
        annotation: str,
        last: Any,
        credit: float | None,
        answers: list,
        reviews: list,
    ) -> None:  # fmt: skip
        mine = self.of_annotator[project, question, last.annotator_id]
        first = min(reviews, key=lambda review: review.occurred_at)
        start = microseconds(first.occurred_at) // WINDOW * WINDOW
        step = self.steps[project, question, start, first.step]
        for counts in (mine, step):
            counts["first_reviews"] += 1
            counts["first_accepted"] += first.decision == "accept"
        for review in reviews:
            self._work(project, question, review)
            agreement = None
            if credit is not None:
                corrected = _judged(review.correction, answers)[1] if review.correction else None
                agreement = {"accept": credit, "reject": 1 - credit, "fix": corrected}[review.decision]
            mine["reviews"] += 1
            mine[review.decision] += 1
            reviewer = self.reviewers[project, question, review.reviewer_id]
            reviewer["reviews"] += 1
            reviewer[review.decision] += 1
            if agreement is not None:
                is_right = credit >= 0.5
                reviewer["judged"] += 1
                reviewer["agreeing"] += round(agreement * 1e6)
                reviewer["wrong"] += not is_right
                reviewer["wrongly_accepted"] += review.decision == "accept" and not is_right
                reviewer["wrongly_refused"] += review.decision != "accept" and is_right
            self.figures.reviews[project, question, annotation, review.event_id] = (
                last.item_id, last.annotator_id, review.reviewer_id, review.decision,
                _text(review.correction) if review.correction else None, int(review is first),
                None if agreement is None else round(agreement, 6), microseconds(review.occurred_at),
                review.duration_ms,
            )  # fmt: skip

    def _work(self, project: str, question: str, event: Any, *, at: int | None = None) -> None:
        start = (microseconds(event.occurred_at) if at is None else at) // WINDOW * WINDOW
        counts = self.steps[project, question, start, event.step]
        counts["done"] += 1
        if event.duration_ms is not None:
            counts["timed"] += 1
            counts["duration_ms_sum"] += event.duration_ms

    def _finish(self) -> None:
        figures, world = self.figures, self.world
        for name, facts in self.facts.items():
            for key in {*facts, *self.skips[name]}:
                getattr(figures, name)[key] = (*_summary(facts.get(key, [])), self.skips[name][key])
        names = ("reviews", "accept", "fix", "reject", "first_reviews", "first_accepted", "reworked", "corrected")
        for key in figures.annotators:
            figures.annotator_reviews[key] = tuple(self.of_annotator[key][name] for name in names)
        for key, counts in self.reviewers.items():
            figures.reviewers[key] = (
                *(counts[name] for name in ("reviews", "accept", "fix", "reject", "judged")), counts["agreeing"] / 1e6,
                *(counts[name] for name in ("wrong", "wrongly_accepted", "wrongly_refused")),
            )  # fmt: skip
        names = ("done", "skips", "timed", "duration_ms_sum", "reworked", "first_reviews", "first_accepted")
        for key, counts in self.steps.items():
            if any(counts.values()):
                figures.step_windows[key] = tuple(counts[name] for name in names)
        for key in {*self.of_item, *world.gold, *world.adjudications, *self.skipped_items}:
            standing, _ = world.truth(key)
            labels = self.of_item[key]
            if not labels and standing is None and not self.skipped_items[key]:
                continue
            adjudicated = world.adjudications.get(key)
            stage = "reviewed" if any(reviews for *_, reviews in labels) else "annotated" if labels else "new"
            figures.items[key] = (
                len(labels), *_plurality([(who, text) for who, text, _ in labels]), standing, self.skipped_items[key],
                "adjudicated" if adjudicated else stage, adjudicated.adjudicator_id if adjudicated else None,
            )  # fmt: skip


def _text(label: Any) -> str:
    return label.value if label.kind == "categorical" else f"{label.value:g}"


def _judged(label: Any, answers: list[tuple[Any, float]]) -> tuple[str | None, float | None]:
    if not answers:
        return None, None
    weights: dict[str, float] = {}
    for answer, weight in answers:
        weights[_text(answer)] = max(weight, weights.get(_text(answer), 0.0))
    credits = {text: round(weight * _likeness(label, text), 6) for text, weight in weights.items()}
    credit = max(credits.values())
    held = credits if credit > 0 else weights
    best = max(held.values())
    return next(text for text, value in held.items() if value == best), credit


def _likeness(label: Any, text: str) -> float:
    if label.kind == "categorical":
        return float(label.value == text)
    return 1 - abs(label.value - float(text)) / (label.high - label.low)


def _summary(facts: list[tuple]) -> tuple:
    judged = [credit for credit, _, _ in facts if credit is not None]
    durations = [duration for _, duration, _ in facts if duration is not None]
    correct = round(sum(judged), 6)
    return len(facts), len(judged), correct, len(durations), sum(durations), len({who for _, _, who in facts})


def _plurality(votes: list[tuple[str, str]]) -> tuple[int, str | None, float | None]:
    people = {who for who, _ in votes}
    if not people:
        return 0, None, None
    shares = {
        value: sum(sum(v == value for w, v in votes if w == who) / sum(w == who for w, _ in votes) for who in people)
        for value in {value for _, value in votes}
    }
    best = max(shares.values())
    return len(people), min(v for v, share in shares.items() if share > best - 1e-9), best / len(people)
