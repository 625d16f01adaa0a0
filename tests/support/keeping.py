"""Kept shards that crash: at any step; what was not synced is lost, perhaps the last snapshot too."""

import os
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

from flows.segment_files import SegmentFolder
from operators.decode import Decoder, EventBatch, IntakeReport
from operators.kept_shard import Keeping, KeptShard
from operators.project.settings import FoldSettings
from operators.segments import BasePace, BaseWritten, Segment
from schemas.rows import TABLES
from tests.support.folding import DECODE_SETTINGS, Tables, batches_of, in_force, merge_rows


class Crash(Exception):
    """The process is no more."""


class Faults:
    """Crashes at a step of a store, before or after it is done, with some probability."""

    def __init__(self, rng: random.Random, share: float) -> None:
        self.rng = rng
        self.share = share
        self.crashes: list[str] = []

    @contextmanager
    def around(self, step: str) -> Iterator[None]:
        """Do a step, or not."""
        if self.rng.random() < self.share / 2:
            self.crashes.append(f"before {step}")
            raise Crash
        yield
        if self.rng.random() < self.share / 2:
            self.crashes.append(f"after {step}")
            raise Crash


class FaultyFolder(SegmentFolder):
    """A folder whose process may crash; a base beside the fold takes a random while, and is lost in a crash."""

    def __init__(self, folder: Path, faults: Faults) -> None:
        super().__init__(folder)
        self._faults = faults
        self._base: tuple[int, list[bytes]] | None = None
        self._synced: dict[int, int] = {}
        self.folder = folder

    def append(self, number: int, data: bytes) -> None:
        with self._faults.around("append"):
            super().append(number, data)

    def sync(self, number: int) -> Segment:
        with self._faults.around("sync"):
            segment = super().sync(number)
            self._synced[number] = segment.length
        return segment

    def write_base(self, number: int, blocks: Callable[[], Iterable[bytes]]) -> BaseWritten:
        with self._faults.around("write_base"):
            return super().write_base(number, blocks)

    def begin_base(self, number: int, blocks: Callable[[], Iterable[bytes]]) -> None:
        with self._faults.around("begin_base"):
            self._base = number, list(blocks())
            self._unfinished(number).write_bytes(b"half of it")

    def base_written(self) -> BaseWritten | None:
        assert self._base is not None
        if self._faults.rng.random() < 0.7:
            return None
        number, blocks = self._base
        self._base = None
        with self._faults.around("base_written"):
            if self._faults.rng.random() < 0.2:
                return BaseWritten(None, 0.0)
            return super().write_base(number, lambda: blocks)

    def abandon_base(self) -> None:
        self._base = None

    def keep_only(self, bases: set[int], journals: set[int]) -> None:
        unfinished = None if self._base is None else self._unfinished(self._base[0])
        with self._faults.around("keep_only"):
            super().keep_only(bases, journals)
        if unfinished is not None:
            unfinished.write_bytes(b"half of it")

    def lose_unsynced(self) -> None:
        """Cut each journal somewhere behind what was synced of it."""
        self.close()
        for path in self.folder.glob("*.journal"):
            synced = self._synced.get(int(path.stem))
            if synced is not None:
                os.truncate(path, self._faults.rng.randrange(synced, path.stat().st_size + 1))


def fold_kept(
    lines: list[bytes], *, cuts: list[int], settings: FoldSettings, folder: Path, faults: Faults, is_beside: bool
) -> Tables:
    """Fold a log with shards that are kept and crash; return the rows in force, as `tests.support.folding.fold_log`."""
    rng, decoder = faults.rng, Decoder(DECODE_SETTINGS)
    batches = [decoder([batch]) for batch in batches_of(lines, cuts)]
    tables: Tables = {name: {} for name in TABLES}
    snapshots: list[tuple[int, dict[str, bytes]]] = [(0, {})]
    while True:
        run = Run(settings, folder, faults, is_beside=is_beside)
        resumed, (position, references) = len(snapshots) - 1, snapshots[-1]
        try:
            for number in range(position, len(batches)):
                run.fold(batches[number], references, tables)
                if rng.random() < 0.4:
                    references = run.snapshot(references)
                    snapshots.append((number + 1, references))
                with faults.around("next batch"):
                    pass
            return in_force(tables)
        except Crash:
            del snapshots[max(resumed + 1, len(snapshots) - rng.randrange(2)) :]
        finally:
            for store in run.stores:
                store.lose_unsynced()


class Run:
    """One process from its start to its end."""

    def __init__(self, settings: FoldSettings, folder: Path, faults: Faults, *, is_beside: bool) -> None:
        self._settings = settings
        self._faults = faults
        self.stores: list[FaultyFolder] = []
        self._shards: dict[str, KeptShard] = {}
        self._touched: dict[str, KeptShard] = {}

        def open_store(shard: str) -> FaultyFolder:
            self.stores.append(FaultyFolder(folder / shard, faults))
            return self.stores[-1]

        pace = BasePace(lambda: 0.0, share=1.0, records_min=5, at_once_bytes_max=0 if is_beside else 10**9)
        self._keeping = Keeping(open_store, pace)

    def fold(
        self, batch: list[tuple[str, EventBatch | IntakeReport]], references: dict[str, bytes], tables: Tables
    ) -> None:
        """Fold one batch of the log."""
        for key, value in batch:
            if key not in self._shards:
                self._shards[key] = KeptShard(self._settings, self._keeping, references.get(key))
            self._touched[key] = self._shards[key]
            merge_rows(tables, self._shards[key].take([value]).rows)

    def snapshot(self, references: dict[str, bytes]) -> dict[str, bytes]:
        """Return the references of a snapshot: new ones of the shards that were touched."""
        is_last = self._faults.rng.random() < 0.1
        for shard in self._touched.values() if is_last else ():
            shard.end()
        references = {**references, **{key: shard.snapshot() for key, shard in self._touched.items()}}
        self._touched = {}
        return references


class MemoryDisk:
    """The segments of all shards, in memory: what was not synced is gone after a crash.

    Parameters
    ----------
    seed
        Decides how bases are written, and how long it takes.
    """

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(f"disk-{seed}")
        self._stores: dict[str, MemoryStore] = {}

    def keeping(self) -> Keeping:
        """Return where the shards of a new process are kept; the one before it is no more."""
        for store in self._stores.values():
            store.crash()
        at_once_bytes_max = self._rng.choice((0, 10**9))
        pace = BasePace(lambda: 0.0, share=1.0, records_min=3, at_once_bytes_max=at_once_bytes_max)
        return Keeping(lambda shard: self._stores.setdefault(shard, MemoryStore(self._rng)), pace)


class MemoryStore:
    """A store of segments in memory."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._journals: dict[int, list[bytes]] = {}
        self._synced: dict[int, int] = {}
        self._bases: dict[int, list[bytes]] = {}
        self._begun: tuple[int, list[bytes]] | None = None

    def crash(self) -> None:
        """Lose what is not durable."""
        self._begun = None
        for number, entries in self._journals.items():
            del entries[self._synced.get(number, 0) :]

    def last_number(self) -> int:
        return max((*self._journals, *self._bases), default=0)

    def append(self, number: int, data: bytes) -> None:
        assert number not in self._synced or number == self.last_number()
        self._journals.setdefault(number, []).append(data)

    def sync(self, number: int) -> Segment:
        self._synced[number] = len(self._journals[number])
        return _segment_of(number, self._journals[number])

    def journal(self, segment: Segment) -> Iterator[bytes]:
        return self._read(self._journals, segment)

    def base(self, segment: Segment) -> Iterator[bytes]:
        return self._read(self._bases, segment)

    def write_base(self, number: int, blocks: Callable[[], Iterable[bytes]]) -> BaseWritten:
        self._bases[number] = list(blocks())
        return BaseWritten(_segment_of(number, self._bases[number]), 0.0)

    def begin_base(self, number: int, blocks: Callable[[], Iterable[bytes]]) -> None:
        self._begun = number, list(blocks())

    def base_written(self) -> BaseWritten | None:
        assert self._begun is not None
        if self._rng.random() < 0.7:
            return None
        (number, blocks), self._begun = self._begun, None
        return BaseWritten(None, 0.0) if self._rng.random() < 0.1 else self.write_base(number, lambda: blocks)

    def abandon_base(self) -> None:
        self._begun = None

    def keep_only(self, bases: set[int], journals: set[int]) -> None:
        self._bases = {number: self._bases[number] for number in self._bases if number in bases}
        last = self.last_number()
        self._journals = {
            number: entries for number, entries in self._journals.items() if number in journals or number == last
        }

    @staticmethod
    def _read(held: dict[int, list[bytes]], segment: Segment) -> Iterator[bytes]:
        entries = held[segment.number][: segment.length]
        assert _segment_of(segment.number, entries) == segment
        return iter(entries)


def _segment_of(number: int, entries: list[bytes]) -> Segment:
    return Segment(number, len(entries), crc32(b"".join(entries)))
