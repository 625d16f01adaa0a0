"""Consensus of one question's categorical labels, learnt label by label.

Events are gathered into chunks, whose bounds are a function of the number of events alone. At a bound the items
touched, and a constant number of older ones for each event in turn, are evaluated with the parameters as they stand;
each item's old expected counts are replaced by its new ones (incremental EM). In between parameters stand still.
"""

from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from operators.stats.consensus.annotators import AnnotatorTable
from operators.stats.consensus.items import ItemTable
from operators.stats.consensus.label_store import positions_of
from operators.stats.consensus.learning import Learner, distinct
from operators.stats.consensus.model import (
    Evaluation,
    Rows,
    Shared,
    answers,
    confusion_matrices,
    evaluate,
    one_coin_accuracies,
    shared_parameters,
)
from operators.stats.consensus.pending import ADD, FORGET, KNOWN, REMOVE, REPLACE, UNKNOWN, Event, Row, applied
from operators.stats.consensus.settings import ConsensusSettings

STATE_VERSION = 1


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
        self._learner = Learner(self.settings)
        self._cursor = 0
        self._rounds = 0
        self._pending: list[Event] = []
        self._mixed = False
        self._chunk_length = self.settings.chunk_events(0)
        self._indexed = 0
        self._pending_of: dict[str, list[Event]] = {}
        self._shared: Shared | None = None

    # ------------------------------------------------------------------ events

    def add(self, item: str, annotator: str, label_class: str, key: str) -> list[str]:
        """A label. Returns the items whose answers may have changed by more than this event: none, or at a chunk's end
        those evaluated anew."""
        return self._event((ADD, item, annotator, label_class, key))

    def add_many(
        self, items: Sequence[str], annotators: Sequence[str], classes: Sequence[str], keys: Sequence[str]
    ) -> list[str]:
        """Labels in order: the same as ``add`` for each of them, faster."""
        changed: list[str] = []
        done = 0
        while done < len(items):
            end = done + self._chunk_length - len(self._pending)
            part = slice(done, end)
            self._pending.extend(zip(repeat(ADD), items[part], annotators[part], classes[part], keys[part]))
            done = end
            if len(self._pending) >= self._chunk_length:
                changed += self._close()
        return changed

    def replace(self, item: str, label_class: str, key: str) -> list[str]:
        """The label ``key`` of ``item`` says ``label_class`` now; nothing happens if there is no such label."""
        return self._event((REPLACE, item, label_class, key))

    def remove(self, item: str, key: str) -> list[str]:
        """The label ``key`` of ``item`` no longer counts; nothing happens if there is no such label."""
        return self._event((REMOVE, item, key))

    def set_known(self, item: str, weights: dict[str, float]) -> list[str]:
        """The answer is known: ``weights`` (class to positive weight) are scaled to sum 1 and clamp the posterior."""
        assert weights
        assert all(weight > 0.0 for weight in weights.values())
        return self._event((KNOWN, item, dict(weights)))

    def unset_known(self, item: str) -> list[str]:
        """The answer is not known any more."""
        return self._event((UNKNOWN, item))

    def forget(self, item: str) -> list[str]:
        """Drop an item and its labels; what was learnt from it about annotators stays."""
        return self._event((FORGET, item))

    def _event(self, event: Event) -> list[str]:
        self._pending.append(event)
        self._mixed |= event[0] != ADD
        return self._close() if len(self._pending) >= self._chunk_length else []

    @property
    def room(self) -> int:
        """Events until the chunk ends, ≥ 1."""
        return self._chunk_length - len(self._pending)

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
        items = list(items)
        together = self._provisional_many([item for item in items if self._is_plain(item)])
        return [together[item] if item in together else self._alone(item) for item in items]

    def _alone(self, item: str) -> Answer | None:
        events = self._pending_of.get(item)
        return self._provisional(item, events) if events else self._settled(item)

    def _is_plain(self, item: str) -> bool:
        """Whether only labels of known classes have come for an item in the open chunk, and no answer is known."""
        events = self._pending_of.get(item)
        known = self._learner.items.known
        if not events or (known and self._learner.items.slots.get(item, -1) in known):
            return False
        classes = self._learner.classes
        return all(event[0] == ADD and event[3] in classes for event in events)

    def _provisional_many(self, names: list[str]) -> dict[str, Answer]:
        """The answers of plain items."""
        names = list(dict.fromkeys(names))
        if not names:
            return {}
        learner, labels = self._learner, self._learner.items.labels
        slots = np.array([learner.items.slots.get(name, -1) for name in names])
        held = np.flatnonzero(slots >= 0)
        at, block, _ = positions_of(labels.start[slots[held]], labels.length[slots[held]])
        new = [(index, event) for index, name in enumerate(names) for event in self._pending_of[name]]
        numbers: dict[str, int] = {}
        spare = len(learner.annotators.names)
        slot_of = learner.annotators.slots
        voters = [event[2] for _, event in new]
        fresh = [slot_of[who] if who in slot_of else spare + numbers.setdefault(who, len(numbers)) for who in voters]
        item = np.concatenate([held[block], np.array([index for index, _ in new])])
        annotator = np.concatenate([labels.annotator[at], np.array(fresh)])
        answered = np.array([learner.classes[event[3]] for _, event in new])
        label_class = np.concatenate([labels.label_class[at], answered])
        _, pair, repeats = np.unique(item * (spare + len(numbers)) + annotator, return_inverse=True, return_counts=True)
        annotators, number = distinct(annotator, spare + len(numbers))
        counts = learner.annotators.counts(np.where(annotators < spare, annotators, -1), len(learner.classes))
        rows = Rows(item, number, label_class, 1.0 / repeats[pair], len(names))
        shared = self._parameters()
        found = answers(evaluate(rows, counts, shared, self.settings), shared, self.settings)[0]
        classes, sizes = list(learner.classes), np.bincount(item, minlength=len(names)).tolist()
        columns = found.T.astype(np.float32).tolist()
        return {name: _answer(classes, column, size) for name, column, size in zip(names, columns, sizes, strict=True)}

    def _settled(self, item: str) -> Answer | None:
        slot = self._learner.items.slots.get(item)
        if slot is None:
            return None
        labels = int(self._learner.items.labels.length[slot])
        if not labels and slot not in self._learner.items.known:
            return None
        return _answer(
            list(self._learner.classes), self._learner.items.answer[slot, : len(self._learner.classes)].tolist(), labels
        )

    def _provisional(self, item: str, events: list[Event]) -> Answer | None:
        """The answer of an item with events in the open chunk."""
        rows, known = applied(*self._rows_of(item), events)
        if not rows and not known:
            return None
        classes = dict(self._learner.classes)
        for name in [row[1] for row in rows] + list(known or ()):
            classes.setdefault(name, len(classes))
        if known:
            probabilities = _known_row(known, classes)
        else:
            evaluation, shared = self._evaluate_named(rows, classes)
            probabilities = answers(evaluation, shared, self.settings)[0][:, 0]
        return _answer(list(classes), probabilities.astype(np.float32).tolist(), len(rows))

    def _evaluate_named(self, rows: list[Row], classes: dict[str, int]) -> tuple[Evaluation, Shared]:
        """Evaluate one item's rows, whose classes and annotators may be new."""
        shared = self._parameters()
        if len(classes) > len(self._learner.classes):
            shared = shared_parameters(self._learner.annotators.totals.with_classes(len(classes)), self.settings)
        names = sorted({row[0] for row in rows})
        number = {name: index for index, name in enumerate(names)}
        annotator = np.array([number[row[0]] for row in rows])
        nothing = np.zeros(len(rows), np.int64)
        weight = 1.0 / np.bincount(annotator)[annotator]
        batch = Rows(nothing, annotator, np.array([classes[row[1]] for row in rows]), weight, 1)
        slots = np.array([self._learner.annotators.slots.get(name, -1) for name in names])
        slots = np.where(slots < len(self._learner.annotators.hits), slots, -1)
        return evaluate(batch, self._learner.annotators.counts(slots, len(classes)), shared, self.settings), shared

    def _rows_of(self, item: str) -> tuple[list[Row], dict[str, float] | None]:
        """Labels and known answer of an item as of the last chunk's end."""
        slot = self._learner.items.slots.get(item)
        if slot is None:
            return [], None
        classes, annotators = list(self._learner.classes), self._learner.annotators.names
        rows = [(annotators[a], classes[c], key) for a, c, key in self._learner.items.labels.read(slot)]
        known = self._learner.items.known.get(slot)
        return rows, known and {classes[number]: weight for number, weight in known.items()}

    def _index_pending(self) -> None:
        for event in self._pending[self._indexed :]:
            self._pending_of.setdefault(event[1], []).append(event)
        self._indexed = len(self._pending)

    def _parameters(self) -> Shared:
        if self._shared is None:
            self._shared = shared_parameters(self._learner.annotators.totals, self.settings)
        return self._shared

    # ------------------------------------------------------------------ what was learnt

    @property
    def events(self) -> int:
        """Events worked in: those of all chunks that have ended."""
        return self._learner.events

    @property
    def items_evaluated(self) -> int:
        """Evaluations of an item so far."""
        return self._learner.items_evaluated

    @property
    def labels_evaluated(self) -> int:
        """Labels in these evaluations."""
        return self._learner.labels_evaluated

    def classes(self) -> list[str]:
        """Classes seen so far, in the order of the log, as of the last chunk's end."""
        return list(self._learner.classes)

    def parameters(self) -> Shared:
        """Parameters common to annotators and items, as of the last chunk's end."""
        return self._parameters()

    def confusion(self, annotator: str) -> np.ndarray | None:
        """Probability of each answer given the true class, shape (true classes, classes answered).

        None if nothing is known of the annotator, or there are too many classes for matrices.
        """
        slot = self._learner.annotators.slots.get(annotator)
        if slot is None or not self._learner.annotators.matrix.size:
            return None
        counts = self._learner.annotators.counts(np.array([slot]), len(self._learner.classes))
        return confusion_matrices(counts, self._parameters(), self.settings)[0].T

    def accuracies(self) -> dict[str, float]:
        """Accuracy of each annotator under the one-coin model, as of the last chunk's end."""
        annotators = self._learner.annotators
        counts = annotators.counts(np.arange(min(len(annotators.names), len(annotators.hits))), len(self.classes()))
        found = one_coin_accuracies(counts, self._parameters(), self.settings)
        return dict(zip(annotators.names, found.tolist(), strict=False))

    def verdicts(self, annotator: str) -> tuple[int, ...]:
        """How many labels of an annotator the others' consensus held to be what, as in ``others``; () if unknown.

        A label is judged where its item is touched, at the end of that chunk.
        """
        slot = self._learner.annotators.slots.get(annotator)
        if slot is None or slot >= len(self._learner.annotators.verdicts):
            return ()
        return tuple(self._learner.annotators.verdicts[slot].tolist())

    def verdicts_of_all(self) -> tuple[int, ...]:
        """The same of all annotators together."""
        return tuple(self._learner.annotators.verdicts.sum(axis=0).tolist())

    def take_heard(self) -> list[str]:
        """Annotators whose verdicts may have changed since this was last asked, by name in order."""
        heard = np.flatnonzero(self._learner.heard).tolist()
        self._learner.heard[:] = False
        return [self._learner.annotators.names[slot] for slot in heard]

    # ------------------------------------------------------------------ a chunk's end

    def _close(self) -> list[str]:
        """Work the chunk in, evaluate the items touched and some older ones, and begin the next chunk."""
        events, self._pending, self._pending_of, self._indexed = self._pending, [], {}, 0
        before = self._parameters() if self._learner.classes else None
        special = {event[1] for event in events if event[0] != ADD} if self._mixed else set()
        self._mixed = False
        touched = self._append([event for event in events if event[1] not in special] if special else events)
        if special:
            touched = np.concatenate([touched, self._apply_special(events, special)])
        self._learner.events += len(events)
        alive = touched[self._learner.items.labels.length[touched] > 0]
        older = self._older(alive, len(events))
        if before is None or len(before.log_prior_full) != len(self._learner.classes):
            before = shared_parameters(self._learner.annotators.totals, self.settings)
        changed = self._learner.visit(alive, older, before)
        bare = touched[self._learner.items.labels.length[touched] == 0]
        self._learner.answer_bare(bare)
        self._shared = None
        self._chunk_length = self.settings.chunk_events(self._learner.events)
        names = self._learner.items.names
        return [names[slot] for slot in np.concatenate([touched, changed]).tolist()]

    def _append(self, events: list[Event]) -> np.ndarray:
        """Store plain labels; returns the slots touched, each once."""
        if not events:
            return np.zeros(0, np.int64)
        _, items, annotators, classes, keys = zip(*events, strict=True)
        slots = np.array(self._learner.items.number(items))
        numbers = np.array(self._learner.annotators.number(annotators), np.int32)
        self._learner.ensure(classes)
        label_classes = np.array(list(map(self._learner.classes.__getitem__, classes)), np.int32)
        return self._learner.items.labels.append(slots, numbers, label_classes, keys)

    def _apply_special(self, events: list[Event], special: set[str]) -> np.ndarray:
        """Work in all events of items with anything but plain labels; returns the slots that are left."""
        per_item: dict[str, list[Event]] = {}
        for event in events:
            if event[1] in special:
                per_item.setdefault(event[1], []).append(event)
        for item, own in per_item.items():
            forgotten = max((index for index, event in enumerate(own) if event[0] == FORGET), default=-1)
            if forgotten >= 0 and item in self._learner.items.slots:
                self._learner.items.release(item)
            per_item[item] = own[forgotten + 1 :]
        remaining = [item for item, own in per_item.items() if own]
        slots = np.array([self._learner.items.slot(item) for item in remaining], np.int64)
        self._learner.withdraw(slots)
        for item, slot in zip(remaining, slots.tolist(), strict=True):
            rows, known = applied(*self._rows_of(item), per_item[item])
            self._rewrite(slot, rows, known)
        return slots

    def _rewrite(self, slot: int, rows: list[Row], known: dict[str, float] | None) -> None:
        """Give an item other labels and another known answer."""
        named = [self._learner.annotators.slot(row[0]) for row in rows]
        self._learner.ensure([row[1] for row in rows] + list(known or ()))
        numbers = [
            (annotator, self._learner.classes[row[1]], row[2]) for annotator, row in zip(named, rows, strict=True)
        ]
        self._learner.items.labels.write(slot, numbers)
        self._learner.items.known.pop(slot, None)
        if known:
            self._learner.items.known[slot] = {self._learner.classes[name]: weight for name, weight in known.items()}

    def _older(self, touched: np.ndarray, events: int) -> np.ndarray:
        """The next older items in turn, at most half of all."""
        count = len(self._learner.items.names)
        turns = min(self.settings.revisits(self._learner.events, events), count // 2)
        slots = (self._cursor + np.arange(turns)) % max(count, 1)
        self._rounds += self._cursor + turns >= count > 0
        self._cursor = (self._cursor + turns) % max(count, 1)
        fresh = np.ones(count, bool)
        fresh[touched] = False
        slots = slots[fresh[slots] & (self._learner.items.labels.length[slots] > 0)]
        return slots if self._rounds % self.settings.settled_rounds == 0 else slots[self._learner.undecided(slots)]

    # ------------------------------------------------------------------ state

    def state(self) -> dict[str, Any]:
        """Everything, as arrays, lists, dicts, strings and numbers. The events since bring it to any later state."""
        return {
            "version": STATE_VERSION,
            "events": self._learner.events,
            "items_evaluated": self._learner.items_evaluated,
            "labels_evaluated": self._learner.labels_evaluated,
            "cursor": self._cursor,
            "rounds": self._rounds,
            "classes": list(self._learner.classes),
            "items": self._learner.items.state(),
            "annotators": self._learner.annotators.state(),
            "pending": [list(event) for event in self._pending],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any], settings: ConsensusSettings | None = None) -> "CategoricalConsensus":
        """The consensus whose ``state`` this is, under the settings it had."""
        assert state["version"] == STATE_VERSION
        consensus = cls(settings)
        learner = consensus._learner = Learner(
            consensus.settings,
            ItemTable.from_state(state["items"]),
            AnnotatorTable.from_state(state["annotators"]),
            {name: number for number, name in enumerate(state["classes"])},
        )
        learner.events, consensus._cursor, consensus._rounds = state["events"], state["cursor"], state["rounds"]
        learner.items_evaluated, learner.labels_evaluated = state["items_evaluated"], state["labels_evaluated"]
        consensus._pending = [tuple(event) for event in state["pending"]]
        consensus._mixed = any(event[0] != ADD for event in consensus._pending)
        consensus._chunk_length = consensus.settings.chunk_events(learner.events)
        return consensus


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
