"""State of a project, as structs that are also its form on disk (see operators.snapshot).

Records carry the ``version`` of the record of the log that last changed them, and ``is_dirty`` while a row of theirs is
still to be written. Times are microseconds since the epoch; credits are whole millionths, so that taking a
contribution out gives back exactly what was there before it.
"""

import msgspec
from river import stats

from operators.stats.judgement_stream import JudgementStream

CREDIT_UNITS = 1_000_000


class LabelRecord(msgspec.Struct, array_like=True, gc=False):
    """One label in force: the answer of one annotation to one question.

    Parameters
    ----------
    first_at, first_revision
        Time and number of the lowest revision known: they decide the label's window.
    is_judged
        Whether the label has been judged once; only the first judgement enters sequential statistics.
    is_pending
        Whether its contribution still waits to be counted, with others of its annotator.
    truth, credit
        Class held against the label and the credit given, in millionths; None while the answer is not known.
    """

    annotation_id: str
    question_id: str
    item_id: str
    annotator_id: str
    step: str
    revision: int
    value: str
    occurred_at: int
    first_at: int
    first_revision: int
    duration_ms: int | None
    version: int
    is_judged: bool = False
    truth: str | None = None
    credit: int | None = None
    is_pending: bool = False


class Truth(msgspec.Struct, array_like=True, gc=False):
    """The known answers of an item: credit in millionths by class, and the class that stands for a wrong answer."""

    credits: dict[str, int]
    primary: str
    occurred_at: int

    def judge(self, value: str) -> tuple[str, int]:
        """Return the class held against an answer, and its credit in millionths."""
        credit = self.credits.get(value, 0)
        return (value if credit else self.primary), credit


class ItemRecord(msgspec.Struct, array_like=True, gc=False):
    """One item under one question, with its labels in force in log order."""

    item_id: str
    labels: list[LabelRecord]
    first_at: int
    last_at: int
    oldest_label_at: int
    version: int = 0
    truth: Truth | None = None
    is_dirty: bool = False


class Count(msgspec.Struct, array_like=True, gc=False):
    """A count of labels under some key."""

    labels: int = 0
    version: int = 0
    is_dirty: bool = False


class WindowCounts(msgspec.Struct, array_like=True, gc=False):
    """What is counted in a window, for one annotator or for all of the project."""

    labels: int = 0
    gold_labels: int = 0
    gold_credit: int = 0
    timed_labels: int = 0
    duration_ms_sum: int = 0
    annotators: int = 0
    version: int = 0
    is_dirty: bool = False


class WindowRecord(msgspec.Struct, array_like=True, gc=False):
    """One tumbling window of a question."""

    start: int
    project: WindowCounts
    annotators: dict[str, WindowCounts]
    classes: dict[str, Count]


class AnnotatorRecord(msgspec.Struct, array_like=True, gc=False):
    """One annotator under one question.

    Parameters
    ----------
    pending
        New labels that are still to be counted; empty between batches.
    """

    annotator_id: str
    first_at: int
    last_at: int
    stream: JudgementStream
    duration_p50: stats.Quantile
    duration_p90: stats.Quantile
    confusion: dict[str, dict[str, Count]]
    labels: int = 0
    gold_labels: int = 0
    gold_credit: int = 0
    timed_labels: int = 0
    drifts: int = 0
    version: int = 0
    is_dirty: bool = False
    pending: list[LabelRecord] = []


class QuestionRecord(msgspec.Struct, array_like=True, gc=False):
    """One question of a project."""

    question_id: str
    classes: dict[str, str]
    items: dict[str, ItemRecord]
    annotators: dict[str, AnnotatorRecord]
    windows: dict[int, WindowRecord]


class ProjectRecord(msgspec.Struct, array_like=True, gc=False):
    """One project: all that is known of it.

    Parameters
    ----------
    newest_at
        The running maximum of ``occurred_at`` over the project's records in log order.
    retracted
        Annotation → clock at its retraction.
    unmatched
        Annotations retracted before they were seen → clock at that time.
    seen, seen_before, seen_until
        Event ids of this period and of the one before; at `seen_until` a new period begins.
    """

    project_id: str
    stream: str
    partition: int
    questions: dict[str, QuestionRecord]
    retracted: dict[str, int]
    unmatched: dict[str, int]
    seen: set[str]
    seen_before: set[str]
    newest_at: int = -(2**62)
    seen_until: int = -(2**62)
    swept_at: int = -(2**62)
    labels: int = 0
    items: int = 0
    truth_items: int = 0
    annotators: int = 0
    gold_labels: int = 0
    gold_credit: int = 0
    unmatched_retractions: int = 0
    is_unordered: bool = False
    version: int = 0
