"""What a label adds to the counts of its annotator, windows and project; a correction takes the same out again."""

from operators.project.state import (
    AnnotatorRecord,
    Count,
    LabelRecord,
    ProjectRecord,
    QuestionRecord,
    WindowCounts,
    WindowRecord,
)
from operators.project.touched import Touched


def contribute(
    sign: int,
    label: LabelRecord,
    project: ProjectRecord,
    question: QuestionRecord,
    annotator: AnnotatorRecord,
    window: WindowRecord,
    touched: Touched,
    version: int,
) -> None:
    """Add a label's contribution to all replaceable counts (sign 1), or take it out (sign -1)."""
    mine = window.annotators.get(annotator.annotator_id)
    if mine is None:
        mine = window.annotators[annotator.annotator_id] = WindowCounts()
    both = window.project
    if mine.labels == 0:
        both.annotators += 1
    mine.labels += sign
    if mine.labels == 0:
        both.annotators -= 1
    both.labels += sign
    annotator.labels += sign
    project.labels += sign
    duration = label.duration_ms
    if duration is not None:
        annotator.timed_labels += sign
        mine.timed_labels += sign
        both.timed_labels += sign
        mine.duration_ms_sum += sign * duration
        both.duration_ms_sum += sign * duration
    by_class = window.classes.get(label.value)
    if by_class is None:
        by_class = window.classes[label.value] = Count()
    by_class.labels += sign
    by_class.version = version
    if not by_class.is_dirty:
        by_class.is_dirty = True
        touched.class_windows.append((question, window, label.value, by_class))
    _touch(question, annotator, window, mine, touched, version)
    if label.credit is not None:
        _contribute_judged(sign, label, project, question, annotator, mine, both, touched, version)


def contribute_judged(
    sign: int,
    label: LabelRecord,
    project: ProjectRecord,
    question: QuestionRecord,
    annotator: AnnotatorRecord,
    window: WindowRecord,
    touched: Touched,
    version: int,
) -> None:
    """Add what a judged label contributes to accuracy and confusion (sign 1), or take it out (sign -1)."""
    mine = window.annotators[annotator.annotator_id]
    _touch(question, annotator, window, mine, touched, version)
    _contribute_judged(sign, label, project, question, annotator, mine, window.project, touched, version)


def _contribute_judged(
    sign: int,
    label: LabelRecord,
    project: ProjectRecord,
    question: QuestionRecord,
    annotator: AnnotatorRecord,
    mine: WindowCounts,
    both: WindowCounts,
    touched: Touched,
    version: int,
) -> None:
    assert label.truth is not None and label.credit is not None
    credit = sign * label.credit
    for counts in (project, annotator, mine, both):
        counts.gold_labels += sign
        counts.gold_credit += credit
    row = annotator.confusion.get(label.truth)
    if row is None:
        row = annotator.confusion[label.truth] = {}
    cell = row.get(label.value)
    if cell is None:
        cell = row[label.value] = Count()
    cell.labels += sign
    cell.version = version
    if not cell.is_dirty:
        cell.is_dirty = True
        touched.confusion.append((question, annotator, label.truth, label.value, cell))


def touch_annotator(annotator: AnnotatorRecord, question: QuestionRecord, touched: Touched, version: int) -> None:
    """Note that an annotator's row changed."""
    annotator.version = version
    if not annotator.is_dirty:
        annotator.is_dirty = True
        touched.annotators.append((question, annotator))


def _touch(
    question: QuestionRecord,
    annotator: AnnotatorRecord,
    window: WindowRecord,
    mine: WindowCounts,
    touched: Touched,
    version: int,
) -> None:
    """Note that the rows of an annotator and of a window changed."""
    annotator.version = mine.version = window.project.version = version
    if not annotator.is_dirty:
        annotator.is_dirty = True
        touched.annotators.append((question, annotator))
    if not mine.is_dirty:
        mine.is_dirty = True
        touched.annotator_windows.append((question, window, annotator.annotator_id, mine))
    if not window.project.is_dirty:
        window.project.is_dirty = True
        touched.project_windows.append((question, window))
