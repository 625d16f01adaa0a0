"""Records of the simulated log, as parallel columns."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

NO_CELL = -1


class Kind(IntEnum):
    """What a record was put into the stream for; the kinds of bad records follow from `FIRST_BAD` on."""

    LABEL = 0
    LATE = 1
    REVISION = 2
    GOLD_BEFORE = 3
    GOLD_AFTER = 4
    GOLD_CORRECTION = 5
    RETRACTION_AFTER = 6
    RETRACTION_BEFORE = 7
    DUPLICATE = 8
    FIRST_BAD = 9


@dataclass(frozen=True, slots=True)
class Records:
    """Records with their places in the log; all columns have one length.

    Parameters
    ----------
    positions
        Place in the log, in labels since its start; the log is sorted by it.
    kinds
        A `Kind`, or ``FIRST_BAD`` plus the number of a reason code.
    annotator_cells, item_cells
        Which counter of labels (by annotator) and of items (by true class) the record adds to, or `NO_CELL`.
    payloads
        The bytes.
    """

    positions: NDArray[np.float64]
    kinds: NDArray[np.int64]
    annotator_cells: NDArray[np.int64]
    item_cells: NDArray[np.int64]
    payloads: list[bytes]

    @classmethod
    def of(cls, kinds: NDArray[np.int64] | int, positions: NDArray[np.float64], payloads: list[bytes]) -> Self:
        """Return records that add to no counter but that of their kind."""
        assert len(positions) == len(payloads)
        none = np.full(len(payloads), NO_CELL)
        return cls(positions, np.broadcast_to(kinds, none.shape), none, none, payloads)

    @classmethod
    def joined(cls, parts: Iterable[Self]) -> Self:
        """Return the records of all parts, one after another."""
        parts = list(parts)
        return cls(
            np.concatenate([part.positions for part in parts]),
            np.concatenate([part.kinds for part in parts]),
            np.concatenate([part.annotator_cells for part in parts]),
            np.concatenate([part.item_cells for part in parts]),
            [payload for part in parts for payload in part.payloads],
        )

    def taken(self, places: NDArray[np.int64]) -> Self:
        """Return the records at `places`, in that order."""
        payloads = self.payloads
        return type(self)(
            self.positions[places],
            self.kinds[places],
            self.annotator_cells[places],
            self.item_cells[places],
            [payloads[place] for place in places.tolist()],
        )

    def split(self, position: float) -> tuple[Self, Self]:
        """Return the records before `position`, and those from it on, each in the order of the log."""
        order = np.argsort(self.positions, kind="stable")
        count = int(np.searchsorted(self.positions[order], position))
        return self.taken(order[:count]), self.taken(order[count:])

    def first(self, count: int) -> Self:
        """Return the first `count` records."""
        if count >= len(self.payloads):
            return self
        return self.taken(np.arange(count))
