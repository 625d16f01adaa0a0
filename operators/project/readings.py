"""Figures of the fold as rules ask for them: of the project, an annotator, a step or a class."""

from collections.abc import Callable

from operators.project.estimates import estimate_of
from operators.project.state import CREDIT_UNITS, AnnotatorRecord, ProjectRecord, QuestionRecord
from operators.rules.state import AlertKey
from operators.stats.jeffreys import jeffreys_bounds
from schemas.signals import Scope


class Readings:
    """Tells figures as of the event that is being folded; None for what is not known.

    Parameters
    ----------
    record
        State of the project.
    settle
        Counts an annotator's pending labels.
    """

    def __init__(self, record: ProjectRecord, settle: Callable[[QuestionRecord, AnnotatorRecord], None]) -> None:
        self._record = record
        self._settle = settle

    def read(self, scope: Scope, key: AlertKey, name: str) -> float | None:
        """Return the figure of that name."""
        question_id, annotator_id, _, _ = key
        if scope is Scope.ANNOTATOR:
            question = self._record.questions.get(question_id)
            annotator = question.annotators.get(annotator_id) if question is not None else None
            return self._of_annotator(annotator, question, name) if annotator and question else None
        return self._of_project(question_id, name) if scope is Scope.PROJECT else None

    def renew(self) -> None:
        """Compute anew what is told as of the last tick of the project's clock."""
        self._record.alphas = {
            question_id: question.agreement.figures.figures().alpha
            for question_id, question in self._record.questions.items()
            if question.agreement is not None
        }

    def _of_annotator(self, annotator: AnnotatorRecord, question: QuestionRecord, name: str) -> float | None:
        self._settle(question, annotator)
        stream = annotator.stream
        if name == "accuracy_decayed":
            return stream.decayed.get() if stream.judgements else None
        if name == "accuracy_adaptive":
            return stream.window.estimation if stream.judgements else None
        if name == "accuracy_estimate":
            return estimate_of(annotator, question)[0]
        if name == "duration_ms_p50":
            return annotator.duration_p50.get()
        if name == "duration_ms_p90":
            return annotator.duration_p90.get()
        counts = _Counts(
            annotator.labels, annotator.gold_labels, annotator.gold_credit, annotator.skips,
            annotator.first_reviews, annotator.first_accepted, annotator.reworked,
        )  # fmt: skip
        return counts.read(name)

    def _of_project(self, question_id: str, name: str) -> float | None:
        questions = self._record.questions
        chosen = [questions[question_id]] if question_id in questions else list(questions.values())
        if name == "agreement":
            alphas = [self._record.alphas.get(question.question_id) for question in chosen]
            return min((alpha for alpha in alphas if alpha is not None), default=None)
        counts = _Counts()
        for question in chosen:
            for annotator in question.annotators.values():
                self._settle(question, annotator)
                counts.add(annotator)
        return counts.read(name)


class _Counts:
    def __init__(
        self, labels: int = 0, gold: int = 0, credit: int = 0, skips: int = 0, reviews: int = 0, accepted: int = 0,
        reworked: int = 0,
    ) -> None:  # fmt: skip
        self.labels, self.gold, self.credit, self.skips = labels, gold, credit, skips
        self.reviews, self.accepted, self.reworked = reviews, accepted, reworked

    def add(self, annotator: AnnotatorRecord) -> None:
        """Add what an annotator has."""
        self.labels += annotator.labels
        self.gold += annotator.gold_labels
        self.credit += annotator.gold_credit
        self.skips += annotator.skips
        self.reviews += annotator.first_reviews
        self.accepted += annotator.first_accepted
        self.reworked += annotator.reworked

    def read(self, name: str) -> float | None:
        """Return a figure that follows from the counts."""
        if name in ("accuracy", "accuracy_low", "accuracy_high"):
            if not self.gold:
                return None
            correct = self.credit / CREDIT_UNITS
            if name == "accuracy":
                return correct / self.gold
            return jeffreys_bounds(correct, float(self.gold))[name == "accuracy_high"]
        if name in ("labels", "gold_labels", "reviews"):
            return float({"labels": self.labels, "gold_labels": self.gold, "reviews": self.reviews}[name])
        shares = {
            "acceptance_rate": (self.accepted, self.reviews),
            "rework_rate": (self.reworked, self.labels),
            "skip_rate": (self.skips, self.skips + self.labels),
        }
        part, whole = shares.get(name, (0, 0))
        return part / whole if whole else None
