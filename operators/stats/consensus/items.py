"""What consensus keeps for each item: its labels, its expected counts, its answer."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from operators.stats.consensus.label_store import LabelStore, grown
from operators.stats.consensus.model import EVIDENCE_COLUMNS


class ItemTable:
    """Slots of items, numbered from 0 and used again; a column an array.

    The columns: ``counted`` rows stand in the annotators' counts with what is expected under the ``full`` and the
    ``one``-coin model (in the unit of counts; zero where too little is known), shape (items, classes); its
    ``evidence``; its ``answer``, shape (items, classes).
    """

    def __init__(self) -> None:
        self.labels = LabelStore()
        self.slots: dict[str, int] = {}
        self.names: list[str | None] = []
        self.free: list[int] = []
        self.counted = np.zeros(0, np.int32)
        self.full = np.zeros((0, 0), np.int32)
        self.one = np.zeros((0, 0), np.int32)
        self.answer = np.zeros((0, 0), np.float32)
        self.evidence = np.zeros((0, EVIDENCE_COLUMNS), np.int32)
        self.known: dict[int, dict[int, float]] = {}

    def slot(self, name: str) -> int:
        """The slot of an item, a new one if it has none."""
        slot = self.slots.get(name)
        if slot is None:
            slot = self._new(name)
        return slot

    def number(self, names: Sequence[str]) -> list[int]:
        """The slot of each item, a new one for each that has none."""
        slots = list(map(self.slots.get, names))
        if None not in slots:
            return slots
        fresh = [name for name in dict.fromkeys(names) if name not in self.slots]
        while fresh and self.free:
            self._new(fresh.pop(0))
        begin, end = len(self.names), len(self.names) + len(fresh)
        self.names.extend(fresh)
        self.slots.update(zip(fresh, range(begin, end), strict=True))
        self.labels.ensure_items(end)
        self.ensure(end, self.full.shape[1])
        return list(map(self.slots.__getitem__, names))

    def _new(self, name: str) -> int:
        if self.free:
            slot = self.free.pop()
            self.names[slot] = name
        else:
            slot = len(self.names)
            self.names.append(name)
            self.labels.ensure_items(slot + 1)
            self.ensure(slot + 1, self.full.shape[1])
        self.slots[name] = slot
        return slot

    def ensure(self, items: int, classes: int) -> None:
        """Make room for ``items`` slots and ``classes`` classes."""
        have_items, have_classes = self.full.shape
        if items <= have_items and classes <= have_classes:
            return
        size = (have_items if items <= have_items else max(items, 2 * have_items),)
        wide = (*size, max(classes, have_classes))
        self.counted = grown(self.counted, size)
        self.full, self.one, self.answer = (grown(column, wide) for column in (self.full, self.one, self.answer))
        self.evidence = grown(self.evidence, (*size, EVIDENCE_COLUMNS))

    def release(self, name: str) -> None:
        """Drop an item; what it has put into counts stays there."""
        slot = self.slots.pop(name)
        self.labels.clear(slot)
        self.names[slot] = None
        self.known.pop(slot, None)
        for column in (self.counted, self.full, self.one, self.answer, self.evidence):
            column[slot] = 0
        self.free.append(slot)

    def state(self) -> dict[str, Any]:
        """Everything, as arrays, lists and numbers."""
        columns = ("counted", "full", "one", "answer", "evidence")
        return {
            "labels": self.labels.state(),
            "names": list(self.names),
            "free": list(self.free),
            "known": {slot: dict(known) for slot, known in self.known.items()},
            **{name: getattr(self, name).copy() for name in columns},
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "ItemTable":
        """The table whose ``state`` this is."""
        table = cls()
        table.labels = LabelStore.from_state(state["labels"])
        table.names = list(state["names"])
        table.slots = {name: slot for slot, name in enumerate(table.names) if name is not None}
        table.free = list(state["free"])
        table.known = {slot: dict(known) for slot, known in state["known"].items()}
        for name in ("counted", "full", "one", "answer", "evidence"):
            setattr(table, name, np.array(state[name]))
        return table
