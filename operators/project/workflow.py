"""What is counted in the windows of each step of the workflow."""

from operators.project.state import QuestionRecord, StepCounts, WindowRecord
from operators.project.touched import Touched
from operators.stats import log_histogram


def count_step(question: QuestionRecord, window: WindowRecord, step: str, touched: Touched, version: int) -> StepCounts:
    """Return the counts of a step in a window, which are about to change."""
    counts = window.steps.get(step)
    if counts is None:
        counts = window.steps[step] = StepCounts()
    if version > counts.version:
        counts.version = version
    if not counts.is_dirty:
        counts.is_dirty = True
        touched.step_windows.append((question, window, step, counts))
    return counts


def count_work(counts: StepCounts, sign: int, duration_ms: int | None, waiting_ms: int | None) -> None:
    """Add one piece of work of a step (sign 1), or take it out (sign -1)."""
    counts.done += sign
    if duration_ms is not None:
        counts.timed += sign
        counts.duration_ms_sum += sign * duration_ms
    if waiting_ms is not None:
        counts.waited += sign
        counts.waiting_ms_sum += sign * waiting_ms
        log_histogram.add(counts.waits, waiting_ms, sign)


def waiting_ms(before: int, at: int) -> int | None:
    """Return the milliseconds between the end of one step and of the next, None where the clocks disagree."""
    return (at - before) // 1000 if at >= before else None
