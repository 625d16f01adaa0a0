"""What a question's annotators together say about each of them: the empirical-Bayes accuracy and the pace of work.

The population is looked at anew where the number of labels and judgements has grown by a quarter: a bound that the log
decides. In between an annotator's row rests on their own counts and on the population as of the last bound.
"""

from operators.project.state import CREDIT_UNITS, AnnotatorRecord, LabelRecord, PopulationPart, QuestionRecord
from operators.stats import log_histogram
from operators.stats.accuracy.estimate import accuracy_estimate
from operators.stats.accuracy.haste import Haste, fast_bound_ms, haste_of
from operators.stats.accuracy.lesser_evidence import CONSENSUS_WEIGHT, Calibration, weighted_evidence
from operators.stats.accuracy.population import Population
from operators.stats.accuracy.repeated_answers import run_probability
from operators.stats.jeffreys import jeffreys_bounds

FIRST_BOUND = 64
GROWTH = 4
NOTHING = (None, None, None)


def renew(question: QuestionRecord) -> None:
    """Look at the population anew; all labels must be counted."""
    part = question.population
    assert part is not None
    population = Population()
    for annotator in question.annotators.values():
        population.change(None, (annotator.gold_credit / CREDIT_UNITS, float(annotator.gold_labels)))
    if population.counts:
        part.prior = population.prior()
        part.accuracy = accuracy_estimate(0.0, 0.0, part.prior).accuracy_estimate
    live = part.calibration
    part.calibrated = Calibration(live.right_passed, live.right_failed, live.wrong_passed, live.wrong_failed)
    if question.consensus is not None:
        part.consensus_calibrated = question.consensus.calibration()
    part.fast_ms = fast_bound_ms(part.durations)
    part.class_shares = _class_shares(question)
    part.due = max(part.seen + part.seen // GROWTH, FIRST_BOUND)


def estimate_of(
    annotator: AnnotatorRecord, question: QuestionRecord
) -> tuple[float | None, float | None, float | None]:
    """Return an annotator's empirical-Bayes accuracy and its interval; None before the first bound."""
    part = question.population
    if part is None or part.prior is None:
        return NOTHING
    credit, judged = annotator.gold_credit / CREDIT_UNITS, float(annotator.gold_labels)
    by_others = question.consensus.evidence_on(annotator.annotator_id) if question.consensus is not None else (0, 0)
    channels = (
        (annotator.lesser_judged, annotator.lesser_passed, part.calibrated, 1.0),
        (*by_others, part.consensus_calibrated, CONSENSUS_WEIGHT),
    )
    for labels, passed, calibration, weight in channels:
        if labels:
            lesser = weighted_evidence(passed, labels, calibration, accuracy=part.accuracy)
            credit, judged = credit + weight * lesser.credit, judged + weight * lesser.judgements
    return tuple(accuracy_estimate(min(credit, judged), judged, part.prior))


def consensus_accuracy(
    annotator: AnnotatorRecord, question: QuestionRecord
) -> tuple[int, float | None, float | None, float | None]:
    """Return how many labels the consensus of the others judged, the share it agreed with, and its interval."""
    consensus = question.consensus
    labels, passed = consensus.heard_of(annotator.annotator_id) if consensus is not None else (0, 0)
    if not labels:
        return (0, *NOTHING)
    return (labels, passed / labels, *jeffreys_bounds(float(passed), float(labels)))


def chance_of_longest_run(annotator: AnnotatorRecord, question: QuestionRecord) -> float | None:
    """Return how likely so long a run of equal answers is by chance, by the question's shares of the last bound."""
    runs, part = annotator.runs, question.population
    if runs is None or part is None or runs.longest_answer not in part.class_shares:
        return None
    labels = max(annotator.labels, runs.longest)
    return run_probability(runs.longest, {name: share * labels for name, share in part.class_shares.items()})


def _class_shares(question: QuestionRecord) -> dict[str, float]:
    """Return each answer's share of the labels in the windows that are kept; nothing if no answer is a class."""
    labels: dict[str, int] = {}
    for window in question.windows.values():
        for value, count in window.classes.items():
            labels[value] = labels.get(value, 0) + count.labels
    total = sum(labels.values())
    return {value: labels[value] / total for value in sorted(labels) if labels[value]} if total else {}


def haste_figures(annotator: AnnotatorRecord, question: QuestionRecord) -> Haste | tuple[None, None, None]:
    """Return the share of an annotator's labels that came too fast, and its interval; None before the first bound."""
    part = question.population
    return (haste_of(annotator.durations, part.fast_ms) if part is not None else None) or NOTHING


def count_durations(sign: int, labels: list[LabelRecord], annotator: AnnotatorRecord, part: PopulationPart) -> None:
    """Count the durations of labels (sign 1), or take them out (sign -1)."""
    for label in labels:
        if label.duration_ms is not None:
            log_histogram.add(annotator.durations, label.duration_ms, sign)
            log_histogram.add(part.durations, label.duration_ms, sign)


def count_lesser_evidence(
    sign: int, label: LabelRecord, annotator: AnnotatorRecord, question: QuestionRecord, *, is_passed: bool
) -> None:
    """Count what the newest review says of a label: towards its worth where the answer is known, else as evidence."""
    if label.credit is None:
        annotator.lesser_judged += sign
        annotator.lesser_passed += sign * is_passed
    elif question.population is not None:
        question.population.calibration.count(2 * label.credit >= CREDIT_UNITS, is_passed, sign)
