"""A shard that outlives its process: folded in memory, kept as segments, and brought back from them."""

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from operators.decode import EventBatch, IntakeReport
from operators.journal import entry_of, records_of, values_of
from operators.project.settings import FoldSettings
from operators.segments import BasePace, Reference, SegmentStore, ShardLog, read_reference
from operators.shard import Shard, ShardState
from operators.snapshot import FORMAT_VERSION, decode_state, decode_whole_state, encode_state, format_of
from schemas.records import RowBatch

FOLD_BYTES = 16_000_000
"""So much of a journal is folded at once."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where the shards of a worker are kept.

    Parameters
    ----------
    open_store
        Opens the store of the shard of that name.
    pace
        Says when bases are written; the same for all shards of the worker.
    """

    open_store: Callable[[str], SegmentStore]
    pace: BasePace


class KeptShard:
    """A shard and, if it is to be kept, its log.

    Parameters
    ----------
    settings
        What decides how events become rows.
    keeping
        Where it is kept; None if it is not.
    resume
        What `snapshot` returned, in this version or an older one; None to begin with nothing.

    Raises
    ------
    IncompatibleStateError
        If what it is to be resumed from is damaged, or no longer understood.
    """

    def __init__(self, settings: FoldSettings, keeping: Keeping | None, resume: bytes | None) -> None:
        self._keeping = keeping
        self._log: ShardLog | None = None
        self._has_ended = False
        self._older: bytes | None = None
        if resume is None:
            self._shard = Shard(ShardState({}, {}), settings)
        elif format_of(resume) < FORMAT_VERSION:
            self._older = resume
            self._shard = Shard(decode_whole_state(resume, window=settings.window), settings)
        else:
            assert keeping is not None, "what was kept has a place"
            with _no_collections():
                self._resume(read_reference(resume), settings, keeping)

    def take(self, values: list[EventBatch | IntakeReport]) -> RowBatch:
        """Fold values; return the rows that they changed."""
        rows = self.fold(values)
        self.keep(values)
        return rows

    def fold(self, values: list[EventBatch | IntakeReport]) -> RowBatch:
        """Fold values, the first half of `take`."""
        self._has_ended = False
        return self._shard.take(values)

    def keep(self, values: list[EventBatch | IntakeReport]) -> None:
        """Write what was folded to the journal, the second half of `take`."""
        if self._keeping is not None:
            if self._log is None:
                self._open_log(values[0].shard, self._keeping)
            if self._older is not None:
                self._log.write_base()
                self._older = None
            else:
                self._log.note(entry_of(values), records=records_of(values))

    def end(self) -> None:
        """Note that nothing more comes for the time being: the input has ended, or the flow is being drained."""
        self._has_ended = True

    def snapshot(self) -> bytes:
        """Return what is needed to resume; nothing where the shard is not kept."""
        if self._log is None:
            return self._older or b""
        return self._log.snapshot(self._shard.figures(), is_last=self._has_ended)

    def _open_log(self, name: str, keeping: Keeping) -> SegmentStore:
        store = keeping.open_store(name)
        self._log = ShardLog(name, store, keeping.pace, blocks=self._blocks)
        return store

    def _blocks(self) -> Iterator[bytes]:
        self._shard.save()
        return encode_state(self._shard.state)

    def _resume(self, reference: Reference, settings: FoldSettings, keeping: Keeping) -> None:
        """Read the base, and fold again what the journals hold; its rows were written before the snapshot was."""
        store = self._open_log(reference.shard, keeping)
        state = ShardState({}, {}) if reference.base is None else decode_state(store.base(reference.base))
        self._shard = Shard(state, settings)
        records = 0
        for values in _gathered(entry for journal in reference.journals for entry in store.journal(journal)):
            self._shard.take_again(values)
            records += records_of(values)
        self._log.resume(reference, records=records)


def _gathered(entries: Iterable[bytes]) -> Iterator[list[EventBatch | IntakeReport]]:
    """Yield the values of entries, many entries at a time: how a log is cut changes nothing."""
    values: list[EventBatch | IntakeReport] = []
    size = 0
    for entry in entries:
        values += values_of(entry)
        size += len(entry)
        if size >= FOLD_BYTES:
            yield values
            values, size = [], 0
    if values:
        yield values


@contextmanager
def _no_collections() -> Iterator[None]:
    """Leave cycles alone while millions of objects are made, none of which is part of one."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
