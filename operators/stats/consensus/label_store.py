"""Labels of many items in flat arrays, a block of neighbouring rows an item."""

from collections.abc import Sequence
from typing import Any

import numpy as np

_BLOCK_ROWS_MIN = 4


def grown(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A copy with at least ``shape``, filled up with zeros (object arrays: None)."""
    wanted = tuple(max(have, want) for have, want in zip(array.shape, shape, strict=True))
    if wanted == array.shape:
        return array
    result = np.full(wanted, None, dtype=object) if array.dtype == object else np.zeros(wanted, array.dtype)
    result[tuple(slice(0, have) for have in array.shape)] = array
    return result


def positions_of(starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flat positions of several blocks, one block after the other.

    Parameters
    ----------
    starts, lengths
        First row and number of rows of each block, shape (blocks,).

    Returns
    -------
    tuple
        Positions of all rows and the block of each, shape (rows,); where each block begins in them, shape (blocks,).

    Examples
    --------
    >>> [a.tolist() for a in positions_of(np.array([8, 0]), np.array([2, 3]))]
    [[8, 9, 0, 1, 2], [0, 0, 1, 1, 1], [0, 2]]
    """
    begins = np.cumsum(lengths) - lengths
    block = np.repeat(np.arange(len(starts)), lengths)
    return np.arange(len(block)) + (starts - begins)[block], block, begins


class LabelStore:
    """Rows (annotator, class, repeats, verdict, key) of each item, in the order in which they came.

    Blocks hold a power of two of rows; one that is full moves to a block of twice the size, and what it leaves is used
    again, so memory follows the largest number of labels held at a time.
    """

    def __init__(self) -> None:
        self.start = np.zeros(0, np.int64)
        self.length = np.zeros(0, np.int64)
        self.capacity = np.zeros(0, np.int64)
        self.annotator = np.zeros(0, np.int32)
        self.label_class = np.zeros(0, np.int32)
        self.repeats = np.ones(0, np.int32)
        self.verdict = np.zeros(0, np.int8)
        self.key = np.zeros(0, object)
        self.free: dict[int, list[int]] = {}
        self.rows_used = 0

    def ensure_items(self, count: int) -> None:
        """Make room for item slots below ``count``."""
        if count > len(self.start):
            size = (max(count, 2 * len(self.start)),)
            self.start, self.length = grown(self.start, size), grown(self.length, size)
            self.capacity = grown(self.capacity, size)

    def append(self, slots: np.ndarray, annotators: np.ndarray, classes: np.ndarray, keys: Sequence[str]) -> np.ndarray:
        """Add one row for each entry, in order; ``slots`` may repeat. Returns the distinct slots, in order."""
        order = np.argsort(slots, kind="stable")
        ordered = slots[order]
        first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        items, counts = ordered[first], np.diff(np.r_[first, len(ordered)])
        self._reserve(items, self.length[items] + counts)
        rank = np.arange(len(ordered)) - np.repeat(first, counts)
        at = self.start[ordered] + self.length[ordered] + rank
        self.annotator[at], self.label_class[at] = annotators[order], classes[order]
        self.repeats[at] = 1
        self.verdict[at] = 0
        self.key[at] = np.array(keys, dtype=object)[order]
        self.length[items] += counts
        return items

    def read(self, slot: int) -> list[tuple[int, int, str]]:
        """The rows of one item: (annotator, class, key)."""
        at = slice(self.start[slot], self.start[slot] + self.length[slot])
        return list(zip(self.annotator[at].tolist(), self.label_class[at].tolist(), self.key[at].tolist(), strict=True))

    def write(self, slot: int, rows: list[tuple[int, int, str]]) -> None:
        """Replace the rows of one item."""
        self.clear(slot)
        if rows:
            annotators, classes, keys = zip(*rows, strict=True)
            slots = np.full(len(rows), slot)
            self.append(slots, np.array(annotators, np.int32), np.array(classes, np.int32), list(keys))

    def clear(self, slot: int) -> None:
        """Give the rows of one item back."""
        if self.capacity[slot]:
            begin, size = int(self.start[slot]), int(self.capacity[slot])
            self.key[begin : begin + size] = None
            self.free.setdefault(size, []).append(begin)
        self.start[slot] = self.length[slot] = self.capacity[slot] = 0

    def _reserve(self, items: np.ndarray, needed: np.ndarray) -> None:
        """Move every block that is too small for the rows needed."""
        short = needed > self.capacity[items]
        moving, needed = items[short], needed[short]
        if not len(moving):
            return
        sizes = np.maximum(_BLOCK_ROWS_MIN, 1 << np.ceil(np.log2(needed)).astype(np.int64))
        sizes = np.where(sizes < needed, sizes * 2, sizes)
        begins = np.zeros(len(moving), np.int64)
        for size in np.unique(sizes).tolist():
            chosen = sizes == size
            begins[chosen] = self._take(size, int(chosen.sum()))
        source, block, first = positions_of(self.start[moving], self.length[moving])
        target = begins[block] + np.arange(len(block)) - first[block]
        for column in (self.annotator, self.label_class, self.repeats, self.verdict, self.key):
            column[target] = column[source]
        self.key[source] = None
        for begin, size in zip(self.start[moving].tolist(), self.capacity[moving].tolist(), strict=True):
            if size:
                self.free.setdefault(size, []).append(begin)
        self.start[moving], self.capacity[moving] = begins, sizes

    def _take(self, size: int, count: int) -> np.ndarray:
        """First rows of ``count`` blocks of ``size`` rows, used ones first."""
        free = self.free.setdefault(size, [])
        again = [free.pop() for _ in range(min(count, len(free)))]
        fresh = count - len(again)
        end = self.rows_used + fresh * size
        if end > len(self.annotator):
            rows = (max(end, 2 * len(self.annotator)),)
            self.annotator, self.label_class = grown(self.annotator, rows), grown(self.label_class, rows)
            self.repeats, self.verdict = grown(self.repeats, rows), grown(self.verdict, rows)
            self.key = grown(self.key, rows)
        new = self.rows_used + size * np.arange(fresh)
        self.rows_used = end
        return np.r_[np.array(again, np.int64), new]

    def state(self) -> dict[str, Any]:
        """Everything, as arrays, lists and numbers."""
        used = self.rows_used
        return {
            "start": self.start.copy(),
            "length": self.length.copy(),
            "capacity": self.capacity.copy(),
            "annotator": self.annotator[:used].copy(),
            "label_class": self.label_class[:used].copy(),
            "repeats": self.repeats[:used].copy(),
            "verdict": self.verdict[:used].copy(),
            "key": self.key[:used].tolist(),
            "free": {size: list(begins) for size, begins in self.free.items()},
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "LabelStore":
        """The store whose ``state`` this is."""
        store = cls()
        for name in ("start", "length", "capacity", "annotator", "label_class", "repeats"):
            setattr(store, name, np.array(state[name]))
        store.verdict = np.array(state.get("verdict", np.zeros(len(state["key"]), np.int8)))
        store.key = np.full(len(state["key"]), None, dtype=object)
        store.key[:] = state["key"]
        store.free = {size: list(begins) for size, begins in state["free"].items()}
        store.rows_used = len(state["key"])
        return store
