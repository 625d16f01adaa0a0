"""What a label adds to the counts of its annotator, windows and project; a correction takes the same out again.

New labels are counted together, an annotator and window at a time (`settle`), since most of a batch is new labels. A
correction first lets the labels of its annotator be counted, then takes out and adds single ones (`contribute`).
"""

from collections import Counter
from collections.abc import Callable

from operators.labels import CATEGORICAL, classes_of, is_class
from operators.project.estimates import count_durations
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
from operators.project.workflow import count_step, count_work


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
    """Add what a label or skip contributes to all replaceable counts (sign 1), or take it out (sign -1)."""
    if label.is_skip:
        _count_skip(sign, label, question, annotator, window, touched, version)
        return
    _count(sign, [label], [version], project, question, annotator, window, touched)
    if label.revision > label.first_revision:
        annotator.reworked += sign
        window.steps[label.step].reworked += sign


def settle(
    project: ProjectRecord,
    question: QuestionRecord,
    annotator: AnnotatorRecord,
    window_of: Callable[[QuestionRecord, int], WindowRecord],
    touched: Touched,
) -> None:
    """Count an annotator's pending labels, as contributing each of them in turn would have done."""
    labels, annotator.pending = annotator.pending, []
    annotator.skips_in_a_row = 0
    groups: dict[int, tuple[WindowRecord, list[LabelRecord]]] = {}
    for label in labels:
        label.is_pending = False
        window = window_of(question, label.first_at)
        group = groups.get(window.start)
        if group is None:
            groups[window.start] = (window, [label])
        else:
            group[1].append(label)
    for window, group_labels in groups.values():
        versions = [label.version for label in group_labels]
        _count(1, group_labels, versions, project, question, annotator, window, touched)
    for label in labels:
        if annotator.runs is not None:
            annotator.runs.update(label.value)
        duration = label.duration_ms
        if duration is not None:
            annotator.duration_p50.update(duration)
            annotator.duration_p90.update(duration)


def _count(
    sign: int,
    labels: list[LabelRecord],
    versions: list[int],
    project: ProjectRecord,
    question: QuestionRecord,
    annotator: AnnotatorRecord,
    window: WindowRecord,
    touched: Touched,
) -> None:
    """Add labels of one annotator and window, or take them out; each at its version, in rising order."""
    mine = window.annotators.get(annotator.annotator_id)
    if mine is None:
        mine = window.annotators[annotator.annotator_id] = WindowCounts()
    both, added = window.project, sign * len(labels)
    durations = [label.duration_ms for label in labels if label.duration_ms is not None]
    timed, duration_sum = sign * len(durations), sign * sum(durations)
    both.annotators += mine.labels == 0
    for counts in (mine, both):
        counts.labels += added
        counts.timed_labels += timed
        counts.duration_ms_sum += duration_sum
    both.annotators -= mine.labels == 0
    annotator.labels += added
    annotator.timed_labels += timed
    project.labels += added
    if question.population is not None:
        count_durations(sign, labels, annotator, question.population)
    _touch(question, annotator, window, mine, touched, versions[-1])
    _count_steps(sign, labels, versions, timed, duration_sum, question, window, touched)
    if question.kind == CATEGORICAL:
        values, value_versions = [label.value for label in labels], versions
    else:
        values, value_versions = _classes_named(labels, versions, question)
    last_versions = dict(zip(values, value_versions, strict=True))
    for value, count in Counter(values).items():
        _count_class(sign * count, value, question, window, touched, last_versions[value])
    for label, version in zip(labels, versions, strict=True):
        if label.credit is not None:
            _contribute_judged(sign, label, project, question, annotator, mine, both, touched, version)


def _classes_named(
    labels: list[LabelRecord], versions: list[int], question: QuestionRecord
) -> tuple[list[str], list[int]]:
    """Return the classes that labels name, which may be none or several each, and the version of each."""
    assert question.kind is not None
    named = [
        (name, version)
        for label, version in zip(labels, versions, strict=True)
        for name in classes_of(question.kind, label.value, label.content)
    ]
    return [name for name, _ in named], [version for _, version in named]


def _count_steps(
    sign: int,
    labels: list[LabelRecord],
    versions: list[int],
    timed: int,
    duration_ms_sum: int,
    question: QuestionRecord,
    window: WindowRecord,
    touched: Touched,
) -> None:
    """Count labels in the window of their step; nearly always it is one step for all."""
    step = labels[0].step
    if len(labels) == 1 or all([label.step == step for label in labels]):
        counts = count_step(question, window, step, touched, versions[-1])
        counts.done += sign * len(labels)
        counts.timed += timed
        counts.duration_ms_sum += duration_ms_sum
        return
    for label, version in zip(labels, versions, strict=True):
        count_work(count_step(question, window, label.step, touched, version), sign, label.duration_ms, None)


def _count_skip(
    sign: int,
    skip: LabelRecord,
    question: QuestionRecord,
    annotator: AnnotatorRecord,
    window: WindowRecord,
    touched: Touched,
    version: int,
) -> None:
    mine = window.annotators.get(annotator.annotator_id)
    if mine is None:
        mine = window.annotators[annotator.annotator_id] = WindowCounts()
    mine.skips += sign
    window.project.skips += sign
    annotator.skips += sign
    count_step(question, window, skip.step, touched, version).skips += sign
    _touch(question, annotator, window, mine, touched, version)


def _count_class(
    labels: int, value: str, question: QuestionRecord, window: WindowRecord, touched: Touched, version: int
) -> None:
    by_class = window.classes.get(value)
    if by_class is None:
        by_class = window.classes[value] = Count()
    by_class.labels += labels
    if version > by_class.version:
        by_class.version = version
    if not by_class.is_dirty:
        by_class.is_dirty = True
        touched.class_windows.append((question, window, value, by_class))


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
    assert question.kind is not None
    if label.content is not None and not is_class(question.kind, label.content):
        return
    row = annotator.confusion.get(label.truth)
    if row is None:
        row = annotator.confusion[label.truth] = {}
    cell = row.get(label.value)
    if cell is None:
        cell = row[label.value] = Count()
    cell.labels += sign
    if version > cell.version:
        cell.version = version
    if not cell.is_dirty:
        cell.is_dirty = True
        touched.confusion.append((question, annotator, label.truth, label.value, cell))


def touch_annotator(annotator: AnnotatorRecord, question: QuestionRecord, touched: Touched, version: int) -> None:
    """Note that an annotator's row changed."""
    if version > annotator.version:
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
    touch_annotator(annotator, question, touched, version)
    for counts in (mine, window.project):
        if version > counts.version:
            counts.version = version
    if not mine.is_dirty:
        mine.is_dirty = True
        touched.annotator_windows.append((question, window, annotator.annotator_id, mine))
    if not window.project.is_dirty:
        window.project.is_dirty = True
        touched.project_windows.append((question, window))
