"""What the rules of a project remember, as structs that are also its form on disk (see operators.snapshot).

Times are microseconds since the epoch. Only what fires, cools down or may matter to a rule is remembered, so that a
project whose rules ask for little keeps little.
"""

import msgspec

AnnotatorKey = tuple[str, str]
"""Question and annotator."""
AlertKey = tuple[str, str, str, str]
"""Question, annotator, step and class; empty text for what an alert is not limited to."""
StandingKey = tuple[str, str, str, str, str]
"""Rule, and the parts of an AlertKey."""

NEVER = -(2**62)
HISTORY_MAX = 64
_MASK = 2**HISTORY_MAX - 1


class DriftFinding(msgspec.Struct, array_like=True, frozen=True):
    """A change of one of an annotator's signals, as a detector told it.

    Parameters
    ----------
    signal
        One of ``schemas.signals.DRIFTS``.
    direction
        One of its ``schemas.signals.DIRECTIONS``.
    at
        Time of the event that completed the evidence.
    changed_at
        Estimated time of the change.
    before, after
        Level before and after it: error share, share of the class, or milliseconds.
    judgements_after
        Judgements (answers, durations) since the change.
    evidence
        Value of the detector's statistic, a Shiryaev-Roberts sum, ≥ 0.
    label_class
        For class use, the class that is answered more often.
    discovery_level
        Smallest level of error over patience at which the annotator would be declared to have changed, > 0.
    """

    signal: str
    direction: str
    at: int
    changed_at: int
    before: float
    after: float
    judgements_after: int
    evidence: float
    label_class: str = ""
    discovery_level: float | None = None


class CauseFinding(msgspec.Struct, array_like=True, frozen=True):
    """Many annotators that changed together.

    Parameters
    ----------
    members
        Question and annotator of each that takes part.
    annotators
        How many were looked at.
    probability
        Probability of so many by chance.
    """

    signal: str
    direction: str
    at: int
    changed_at: int
    members: list[AnnotatorKey]
    annotators: int
    probability: float


class Standing(msgspec.Struct, array_like=True):
    """How one rule stands with one key: firing, or cooling down after it fired.

    Parameters
    ----------
    failing_since
        While it fires: since when the condition does not hold any more; None while it holds.
    quiet_until
        It does not fire again before this time.
    """

    is_firing: bool
    fired_at: int
    fired_version: int
    quiet_until: int
    failing_since: int | None = None
    summary: str = ""
    evidence: str = ""
    signal: str = ""
    direction: str = ""
    changed_at: int | None = None
    false_alarm_value: float | None = None
    discovery_level: float | None = None


class History(msgspec.Struct, array_like=True):
    """The last `HISTORY_MAX` outcomes of some kind, the newest in the lowest bit."""

    bits: int = 0
    held: int = 0

    def add(self, outcome: bool) -> None:
        """Take in the newest outcome."""
        self.bits = (self.bits << 1 | outcome) & _MASK
        if self.held < HISTORY_MAX:
            self.held += 1

    def share(self, last: int, of_at_least: int) -> float | None:
        """Return the share of outcomes that are true among the last ones, or None if there are too few."""
        count = min(last, self.held)
        return None if count < of_at_least else (self.bits & ((1 << count) - 1)).bit_count() / count

    def count(self, last: int) -> int:
        """Return how many of the last so many outcomes there are."""
        return min(last, self.held)


class Behaviour(msgspec.Struct, array_like=True):
    """An annotator's recent ways under one question, as far as rules ask for them.

    Parameters
    ----------
    histories
        By kind of outcome.
    errors
        Number of the judgement, known answer and answer of the last errors.
    """

    skips_in_a_row: int = 0
    repeated_answers: int = 0
    last_value: str = ""
    judgements: int = 0
    histories: dict[str, History] = {}
    errors: list[tuple[int, str, str]] = []


class Throughput(msgspec.Struct, array_like=True):
    """Labels by window of the project's clock: the open one, and those before it, the newest last."""

    window: int
    count: int = 0
    before: list[int] = []
    ratio: float | None = None


class PartCounts(msgspec.Struct, array_like=True):
    """What is counted of a step or a class; later corrections do not enter."""

    labels: int = 0
    skips: int = 0
    judgements: int = 0
    correct: int = 0


class RuleState(msgspec.Struct, array_like=True):
    """All that the rules of a project remember.

    Parameters
    ----------
    clock
        Running maximum of the times the engine was told.
    standings
        Firing and cooling conditions.
    drifts
        Signal, question and annotator → the last change.
    causes
        Signal → the last common cause.
    seen
        Question, annotator and step → clock at the last event; empty text for any.
    waiting
        Rule → those whose silence may still complete its condition, the longest silent first.
    throughput
        Rule and step → counts.
    parts
        Question, step and class → counts; empty text for what they are not limited to.
    questions
        Questions seen → labels.
    """

    clock: int = NEVER
    ticked_at: int = NEVER
    standings: dict[StandingKey, Standing] = {}
    behaviours: dict[AnnotatorKey, Behaviour] = {}
    drifts: dict[tuple[str, str, str], DriftFinding] = {}
    causes: dict[str, CauseFinding] = {}
    seen: dict[tuple[str, str, str], int] = {}
    waiting: dict[str, dict[AnnotatorKey, int]] = {}
    throughput: dict[tuple[str, str], Throughput] = {}
    parts: dict[tuple[str, str, str], PartCounts] = {}
    questions: dict[str, int] = {}
