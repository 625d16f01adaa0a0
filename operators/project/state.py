"""State of a project, as structs that are also its form on disk (see operators.snapshot).

Records carry the ``version`` of the record of the log that last changed them, and ``is_dirty`` while a row of theirs is
still to be written. Times are microseconds since the epoch; credits are whole millionths, so that taking a
contribution out gives back exactly what was there before it.
"""

import msgspec
from river import stats

from operators.labels import compare_contents
from operators.project.consensus import QuestionConsensus
from operators.rules.detectors import DetectorState
from operators.rules.state import RuleState
from operators.stats.accuracy.lesser_evidence import Calibration
from operators.stats.accuracy.population import Prior
from operators.stats.accuracy.repeated_answers import AnswerRuns
from operators.stats.agreement.agreement import Agreement
from operators.stats.agreement.pairs import PairAgreement
from operators.stats.judgement_stream import JudgementStream

CREDIT_UNITS = 1_000_000
NEVER = -(2**62)


class ReviewRecord(msgspec.Struct, array_like=True, gc=False):
    """One review of a label.

    Parameters
    ----------
    review_id
        Id of the event that told it.
    waiting_ms
        Time between the label and its review; None where the review is stamped before it.
    correction, correction_content
        The corrected label of a fix, and its full content if it is not categorical.
    credit
        How far the decision agrees with the known answer, in millionths; None while that is not known.
    """

    review_id: str
    reviewer_id: str
    step: str
    decision: str
    occurred_at: int
    duration_ms: int | None
    waiting_ms: int | None
    correction: str | None
    correction_content: str | None
    version: int
    credit: int | None = None


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
    is_skip
        Whether the annotator declined to answer; such a record is no label in force, and its value is empty.
    content
        The whole answer as canonical JSON; None for a categorical label, whose value is all of it.
    reviews
        Reviews of the label, in log order.
    corrected, corrected_credit
        What the newest review corrected it to, and the label's credit against that, in millionths.
    is_held
        Whether the label has been held against what others answered; only the first time counts.
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
    is_skip: bool = False
    content: str | None = None
    attributes: dict[str, str] | None = None
    reviews: list[ReviewRecord] | None = None
    corrected: str | None = None
    corrected_credit: int | None = None
    is_held: bool = False


class Truth(msgspec.Struct, array_like=True, gc=False):
    """The known answers of an item: credit in millionths by answer, and the answer that stands for a wrong one.

    Parameters
    ----------
    contents
        Of labels that are not categorical: the full content by answer.
    """

    credits: dict[str, int]
    primary: str
    occurred_at: int
    standing: int = 2
    contents: dict[str, str] | None = None

    def judge(self, value: str) -> tuple[str, int]:
        """Return the class held against a categorical answer, and its credit in millionths."""
        credit = self.credits.get(value, 0)
        return (value if credit else self.primary), credit

    def judge_answer(self, value: str, content: str | None) -> tuple[str, int]:
        """Return the answer held against an answer of any kind, and its credit in millionths: weight × agreement."""
        if content is None or self.contents is None:
            return self.judge(value)
        scored = [
            (round(credit * compare_contents(content, self.contents[answer])), answer)
            for answer, credit in self.credits.items()
        ]
        credit, answer = max(scored, key=lambda pair: pair[0])
        return (answer if credit else self.primary), credit

    def judge_label(self, label: LabelRecord) -> tuple[str, int]:
        """Return the answer held against a label, and its credit in millionths."""
        return self.judge_answer(label.value, label.content)


class GoldWord(msgspec.Struct, array_like=True, gc=False):
    """What one origin last said of an item's gold, and when; without a truth it withdrew it."""

    origin: str
    occurred_at: int
    truth: Truth | None = None


class Adjudication(msgspec.Struct, array_like=True, gc=False):
    """The work of deciding an item."""

    adjudicator_id: str
    step: str
    occurred_at: int
    duration_ms: int | None
    waiting_ms: int | None


Vote = str | float
"""What counts of an annotator's labels of an item for the agreement: a class, a number, or the whole content."""


class ItemRecord(msgspec.Struct, array_like=True, gc=False):
    """One item under one question, with its labels in force in log order.

    Parameters
    ----------
    truth
        The known answer of the highest standing.
    gold, gold_at
        The known answer in force of those that `gold.set` tells, and the time before which no word about it counts any
        more: that of the newest withdrawal of all origins.
    adjudication, adjudicated
        An expert's answer, and who decided it when.
    votes, votes_window
        Each annotator's latest label, as it counts for the agreement, and the window that it counts in.
    gold_words
        The newest word of each origin about the item's gold, in log order.
    """

    item_id: str
    labels: list[LabelRecord]
    first_at: int
    last_at: int
    oldest_label_at: int
    version: int = 0
    truth: Truth | None = None
    is_dirty: bool = False
    gold: Truth | None = None
    gold_at: int = NEVER
    adjudication: Truth | None = None
    adjudicated: Adjudication | None = None
    skips: list[LabelRecord] | None = None
    votes: dict[str, Vote] | None = None
    votes_window: int = 0
    gold_words: list[GoldWord] | None = None


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
    skips: int = 0


class StepCounts(msgspec.Struct, array_like=True, gc=False):
    """What is counted in a window of one step of the workflow.

    Parameters
    ----------
    done
        Labels, reviews or decisions.
    reworked
        Labels with more than one revision.
    first_reviews, first_accepted
        Labels by their first review, and those that it accepted.
    waits
        Histogram of the waiting times before the step, see operators.stats.log_histogram.
    """

    done: int = 0
    skips: int = 0
    timed: int = 0
    duration_ms_sum: int = 0
    reworked: int = 0
    first_reviews: int = 0
    first_accepted: int = 0
    waited: int = 0
    waiting_ms_sum: int = 0
    waits: dict[int, int] = {}
    version: int = 0
    is_dirty: bool = False


class AgreementPart(msgspec.Struct, array_like=True):
    """The agreement on a question, over all time or in one window."""

    figures: Agreement
    version: int = 0
    is_dirty: bool = False


class WindowRecord(msgspec.Struct, array_like=True, gc=False):
    """One tumbling window of a question."""

    start: int
    project: WindowCounts
    annotators: dict[str, WindowCounts]
    classes: dict[str, Count]
    steps: dict[str, StepCounts] = {}
    agreement: AgreementPart | None = None


class ReviewerRecord(msgspec.Struct, array_like=True, gc=False):
    """One reviewer under one question.

    Parameters
    ----------
    judged, agreeing
        Reviews of labels whose answer is known, and the sum of their credits in millionths.
    wrongly_accepted, wrongly_refused
        Those that accepted a wrong label, and those that did not accept a right one.
    """

    reviewer_id: str
    first_at: int
    last_at: int
    reviews: int = 0
    accepted: int = 0
    fixed: int = 0
    rejected: int = 0
    judged: int = 0
    agreeing: int = 0
    wrongly_accepted: int = 0
    wrongly_refused: int = 0
    wrong_labels: int = 0
    version: int = 0
    is_dirty: bool = False


class AnnotatorRecord(msgspec.Struct, array_like=True, gc=False):
    """One annotator under one question.

    Parameters
    ----------
    pending
        New labels that are still to be counted; empty between batches.
    lesser_judged, lesser_passed
        Labels whose answer is not known that were reviewed, and those that the newest review accepted.
    durations
        Timed labels by bucket of their duration.
    runs
        Runs of equal answers, in log order.
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
    reviews: int = 0
    accepted: int = 0
    fixed: int = 0
    rejected: int = 0
    first_reviews: int = 0
    first_accepted: int = 0
    reworked: int = 0
    corrected_labels: int = 0
    corrected_credit: int = 0
    skips: int = 0
    skips_in_a_row: int = 0
    lesser_judged: int = 0
    lesser_passed: int = 0
    durations: dict[int, int] = {}
    runs: AnswerRuns | None = None


class PopulationPart(msgspec.Struct, array_like=True):
    """What is known of a question's annotators together.

    Parameters
    ----------
    seen, due
        Labels and judgements so far, and how many there must be for the next look at the population.
    durations
        Timed labels by bucket of their duration, see operators.stats.log_histogram.
    calibration
        What reviews are worth, so far; `calibrated` is the same as of the last look.
    consensus_calibrated
        What the consensus of the others is worth, as of the last look.
    prior, accuracy, fast_ms
        As of the last look: the spread of accuracy, its mean, and the duration below which an answer is too fast.
    class_shares
        As of the last look: each answer's share of the labels.
    """

    seen: int = 0
    due: int = 0
    durations: dict[int, int] = {}
    calibration: Calibration = msgspec.field(default_factory=Calibration)
    calibrated: Calibration = msgspec.field(default_factory=Calibration)
    prior: Prior | None = None
    accuracy: float = 0.0
    fast_ms: float | None = None
    consensus_calibrated: Calibration = msgspec.field(default_factory=Calibration)
    class_shares: dict[str, float] = {}


class QuestionRecord(msgspec.Struct, array_like=True, gc=False):
    """One question of a project; its labels are of one kind, that of the first one seen (None before)."""

    question_id: str
    classes: dict[str, str]
    items: dict[str, ItemRecord]
    annotators: dict[str, AnnotatorRecord]
    windows: dict[int, WindowRecord]
    kind: str | None = None
    reviewers: dict[str, ReviewerRecord] = {}
    consensus: QuestionConsensus | None = None
    agreement: AgreementPart | None = None
    pairs: PairAgreement | None = None
    population: PopulationPart | None = None


class QuotaState(msgspec.Struct, array_like=True):
    """The last minute and day of the project's time that anything came in, and what came: events, and new items."""

    minute: int = 0
    events: int = 0
    day: int = 0
    items: int = 0


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
    waiting_reviews
        Annotation → reviews that came before it, each with its question and the clock at that time.
    rules, detectors
        What the rules and the detectors of drift remember.
    alphas
        Question → alpha as of the last tick of the clock, where a rule asks for it.
    quota
        What came in of late, where that is bounded.
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
    waiting_reviews: dict[str, list[tuple[str, int, ReviewRecord]]] = {}
    unmatched_reviews: int = 0
    rules: RuleState | None = None
    detectors: DetectorState | None = None
    alphas: dict[str, float | None] = {}
    quota: QuotaState | None = None
