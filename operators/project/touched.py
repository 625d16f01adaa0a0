"""What a batch has touched: records whose rows are to be written."""

from dataclasses import dataclass, field
from typing import Any

from operators.project.state import (
    AnnotatorRecord,
    Count,
    ItemRecord,
    ProjectRecord,
    QuestionRecord,
    ReviewerRecord,
    StepCounts,
    WindowCounts,
    WindowRecord,
)
from operators.stats.judgement_stream import Change
from schemas.alerts import Alert


@dataclass(frozen=True, slots=True)
class DriftFinding:
    """A change of an annotator's accuracy, and the record of the log that revealed it."""

    project_id: str
    question_id: str
    annotator_id: str
    sequence: int
    change: Change
    detected_at: int
    version: int


@dataclass(slots=True)
class Touched:
    """Records by table, in the order in which they were first touched, with what their keys need.

    Labels, skips and reviews are there as rows: most are written once, when they come.
    """

    label_rows: list[tuple[Any, ...]] = field(default_factory=list)
    skip_rows: list[tuple[Any, ...]] = field(default_factory=list)
    review_rows: list[tuple[Any, ...]] = field(default_factory=list)
    items: list[tuple[QuestionRecord, ItemRecord]] = field(default_factory=list)
    annotators: list[tuple[QuestionRecord, AnnotatorRecord]] = field(default_factory=list)
    annotator_windows: list[tuple[QuestionRecord, WindowRecord, str, WindowCounts]] = field(default_factory=list)
    project_windows: list[tuple[QuestionRecord, WindowRecord]] = field(default_factory=list)
    class_windows: list[tuple[QuestionRecord, WindowRecord, str, Count]] = field(default_factory=list)
    confusion: list[tuple[QuestionRecord, AnnotatorRecord, str, str, Count]] = field(default_factory=list)
    step_windows: list[tuple[QuestionRecord, WindowRecord, str, StepCounts]] = field(default_factory=list)
    reviewers: list[tuple[QuestionRecord, ReviewerRecord]] = field(default_factory=list)
    consensus: list[QuestionRecord] = field(default_factory=list)
    agreement: list[QuestionRecord] = field(default_factory=list)
    agreement_windows: list[tuple[QuestionRecord, WindowRecord]] = field(default_factory=list)
    pairs: dict[tuple[str, str, str], int] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)
    drift_rows: list[tuple[Any, ...]] = field(default_factory=list)
    drifts: list[DriftFinding] = field(default_factory=list)
    project: ProjectRecord | None = None
