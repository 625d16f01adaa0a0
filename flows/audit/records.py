"""What a history keeps: labels, skips, reviews, items, people. Times are microseconds since the epoch."""

from dataclasses import dataclass, field

from flows.audit.answers import KnownAnswers
from schemas.labels.any_label import AnyLabel

LONG_AGO = -(2**62)


@dataclass(frozen=True, slots=True)
class StepWork:
    """One piece of work of a step, counted in the window that `at` lies in.

    Parameters
    ----------
    waited_ms
        Time between the step before and this one; None where it is not known.
    """

    question: str
    step: str
    at: int
    duration_ms: int | None
    waited_ms: int | None


@dataclass(frozen=True, slots=True)
class FirstReview:
    """The first review of a label, counted in the window that `at` lies in."""

    question: str
    step: str
    at: int
    is_accepted: bool


@dataclass(slots=True, eq=False)
class Review:
    """One review; `agreement` with what is known is in millionths, `work` is what is counted of it in a window."""

    review: str
    reviewer: str
    step: str
    decision: str
    occurred_at: int
    duration_ms: int | None
    correction: AnyLabel | None
    waited_ms: int | None = None
    agreement: int | None = None
    work: StepWork | None = None


@dataclass(slots=True, eq=False)
class Label:
    """One label, or a skip (then `answer` is None).

    Parameters
    ----------
    first_at, first_revision
        Time and number of its lowest revision.
    person
        Whose figures it is part of.
    truth, credit, standing
        What is held against it, the credit for that in millionths, and the standing of what is held.
    corrected, corrected_credit
        What its newest review corrected it to, and its credit against that.
    first_review
        What is counted of its first review in a window.
    """

    question: str
    item: str
    annotation: str
    annotator: str
    step: str
    revision: int
    answer: AnyLabel | None
    occurred_at: int
    first_at: int
    first_revision: int
    duration_ms: int | None
    attributes: dict[str, str] | None
    person: "Person"
    truth: str | None = None
    credit: int | None = None
    standing: str | None = None
    corrected: str | None = None
    corrected_credit: int | None = None
    reviews: list[Review] = field(default_factory=list)
    first_review: FirstReview | None = None
    is_retracted: bool = False

    @property
    def is_skip(self) -> bool:
        """Whether the annotator declined to answer."""
        return self.answer is None


@dataclass(frozen=True, slots=True)
class Adjudication:
    """An expert's decision about an item."""

    adjudicator: str
    at: int
    answer: KnownAnswers
    work: StepWork


@dataclass(frozen=True, slots=True)
class GoldWord:
    """What one origin said to be known of an item, or that all did; without an answer it was withdrawn."""

    origin: str | None
    at: int
    answer: KnownAnswers | None


@dataclass(slots=True, eq=False)
class Item:
    """One item, as of when something last touched it.

    Parameters
    ----------
    gold_words
        The newest word of each origin about what is known of the item, and the newest about all, in log order.
    votes
        Annotator → their latest answer, for the agreement.
    votes_window, window_votes
        Start of the window that the votes belong to; the votes of each window, as long as they could be corrected.
    """

    question: str
    item: str
    first_at: int
    last_at: int
    labels: list[Label] = field(default_factory=list)
    skips: list[Label] = field(default_factory=list)
    gold_words: list[GoldWord] = field(default_factory=list)
    adjudication: Adjudication | None = None
    votes: dict[str, AnyLabel] = field(default_factory=dict)
    votes_window: int = LONG_AGO
    window_votes: dict[int, dict[str, AnyLabel]] = field(default_factory=dict)

    @property
    def known(self) -> KnownAnswers | None:
        """What is held against the labels: an adjudication stands above gold."""
        return self.adjudication.answer if self.adjudication is not None else self._gold()

    def _gold(self) -> KnownAnswers | None:
        """Return the newest known answer that nothing newer withdrew; of equal times the later in the log is newer."""
        answer = None
        for word in sorted(self.gold_words, key=lambda word: word.at):
            if word.answer is not None or word.origin is None:
                answer = word.answer
        return answer


@dataclass(slots=True, eq=False)
class Person:
    """An annotator's figures since they began, or began anew after a long absence."""

    question: str
    annotator: str
    first_at: int
    last_at: int


@dataclass(slots=True)
class Question:
    """What a question has seen: the kind of its labels, and the classes."""

    kind: str | None = None
    classes: set[str] = field(default_factory=set)
