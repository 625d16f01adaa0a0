"""What a question's annotators together say about each of them: the empirical-Bayes accuracy and the pace of work.

The population is looked at anew where the number of labels and judgements has grown by a quarter: a bound that the log
decides. In between an annotator's row rests on their own counts and on the population as of the last bound.
"""

from operators.project.state import CREDIT_UNITS, AnnotatorRecord, LabelRecord, PopulationPart, QuestionRecord
from operators.stats import log_histogram
from operators.stats.accuracy.estimate import accuracy_estimate
from operators.stats.accuracy.haste import Haste, fast_bound_ms, haste_of
from operators.stats.accuracy.lesser_evidence import Calibration, weighted_evidence
from operators.stats.accuracy.population import Population

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
    part.fast_ms = fast_bound_ms(part.durations)
    part.due = max(part.seen + part.seen // GROWTH, FIRST_BOUND)


def estimate_of(
    annotator: AnnotatorRecord, question: QuestionRecord
) -> tuple[float | None, float | None, float | None]:
    """Return an annotator's empirical-Bayes accuracy and its interval; None before the first bound."""
    part = question.population
    if part is None or part.prior is None:
        return NOTHING
    credit, judged = annotator.gold_credit / CREDIT_UNITS, float(annotator.gold_labels)
    if annotator.lesser_judged:
        lesser = weighted_evidence(
            annotator.lesser_passed, annotator.lesser_judged, part.calibrated, accuracy=part.accuracy
        )
        credit, judged = credit + lesser.credit, judged + lesser.judgements
    return tuple(accuracy_estimate(min(credit, judged), judged, part.prior))


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
