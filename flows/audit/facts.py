"""What is in force, as tables for the database of the audit: one row a label, skip, review, item, person, project."""

from collections.abc import Iterable, Iterator
from typing import Any

import duckdb
import pyarrow as pa

from flows.audit.answers import classes_of, is_class, text_of
from flows.audit.history import History
from flows.audit.records import Item, Label, Review
from flows.audit.recount import Recount
from schemas.labels.any_label import AnyLabel

TEXT, NUMBER, FLAG, BYTES = pa.string(), pa.int64(), pa.bool_(), pa.binary()

_SUBMISSION = {
    "project_id": TEXT, "question_id": TEXT, "item_id": TEXT, "annotation_id": TEXT, "annotator_id": TEXT,
    "step": TEXT, "revision": NUMBER, "occurred_at": NUMBER, "first_at": NUMBER, "window_start": NUMBER,
    "duration_ms": NUMBER, "attributes_text": TEXT, "is_row": FLAG, "is_of_present_person": FLAG,
}  # fmt: skip
FACTS: dict[str, dict[str, pa.DataType]] = {
    "label_facts": {
        **_SUBMISSION, "label": TEXT, "truth": TEXT, "credit": NUMBER, "standing": TEXT, "corrected": TEXT,
        "corrected_credit": NUMBER, "is_reworked": FLAG, "is_in_cell": FLAG,
    },
    "skip_facts": _SUBMISSION,
    "class_facts": {"project_id": TEXT, "question_id": TEXT, "window_start": NUMBER, "label": TEXT},
    "review_facts": {
        "project_id": TEXT, "question_id": TEXT, "annotation_id": TEXT, "review_id": TEXT, "item_id": TEXT,
        "annotator_id": TEXT, "reviewer_id": TEXT, "step": TEXT, "decision": TEXT, "correction": TEXT,
        "is_first": FLAG, "agreement": NUMBER, "occurred_at": NUMBER, "duration_ms": NUMBER, "waiting_ms": NUMBER,
        "label_credit": NUMBER, "is_of_present_person": FLAG,
    },
    "step_facts": {
        "project_id": TEXT, "question_id": TEXT, "window_start": NUMBER, "step": TEXT, "done": NUMBER, "skips": NUMBER,
        "duration_ms": NUMBER, "reworked": NUMBER, "first_reviews": NUMBER, "first_accepted": NUMBER,
        "waiting_ms": NUMBER,
    },
    "item_facts": {
        "project_id": TEXT, "question_id": TEXT, "item_id": TEXT, "truth": TEXT, "truth_standing": TEXT, "stage": TEXT,
        "skips": NUMBER, "adjudicator_id": TEXT, "started_at": NUMBER, "finished_at": NUMBER, "first_at": NUMBER,
        "last_at": NUMBER,
    },
    "vote_facts": {
        "project_id": TEXT, "question_id": TEXT, "item_id": TEXT, "annotator_id": TEXT, "label": TEXT,
    },
    "agreement_facts": {
        "project_id": TEXT, "question_id": TEXT, "window_start": NUMBER, "unit": NUMBER, "annotator_id": TEXT,
        "label": TEXT, "number": pa.float64(), "level": TEXT,
    },
    "person_facts": {
        "project_id": TEXT, "question_id": TEXT, "annotator_id": TEXT, "first_at": NUMBER, "last_at": NUMBER,
    },
    "project_facts": {
        "project_id": TEXT, "partition": NUMBER, "clock_at": NUMBER, "last_at": NUMBER,
        "unmatched_retractions": NUMBER, "unmatched_reviews": NUMBER,
    },
    "refused_facts": {
        "partition": NUMBER, "offset": NUMBER, "is_late": FLAG, "payload": BYTES, "payload_bytes": NUMBER,
    },
    "account_facts": {
        "partition": NUMBER, "events_in": NUMBER, "folded": NUMBER, "duplicate": NUMBER, "late": NUMBER, "dead": NUMBER,
    },
}  # fmt: skip

ALL_TIME = -1
"""Stands for the window where there is none."""

Row = tuple[Any, ...]
Rows = dict[str, list[Row]]


def store_facts(database: duckdb.DuckDBPyConnection, recount: Recount) -> None:
    """Put what a recount has found into tables; projects in several partitions are left out."""
    for name, columns in FACTS.items():
        empty = pa.table({column: pa.array([], kind) for column, kind in columns.items()})
        _append(database, name, empty, is_first=True)
    for project, history in recount.histories.items():
        if project not in recount.scattered:
            for name, rows in _facts_of(project, recount.home[project], history).items():
                _append(database, name, _table(name, rows))
    for name, rows in _log_facts(recount).items():
        _append(database, name, _table(name, rows))


def _table(name: str, rows: list[Row]) -> pa.Table:
    columns = FACTS[name]
    values = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    return pa.table({column: pa.array(values[index], kind) for index, (column, kind) in enumerate(columns.items())})


def _append(database: duckdb.DuckDBPyConnection, name: str, rows: pa.Table, *, is_first: bool = False) -> None:
    database.register("appended", rows)
    database.execute(f"CREATE TABLE {name} AS FROM appended" if is_first else f"INSERT INTO {name} FROM appended")
    database.unregister("appended")


def _facts_of(project: str, partition: int, history: History) -> Rows:
    in_force = [label for label in history.labels if not label.is_retracted]
    labels = [label for label in in_force if not label.is_skip]
    window = history.rules.window
    items = list(history.items.values())
    return {
        "label_facts": [_label_fact(project, label, history) for label in labels],
        "skip_facts": [_submission(project, skip, history) for skip in in_force if skip.is_skip],
        "class_facts": [
            (project, label.question, label.first_at // window * window, name)
            for label in labels
            if label.answer is not None
            for name in classes_of(label.answer)
        ],
        "review_facts": [
            _review_fact(project, review, label, history) for label in labels for review in label.reviews
        ],
        "step_facts": list(_step_facts(project, in_force, history)),
        "item_facts": [
            _item_fact(project, item) for item in items if item.labels or item.skips or item.known is not None
        ],
        "vote_facts": [
            (project, item.question, item.item, label.annotator, text_of(label.answer))
            for item in items
            for label in item.labels
            if label.answer is not None
        ],
        "agreement_facts": list(_agreement_facts(project, history)),
        "person_facts": [
            (project, person.question, person.annotator, person.first_at, person.last_at)
            for person in history.people.values()
        ],
        "project_facts": [
            (
                project, partition, history.newest_at - history.rules.disorder, history.newest_at,
                history.unmatched_retractions, history.unmatched_reviews,
            )
        ],
    }  # fmt: skip


def _submission(project: str, label: Label, history: History) -> Row:
    window = history.rules.window
    key = (label.question, label.item, label.annotation, label.is_skip)
    attributes = "&".join(sorted(f"{name}={value}" for name, value in (label.attributes or {}).items()))
    return (
        project, label.question, label.item, label.annotation, label.annotator,
        label.step, label.revision, label.occurred_at, label.first_at, label.first_at // window * window,
        label.duration_ms, attributes, history.label_rows.get(key) is label,
        history.people[label.question, label.annotator] is label.person,
    )  # fmt: skip


def _label_fact(project: str, label: Label, history: History) -> Row:
    assert label.answer is not None
    answer = text_of(label.answer)
    cell = history.confused.get((label.question, label.annotator, label.truth or "", answer))
    return (
        *_submission(project, label, history), answer, label.truth, label.credit, label.standing,
        label.corrected, label.corrected_credit, label.revision > label.first_revision,
        cell is label.person and is_class(label.answer),
    )  # fmt: skip


def _review_fact(project: str, review: Review, label: Label, history: History) -> Row:
    first = min(label.reviews, key=lambda other: other.occurred_at)
    return (
        project, label.question, label.annotation, review.review, label.item,
        label.annotator, review.reviewer, review.step, review.decision,
        text_of(review.correction) if review.correction is not None else None,
        review is first, review.agreement, review.occurred_at, review.duration_ms, review.waited_ms,
        label.credit, history.people[label.question, label.annotator] is label.person,
    )  # fmt: skip


def _step_facts(project: str, in_force: Iterable[Label], history: History) -> Iterator[Row]:
    """Yield what is done in the steps: labels and skips, reviews and decisions, first reviews."""
    window = history.rules.window
    work, firsts = list(history.work.values()), list(history.first_reviews)
    for label in in_force:
        place = (project, label.question, label.first_at // window * window, label.step)
        if label.is_skip:
            yield *place, 0, 1, None, 0, 0, 0, None
        else:
            yield *place, 1, 0, label.duration_ms, int(label.revision > label.first_revision), 0, 0, None
        work += [review.work for review in label.reviews if review.work is not None]
        firsts += [label.first_review] if label.first_review is not None else []
    for done in work:
        start = done.at // window * window
        yield project, done.question, start, done.step, 1, 0, done.duration_ms, 0, 0, 0, done.waited_ms
    for first in firsts:
        start = first.at // window * window
        yield project, first.question, start, first.step, 0, 0, None, 0, 1, int(first.is_accepted), None


def _agreement_facts(project: str, history: History) -> Iterator[Row]:
    """Yield the votes on all items, over all time and in the window that an item belongs to."""
    for unit, item in enumerate(history.all_items):
        for window, votes in ((ALL_TIME, item.votes), *item.window_votes.items()):
            for annotator, answer in votes.items():
                number = answer.value if answer.kind == "rating" else None
                yield project, item.question, window, unit, annotator, text_of(answer), number, _level_of(answer)


def _level_of(answer: AnyLabel) -> str:
    """Return the level of measurement of an answer."""
    if answer.kind == "rating":
        return "ordinal" if is_class(answer) else "interval"
    return "nominal" if is_class(answer) else "distance"


def _item_fact(project: str, item: Item) -> Row:
    known, decided = item.known, item.adjudication
    stage, finished_at = _stage_of(item)
    return (
        project, item.question, item.item, known and known.first_best, known and known.standing, stage,
        len(item.skips), decided and decided.adjudicator, min((label.first_at for label in item.labels), default=None),
        finished_at, item.first_at, item.last_at,
    )  # fmt: skip


def _stage_of(item: Item) -> tuple[str, int | None]:
    """Return the last step in which something was done to an item, and when it was finished, if it was."""
    if item.adjudication is not None:
        return "adjudicated", item.adjudication.at
    reviewed = [label.reviews for label in item.labels if label.reviews]
    if not reviewed:
        return ("annotated" if item.labels else "new"), None
    newest = [max(reversed(reviews), key=lambda review: review.occurred_at) for reviews in reviewed]
    is_passed = len(newest) == len(item.labels) and all(review.decision != "reject" for review in newest)
    return "reviewed", max(review.occurred_at for review in newest) if is_passed else None


def _log_facts(recount: Recount) -> Rows:
    return {
        "refused_facts": [
            (letter.partition, letter.offset, letter.is_late, letter.payload, letter.size) for letter in recount.refused
        ],
        "account_facts": [
            (partition, counts.total(), *(counts[name] for name in ("folded", "duplicate", "late", "dead")))
            for partition, counts in recount.outcomes.items()
        ],
    }
