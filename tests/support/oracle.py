"""The figures of a log by their batch definition: read it all, then count. Written from the contract alone."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from schemas.events import AnnotationRetracted, AnnotationSubmitted, GoldSet, parse_event
from schemas.timestamps import MICROSECONDS_PER_SECOND, microseconds

WINDOW = 900 * MICROSECONDS_PER_SECOND


@dataclass
class Figures:
    """Expected rows by key; only the columns that have a batch definition. No retention."""

    labels: dict[tuple, tuple] = field(default_factory=dict)
    annotators: dict[tuple, tuple] = field(default_factory=dict)
    annotator_windows: dict[tuple, tuple] = field(default_factory=dict)
    project_windows: dict[tuple, tuple] = field(default_factory=dict)
    class_windows: dict[tuple, int] = field(default_factory=dict)
    confusion: dict[tuple, int] = field(default_factory=dict)
    items: dict[tuple, tuple] = field(default_factory=dict)
    dead: int = 0
    events: int = 0


def figures_of(lines: list[bytes]) -> Figures:
    """Compute all figures from the lines of a log."""
    figures, submissions, retracted, gold = Figures(), defaultdict(list), set(), {}
    seen: set[tuple[str, str]] = set()
    for line in lines:
        figures.events += 1
        try:
            event: Any = parse_event(line)
        except ValidationError:
            figures.dead += 1
            continue
        if (event.project_id, event.event_id) in seen:
            continue
        seen.add((event.project_id, event.event_id))
        if isinstance(event, AnnotationSubmitted):
            submissions[event.project_id, event.question_id, event.annotation_id].append(event)
        elif isinstance(event, AnnotationRetracted):
            retracted.add((event.project_id, event.annotation_id))
        elif isinstance(event, GoldSet):
            key = (event.project_id, event.question_id, event.item_id)
            if key not in gold or event.occurred_at >= gold[key].occurred_at:
                gold[key] = event
    in_force = {key: value for key, value in submissions.items() if (key[0], key[2]) not in retracted}
    _add_labels(figures, in_force, gold)
    return figures


def _add_labels(figures: Figures, submissions: dict[tuple, list], gold: dict[tuple, GoldSet]) -> None:
    counts: dict[str, Any] = {
        name: defaultdict(list) for name in ("annotators", "annotator_windows", "project_windows")
    }
    of_item: dict[tuple, list] = defaultdict(list)
    classes, confusion = Counter(), Counter()
    for (project, question, annotation), revisions in submissions.items():
        first = min(revisions, key=lambda event: event.revision)
        last = max(revisions, key=lambda event: event.revision)
        truth, credit = _judged(last.label.value, gold.get((project, question, last.item_id)))
        start = microseconds(first.occurred_at) // WINDOW * WINDOW
        fact = (credit, last.duration_ms, last.annotator_id)
        counts["annotators"][project, question, last.annotator_id].append(fact)
        counts["annotator_windows"][project, question, start, last.annotator_id].append(fact)
        counts["project_windows"][project, question, start].append(fact)
        classes[project, question, start, last.label.value] += 1
        of_item[project, question, last.item_id].append((last.annotator_id, last.label.value))
        if credit is not None:
            confusion[project, question, last.annotator_id, truth, last.label.value] += 1
        figures.labels[project, question, last.item_id, annotation] = (
            last.annotator_id, last.step, last.revision, last.label.value, microseconds(last.occurred_at),
            microseconds(first.occurred_at), last.duration_ms, truth, credit,
        )  # fmt: skip
    for name, facts in counts.items():
        getattr(figures, name).update({key: _summary(values) for key, values in facts.items()})
    figures.class_windows.update(classes)
    figures.confusion.update(confusion)
    for key in {*of_item, *gold}:
        figures.items[key] = (len(of_item[key]), *_plurality(of_item[key]))


def _judged(value: str, gold: GoldSet | None) -> tuple[str | None, float | None]:
    if gold is None:
        return None, None
    weights: dict[str, float] = {}
    for answer in gold.answers:
        weights[answer.label.value] = max(answer.weight, weights.get(answer.label.value, 0.0))
    credit = weights.get(value, 0.0)
    best = max(weights.values())
    return (value if credit > 0 else next(v for v, w in weights.items() if w == best)), credit


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
