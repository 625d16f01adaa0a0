"""State that an older format wrote, brought up to what the fold expects now."""

from operators.labels import CATEGORICAL
from operators.project.state import LabelRecord, ProjectRecord, QuestionRecord, StepCounts
from operators.project.workflow import count_work


def upgrade_format_1(record: ProjectRecord, *, window: int) -> None:
    """Fill in what format 1 did not know: kinds of labels, gold apart from the truth in force, steps, rework.

    Parameters
    ----------
    window
        Length of the windows, in microseconds.
    """
    for question in record.questions.values():
        question.kind = CATEGORICAL if question.classes else None
        for item in question.items.values():
            if item.truth is not None:
                item.gold, item.gold_at = item.truth, item.truth.occurred_at
            for label in item.labels:
                _count(label, question, window)


def _count(label: LabelRecord, question: QuestionRecord, window: int) -> None:
    steps = question.windows[label.first_at - label.first_at % window].steps
    counts = steps.get(label.step)
    if counts is None:
        counts = steps[label.step] = StepCounts()
    count_work(counts, 1, label.duration_ms, None)
    counts.version = max(counts.version, label.version)
    if label.revision > label.first_revision:
        counts.reworked += 1
        question.annotators[label.annotator_id].reworked += 1
