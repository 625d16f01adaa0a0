"""Alerts told in a sentence with figures."""

from collections import Counter
from collections.abc import Sequence

from operators.rules.conditions import ComparisonTest
from operators.rules.state import AlertKey, CauseFinding, DriftFinding
from schemas.policy import duration_text
from schemas.signals import SIGNALS, Scope, Unit
from schemas.timestamps import moment_of

MEMBERS_SHOWN_MAX = 10
BOUND_WORDS = {"below": "below", "at_most": "at most", "above": "above", "at_least": "at least"}
_CAUSE_WORDS = {
    ("accuracy", "worse"): "make more errors",
    ("accuracy", "better"): "make fewer errors",
    ("agreement", "worse"): "disagree with the others more often",
    ("agreement", "better"): "disagree with the others less often",
    ("class_use", "more"): "answer some class more often",
    ("speed", "faster"): "answer faster",
    ("speed", "slower"): "answer slower",
}


def share_text(share: float) -> str:
    """Return a share in per cent, with a decimal where it matters.

    >>> share_text(0.04), share_text(0.195), share_text(0.004)
    ('4 %', '19.5 %', '0.4 %')
    """
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def time_text(at: int) -> str:
    """Return the time of day of microseconds since the epoch, with the date.

    >>> time_text(1_767_600_000_000_000)
    '08:00 UTC on 2026-01-05'
    """
    return f"{moment_of(at):%H:%M UTC on %Y-%m-%d}"


def span_text(microseconds: int) -> str:
    """Return how long something lasted, in its two largest units.

    >>> span_text(7_971_000_000), span_text(59_000_000), span_text(2 * 86_400_000_000)
    ('2h 12m', '59s', '2d')
    """
    seconds = microseconds // 1_000_000
    sizes = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
    parts = []
    for unit, size in sizes:
        count, seconds = divmod(seconds, size)
        parts.append((count, unit))
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    shown = parts[first : first + 2]
    return " ".join(f"{count}{unit}" for count, unit in shown if count) or "0s"


def figure_text(value: float, unit: Unit) -> str:
    """Return a figure with its unit.

    >>> figure_text(0.25, Unit.SHARE), figure_text(1234.4, Unit.MILLISECONDS), figure_text(3.6e9, Unit.DURATION)
    ('25 %', '1.2 s', '1h')
    """
    if unit is Unit.SHARE or unit is Unit.RATIO:
        return share_text(value)
    if unit is Unit.MILLISECONDS:
        return f"{value / 1000:.1f} s"
    if unit is Unit.DURATION:
        return span_text(int(value))
    return f"{value:.2f}" if unit is Unit.COEFFICIENT else f"{value:,.0f}"


def subject_text(scope: Scope, key: AlertKey, project_id: str) -> str:
    """Return whom or what an alert is about.

    >>> subject_text(Scope.ANNOTATOR, ("toxicity", "ann-17", "", ""), "p")
    "ann-17 in 'toxicity'"
    """
    question_id, annotator_id, step, label_class = key
    of_question = f" in '{question_id}'" if question_id else ""
    if scope is Scope.ANNOTATOR:
        return annotator_id + of_question
    if scope is Scope.STEP:
        return f"step '{step}' of project {project_id}{of_question}"
    if scope is Scope.CLASS:
        return f"class '{label_class}'{of_question}"
    return f"project {project_id}{of_question}"


def comparison_text(test: ComparisonTest, value: float, evidence: float | None) -> str:
    """Return what a comparison found, with the bound that it lies beyond."""
    leaf, signal = test.leaf, SIGNALS[test.signal]
    name, bound = leaf.bound
    of_last = f" over the last {evidence:.0f}" if leaf.last and evidence is not None else ""
    faster = f" (under {duration_text(leaf.faster_than)})" if leaf.faster_than else ""
    shown = figure_text(value, signal.unit)
    return f"{signal.meaning}{faster}{of_last} is {shown} ({BOUND_WORDS[name]} {figure_text(bound, signal.unit)})"


def drift_text(finding: DriftFinding, errors: Sequence[tuple[str, str]]) -> str:
    """Return what changed, since when and how sure it is.

    Parameters
    ----------
    errors
        Known answer and answer of the errors since the change, as far as they are remembered.

    >>> finding = DriftFinding("accuracy", "worse", 0, 1_767_600_300_000_000, 0.04, 0.19, 46, 1e5)
    >>> drift_text(finding, [("mild", "none")] * 7 + [("mild", "severe")]).split("; ")[1]
    "mostly 'mild' labelled 'none'"
    """
    since = f"since about {time_text(finding.changed_at)}"
    if finding.signal == "speed":
        before, after = (figure_text(level, Unit.MILLISECONDS) for level in (finding.before, finding.after))
        return f"{finding.direction}: {before} → {after} an answer {since}, {finding.judgements_after} answers"
    before, after = share_text(finding.before), share_text(finding.after)
    if finding.signal == "class_use":
        what = f"'{finding.label_class}' answered {before} → {after} of the time"
        return f"{what} {since}, {finding.judgements_after} answers after the change"
    if finding.signal == "agreement":
        shown = f"wrong by what others answered {before} → {after}"
        return f"{shown} {since}, {finding.judgements_after} answers after the change"
    told = f"errors {before} → {after} {since}, {finding.judgements_after} judgements after the change"
    return told + _mostly(errors)


def _mostly(errors: Sequence[tuple[str, str]]) -> str:
    """Name the confusion that makes at least half of the errors."""
    if not errors:
        return ""
    (truth, value), count = min(Counter(errors).items(), key=lambda entry: (-entry[1], entry[0]))
    is_telling = count >= 2 and 2 * count >= len(errors)
    return f"; mostly '{truth}' labelled '{value}'" if is_telling else ""


def cause_text(finding: CauseFinding) -> str:
    """Return who changed together.

    >>> members = [("q", "a"), ("q", "b")]
    >>> cause_text(CauseFinding("accuracy", "worse", 0, 1_767_600_300_000_000, members, 8, 1e-9)).split(", ")[0]
    '2 of 8 annotators make more errors since about 08:05 UTC on 2026-01-05'
    """
    names = list(dict.fromkeys(annotator_id for _, annotator_id in finding.members))
    shown = ", ".join(names[:MEMBERS_SHOWN_MAX])
    more = f" and {len(names) - MEMBERS_SHOWN_MAX} more" if len(names) > MEMBERS_SHOWN_MAX else ""
    return (
        f"{len(finding.members)} of {finding.annotators} annotators {_CAUSE_WORDS[finding.signal, finding.direction]} "
        f"since about {time_text(finding.changed_at)}, the task or the guidelines rather than people: {shown}{more}"
    )
