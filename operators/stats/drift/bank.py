"""A bank of detectors: one row of numbers per annotator, advanced many judgements at a time."""

import abc
from dataclasses import dataclass
from itertools import accumulate

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


@dataclass(frozen=True, slots=True)
class Rounds:
    """A batch in rounds that hold a slot at most once each, earlier judgements in earlier rounds.

    The slots of a round are the first ones of those of the round before it, so that a round is a slice of every array.

    Parameters
    ----------
    order
        Where in the batch each judgement stands, round by round, shape (judgements,).
    slots
        Each slot once, those with most judgements first, shape (slots,).
    sizes
        Judgements of each round, never growing; they sum to the number of judgements.
    """

    order: NDArray[np.int64]
    slots: NDArray[np.int64]
    sizes: list[int]

    def slices(self) -> list[slice]:
        """Return where each round stands."""
        return slices_of(self.sizes)


def slices_of(sizes: list[int]) -> list[slice]:
    """Return where parts of these sizes stand that follow one another."""
    ends = list(accumulate(sizes))
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def rounds(slots: NDArray[np.int64]) -> Rounds:
    """Cut a batch into rounds.

    >>> cut = rounds(np.array([7, 3, 7, 7]))
    >>> cut.order.tolist(), cut.slots.tolist(), cut.sizes
    ([0, 1, 2, 3], [7, 3], [2, 1, 1])
    """
    order = np.argsort(slots, kind="stable")
    ranked = slots[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    if len(starts) == len(slots):
        return Rounds(np.arange(len(slots)), slots, [len(slots)])
    lengths = np.diff(np.append(starts, len(slots)))
    by_length = np.argsort(-lengths, kind="stable")
    place = np.empty(len(starts), np.int64)
    place[by_length] = np.arange(len(starts))
    rank = np.arange(len(slots)) - np.repeat(starts, lengths)
    by_round = np.argsort(rank * len(starts) + np.repeat(place, lengths))
    return Rounds(order[by_round], ranked[starts][by_length], np.bincount(rank).tolist())


def sum_of_columns(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum each row in an order that does not depend on the number of rows (rows, columns) -> (rows,)."""
    while (width := values.shape[1]) > 1:
        half = width // 2
        folded = values[:, :half] + values[:, half : 2 * half]
        if width % 2:
            folded[:, 0] += values[:, -1]
        values = folded
    return values[:, 0]


def numbers_of(rows: NDArray, sizes: list[int]) -> NDArray[np.float64]:
    """Return the annotator's count of judgements at each judgement, round by round, starting at 1."""
    return np.concatenate([rows[:size, 0] + (rank + 1.0) for rank, size in enumerate(sizes)])


def gather(
    sums: NDArray[np.float64], sizes: list[int], weights: NDArray[np.float64], factors: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return `sums` after each judgement, of which each takes ``(sums + weight) · factor``.

    Parameters
    ----------
    sums
        Of each row, shape (kinds, rows, alternatives); those after the last judgement of each row are written there.
    sizes
        Judgements of each round.
    weights, factors
        Round by round, shapes (kinds, judgements, alternatives) and (judgements, alternatives).

    Returns
    -------
    Shape (kinds, judgements, alternatives).
    """
    after, before = np.empty(weights.shape), sums
    for part, size in zip(slices_of(sizes), sizes, strict=True):
        now = after[:, part]
        np.add(before[:, :size], weights[:, part], out=now)
        np.multiply(now, factors[part], out=now)
        sums[:, :size] = now
        before = now
    return after


def _lengths(sizes: list[int]) -> NDArray[np.float64]:
    """Return how many judgements each row has.

    >>> _lengths([3, 1]).tolist()
    [2.0, 1.0, 1.0]
    """
    lengths = np.zeros(sizes[0])
    for size in sizes:
        lengths[:size] += 1.0
    return lengths


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
        cut = rounds(slots)
        rows = self.table[cut.slots]
        exceeds = self._advance(rows, cut.sizes, *(column[cut.order] for column in columns))
        if not exceeds.any():
            rows[:, 0] += _lengths(cut.sizes)
            self.table[cut.slots] = rows
            return concatenate_alarms([])
        alarmed = np.unique(slots[cut.order[exceeds]])
        is_quiet = ~np.isin(cut.slots, alarmed)
        rows[:, 0] += _lengths(cut.sizes)
        self.table[cut.slots[is_quiet]] = rows[is_quiet]
        chosen = np.flatnonzero(np.isin(slots, alarmed))
        return self._update_by_rounds(chosen, slots[chosen], [column[chosen] for column in columns])

    def _update_by_rounds(self, positions: NDArray, slots: NDArray, columns: list[NDArray]) -> Alarms:
        """Feed judgements of slots some of which raise alarms, after which they begin anew."""
        cut, parts = rounds(slots), []
        for part, size in zip(cut.slices(), cut.sizes, strict=True):
            chosen, rows = cut.order[part], self.table[cut.slots[:size]]
            exceeds = self._advance(rows, [size], *(column[chosen] for column in columns))
            rows[:, 0] += 1.0
            if exceeds.any():
                parts.append(self._report(positions[chosen[exceeds]], cut.slots[:size][exceeds], rows[exceeds]))
                rows[exceeds, 1:] = 0.0
            self.table[cut.slots[:size]] = rows
        return concatenate_alarms(parts)

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
    def _advance(self, rows: NDArray, sizes: list[int], *columns: NDArray) -> NDArray[np.bool_]:
        """Take the judgements of all rounds into the rows in place, but for column 0, which is left to the caller.

        Parameters
        ----------
        rows
            Row of each slot, those with most judgements first.
        sizes
            Judgements of each round: round `k` has one for each of the first ``sizes[k]`` rows.
        columns
            What comes with the judgements, round by round.

        Returns
        -------
        Which judgements bring evidence that suffices for an alarm, as if there had been no alarm before.
        """

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
