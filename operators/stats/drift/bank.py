"""A bank of detectors: one row of numbers per annotator, advanced many judgements at a time."""

import abc
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from river.base import DriftDetector

STATE_VERSION = 2


@dataclass(frozen=True, slots=True)
class Alarms:
    """Alarms of one batch, as arrays of one length, in the order of the batch.

    Parameters
    ----------
    position
        Where in the batch the judgement stands that completed the evidence.
    slot
        The annotator's slot.
    is_rise
        Whether the signal rose (more errors, more of a class, longer durations) rather than fell.
    judgement
        The annotator's count of judgements at the alarm, starting at 1.
    changed_at
        Estimate of the first judgement after the change, on the same count.
    before, after
        Estimates of the level before and after the change, in the signal's unit.
    evidence
        The statistic at the alarm: a Shiryaev-Roberts sum of likelihood ratios, > 0.
    detail
        Which of the signal's alternatives stands out: the class for class use, else 0.
    """

    position: NDArray[np.int64]
    slot: NDArray[np.int64]
    is_rise: NDArray[np.bool_]
    judgement: NDArray[np.int64]
    changed_at: NDArray[np.int64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    evidence: NDArray[np.float64]
    detail: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.position)


_DTYPES = {
    "position": np.int64, "slot": np.int64, "is_rise": np.bool_, "judgement": np.int64, "changed_at": np.int64,
    "before": np.float64, "after": np.float64, "evidence": np.float64, "detail": np.int64,
}  # fmt: skip


def concatenate_alarms(parts: list[dict[str, NDArray]]) -> Alarms:
    """Join the alarms of several rounds into the order of the batch."""
    if not parts:
        return Alarms(**{name: np.empty(0, dtype) for name, dtype in _DTYPES.items()})
    joined = {name: np.concatenate([part[name] for part in parts]).astype(kind) for name, kind in _DTYPES.items()}
    order = np.argsort(joined["position"], kind="stable")
    return Alarms(**{name: column[order] for name, column in joined.items()})


def rounds(slots: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Cut a batch so that a slot occurs once in each part, earlier judgements in earlier parts.

    >>> [part.tolist() for part in rounds(np.array([7, 3, 7, 7]))]
    [[0, 1], [2], [3]]
    """
    order = np.argsort(slots, kind="stable")
    ranked = slots[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    if len(starts) == len(slots):
        return [np.arange(len(slots))]
    lengths = np.diff(np.append(starts, len(slots)))
    rank = np.empty(len(slots), np.int64)
    rank[order] = np.arange(len(slots)) - np.repeat(starts, lengths)
    by_rank = np.argsort(rank, kind="stable")
    return np.split(by_rank, np.cumsum(np.bincount(rank))[:-1])


def sum_of_columns(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum each row in an order that does not depend on the number of rows (rows, columns) -> (rows,)."""
    while (width := values.shape[1]) > 1:
        half = width // 2
        folded = values[:, :half] + values[:, half : 2 * half]
        if width % 2:
            folded[:, 0] += values[:, -1]
        values = folded
    return values[:, 0]


class DetectorBank(abc.ABC):
    """Base of the vectorised detectors: a table of float64, a row per annotator.

    Column 0 counts the judgements of the annotator, alarms notwithstanding; the other columns are the subclass's and
    are zero when an annotator is new or its baseline is being learnt afresh after an alarm. A row's new value depends
    on its own row and its own judgement only, by operations that IEEE 754 defines exactly, so that how judgements are
    cut into batches makes no difference to any bit.

    Parameters
    ----------
    width
        Columns of the table.
    capacity
        Annotators at first; see `grow`.
    false_alarms_per_million_judgements
        The promise, > 0.

    Attributes
    ----------
    population
        What the annotators have in common, where a detector learns it; it is no part of `to_bytes`.
    """

    def __init__(self, width: int, capacity: int, false_alarms_per_million_judgements: float) -> None:
        assert capacity >= 0
        assert false_alarms_per_million_judgements > 0
        self.false_alarms_per_million_judgements = false_alarms_per_million_judgements
        self.run_length = 1e6 / false_alarms_per_million_judgements
        self.table = np.zeros((capacity, width))
        self.population: NDArray[np.float64] | None = None

    @property
    def capacity(self) -> int:
        """Number of slots."""
        return len(self.table)

    @property
    def bytes_per_annotator(self) -> int:
        """State of one annotator."""
        return self.table.shape[1] * self.table.itemsize

    def grow(self, capacity: int) -> None:
        """Make room for slots up to `capacity`; what is there stays."""
        missing = capacity - self.capacity
        if missing > 0:
            self.table = np.concatenate([self.table, np.zeros((missing, self.table.shape[1]))])

    def forget(self, slots: ArrayLike) -> None:
        """Make slots as new."""
        self.table[np.asarray(slots, np.int64)] = 0.0

    def evidence(self, slots: ArrayLike) -> NDArray[np.float64]:
        """Return the present evidence of a change since the baseline began (0 for a new annotator)."""
        return self._evidence(self.table[np.asarray(slots, np.int64)])

    def summary(self, slots: ArrayLike) -> Alarms:
        """Return what an alarm would say now, whether or not the evidence suffices, one entry per slot."""
        slots = np.asarray(slots, np.int64)
        return concatenate_alarms([self._report(np.arange(len(slots)), slots, self.table[slots])])

    def to_bytes(self) -> bytes:
        """Return the state: a version, the shape, and the table in little-endian order."""
        header = np.array([STATE_VERSION, *self.table.shape], "<i8")
        return header.tobytes() + self.table.astype("<f8", copy=False).tobytes()

    def load_bytes(self, state: bytes) -> None:
        """Take up a state that `to_bytes` of a detector with the same settings returned.

        Raises
        ------
        ValueError
            The state is of another version or of another kind of detector.
        """
        version, capacity, width = np.frombuffer(state, "<i8", count=3)
        if version != STATE_VERSION:
            raise ValueError(f"the detector's state has version {version}, this build reads {STATE_VERSION}")
        if width != self.table.shape[1]:
            raise ValueError(f"the detector's state has {width} columns, these settings need {self.table.shape[1]}")
        table = np.frombuffer(state, "<f8", offset=24).reshape(capacity, width)
        self.table = table.astype(np.float64)

    def _update(self, slots: ArrayLike, *columns: NDArray) -> Alarms:
        """Feed judgements in order; `columns` are what `_advance` takes, as long as `slots`."""
        slots = np.asarray(slots, np.int64)
        if not len(slots):
            return concatenate_alarms([])
        parts = []
        for chosen in rounds(slots):
            part = self._round(chosen, slots[chosen], [column[chosen] for column in columns])
            if part:
                parts.append(part)
        return concatenate_alarms(parts)

    def _round(self, positions: NDArray, slots: NDArray, columns: list[NDArray]) -> dict[str, NDArray] | None:
        """Feed at most one judgement per slot."""
        rows = self.table[slots]
        rows[:, 0] += 1.0
        exceeds = self._advance(rows, *columns)
        alarmed = np.flatnonzero(exceeds)
        if not len(alarmed):
            self.table[slots] = rows
            return None
        report = self._report(positions[alarmed], slots[alarmed], rows[alarmed])
        rows[alarmed, 1:] = 0.0
        self.table[slots] = rows
        return report

    def _report(self, positions: NDArray, slots: NDArray, rows: NDArray) -> dict[str, NDArray]:
        """Describe the rows at an alarm."""
        return {
            "position": positions,
            "slot": slots,
            "judgement": rows[:, 0],
            "evidence": self._evidence(rows),
            **self._describe(rows),
        }

    @abc.abstractmethod
    def _advance(self, rows: NDArray, *columns: NDArray) -> NDArray[np.bool_]:
        """Take one judgement into each row in place; say which rows' evidence suffices for an alarm."""

    @abc.abstractmethod
    def _evidence(self, rows: NDArray) -> NDArray[np.float64]:
        """Return the Shiryaev-Roberts sum of each row."""

    @abc.abstractmethod
    def _describe(self, rows: NDArray) -> dict[str, NDArray]:
        """Return is_rise, changed_at, before, after and detail of each row."""


class SingleDetector(DriftDetector):
    """Base of the detectors of one stream in River's manner: a bank with one row.

    After an `update` that raised an alarm `drift_detected` holds and `alarm` has its one entry; the baseline is then
    learnt afresh.

    Parameters
    ----------
    bank
        The bank, of capacity 1.
    """

    def __init__(self, bank: DetectorBank) -> None:
        super().__init__()
        assert bank.capacity == 1
        self.bank = bank
        self.alarm = concatenate_alarms([])

    @property
    def evidence(self) -> float:
        """The present evidence of a change."""
        return float(self.bank.evidence([0])[0])

    def _take(self, alarms: Alarms) -> None:
        """Remember what the last judgement led to."""
        self._drift_detected = len(alarms) > 0
        self.alarm = alarms
