"""How an answer is told apart from another, what it names, and what it earns against the known answers of an item."""

import json
from dataclasses import dataclass
from typing import Any

from operators.stats.comparison.by_kind import compare
from schemas.labels.any_label import AnyLabel

CREDIT_UNITS = 1_000_000
"""Credits are whole millionths, so that sums of them are exact."""

_TEXT_FIELDS = {"categorical": "value", "text": "value", "preference": "chosen"}
_LIST_FIELDS = {"multi_label": "values", "boxes": "boxes", "spans": "spans", "ranking": "order"}


@dataclass(frozen=True, slots=True)
class KnownAnswers:
    """The known answers of an item: credit in millionths by answer, in the order in which they were given."""

    credits: dict[str, int]
    labels: dict[str, AnyLabel]
    standing: str

    @property
    def first_best(self) -> str:
        """The answer that a wrong one stands against: the highest credit, of equals the first."""
        return max(self.credits, key=lambda answer: self.credits[answer])

    def judge(self, given: AnyLabel) -> tuple[str, int]:
        """Return the answer held against a label, and the label's credit in millionths."""
        earned = {
            answer: round(credit * compare(given, self.labels[answer])) for answer, credit in self.credits.items()
        }
        best = max(earned, key=lambda answer: earned[answer])
        return (best if earned[best] > 0 else self.first_best), earned[best]


def known_answers(answers: list[tuple[AnyLabel, float]], standing: str) -> KnownAnswers:
    """Return what is known of an item from labels and their weights; an answer given twice earns the higher one."""
    credits: dict[str, int] = {}
    labels: dict[str, AnyLabel] = {}
    for label, weight in answers:
        text = text_of(label)
        credits[text] = max(round(weight * CREDIT_UNITS), credits.get(text, 0))
        labels[text] = label
    return KnownAnswers(credits, labels, standing)


def text_of(label: AnyLabel) -> str:
    """Return an answer as it stands in the database; equal answers are equal texts."""
    if label.kind == "rating":
        return f"{label.value:.15g}"
    if label.kind in _TEXT_FIELDS:
        return str(getattr(label, _TEXT_FIELDS[label.kind]))
    fields: Any = label.model_dump()[_LIST_FIELDS[label.kind]]
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def is_class(label: AnyLabel) -> bool:
    """Return whether an answer is a class: one out of a set that many labels are drawn from."""
    return label.kind in ("categorical", "preference") or (label.kind == "rating" and label.scale == "ordinal")


def classes_of(label: AnyLabel) -> list[str]:
    """Return the classes that an answer names."""
    if is_class(label):
        return [text_of(label)]
    return list(label.values) if label.kind == "multi_label" else []


def likeness(given: AnyLabel, expected: AnyLabel) -> int:
    """Return how well an answer agrees with another, in millionths."""
    return round(CREDIT_UNITS * compare(given, expected))
