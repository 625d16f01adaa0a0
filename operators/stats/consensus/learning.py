"""The learning step of categorical consensus: evaluate items, take old expected counts out, put new ones in."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from operators.stats.consensus.annotators import AnnotatorTable
from operators.stats.consensus.items import ItemTable
from operators.stats.consensus.label_store import grown, positions_of
from operators.stats.consensus.model import (
    UNIT,
    Evaluation,
    Rows,
    Shared,
    answers,
    evaluate,
    item_evidence,
    softmax,
)
from operators.stats.consensus.others import VERDICTS, verdicts_of
from operators.stats.consensus.settings import ConsensusSettings


class _Deposit(NamedTuple):
    """Annotators of some rows, each once; for each row the number of its annotator among them, its item, its class, and
    the weights with which it stood in counts (0: not yet) and will; which rows are new, which have no whole vote."""

    annotators: np.ndarray
    annotator: np.ndarray
    item: np.ndarray
    label_class: np.ndarray
    old_weight: np.ndarray
    weight: np.ndarray
    fresh: np.ndarray
    partial: np.ndarray

    @classmethod
    def of(cls, labels: tuple[np.ndarray, ...], old_weight: np.ndarray, weight: np.ndarray) -> "_Deposit":
        """Find out which rows are new, and which have, or had, less than a whole vote."""
        part = (weight != 1.0) | ((old_weight != 1.0) & (old_weight != 0.0))
        return cls(*labels, old_weight, weight, np.flatnonzero(old_weight == 0.0), np.flatnonzero(part))


class Learner:
    """Items, annotators and classes of one question, and the step that revises them.

    Parameters
    ----------
    settings
        Prior strengths, schedule and calibration.
    items, annotators, classes
        What was learnt before; classes are numbered in the order in which they were seen.
    """

    def __init__(
        self,
        settings: ConsensusSettings,
        items: ItemTable | None = None,
        annotators: AnnotatorTable | None = None,
        classes: dict[str, int] | None = None,
    ) -> None:
        self.settings = settings
        self.items = items or ItemTable()
        self.annotators = annotators or AnnotatorTable()
        self.classes = classes or {}
        self.events = 0
        self.items_evaluated = 0
        self.labels_evaluated = 0
        self.heard = np.zeros(0, bool)

    def ensure(self, classes: Iterable[str]) -> None:
        """Number new classes and make room for them and for new annotators."""
        known = self.classes
        for name in classes:
            if name not in known:
                known[name] = len(known)
        self.items.ensure(0, len(known))
        self.annotators.ensure(len(known), with_matrix=len(known) <= self.settings.matrix_classes_max)

    def visit(self, touched: np.ndarray, older: np.ndarray, shared: Shared) -> np.ndarray:
        """Evaluate items, replace their expected counts and answers; returns older items whose answers changed."""
        slots = np.concatenate([touched, older])
        if not len(slots):
            return slots
        table, classes = self.items, len(self.classes)
        at, item, begins = positions_of(table.labels.start[slots], table.labels.length[slots])
        annotator, label_class = table.labels.annotator[at], table.labels.label_class[at]
        old_weight = np.where(np.arange(len(at)) - begins[item] < table.counted[slots][item], 1.0, 0.0)
        old_weight /= table.labels.repeats[at]
        self._count_repeats(at[: int(table.labels.length[touched].sum())], item, annotator)
        weight = 1.0 / table.labels.repeats[at]
        annotators, number = distinct(annotator, len(self.annotators.names))
        rows = Rows(item, number, label_class, weight, len(slots))
        evaluation = evaluate(rows, self.annotators.counts(annotators, classes), shared, self.settings)
        full, full_normaliser = self._expectation(evaluation.full, shared.log_prior_full, evaluation.voters)
        one, one_normaliser = self._expectation(evaluation.one, shared.log_prior_one, evaluation.voters)
        answer, plain = answers(evaluation, shared, self.settings)
        known_at, known = self._known_of(slots)
        likely = np.full(len(slots), np.nan)
        likely[known_at] = (known * plain[:, known_at].T).sum(axis=1)
        evidence = item_evidence(evaluation, (full, one), (full_normaliser, one_normaliser), likely, shared)
        gate = 1.0 - 1.0 / np.maximum(evaluation.voters, 1.0)
        gate[known_at] = 1.0
        full, one = (self._expected(posterior, evaluation, gate, known_at, known) for posterior in (full, one))
        deposit = _Deposit.of((annotators, number, item, label_class), old_weight, weight)
        self._exchange(deposit, slots, full, one)
        new = at[: int(table.labels.length[touched].sum())]
        self._hear_others(rows, new, evaluation, shared, slots[known_at[known_at < len(touched)]], known_at)
        totals = self.annotators.totals
        totals.evidence += evidence.sum(axis=0, dtype=float) - table.evidence[slots].sum(axis=0, dtype=float)
        table.full[slots, :classes], table.one[slots, :classes] = full, one
        table.counted[slots], table.evidence[slots] = table.labels.length[slots], evidence
        self.items_evaluated += len(slots)
        self.labels_evaluated += len(at)
        answer[:, known_at] = known.T
        return self._publish(slots, answer.T, len(touched))

    def _expectation(
        self, likelihood: np.ndarray, log_prior: np.ndarray, voters: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Posteriors to learn from, cooled where labels are many, and the log evidence of the items, not cooled."""
        posterior, normaliser = softmax(likelihood + log_prior[:, None])
        crowded = np.flatnonzero(voters > self.settings.learning_labels)
        if len(crowded):
            surplus = voters[crowded] - self.settings.learning_labels
            cooled = likelihood[:, crowded] / (1.0 + surplus * self.settings.learning_correlation)
            posterior[:, crowded] = softmax(cooled + log_prior[:, None])[0]
        return posterior, normaliser

    def undecided(self, slots: np.ndarray) -> np.ndarray:
        """Which of the slots another evaluation might change: some model is less sure than ``settled_probability``."""
        sure = np.ones(len(slots), bool)
        if not self.classes:
            return ~sure
        for column in (self.items.full, self.items.one):
            held = column[slots, : len(self.classes)]
            sure &= held.max(axis=1) >= self.settings.settled_probability * held.sum(axis=1, dtype=float)
        return ~sure

    def _count_repeats(self, at: np.ndarray, item: np.ndarray, annotator: np.ndarray) -> None:
        """Note for each row how many labels its annotator has given to its item."""
        count = len(at)
        pair = item[:count] * len(self.annotators.names) + annotator[:count]
        ordered = np.sort(pair)
        if np.any(ordered[1:] == ordered[:-1]):
            _, number, repeats = np.unique(pair, return_inverse=True, return_counts=True)
            self.items.labels.repeats[at] = repeats[number]
        else:
            self.items.labels.repeats[at] = 1

    def _expected(
        self, posterior: np.ndarray, evaluation: Evaluation, gate: np.ndarray, known_at: np.ndarray, known: np.ndarray
    ) -> np.ndarray:
        """What an item's labels add to counts, shape (items, classes), in the unit of counts.

        The posterior, mixed with the shares of the votes by less and less; the known answer where there is one; nothing
        where a single annotator has spoken, for that teaches nothing.
        """
        anchor = self.settings.anchor_events / (self.settings.anchor_events + self.events)
        mixed = (1.0 - anchor) * posterior + anchor / evaluation.voters * evaluation.votes
        mixed[:, known_at] = known.T
        return np.rint(mixed * (gate * UNIT)).T.astype(np.int32)

    def _known_of(self, slots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of the slots have known answers, and those, shape (known, classes)."""
        known = self.items.known
        numbers = [index for index, slot in enumerate(slots.tolist()) if slot in known] if known else []
        rows = np.zeros((len(numbers), len(self.classes)))
        for row, index in zip(rows, numbers, strict=True):
            for number, weight in known[int(slots[index])].items():
                row[number] = weight
        rows /= rows.sum(axis=1, keepdims=True) if len(rows) else 1.0
        return np.array(numbers, np.int64), rows

    def _exchange(self, rows: _Deposit, slots: np.ndarray, full: np.ndarray, one: np.ndarray) -> None:
        """Take the items' old expected counts out and put new ones, shape (items, classes), in."""
        table, count, classes = self.items, len(rows.annotators), len(self.classes)
        old_full, old_one = table.full[slots, :classes], table.one[slots, :classes]
        annotators, cell = self.annotators, rows.annotator * classes + rows.label_class
        matrix = None
        if annotators.matrix.size:
            matrix = np.empty((count * classes, classes))
            for true, (new, old) in enumerate(zip(full.T.astype(float), old_full.T.astype(float), strict=True)):
                change = _row_changes(rows, rows.item, new, old)
                matrix[:, true] = np.bincount(cell, change, minlength=count * classes)
            matrix = matrix.reshape(count, classes, classes)
        answered = rows.item * classes + rows.label_class
        hits = _row_changes(rows, answered, one.ravel().astype(float), old_one.ravel().astype(float))
        votes = _row_changes(rows, rows.item, one.sum(axis=1, dtype=float), old_one.sum(axis=1, dtype=float))
        hits, labels = (np.bincount(rows.annotator, values, minlength=count) for values in (hits, votes))
        annotators.change(rows.annotators, matrix, hits, labels)
        annotators.totals.votes[:classes] += np.bincount(rows.label_class, votes, minlength=classes)
        annotators.totals.shares_full += (full - old_full).sum(axis=0, dtype=float)
        annotators.totals.shares_one += (one - old_one).sum(axis=0, dtype=float)

    def _hear_others(
        self,
        rows: Rows,
        at: np.ndarray,
        evaluation: Evaluation,
        shared: Shared,
        known: np.ndarray,
        known_at: np.ndarray,
    ) -> None:
        """Let the others' consensus judge the labels ``at``, which are the first rows; ``known`` items have answers."""
        if evaluation.logs is None:
            return
        chosen = np.flatnonzero(evaluation.voters[rows.item[: len(at)]] > self.settings.others_min)
        part, at = Rows(*(column[chosen] for column in rows[:4]), rows.items), at[chosen]
        is_right = np.full((len(known) + 1, len(self.classes)), -1)
        place = np.full(rows.items, len(known))
        place[known_at[: len(known)]] = np.arange(len(known))
        for row, slot in zip(is_right, known.tolist(), strict=False):
            weights = self.items.known[slot]
            row[:] = 0
            row[[number for number, weight in weights.items() if 2.0 * weight >= max(weights.values())]] = 1
        judged = is_right[place[part.item], part.label_class]
        self._note_verdicts(at, verdicts_of(part, evaluation, shared, self.settings, judged))

    def _note_verdicts(self, at: np.ndarray, verdicts: np.ndarray) -> None:
        """Let the labels ``at`` have these verdicts instead of those they had."""
        labels, counts = self.items.labels, self.annotators.verdicts.reshape(-1)
        before = labels.verdict[at]
        moved = np.flatnonzero(before != verdicts)
        who = labels.annotator[at[moved]].astype(np.int64)
        np.subtract.at(counts, who * VERDICTS + before[moved], 1)
        np.add.at(counts, who * VERDICTS + verdicts[moved], 1)
        labels.verdict[at] = verdicts
        self.heard = grown(self.heard, (len(self.annotators.names),))
        self.heard[who] = True

    def withdraw(self, slots: np.ndarray) -> None:
        """Take the items' expected counts out."""
        table = self.items
        held = slots[table.counted[slots] > 0]
        if len(held):
            at, item, _ = positions_of(table.labels.start[held], table.counted[held].astype(np.int64))
            annotators, number = distinct(table.labels.annotator[at], len(self.annotators.names))
            weight = 1.0 / table.labels.repeats[at]
            deposit = _Deposit.of((annotators, number, item, table.labels.label_class[at]), weight, weight)
            nothing = np.zeros((len(held), len(self.classes)), np.int32)
            self._exchange(deposit, held, nothing, nothing)
            self._note_verdicts(at, np.zeros(len(at), np.int8))
            self.annotators.totals.evidence -= table.evidence[held].sum(axis=0, dtype=float)
        for column in (table.counted, table.full, table.one, table.evidence):
            column[slots] = 0

    def _publish(self, slots: np.ndarray, answer: np.ndarray, touched: int) -> np.ndarray:
        """Keep answers: those of touched items, and of others that moved enough; returns the slots of the latter."""
        new = answer.astype(np.float32)
        old = self.items.answer[slots, : len(self.classes)]
        moved = (np.abs(new - old) >= self.settings.change_min).any(axis=1)
        moved |= new.argmax(axis=1) != old.argmax(axis=1)
        moved[:touched] = True
        self.items.answer[slots[moved], : len(self.classes)] = new[moved]
        return slots[touched:][moved[touched:]]

    def answer_bare(self, slots: np.ndarray) -> None:
        """Answers of items without labels: the known one, or none."""
        self.items.answer[slots] = 0.0
        known_at, known = self._known_of(slots)
        self.items.answer[slots[known_at], : len(self.classes)] = known


def distinct(values: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct values below ``limit``, and the number of each entry's value among them, without sorting."""
    where = np.zeros(limit, np.int64)
    where[values] = np.arange(len(values))
    owner = where[values]
    first = owner == np.arange(len(values))
    return values[first], (np.cumsum(first) - 1)[owner]


def _row_changes(rows: _Deposit, index: np.ndarray, new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """What each row adds to a count, shape (rows,): ``new`` and ``old`` at ``index``, times the row's weights."""
    change = (new - old).take(index)
    if len(rows.fresh):
        change[rows.fresh] += old.take(index[rows.fresh])
    if len(rows.partial):
        at = index[rows.partial]
        change[rows.partial] = np.rint(new[at] * rows.weight[rows.partial])
        change[rows.partial] -= np.rint(old[at] * rows.old_weight[rows.partial])
    return change
