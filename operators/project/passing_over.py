"""What making rows does to the state, without the rows: for events whose rows were written before.

Kept in step with operators.project.rows, which `tests/test_segments.py` compares it with.
"""

from operators.project.touched import Touched


def pass_over(touched: Touched) -> None:
    """Leave nothing dirty, and take out what has come down to nothing."""
    for _, item in touched.items:
        item.is_dirty = False
    for _, annotator in touched.annotators:
        annotator.is_dirty = False
    for _, window in touched.project_windows:
        window.project.is_dirty = False
    for question in touched.agreement:
        assert question.agreement is not None
        question.agreement.is_dirty = False
    for _, window in touched.agreement_windows:
        assert window.agreement is not None
        window.agreement.is_dirty = False
    for question in touched.consensus:
        consensus = question.consensus
        assert consensus is not None
        consensus.is_dirty, consensus.changed, consensus.changed_options = False, {}, {}
    _take_out(touched)


def _take_out(touched: Touched) -> None:
    for _, window, annotator_id, counts in touched.annotator_windows:
        counts.is_dirty = False
        if counts.labels == 0 and counts.skips == 0:
            del window.annotators[annotator_id]
    for _, window, value, count in touched.class_windows:
        count.is_dirty = False
        if count.labels == 0:
            del window.classes[value]
    for _, annotator, truth, value, count in touched.confusion:
        count.is_dirty = False
        if count.labels == 0:
            del annotator.confusion[truth][value]
    for question, reviewer in touched.reviewers:
        reviewer.is_dirty = False
        if reviewer.reviews == 0:
            del question.reviewers[reviewer.reviewer_id]
    for _, window, step, steps in touched.step_windows:
        steps.is_dirty = False
        if not (steps.done or steps.skips or steps.first_reviews):
            del window.steps[step]
