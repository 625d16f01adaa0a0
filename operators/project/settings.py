"""What decides how events become rows. Frozen with the recovery store: a change of any of these is a new generation."""

from dataclasses import dataclass

from schemas.policy import Policy


@dataclass(frozen=True, slots=True)
class FoldSettings:
    """Settings of the fold; times in microseconds.

    Parameters
    ----------
    generation
        Number of this reading of the log, in [0, 2¹⁵).
    window
        Length of the tumbling windows, > 0.
    disorder
        How far the project's clock stays behind the newest event.
    retention
        How far behind the clock labels, items and windows are remembered.
    annotator_retention
        How far behind the clock an annotator without labels is remembered, ≥ `retention`.
    judgement_age_max
        A label older than this when it is first judged does not enter sequential statistics.
    classes_max
        Classes of one question.
    fading_factor
        Weight of the newest judgement in the decayed accuracy, in (0, 1).
    adwin_delta
        Confidence parameter of the adaptive window, in (0, 1).
    has_consensus
        Whether the consensus of items is learnt.
    has_agreement
        Whether the annotators' agreement is counted.
    has_estimates
        Whether annotators are seen in the light of the others: empirical-Bayes accuracy, too fast and repeated answers.
    policy
        Rules and detectors; None for none of them.
    consensus_confidence
        Probability from which an item's consensus is settled, in (0.5, 1].
    consensus_labels_max
        With so many labels an item that is still not settled needs an expert rather than another label, ≥ 1.
    events_per_minute_max, new_items_per_day_max
        What a project may bring a minute and a day of its own time, ≥ 1; None for any number.
    """

    generation: int
    window: int
    disorder: int
    retention: int
    annotator_retention: int
    judgement_age_max: int
    classes_max: int
    fading_factor: float
    adwin_delta: float
    has_consensus: bool = False
    has_agreement: bool = False
    has_estimates: bool = False
    policy: Policy | None = None
    consensus_confidence: float = 0.95
    consensus_labels_max: int = 7
    events_per_minute_max: int | None = None
    new_items_per_day_max: int | None = None

    @property
    def has_quota(self) -> bool:
        """Whether a project may not bring as much as it likes."""
        return self.events_per_minute_max is not None or self.new_items_per_day_max is not None

    def __post_init__(self) -> None:
        assert 0 <= self.generation < 2**15
        assert self.window > 0
        assert self.annotator_retention >= self.retention
