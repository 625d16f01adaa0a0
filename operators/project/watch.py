"""The detectors and rules of one project as the fold drives them: what happens goes in, what is found comes out."""

from collections.abc import Callable
from typing import Any

from operators.project.readings import Readings
from operators.project.settings import FoldSettings
from operators.project.state import CREDIT_UNITS, AnnotatorRecord, LabelRecord, ProjectRecord, QuestionRecord
from operators.rules.detectors import DetectorState, ProjectDetectors
from operators.rules.engine import RuleEngine
from operators.rules.state import DriftFinding, RuleState
from operators.stats.drift.consensus_evidence import ConsensusNoise
from schemas.alerts import Alert
from schemas.policy import ProjectPolicy
from schemas.signals import DRIFTS

DETECTOR = "e-detector"
CHUNK_TIME_MAX = 600_000_000
"""Detectors take in all that waits where the project's clock passes a multiple of this."""
Row = tuple[Any, ...]


class Watch:
    """Watches one project.

    Parameters
    ----------
    record
        State of the project; its rules and detectors are changed in place.
    policy
        The project's policy.
    settings
        Settings of the fold.
    settle
        Counts an annotator's pending labels, for figures as of an event.
    """

    def __init__(
        self,
        record: ProjectRecord,
        policy: ProjectPolicy,
        settings: FoldSettings,
        settle: Callable[[QuestionRecord, AnnotatorRecord], None],
    ) -> None:
        self._record = record
        self._generation, self._lag = settings.generation, settings.disorder
        if record.rules is None or record.detectors is None:
            record.rules, record.detectors = RuleState(), DetectorState()
        self.detectors = ProjectDetectors(
            record.detectors,
            false_alarms_per_million_judgements=policy.false_alarms_per_million_judgements,
            signals=frozenset(DRIFTS),
        )
        self.readings = Readings(record, settle)
        self.engine = RuleEngine(
            policy,
            record.rules,
            generation=settings.generation,
            project_id=record.project_id,
            read_signal=self.readings.read,
            read_evidence=self.detectors.evidence,
        )
        self._reads_agreement = self.engine.rules.reads("agreement")
        self.alerts: list[Alert] = []
        self.drift_rows: list[Row] = []

    # What happens

    def submitted(self, label: LabelRecord, at: int, version: int, *, is_class: bool) -> None:
        """Take in a new label."""
        question_id, annotator_id = label.question_id, label.annotator_id
        if is_class:
            self.detectors.answered(question_id, annotator_id, label.value, label.first_at)
        if label.duration_ms is not None:
            self.detectors.timed(question_id, annotator_id, label.duration_ms, label.first_at)
        if self.engine.watches_submissions:
            self.alerts += self.engine.on_submission(
                question_id, annotator_id, label.step, label.value, label.duration_ms, at, version
            )

    def skipped(self, skip: LabelRecord, at: int, version: int) -> None:
        """Take in a new skip."""
        self.alerts += self.engine.on_skip(skip.question_id, skip.annotator_id, skip.step, at, version)

    def judged(self, label: LabelRecord, at: int, version: int) -> None:
        """Take in the first judgement of a label."""
        assert label.credit is not None and label.truth is not None
        question_id, annotator_id = label.question_id, label.annotator_id
        error = 1.0 - label.credit / CREDIT_UNITS
        self.detectors.judged(question_id, annotator_id, error, label.first_at)
        if self.engine.watches_judgements:
            is_correct = 2 * label.credit >= CREDIT_UNITS
            self.alerts += self.engine.on_judgement(
                question_id, annotator_id, label.truth, label.value, is_correct, at, version
            )

    def noise_of(self, question_id: str) -> ConsensusNoise:
        """Return how far what others answered may be trusted."""
        return self.detectors.noise_of(question_id)

    def compared(self, label: LabelRecord, is_agreeing: bool, noise: float, at: int, version: int) -> None:
        """Take in whether a label is what others answered, who are wrong with probability `noise`."""
        question_id, annotator_id = label.question_id, label.annotator_id
        self.detectors.compared(question_id, annotator_id, float(not is_agreeing), noise, label.first_at)
        self.alerts += self.engine.on_agreement(question_id, annotator_id, is_agreeing, at, version)

    def population_renewed(self, question: QuestionRecord, at: int, version: int) -> None:
        """Take in that a question's annotators are seen in a new light."""
        if self.engine.watches_population:
            for annotator_id in question.annotators:
                self.alerts += self.engine.on_annotator(question.question_id, annotator_id, at, version)

    def reviewed(self, label: LabelRecord, is_accepted: bool, at: int, version: int) -> None:
        """Take in the first review of a label."""
        self.alerts += self.engine.on_review(label.question_id, label.annotator_id, is_accepted, at, version)

    def end_event(self, at: int, version: int) -> None:
        """Let detectors take in a chunk that has become full, and the rules the passing of time."""
        clock = self._record.newest_at - self._lag
        is_tick = clock >= self.engine.next_tick
        is_end = is_tick and clock // CHUNK_TIME_MAX > self.engine.ticked_at // CHUNK_TIME_MAX
        if is_end or self.detectors.is_due:
            flush = self.detectors.flush_all if is_end else self.detectors.flush
            for question_id, annotator_id, finding in flush(at):
                self._found(question_id, annotator_id, finding, version)
        if is_tick:
            if self._reads_agreement:
                self.readings.renew()
            self.alerts += self.engine.on_tick(clock, version)

    def forget(self, question_id: str, annotator_id: str) -> None:
        """Begin anew with an annotator who is past the retention."""
        self.detectors.forget(question_id, annotator_id)
        self.engine.forget(question_id, annotator_id)

    def _found(self, question_id: str, annotator_id: str, finding: DriftFinding, version: int) -> None:
        annotator = self._record.questions[question_id].annotators.get(annotator_id)
        if annotator is not None:
            annotator.drifts += 1
        self.drift_rows.append((
            self._record.project_id, question_id, annotator_id, finding.signal, DETECTOR, version,
            finding.direction, finding.at, finding.changed_at, *_levels(finding), finding.judgements_after,
            self._generation, version, 0,
        ))  # fmt: skip
        self.alerts += self.engine.on_drift(question_id, annotator_id, finding, version)


def _levels(finding: DriftFinding) -> tuple[float, float]:
    """Return the signal before and after a change; detectors of accuracy and agreement speak of errors."""
    if finding.signal in ("accuracy", "agreement"):
        return 1.0 - finding.before, 1.0 - finding.after
    return finding.before, finding.after
