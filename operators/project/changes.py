"""What the folds of all events share: counting, judging and noting what is to be written."""

from typing import Any

from operators.project.agreement import agree
from operators.project.consensus import KINDS as CONSENSUS_KINDS
from operators.project.consensus import QuestionConsensus
from operators.project.contributions import contribute, contribute_judged, settle, touch_annotator
from operators.project.estimates import renew
from operators.project.memory import Memory
from operators.project.others import VoteWeights, hold_against_others
from operators.project.passing_over import pass_over
from operators.project.quota import Quota
from operators.project.reviewing import count_reviews, judge_reviews
from operators.project.rows import Row, RowMaker, label_row, skip_row
from operators.project.settings import FoldSettings
from operators.project.standing import known_answer, standing_of
from operators.project.state import (
    CREDIT_UNITS,
    AnnotatorRecord,
    ItemRecord,
    LabelRecord,
    PopulationPart,
    ProjectRecord,
    QuestionRecord,
    QuotaState,
)
from operators.project.touched import DriftFinding, Touched
from operators.project.watch import Watch

NOT_JUDGED = (None, None)
KEY_COLUMNS = 4
"""Of the tables of labels, skips and reviews."""


class Changes:
    """Changes the state of one project, and notes whose rows changed.

    Parameters
    ----------
    record
        State of the project; changed in place.
    settings
        What decides how events become rows.
    """

    def __init__(self, record: ProjectRecord, settings: FoldSettings) -> None:
        self.record = record
        self.touched = Touched()
        self.memory = Memory(record, settings)
        self.settings = settings
        self.unsettled: list[tuple[QuestionRecord, AnnotatorRecord]] = []
        self.out: dict[str, list[Row]] | None = {}
        self._row_maker = RowMaker(record, settings)
        self._event_rows: dict[tuple[Any, ...], Row] = {}
        self.watch: Watch | None = None
        if settings.policy is not None:
            policy = settings.policy.for_project(record.project_id)
            self.watch = Watch(record, policy, settings, self.settle)
            self.memory.on_forgetting_annotator = self.watch.forget
            self.memory.attribute_names = frozenset(policy.attributes)
        self.quota: Quota | None = None
        if settings.has_quota:
            record.quota = record.quota or QuotaState()
            self.quota = Quota(record.quota, settings, self.memory)
        self.version = 0
        self.is_population_due = False
        self._vote_weights = VoteWeights()
        self.memory.before_forgetting, self.memory.on_forgetting = self.flush, self._unlearn_item

    # Rows

    def flush(self) -> None:
        """Make the rows of all that was touched, and begin anew."""
        for question, annotator in self.unsettled:
            self.settle(question, annotator)
        for question in self.touched.consensus:
            assert question.consensus is not None
            question.consensus.settle()
            self._touch_heard(question, question.consensus)
        self.unsettled = []
        touched, self.touched = self.touched, Touched()
        watch = self.watch
        if watch is not None and (watch.alerts or watch.drift_rows):
            touched.alerts, watch.alerts = watch.alerts, []
            touched.drift_rows, watch.drift_rows = watch.drift_rows, []
        self._hand_on(touched)

    def _hand_on(self, touched: Touched) -> None:
        if self.out is None:
            pass_over(touched)
        else:
            self._row_maker.add_rows(touched, self.out)

    def _flush_annotators(self, question: QuestionRecord) -> None:
        """Make the rows of a question's annotators that were touched; all else waits for the batch's end."""
        unsettled, self.unsettled = self.unsettled, []
        for pair in unsettled:
            if pair[0] is question:
                self.settle(*pair)
            else:
                self.unsettled.append(pair)
        if question.consensus is not None:
            self._touch_heard(question, question.consensus)
        mine, others = Touched(), []
        for pair in self.touched.annotators:
            (mine.annotators if pair[0] is question else others).append(pair)
        self.touched.annotators = others
        self._hand_on(mine)

    def _touch_heard(self, question: QuestionRecord, consensus: QuestionConsensus) -> None:
        """Let annotators' rows be made of whom the others' consensus says something else."""
        changed, consensus.changed_annotators = consensus.changed_annotators, {}
        for annotator_id, version in changed.items():
            annotator = question.annotators.get(annotator_id)
            if annotator is not None:
                touch_annotator(annotator, question, self.touched, version)

    def tick(self) -> None:
        """Free the memory of what is absent, at a time that the log decides; rows are made of what was, before."""
        self.flush()
        self.memory.sweep()

    # Population

    def note_seen(self, part: PopulationPart) -> None:
        """Count a label or judgement; at a bound the population is looked at anew when the event has ended."""
        part.seen += 1
        if part.seen >= part.due:
            self.is_population_due = True

    def renew_populations(self) -> None:
        """Look at populations anew; annotators' rows are made before, so that each rests on that of its time."""
        self.is_population_due = False
        for question in self.record.questions.values():
            if question.population is not None and question.population.seen >= question.population.due:
                self._flush_annotators(question)
                renew(question)
                if self.watch is not None:
                    self.watch.population_renewed(question, self.record.newest_at, self.version)

    # Consensus

    def learn(self, label: LabelRecord, question: QuestionRecord, version: int) -> None:
        """Let a label speak for the consensus of its item, and for the agreement on it."""
        if self.settings.has_agreement:
            agree(label, question, self.memory, self.touched, version, is_leaving=False)
        consensus = self._consensus_of(question)
        if consensus is not None:
            consensus.add(label, version)
            if self.watch is not None:
                oldest = self.record.newest_at - self.settings.judgement_age_max
                item, weights = question.items[label.item_id], self._vote_weights
                hold_against_others(item, question, weights, self.watch, oldest, label.occurred_at, version)

    def unlearn(self, label: LabelRecord, question: QuestionRecord, version: int) -> None:
        """Let a label speak no longer; to be done before it changes."""
        if self.settings.has_agreement:
            agree(label, question, self.memory, self.touched, version, is_leaving=True)
        consensus = self._consensus_of(question)
        if consensus is not None:
            consensus.remove(label, version)

    def _unlearn_item(self, question: QuestionRecord, item: ItemRecord) -> None:
        consensus = self._consensus_of(question)
        if consensus is not None:
            consensus.forget(item.item_id, self.version)

    def _consensus_of(self, question: QuestionRecord) -> QuestionConsensus | None:
        """Return what learns the consensus, which is about to change; None where there is nothing to learn."""
        consensus = question.consensus
        if consensus is None:
            if not self.settings.has_consensus or question.kind not in CONSENSUS_KINDS:
                return None
            consensus = question.consensus = QuestionConsensus(question.kind)
        if not consensus.is_dirty:
            consensus.is_dirty = True
            self.touched.consensus.append(question)
        return consensus

    # Judging

    def judge_again(
        self, label: LabelRecord, item: ItemRecord, question: QuestionRecord, at: int, version: int
    ) -> None:
        """Hold the item's known answer, which has changed, against a label and its reviews."""
        judged = item.truth.judge_label(label) if item.truth is not None else NOT_JUDGED
        if judged == (label.truth, label.credit) and label.truth is None:
            return
        annotator = self.settled_annotator_of(label, question)
        if label.reviews:
            count_reviews(self, -1, label, question, annotator, version)
        if label.credit is not None:
            self._count_judged(-1, label, question, annotator, version)
        label.truth, label.credit = judged
        if label.credit is not None:
            self._count_judged(1, label, question, annotator, version)
        if label.reviews:
            judge_reviews(self, label, item, question, version)
            count_reviews(self, 1, label, question, annotator, version)
        self.write_label(label, question, version)
        if label.credit is not None and not label.is_judged:
            self.judge_first(label, question, annotator, at, version)

    def judge_first(
        self, label: LabelRecord, question: QuestionRecord, annotator: AnnotatorRecord, at: int, version: int
    ) -> None:
        """Let a label's first judgement enter the sequential statistics, unless the label is too old to tell of now."""
        label.is_judged = True
        if question.population is not None:
            self.note_seen(question.population)
        if self.record.newest_at - label.first_at > self.settings.judgement_age_max:
            return
        assert label.credit is not None
        if self.watch is not None:
            self.watch.judged(label, at, version)
        change = annotator.stream.update(label.credit / CREDIT_UNITS, label.first_at)
        touch_annotator(annotator, question, self.touched, version)
        if change is not None:
            annotator.drifts += 1
            self.touched.drifts.append(
                DriftFinding(
                    self.record.project_id,
                    question.question_id,
                    annotator.annotator_id,
                    annotator.drifts,
                    change,
                    at,
                    version,
                )  # fmt: skip
            )

    def hold_known_answer(self, item: ItemRecord, question: QuestionRecord, at: int, version: int) -> None:
        """Let the known answer of the highest standing be held against all labels of an item."""
        before, item.truth = item.truth, known_answer(item)
        self.record.truth_items += (item.truth is not None) - (before is not None)
        self.touch_item(question, item, at, version)
        consensus = self._consensus_of(question)
        if consensus is not None:
            consensus.hold_known_answer(item, version)
        for label in item.labels:
            if label.first_at >= self.memory.horizon:
                self.judge_again(label, item, question, at, version)

    # Counting

    def settled_annotator_of(self, label: LabelRecord, question: QuestionRecord) -> AnnotatorRecord:
        """Return the annotator of a label that is counted, now if it was not yet."""
        annotator = question.annotators[label.annotator_id]
        if label.is_pending:
            self.settle(question, annotator)
        return annotator

    def settle(self, question: QuestionRecord, annotator: AnnotatorRecord) -> None:
        """Count an annotator's pending labels."""
        if annotator.pending:
            settle(self.record, question, annotator, self.memory.window_of, self.touched)

    def count(
        self, sign: int, label: LabelRecord, question: QuestionRecord, annotator: AnnotatorRecord, version: int
    ) -> None:
        """Add all that a label or skip contributes (sign 1), or take it out (sign -1)."""
        window = self.memory.window_of(question, label.first_at)
        contribute(sign, label, self.record, question, annotator, window, self.touched, version)
        if label.reviews:
            count_reviews(self, sign, label, question, annotator, version)

    def _count_judged(
        self, sign: int, label: LabelRecord, question: QuestionRecord, annotator: AnnotatorRecord, version: int
    ) -> None:
        window = self.memory.window_of(question, label.first_at)
        contribute_judged(sign, label, self.record, question, annotator, window, self.touched, version)

    # Items and rows

    def put_on_item(
        self, label: LabelRecord, item: ItemRecord, question: QuestionRecord, at: int, version: int
    ) -> None:
        """Enter a label or skip under its item."""
        if label.is_skip:
            item.skips = [*(item.skips or ()), label]
        else:
            item.labels.append(label)
        if label.first_at < item.oldest_label_at:
            item.oldest_label_at = label.first_at
        self.touch_item(question, item, at, version)

    def take_off_item(self, label: LabelRecord, question: QuestionRecord, at: int, version: int) -> None:
        """Remove a label or skip from its item; its row ceases."""
        item = question.items[label.item_id]
        if label.is_skip:
            item.skips = [other for other in item.skips or () if other is not label] or None
        else:
            item.labels = [other for other in item.labels if other is not label]
        self.touch_item(question, item, at, version)
        self.write_label(label, question, version, is_deleted=1)

    def write_label(self, label: LabelRecord, question: QuestionRecord, version: int, *, is_deleted: int = 0) -> None:
        """Note the row of a label or skip."""
        label.version = version
        place = {"project_id": self.record.project_id, "generation": self.settings.generation, "is_deleted": is_deleted}
        if label.is_skip:
            self.write("skip_rows", skip_row(label, **place))
        else:
            standing = standing_of(label, question.items.get(label.item_id))
            self.write("label_rows", label_row(label, standing, **place))

    def write(self, rows: str, row: Row) -> None:
        """Note a row for a field of `Touched`: labels, skips or reviews; of one event the last row of a key counts."""
        self._event_rows[rows, *row[:KEY_COLUMNS]] = row

    def end_event(self) -> None:
        """Hand on the rows that one event has made."""
        for (rows, *_), row in self._event_rows.items():
            getattr(self.touched, rows).append(row)
        self._event_rows = {}

    def touch_item(self, question: QuestionRecord, item: ItemRecord, at: int, version: int) -> None:
        """Note that something happened to an item."""
        if at > item.last_at:
            item.last_at = at
        elif at < item.first_at:
            item.first_at = at
        if item.oldest_label_at < self.memory.horizon:
            self.memory.forget_old_labels(item)
        item.version = version
        if not item.is_dirty:
            item.is_dirty = True
            self.touched.items.append((question, item))
