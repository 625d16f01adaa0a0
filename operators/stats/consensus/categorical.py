"""Consensus of one question's categorical labels, learnt label by label.

Events are gathered into chunks, whose bounds are a function of the number of events alone. At a bound the items touched,
and a constant number of older ones for each event in turn, are evaluated with the parameters as they stand; each item's
old expected counts are replaced by its new ones (incremental EM). In between parameters stand still.
"""

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from operators.stats.consensus.annotators import AnnotatorTable
from operators.stats.consensus.items import ItemTable
from operators.stats.consensus.label_store import positions_of
from operators.stats.consensus.model import (
    EVIDENCE_UNIT,
    UNIT,
    Evaluation,
    Rows,
    Shared,
    answers,
    confusion_matrices,
    evaluate,
    item_evidence,
    shared_parameters,
    softmax,
)
from operators.stats.consensus.settings import ConsensusSettings

STATE_VERSION = 1
_ADD, _REPLACE, _REMOVE, _KNOWN, _UNKNOWN, _FORGET = range(6)
_Row = tuple[str, str, str]
"""Annotator, class, key."""


class Answer(NamedTuple):
    """The consensus on one item.

    Parameters
    ----------
    label_class
        The most probable class; of equals the one seen first in the question.
    confidence
        Its probability, in [0, 1].
    labels
        Labels the item has now.
    posterior
        Probability of each class, in the order in which the question has seen them.
    """

    label_class: str
    confidence: float
    labels: int
    posterior: dict[str, float]


class _Deposit(NamedTuple):
    """Annotators of some rows, each once; for each row the number of its annotator among them, its item, its class, and
    the weights with which it stood in counts (0: not yet) and will."""

    annotators: np.ndarray
    annotator: np.ndarray
    item: np.ndarray
    label_class: np.ndarray
    old_weight: np.ndarray
    weight: np.ndarray


class CategoricalConsensus:
    """Posterior of every item's answer, revised by each label, revision, retraction and known answer.

    What it holds is a function of the sequence of events, however it is cut into calls. ``forget`` is an event like the
    others: call it at a place that the log decides. Cost: a label is evaluated when it comes, and
    ``settings.revisits_per_event`` older items with it (more while young); nothing visits all items.

    Parameters
    ----------
    settings
        Prior strengths, schedule and calibration.

    Examples
    --------
    >>> consensus = CategoricalConsensus()
    >>> for annotator, label_class in (("ann", "cat"), ("bob", "cat"), ("cleo", "dog")):
    ...     changed = consensus.add("picture-1", annotator, label_class, f"{annotator}/1")
    >>> answer = consensus.answer("picture-1")
    >>> answer.label_class, answer.labels, answer.confidence > 0.5
    ('cat', 3, True)

    References
    ----------
    Neal, Hinton: A view of the EM algorithm that justifies incremental, sparse, and other variants. 1998.
    """

    def __init__(self, settings: ConsensusSettings | None = None) -> None:
        self.settings = settings or ConsensusSettings()
        self.events = 0
        self.items_evaluated = 0
        self.labels_evaluated = 0
        self._items = ItemTable()
        self._annotators = AnnotatorTable()
        self._classes: dict[str, int] = {}
        self._cursor = 0
        self._pending: list[tuple] = []
        self._chunk_length = self.settings.chunk_events(0)
        self._indexed = 0
        self._pending_of: dict[str, list[tuple]] = {}
        self._shared: Shared | None = None

    # ------------------------------------------------------------------ events

    def add(self, item: str, annotator: str, label_class: str, key: str) -> list[str]:
        """A label. Returns the items whose answers may have changed by more than this event: none, or at a chunk's end
        those evaluated anew."""
        return self._event((_ADD, item, annotator, label_class, key))

    def add_many(
        self, items: Sequence[str], annotators: Sequence[str], classes: Sequence[str], keys: Sequence[str]
    ) -> list[str]:
        """Labels in order: the same as ``add`` for each of them, faster."""
        changed: list[str] = []
        done = 0
        while done < len(items):
            end = done + self._chunk_length - len(self._pending)
            part = slice(done, end)
            self._pending.extend(zip(repeat(_ADD), items[part], annotators[part], classes[part], keys[part]))
            done = end
            if len(self._pending) >= self._chunk_length:
                changed += self._close()
        return changed

    def replace(self, item: str, label_class: str, key: str) -> list[str]:
        """The label ``key`` of ``item`` says ``label_class`` now; nothing happens if there is no such label."""
        return self._event((_REPLACE, item, label_class, key))

    def remove(self, item: str, key: str) -> list[str]:
        """The label ``key`` of ``item`` no longer counts; nothing happens if there is no such label."""
        return self._event((_REMOVE, item, key))

    def set_known(self, item: str, weights: dict[str, float]) -> list[str]:
        """The answer is known: ``weights`` (class to positive weight) are scaled to sum to 1 and clamp the posterior."""
        assert weights
        assert all(weight > 0.0 for weight in weights.values())
        return self._event((_KNOWN, item, dict(weights)))

    def unset_known(self, item: str) -> list[str]:
        """The answer is not known any more."""
        return self._event((_UNKNOWN, item))

    def forget(self, item: str) -> list[str]:
        """Drop an item and its labels; what was learnt from it about annotators stays."""
        return self._event((_FORGET, item))

    def _event(self, event: tuple) -> list[str]:
        self._pending.append(event)
        return self._close() if len(self._pending) >= self._chunk_length else []

    # ------------------------------------------------------------------ answers

    def answer(self, item: str) -> Answer | None:
        """The consensus on one item; None if it has neither labels nor a known answer."""
        return self.answers([item])[0]

    def answers(self, items: Iterable[str]) -> list[Answer | None]:
        """The consensus on some items, as of the last event.

        An item touched in the open chunk is evaluated from its own labels and from parameters as of the chunk's begin;
        any other is as it was left by the last evaluation.
        """
        self._index_pending()
        result: list[Answer | None] = []
        for item in items:
            events = self._pending_of.get(item)
            result.append(self._provisional(item, events) if events else self._settled(item))
        return result

    def _settled(self, item: str) -> Answer | None:
        slot = self._items.slots.get(item)
        if slot is None:
            return None
        labels = int(self._items.labels.length[slot])
        if not labels and slot not in self._items.known:
            return None
        return _answer(list(self._classes), self._items.answer[slot, : len(self._classes)].tolist(), labels)

    def _provisional(self, item: str, events: list[tuple]) -> Answer | None:
        """The answer of an item with events in the open chunk."""
        rows, known = _applied(*self._rows_of(item), events)
        if not rows and not known:
            return None
        classes = dict(self._classes)
        for name in [row[1] for row in rows] + list(known or ()):
            classes.setdefault(name, len(classes))
        if known:
            probabilities = _known_row(known, classes)
        else:
            evaluation, shared = self._evaluate_named(rows, classes)
            probabilities = answers(evaluation, shared, self.settings)[0][:, 0]
        return _answer(list(classes), probabilities.astype(np.float32).tolist(), len(rows))

    def _evaluate_named(self, rows: list[_Row], classes: dict[str, int]) -> tuple[Evaluation, Shared]:
        """Evaluate one item's rows, whose classes and annotators may be new."""
        shared = self._parameters()
        if len(classes) > len(self._classes):
            shared = shared_parameters(self._annotators.totals.with_classes(len(classes)), self.settings)
        names = sorted({row[0] for row in rows})
        number = {name: index for index, name in enumerate(names)}
        annotator = np.array([number[row[0]] for row in rows])
        nothing = np.zeros(len(rows), np.int64)
        weight = 1.0 / np.bincount(annotator)[annotator]
        batch = Rows(nothing, annotator, np.array([classes[row[1]] for row in rows]), weight, nothing[:1])
        slots = np.array([self._annotators.slots.get(name, -1) for name in names])
        slots = np.where(slots < len(self._annotators.hits), slots, -1)
        return evaluate(batch, self._annotators.counts(slots, len(classes)), shared, self.settings), shared

    def _rows_of(self, item: str) -> tuple[list[_Row], dict[str, float] | None]:
        """Labels and known answer of an item as of the last chunk's end."""
        slot = self._items.slots.get(item)
        if slot is None:
            return [], None
        classes, annotators = list(self._classes), self._annotators.names
        rows = [(annotators[a], classes[c], key) for a, c, key in self._items.labels.read(slot)]
        known = self._items.known.get(slot)
        return rows, known and {classes[number]: weight for number, weight in known.items()}

    def _index_pending(self) -> None:
        for event in self._pending[self._indexed :]:
            self._pending_of.setdefault(event[1], []).append(event)
        self._indexed = len(self._pending)

    def _parameters(self) -> Shared:
        if self._shared is None:
            self._shared = shared_parameters(self._annotators.totals, self.settings)
        return self._shared

    # ------------------------------------------------------------------ what was learnt

    def classes(self) -> list[str]:
        """Classes seen so far, in the order of the log, as of the last chunk's end."""
        return list(self._classes)

    def parameters(self) -> Shared:
        """Parameters common to annotators and items, as of the last chunk's end."""
        return self._parameters()

    def confusion(self, annotator: str) -> np.ndarray | None:
        """Probability of each answer given the true class, shape (true classes, classes answered).

        None if nothing is known of the annotator, or there are too many classes for matrices.
        """
        slot = self._annotators.slots.get(annotator)
        if slot is None or not self._annotators.matrix.size:
            return None
        counts = self._annotators.counts(np.array([slot]), len(self._classes))
        return confusion_matrices(counts, self._parameters(), self.settings)[0].T

    # ------------------------------------------------------------------ a chunk's end

    def _close(self) -> list[str]:
        """Work the chunk in, evaluate the items touched and some older ones, and begin the next chunk."""
        events, self._pending, self._pending_of, self._indexed = self._pending, [], {}, 0
        before = self._parameters() if self._classes else None
        special = {event[1] for event in events if event[0] != _ADD}
        touched = self._append([event for event in events if event[1] not in special] if special else events)
        if special:
            touched = np.concatenate([touched, self._apply_special(events, special)])
        self.events += len(events)
        alive = touched[self._items.labels.length[touched] > 0]
        older = self._older(alive, len(events))
        if before is None or len(before.log_prior_full) != len(self._classes):
            before = shared_parameters(self._annotators.totals, self.settings)
        changed = self._visit(alive, older, before)
        bare = touched[self._items.labels.length[touched] == 0]
        self._answer_bare(bare)
        self._shared = None
        self._chunk_length = self.settings.chunk_events(self.events)
        names = self._items.names
        return [names[slot] for slot in np.concatenate([touched, changed]).tolist()]

    def _append(self, events: list[tuple]) -> np.ndarray:
        """Store plain labels; returns the slots touched, each once."""
        if not events:
            return np.zeros(0, np.int64)
        _, items, annotators, classes, keys = zip(*events, strict=True)
        self._items.number(items)
        self._annotators.number(annotators)
        self._ensure(classes)
        slots = np.array(list(map(self._items.slots.__getitem__, items)))
        numbers = np.array(list(map(self._annotators.slots.__getitem__, annotators)), np.int32)
        label_classes = np.array(list(map(self._classes.__getitem__, classes)), np.int32)
        return self._items.labels.append(slots, numbers, label_classes, keys)

    def _ensure(self, classes: Iterable[str]) -> None:
        """Number new classes and make room for them and for new annotators."""
        known = self._classes
        for name in classes:
            if name not in known:
                known[name] = len(known)
        self._items.ensure(0, len(known))
        self._annotators.ensure(len(known), with_matrix=len(known) <= self.settings.matrix_classes_max)

    def _apply_special(self, events: list[tuple], special: set[str]) -> np.ndarray:
        """Work in all events of items with anything but plain labels; returns the slots that are left."""
        per_item: dict[str, list[tuple]] = {}
        for event in events:
            if event[1] in special:
                per_item.setdefault(event[1], []).append(event)
        for item, own in per_item.items():
            forgotten = max((index for index, event in enumerate(own) if event[0] == _FORGET), default=-1)
            if forgotten >= 0 and item in self._items.slots:
                self._items.release(item)
            per_item[item] = own[forgotten + 1 :]
        remaining = [item for item, own in per_item.items() if own]
        slots = np.array([self._items.slot(item) for item in remaining], np.int64)
        self._withdraw(slots)
        for item, slot in zip(remaining, slots.tolist(), strict=True):
            rows, known = _applied(*self._rows_of(item), per_item[item])
            self._rewrite(slot, rows, known)
        return slots

    def _rewrite(self, slot: int, rows: list[_Row], known: dict[str, float] | None) -> None:
        """Give an item other labels and another known answer."""
        named = [self._annotators.slot(row[0]) for row in rows]
        self._ensure([row[1] for row in rows] + list(known or ()))
        numbers = [(annotator, self._classes[row[1]], row[2]) for annotator, row in zip(named, rows, strict=True)]
        self._items.labels.write(slot, numbers)
        self._items.known.pop(slot, None)
        if known:
            self._items.known[slot] = {self._classes[name]: weight for name, weight in known.items()}

    def _older(self, touched: np.ndarray, events: int) -> np.ndarray:
        """The next older items in turn, at most half of all."""
        count = len(self._items.names)
        turns = min(self.settings.revisits(self.events, events), count // 2)
        slots = (self._cursor + np.arange(turns)) % max(count, 1)
        self._cursor = (self._cursor + turns) % max(count, 1)
        fresh = np.ones(count, bool)
        fresh[touched] = False
        return slots[fresh[slots] & (self._items.labels.length[slots] > 0)]

    # ------------------------------------------------------------------ evaluation

    def _visit(self, touched: np.ndarray, older: np.ndarray, shared: Shared) -> np.ndarray:
        """Evaluate items, replace their expected counts and answers; returns older items whose answers changed."""
        slots = np.concatenate([touched, older])
        if not len(slots):
            return slots
        table, classes = self._items, len(self._classes)
        at, item, begins = positions_of(table.labels.start[slots], table.labels.length[slots])
        annotator, label_class = table.labels.annotator[at], table.labels.label_class[at]
        old_weight = np.where(np.arange(len(at)) - begins[item] < table.counted[slots][item], 1.0, 0.0)
        old_weight /= table.labels.repeats[at]
        self._count_repeats(at[: int(table.labels.length[touched].sum())], item, annotator)
        weight = 1.0 / table.labels.repeats[at]
        annotators, number = _distinct(annotator, len(self._annotators.names))
        rows = Rows(item, number, label_class, weight, begins)
        evaluation = evaluate(rows, self._annotators.counts(annotators, classes), shared, self.settings)
        full, full_normaliser = softmax(evaluation.full + shared.log_prior_full[:, None])
        one, one_normaliser = softmax(evaluation.one + shared.log_prior_one[:, None])
        answer, plain = answers(evaluation, shared, self.settings)
        known_at, known = self._known_of(slots)
        likely = np.full(len(slots), np.nan)
        likely[known_at] = (known * plain[:, known_at].T).sum(axis=1)
        evidence = item_evidence(evaluation, (full, one), (full_normaliser, one_normaliser), likely, shared)
        gate = evaluation.voters > 1.5
        gate[known_at] = True
        full, one = (self._expected(posterior, evaluation, gate, known_at, known) for posterior in (full, one))
        deposit = _Deposit(annotators, number, item, label_class, old_weight, weight)
        self._exchange(deposit, slots, full, one)
        totals = self._annotators.totals
        totals.evidence += evidence.sum(axis=0, dtype=float) - table.evidence[slots].sum(axis=0, dtype=float)
        table.full[slots, :classes], table.one[slots, :classes] = full, one
        table.counted[slots], table.evidence[slots] = table.labels.length[slots], evidence
        self.items_evaluated += len(slots)
        self.labels_evaluated += len(at)
        answer[:, known_at] = known.T
        return self._publish(slots, answer.T, len(touched))

    def _count_repeats(self, at: np.ndarray, item: np.ndarray, annotator: np.ndarray) -> None:
        """Note for each row how many labels its annotator has given to its item."""
        count = len(at)
        pair = item[:count] * len(self._annotators.names) + annotator[:count]
        ordered = np.sort(pair)
        if np.any(ordered[1:] == ordered[:-1]):
            _, number, repeats = np.unique(pair, return_inverse=True, return_counts=True)
            self._items.labels.repeats[at] = repeats[number]
        else:
            self._items.labels.repeats[at] = 1

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
        known = self._items.known
        numbers = [index for index, slot in enumerate(slots.tolist()) if slot in known] if known else []
        rows = np.zeros((len(numbers), len(self._classes)))
        for row, index in zip(rows, numbers, strict=True):
            for number, weight in known[int(slots[index])].items():
                row[number] = weight
        rows /= rows.sum(axis=1, keepdims=True) if len(rows) else 1.0
        return np.array(numbers, np.int64), rows

    def _exchange(self, rows: _Deposit, slots: np.ndarray, full: np.ndarray, one: np.ndarray) -> None:
        """Take the items' old expected counts out and put new ones, shape (items, classes), in."""
        table, count, classes = self._items, len(rows.annotators), len(self._classes)
        old_full, old_one = table.full[slots, :classes], table.one[slots, :classes]
        matrix = None
        if self._annotators.matrix.size:
            change = _row_changes(rows, full, old_full)
            cells = ((rows.annotator * classes + rows.label_class) * classes)[:, None] + np.arange(classes)
            matrix = np.bincount(cells.ravel(), change.ravel(), minlength=count * classes * classes)
            matrix = matrix.reshape(count, classes, classes)
        hits = np.rint(one[rows.item, rows.label_class] * rows.weight)
        hits -= np.rint(old_one[rows.item, rows.label_class] * rows.old_weight)
        votes = np.rint(one.any(axis=1)[rows.item] * rows.weight * UNIT)
        votes -= np.rint(old_one.any(axis=1)[rows.item] * rows.old_weight * UNIT)
        annotators = self._annotators
        hits, labels = (np.bincount(rows.annotator, values, minlength=count) for values in (hits, votes))
        annotators.change(rows.annotators, matrix, hits, labels)
        annotators.totals.votes[:classes] += np.bincount(rows.label_class, votes, minlength=classes)
        annotators.totals.shares_full += (full - old_full).sum(axis=0, dtype=float)
        annotators.totals.shares_one += (one - old_one).sum(axis=0, dtype=float)

    def _withdraw(self, slots: np.ndarray) -> None:
        """Take the items' expected counts out."""
        table = self._items
        held = slots[table.counted[slots] > 0]
        if len(held):
            at, item, _ = positions_of(table.labels.start[held], table.counted[held].astype(np.int64))
            annotators, number = _distinct(table.labels.annotator[at], len(self._annotators.names))
            weight = 1.0 / table.labels.repeats[at]
            deposit = _Deposit(annotators, number, item, table.labels.label_class[at], weight, weight)
            nothing = np.zeros((len(held), len(self._classes)), np.int32)
            self._exchange(deposit, held, nothing, nothing)
            self._annotators.totals.evidence -= table.evidence[held].sum(axis=0, dtype=float)
        for column in (table.counted, table.full, table.one, table.evidence):
            column[slots] = 0

    def _publish(self, slots: np.ndarray, answer: np.ndarray, touched: int) -> np.ndarray:
        """Keep answers: those of touched items, and of others that moved enough; returns the slots of the latter."""
        new = answer.astype(np.float32)
        old = self._items.answer[slots, : len(self._classes)]
        moved = (np.abs(new - old) >= self.settings.change_min).any(axis=1)
        moved |= new.argmax(axis=1) != old.argmax(axis=1)
        moved[:touched] = True
        self._items.answer[slots[moved], : len(self._classes)] = new[moved]
        return slots[touched:][moved[touched:]]

    def _answer_bare(self, slots: np.ndarray) -> None:
        """Answers of items without labels: the known one, or none."""
        self._items.answer[slots] = 0.0
        known_at, known = self._known_of(slots)
        self._items.answer[slots[known_at], : len(self._classes)] = known

    # ------------------------------------------------------------------ state

    def state(self) -> dict[str, Any]:
        """Everything, as arrays, lists, dicts, strings and numbers. The events since bring it to any later state."""
        return {
            "version": STATE_VERSION,
            "events": self.events,
            "items_evaluated": self.items_evaluated,
            "labels_evaluated": self.labels_evaluated,
            "cursor": self._cursor,
            "classes": list(self._classes),
            "items": self._items.state(),
            "annotators": self._annotators.state(),
            "pending": [list(event) for event in self._pending],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], settings: ConsensusSettings | None = None) -> "CategoricalConsensus":
        """The consensus whose ``state`` this is, under the settings it had."""
        assert state["version"] == STATE_VERSION
        consensus = cls(settings)
        consensus.events, consensus._cursor = state["events"], state["cursor"]
        consensus.items_evaluated, consensus.labels_evaluated = state["items_evaluated"], state["labels_evaluated"]
        consensus._classes = {name: number for number, name in enumerate(state["classes"])}
        consensus._items = ItemTable.from_state(state["items"])
        consensus._annotators = AnnotatorTable.from_state(state["annotators"])
        consensus._pending = [tuple(event) for event in state["pending"]]
        consensus._chunk_length = consensus.settings.chunk_events(consensus.events)
        return consensus

    def evidence_totals(self) -> np.ndarray:
        """Sums of the items' evidence, see ``model.EVIDENCE_COLUMNS``."""
        return self._annotators.totals.evidence / EVIDENCE_UNIT


def _distinct(values: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct values below ``limit``, and the number of each entry's value among them, without sorting."""
    where = np.zeros(limit, np.int64)
    where[values] = np.arange(len(values))
    owner = where[values]
    first = owner == np.arange(len(values))
    return values[first], (np.cumsum(first) - 1)[owner]


def _row_changes(rows: _Deposit, new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """What each row adds to its annotator's counts, shape (rows, classes)."""
    change = (new - old)[rows.item].astype(float)
    fresh = np.flatnonzero(rows.old_weight == 0.0)
    change[fresh] += old[rows.item[fresh]]
    partial = np.flatnonzero((rows.weight != 1.0) | ((rows.old_weight != 1.0) & (rows.old_weight != 0.0)))
    if len(partial):
        item = rows.item[partial]
        change[partial] = np.rint(new[item] * rows.weight[partial, None])
        change[partial] -= np.rint(old[item] * rows.old_weight[partial, None])
    return change


def _applied(
    rows: list[_Row], known: dict[str, float] | None, events: list[tuple]
) -> tuple[list[_Row], dict[str, float] | None]:
    """Labels and known answer of an item after some events."""
    rows = list(rows)
    for event in events:
        if event[0] == _ADD:
            rows.append(event[2:])
        elif event[0] == _REPLACE:
            rows = [(row[0], event[2], row[2]) if row[2] == event[3] else row for row in rows]
        elif event[0] == _REMOVE:
            rows = [row for row in rows if row[2] != event[2]]
        elif event[0] == _KNOWN:
            known = event[2]
        elif event[0] == _UNKNOWN:
            known = None
        else:
            rows, known = [], None
    return rows, known


def _known_row(known: dict[str, float], classes: dict[str, int]) -> np.ndarray:
    """A known answer as probabilities of the classes."""
    row = np.zeros(len(classes))
    for name, weight in known.items():
        row[classes[name]] = weight
    return row / row.sum()


def _answer(classes: list[str], probabilities: list[float], labels: int) -> Answer:
    """The most probable class, and all of them."""
    best = max(range(len(classes)), key=probabilities.__getitem__)
    return Answer(classes[best], probabilities[best], labels, dict(zip(classes, probabilities, strict=True)))
