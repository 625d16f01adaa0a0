"""A small world for tests of the read side: labels by hand, and all tables counted from them by the plainest means."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from scipy.stats import beta

from schemas import rows as tables
from schemas.rows import Table
from tests.support.clickhouse_rows import MINUTE, NINE, SECOND, row

HOURS = 8
WINDOW = 15 * MINUTE
CLOCK = NINE + HOURS * 60 * MINUTE
CLASSES = ("Negative", "Neutral", "Positive")
Rows = dict[Table, list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class Label:
    """A label of the world; times in microseconds since the epoch."""

    project_id: str
    question_id: str
    item_id: str
    annotation_id: str
    annotator_id: str
    label: str
    truth: str | None
    at: int
    duration_ms: int
    team: str

    @property
    def score(self) -> float | None:
        """Credit against the known answer."""
        return None if self.truth is None else float(self.label == self.truth)

    @property
    def window_start(self) -> int:
        """Start of its window."""
        return self.at - self.at % WINDOW


def world_labels() -> list[Label]:
    """Return the labels: ann and eve are good, bob gets worse halfway, cat hurries, dan has hardly begun.

    The project toxicity has no known answers.
    """
    chance = random.Random(7)
    labels = []
    for number in range(120):
        at = NINE + number * (HOURS * 60 * MINUTE) // 120
        truth, is_known = CLASSES[number % 3], number % 2 == 0
        for who in ("ann", "bob", "cat", "eve", *(("dan",) if number < 6 else ())):
            share = {"ann": 0.95, "eve": 0.95, "cat": 0.6, "dan": 1.0, "bob": 0.95 if number < 60 else 0.3}[who]
            answer = truth if chance.random() < share else CLASSES[(number + 1 + chance.randrange(2)) % 3]
            duration = 600 if who == "cat" else 4_000 + chance.randrange(2_000)
            name, team = f"s{number}-{who}", "north" if who in ("ann", "bob") else "south"
            labels.append(
                Label(
                    "sentiment", "label", f"item-{number}", name, who, answer, truth if is_known else None,
                    at + len(labels) % 50 * SECOND, duration, team,
                )
            )  # fmt: skip
    for number in range(20):
        at = NINE + number * 10 * MINUTE
        labels.append(Label("toxicity", "toxic", f"t-{number}", f"t{number}", "fay", "yes", None, at, 3_000, "south"))
    return labels


def world_rows(labels: Iterable[Label]) -> Rows:
    """Return the rows of all tables, counted from the labels."""
    known = list(labels)
    return {
        tables.LABELS: [_label_row(one) for one in known],
        tables.ITEMS: [_item_row(key, of) for key, of in _grouped(known, lambda x: (*_question(x), x.item_id))],
        tables.ANNOTATORS: [
            _annotator_row(key, of) for key, of in _grouped(known, lambda x: (*_question(x), x.annotator_id))
        ],
        tables.ANNOTATOR_WINDOWS: [
            _window_row(tables.ANNOTATOR_WINDOWS, key, of, annotator_id=key[3])
            for key, of in _grouped(known, lambda x: (*_question(x), x.window_start, x.annotator_id))
        ],
        tables.PROJECT_WINDOWS: [
            _window_row(tables.PROJECT_WINDOWS, key, of, annotators=len({one.annotator_id for one in of}))
            for key, of in _grouped(known, lambda x: (*_question(x), x.window_start))
        ],
        tables.CLASS_WINDOWS: [
            row(tables.CLASS_WINDOWS, project_id=key[0], question_id=key[1], window_start=key[2], label=key[3],
                window_end=key[2] + WINDOW, labels=len(of))
            for key, of in _grouped(known, lambda x: (*_question(x), x.window_start, x.label))
        ],
        tables.CONFUSION: [
            row(tables.CONFUSION, project_id=key[0], question_id=key[1], annotator_id=key[2], truth=key[3],
                label=key[4], labels=len(of))
            for key, of in _grouped(
                [one for one in known if one.truth], lambda x: (*_question(x), x.annotator_id, x.truth, x.label)
            )
        ],
        tables.DRIFT: [
            row(tables.DRIFT, project_id="sentiment", question_id="label", annotator_id="bob", sequence=1,
                detected_at=CLOCK - 100 * MINUTE, changed_at=CLOCK - 240 * MINUTE, before=0.95, after=0.4,
                judgements_after=20)
        ],
        tables.PROJECTS: [_project_row(key[0], of) for key, of in _grouped(known, lambda x: (x.project_id,))],
        tables.DEAD_LETTERS: [
            row(tables.DEAD_LETTERS, offset=offset, project_id=None, payload=b'{"half": \xff', payload_bytes=10)
            for offset in (3, 8)
        ],
        tables.REVIEWERS: [
            row(tables.REVIEWERS, project_id="sentiment", question_id="label", reviewer_id="rita", reviews=10,
                accepted=8, fixed=1, rejected=1, judged_reviews=6, agreeing=3.0, agreement=0.5, agreement_low=0.17,
                agreement_high=0.83, wrong_labels=4, wrongly_accepted=3, leniency=0.75, leniency_low=0.3,
                leniency_high=0.98)
        ],
        tables.STEP_WINDOWS: [
            row(tables.STEP_WINDOWS, project_id="sentiment", question_id="label", step="annotate", window_start=CLOCK,
                window_end=CLOCK + WINDOW, done=sum(one.project_id == "sentiment" for one in known)),
            row(tables.STEP_WINDOWS, project_id="sentiment", question_id="label", step="review", window_start=CLOCK,
                window_end=CLOCK + WINDOW, done=10, first_reviews=10, first_accepted=8, waited=10,
                waiting_ms_sum=18_000_000),
        ],
        tables.PROGRESS: [
            row(tables.PROGRESS, part="source", offset=len(known) + 3, events_in=len(known) + 4, dead=2),
            row(tables.PROGRESS, part="shard", offset=len(known) + 3, folded=len(known), duplicate=2),
        ],
    }  # fmt: skip


def _grouped(labels: Iterable[Label], key: Callable[[Label], tuple[Any, ...]]) -> list[tuple[Any, list[Label]]]:
    groups = defaultdict(list)
    for one in labels:
        groups[key(one)].append(one)
    return sorted(groups.items())


def _question(one: Label) -> tuple[str, str]:
    return one.project_id, one.question_id


def accuracy_of(labels: Iterable[Label]) -> dict[str, Any]:
    """Return the figures on accuracy of some labels, with Jeffreys' interval."""
    scores = [one.score for one in labels if one.score is not None]
    right, judged = sum(scores), len(scores)
    if not judged:
        return {"gold_labels": 0, "gold_correct": 0.0}
    low, high = beta.ppf([0.025, 0.975], right + 0.5, judged - right + 0.5)
    return {
        "gold_labels": judged, "gold_correct": right, "accuracy": right / judged,
        "accuracy_low": 0.0 if right == 0 else low, "accuracy_high": 1.0 if right == judged else high,
    }  # fmt: skip


def _label_row(one: Label) -> tuple[Any, ...]:
    values = {"attributes": {"team": one.team}} if "attributes" in tables.LABELS.columns else {}
    return row(
        tables.LABELS, project_id=one.project_id, question_id=one.question_id, item_id=one.item_id,
        annotation_id=one.annotation_id, annotator_id=one.annotator_id, label=one.label, truth=one.truth,
        score=one.score, occurred_at=one.at, first_at=one.at, duration_ms=one.duration_ms, **values,
    )  # fmt: skip


def _item_row(key: tuple[str, str, str], of: list[Label]) -> tuple[Any, ...]:
    [(top, votes), *_] = sorted(Counter(one.label for one in of).items(), key=lambda pair: (-pair[1], pair[0]))
    values = {"stage": "annotated", "kind": "categorical", "started_at": of[0].at, "finished_at": None}
    return row(
        tables.ITEMS, project_id=key[0], question_id=key[1], item_id=key[2], labels=len(of),
        annotators=len({one.annotator_id for one in of}), top_label=top, top_share=votes / len(of), truth=of[0].truth,
        first_at=min(one.at for one in of), last_at=max(one.at for one in of),
        **{name: value for name, value in values.items() if name in tables.ITEMS.columns},
    )  # fmt: skip


def _annotator_row(key: tuple[str, str, str], of: list[Label]) -> tuple[Any, ...]:
    figures = accuracy_of(of)
    recent = accuracy_of(one for one in of if key[2] != "bob" or one.at >= CLOCK - 240 * MINUTE)
    durations = sorted(one.duration_ms for one in of)
    is_judged = bool(figures["gold_labels"])
    adaptive = {
        "accuracy_adaptive": recent["accuracy"], "adaptive_low": recent["accuracy_low"],
        "adaptive_high": recent["accuracy_high"], "adaptive_judgements": recent["gold_labels"],
    } if is_judged else {}  # fmt: skip
    return row(
        tables.ANNOTATORS, project_id=key[0], question_id=key[1], annotator_id=key[2], labels=len(of), **figures,
        **adaptive, judgements=figures["gold_labels"], timed_labels=len(of),
        duration_ms_p50=float(durations[len(of) // 2]), duration_ms_p90=float(durations[len(of) * 9 // 10]),
        drifts=int(key[2] == "bob"), first_at=min(one.at for one in of), last_at=max(one.at for one in of),
    )  # fmt: skip


def _window_row(table: Table, key: tuple[Any, ...], of: list[Label], **more: Any) -> tuple[Any, ...]:
    return row(
        table, project_id=key[0], question_id=key[1], window_start=key[2], window_end=key[2] + WINDOW, labels=len(of),
        **accuracy_of(of), timed_labels=len(of), duration_ms_sum=sum(one.duration_ms for one in of), **more,
    )  # fmt: skip


def _project_row(project_id: str, of: list[Label]) -> tuple[Any, ...]:
    figures = accuracy_of(of)
    return row(
        tables.PROJECTS, project_id=project_id, clock_at=max(one.at for one in of) - 2 * MINUTE,
        last_at=max(one.at for one in of), labels=len(of), items=len({one.item_id for one in of}),
        annotators=len({one.annotator_id for one in of}), truth_items=len({one.item_id for one in of if one.truth}),
        gold_labels=figures["gold_labels"], gold_correct=figures["gold_correct"],
    )  # fmt: skip
