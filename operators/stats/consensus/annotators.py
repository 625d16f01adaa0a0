"""Expected counts of the annotators, and their sums."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from operators.stats.consensus.label_store import grown
from operators.stats.consensus.model import AnnotatorCounts, Totals
from operators.stats.consensus.others import VERDICTS


class AnnotatorTable:
    """Slots of annotators; counts are whole numbers (see ``model.UNIT``) held as floats, so sums are exact.

    ``verdicts`` says how often the others' consensus held a label to be what: shape (annotators, ``VERDICTS``).
    """

    def __init__(self) -> None:
        self.slots: dict[str, int] = {}
        self.names: list[str] = []
        self.matrix = np.zeros((0, 0, 0))
        self.hits = np.zeros(0)
        self.labels = np.zeros(0)
        self.verdicts = np.zeros((0, VERDICTS), np.int64)
        self.totals = Totals.empty()

    def slot(self, name: str) -> int:
        """The slot of an annotator, a new one if they have none."""
        slot = self.slots.get(name)
        if slot is None:
            slot = self.slots[name] = len(self.names)
            self.names.append(name)
        return slot

    def number(self, names: Sequence[str]) -> list[int]:
        """The slot of each annotator, a new one for each who has none."""
        slots = list(map(self.slots.get, names))
        if None not in slots:
            return slots
        return list(map(self.slot, names))

    def ensure(self, classes: int, *, with_matrix: bool) -> None:
        """Make room for all slots given out, and for ``classes`` classes."""
        count = len(self.names)
        if count > len(self.hits):
            size = (max(count, 2 * len(self.hits)),)
            self.hits, self.labels = grown(self.hits, size), grown(self.labels, size)
            self.verdicts = grown(self.verdicts, (*size, VERDICTS))
        self.totals = self.totals.with_classes(classes)
        if not with_matrix:
            self.matrix = np.zeros((0, 0, 0))
        elif self.matrix.shape[0] < len(self.hits) or self.matrix.shape[1] < classes:
            self.matrix = grown(self.matrix, (len(self.hits), classes, classes))

    def counts(self, slots: np.ndarray, classes: int) -> AnnotatorCounts:
        """Copies of some annotators' counts, with room for ``classes`` classes; slot -1 has none."""
        found = slots >= 0
        some = np.where(found, slots, 0)
        if not len(self.hits):
            return AnnotatorCounts(np.zeros((len(slots), classes, classes)), *np.zeros((2, len(slots))))
        matrix = self.matrix[some] * found[:, None, None] if self.matrix.size else np.zeros((len(slots), 0, 0))
        if self.matrix.size:
            matrix = grown(matrix, (len(slots), classes, classes))
        return AnnotatorCounts(matrix, self.hits[some] * found, self.labels[some] * found)

    def change(self, slots: np.ndarray, matrix: np.ndarray | None, hits: np.ndarray, labels: np.ndarray) -> None:
        """Add to the counts of some annotators, each named once."""
        if matrix is not None:
            self.matrix[slots] += matrix
            self.totals.pooled += matrix.sum(axis=0)
        self.hits[slots] += hits
        self.labels[slots] += labels
        self.totals.hits += hits.sum()
        self.totals.labels += labels.sum()

    def state(self) -> dict[str, Any]:
        """Everything, as arrays, lists and numbers."""
        return {
            "names": list(self.names),
            "matrix": self.matrix.copy(),
            "hits": self.hits.copy(),
            "labels": self.labels.copy(),
            "verdicts": self.verdicts.copy(),
            "totals": self.totals.state(),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "AnnotatorTable":
        """The table whose ``state`` this is."""
        table = cls()
        table.names = list(state["names"])
        table.slots = {name: slot for slot, name in enumerate(table.names)}
        table.matrix, table.hits, table.labels = (np.array(state[name]) for name in ("matrix", "hits", "labels"))
        table.verdicts = np.array(state.get("verdicts", np.zeros((len(table.hits), VERDICTS), np.int64)))
        table.totals = Totals(**{name: np.array(value) for name, value in state["totals"].items()})
        return table
