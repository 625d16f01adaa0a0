"""The signals that rules may ask about: what each means, of whom it is known, and what it rests on."""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a rule looks at, one at a time."""

    PROJECT = "project"
    STEP = "step"
    ANNOTATOR = "annotator"
    CLASS = "class"


class Unit(StrEnum):
    """What a signal's figure is."""

    SHARE = "share"
    COEFFICIENT = "coefficient"
    COUNT = "count"
    MILLISECONDS = "milliseconds"
    RATIO = "ratio"
    DURATION = "duration"


class Cause(StrEnum):
    """What kind of event may change a signal."""

    SUBMISSION = "submission"
    SKIP = "skip"
    JUDGEMENT = "judgement"
    REVIEW = "review"
    AGREEMENT = "agreement"
    POPULATION = "population"
    DRIFT = "drift"
    TICK = "tick"


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal.

    Parameters
    ----------
    meaning
        What it is, as the subject of a sentence.
    unit
        What its figure is.
    scopes
        Of whom it is known.
    causes
        Which events may change it.
    history
        Which of an annotator's last outcomes it can be computed from; empty if it knows no ``last``.
    """

    meaning: str
    unit: Unit
    scopes: frozenset[Scope]
    causes: frozenset[Cause]
    history: str = ""


_ANYBODY = frozenset({Scope.PROJECT, Scope.STEP, Scope.ANNOTATOR})
_JUDGED = frozenset({Scope.PROJECT, Scope.ANNOTATOR, Scope.CLASS})
_BOTH = frozenset({Scope.PROJECT, Scope.ANNOTATOR})
_ANNOTATOR = frozenset({Scope.ANNOTATOR})
_WORK = frozenset({Cause.SUBMISSION, Cause.SKIP})

SIGNALS: dict[str, Signal] = {
    "accuracy": Signal("accuracy", Unit.SHARE, _JUDGED, frozenset({Cause.JUDGEMENT}), "judgements"),
    "accuracy_low": Signal(
        "the lower end of the interval of accuracy", Unit.SHARE, _BOTH, frozenset({Cause.JUDGEMENT})
    ),
    "accuracy_high": Signal(
        "the upper end of the interval of accuracy", Unit.SHARE, _BOTH, frozenset({Cause.JUDGEMENT})
    ),
    "accuracy_decayed": Signal(
        "accuracy with recent answers weighing more", Unit.SHARE, _ANNOTATOR, frozenset({Cause.JUDGEMENT})
    ),
    "accuracy_adaptive": Signal("accuracy since it last changed", Unit.SHARE, _ANNOTATOR, frozenset({Cause.JUDGEMENT})),
    "accuracy_estimate": Signal(
        "accuracy in the light of the other annotators",
        Unit.SHARE,
        _ANNOTATOR,
        frozenset({Cause.JUDGEMENT, Cause.REVIEW, Cause.POPULATION}),
    ),  # fmt: skip
    "gold_labels": Signal(
        "answers held against a known one", Unit.COUNT, _JUDGED, frozenset({Cause.JUDGEMENT}), "judgements"
    ),
    "labels": Signal("labels", Unit.COUNT, _ANYBODY | {Scope.CLASS}, frozenset({Cause.SUBMISSION})),
    "class_share": Signal(
        "the share of the class", Unit.SHARE, frozenset({Scope.CLASS}), frozenset({Cause.SUBMISSION})
    ),
    "agreement": Signal("agreement", Unit.COEFFICIENT, _BOTH, frozenset({Cause.AGREEMENT}), "agreements"),
    "acceptance_rate": Signal("the share accepted", Unit.SHARE, _BOTH, frozenset({Cause.REVIEW}), "acceptances"),
    "rework_rate": Signal("the share that needs rework", Unit.SHARE, _BOTH, frozenset({Cause.REVIEW})),
    "reviews": Signal("answers reviewed", Unit.COUNT, _BOTH, frozenset({Cause.REVIEW}), "acceptances"),
    "skip_rate": Signal("the share skipped", Unit.SHARE, _ANYBODY, _WORK, "skips"),
    "skips_in_a_row": Signal("items skipped in a row", Unit.COUNT, _ANNOTATOR, _WORK),
    "too_fast_share": Signal("the share of answers that are too fast", Unit.SHARE, _ANNOTATOR, _WORK, "fast"),
    "repeated_answers": Signal("equal answers in a row", Unit.COUNT, _ANNOTATOR, _WORK),
    "duration_ms_p50": Signal(
        "the median time per answer", Unit.MILLISECONDS, _ANNOTATOR, frozenset({Cause.SUBMISSION})
    ),
    "duration_ms_p90": Signal(
        "the time that nine in ten answers stay below", Unit.MILLISECONDS, _ANNOTATOR, frozenset({Cause.SUBMISSION})
    ),
    "throughput_ratio": Signal(
        "throughput, of what is usual,", Unit.RATIO, frozenset({Scope.PROJECT, Scope.STEP}), frozenset({Cause.TICK})
    ),
    "no_events_for": Signal("the time without any event", Unit.DURATION, _ANYBODY, frozenset({Cause.TICK})),
}

DRIFTS = ("accuracy", "class_use", "speed", "agreement")
DIRECTIONS = {
    "accuracy": ("worse", "better"), "class_use": ("more",), "speed": ("faster", "slower"),
    "agreement": ("worse", "better"),
}  # fmt: skip
