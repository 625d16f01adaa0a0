"""What a snapshot costs with state in segments, against the whole state each time: ``python -m benchmarks.snapshots``.

A project with 100,000 annotators and 1,000,000 open items, each with a label, in the structs of the flow. Events come
at 5,000 a second of simulated time from as many annotators as give a label every two seconds; between two snapshots the
records that they touch are marked, some are written ahead after each batch, and the rest within the snapshot, with an
fsync. CPU time is this process's own, so that other load on the machine does not count; a pause is measured by the
clock, so that it does.
"""

import argparse
import gc
import pickle
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from flows.segment_files import SegmentFolder
from operators.project.memory import Memory
from operators.project.settings import FoldSettings
from operators.project.state import AnnotatorRecord, ItemRecord, LabelRecord, ProjectRecord, QuestionRecord
from operators.segments import Key, SegmentLog
from tests.support.folding import FOLD_SETTINGS

EVENTS_PER_SECOND = 5_000
LABEL_SECONDS = 2
BATCH_SECONDS = 0.5
WEIGHTS = {"item": 1, "annotator": 20}
"""Measured: 0.4 µs to encode an item, 8 to 11 an annotator with River's statistics."""
RECORD_TYPES = {"item": ItemRecord, "annotator": AnnotatorRecord}
CARRIED_WEIGHT_MIN = 20_000
ITEMS_AHEAD = 5_000
END_SECONDS = 3.0
TARGET_SHARE = 0.10
TARGET_PAUSE = 0.3


class BlockCodec:
    """Records of one kind as MessagePack, with all of River's statistics in them as one pickle."""

    def encode(self, kind: str, records: Sequence[Any]) -> bytes:
        """Return the bytes of records."""
        statistics: list[Any] = []

        def put_aside(statistic: Any) -> int:
            statistics.append(statistic)
            return len(statistics) - 1

        plain = msgspec.msgpack.encode(records, enc_hook=put_aside)
        return msgspec.msgpack.encode((plain, pickle.dumps(statistics, protocol=5)))

    def decode(self, kind: str, data: bytes) -> list[Any]:
        """Return the records."""
        plain, pickled = msgspec.msgpack.decode(data, type=tuple[bytes, bytes])
        statistics = pickle.loads(pickled)  # noqa: S301
        record_type: Any = RECORD_TYPES[kind]
        return msgspec.msgpack.decode(plain, type=list[record_type], dec_hook=lambda _, index: statistics[index])


class World:
    """The state, and what happens to it."""

    def __init__(self, *, annotators: int, items: int, seed: int) -> None:
        self.rng = random.Random(seed)
        self.settings: FoldSettings = FOLD_SETTINGS
        self.record = ProjectRecord("project", "bench:log", 0, {}, {}, {}, set(), set())
        self.memory = Memory(self.record, self.settings)
        self.question: QuestionRecord = self.memory.question_of("question")
        self.annotators = [f"annotator-{number}" for number in range(annotators)]
        self.items = [f"item-{number}" for number in range(items)]
        self.working = self.annotators[: EVENTS_PER_SECOND * LABEL_SECONDS]
        self.at, self.labels = 1_767_600_000_000_000, 0
        for name in self.annotators:
            annotator = self.memory.annotator_of(self.question, name, self.at)
            for _ in range(30):
                self._judge(annotator)
        for name in self.items:
            self._label(self.memory.item_of(self.question, name, self.at), self.rng.choice(self.annotators))

    def fetch(self, key: Key) -> Any:
        """Return the record of a key."""
        return self.question.items[key[1]] if key[0] == "item" else self.question.annotators[key[1]]

    def all_keys(self) -> list[Key]:
        """Return the keys of all records."""
        return [*(("annotator", name) for name in self.annotators), *(("item", name) for name in self.items)]

    def work(self, events: int) -> list[Key]:
        """Let annotators label items; return the keys of what they touch, repeats included."""
        touched: list[Key] = []
        for _ in range(events):
            who, what = self.rng.choice(self.working), self.rng.choice(self.items)
            self._judge(self.question.annotators[who])
            item = self.question.items[what]
            item.labels = []
            self._label(item, who)
            touched += (("annotator", who), ("item", what))
        return touched

    def _judge(self, annotator: AnnotatorRecord) -> None:
        self.at += 1_000_000 // EVENTS_PER_SECOND
        annotator.stream.update(float(self.rng.random() < 0.9), self.at)
        annotator.duration_p50.update(self.rng.randrange(9_000))
        annotator.duration_p90.update(self.rng.randrange(9_000))

    def _label(self, item: ItemRecord, annotator: str) -> None:
        self.labels += 1
        item.labels.append(
            LabelRecord(
                f"annotation-{self.labels}", "question", item.item_id, annotator, "annotate", 0, "severe", self.at,
                self.at, 0, 4_000, self.labels,
            )
        )  # fmt: skip


def main() -> int:
    """Measure and print; return 1 if a target is missed."""
    options = _options()
    print(f"making {options.annotators:,} annotators and {options.items:,} items …", file=sys.stderr)
    world = World(annotators=options.annotators, items=options.items, seed=1)
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000_000, 50, 100)
    folder = Path(tempfile.mkdtemp(prefix="labelpulse-snapshots-", dir=options.folder))
    try:
        whole = _whole(world)
        found = _segments(world, folder, options)
    finally:
        shutil.rmtree(folder)
    print(f"whole state each time: {whole:.2f} s of CPU a snapshot, in one pause")
    print(f"segments: {found.share:.1%} of CPU (target {TARGET_SHARE:.0%})")
    print(
        f"longest pause: {found.pause_cpu * 1000:.0f} ms of CPU, {found.pause * 1000:.0f} ms by the clock "
        f"(target {TARGET_PAUSE * 1000:.0f} ms)"
    )
    return 0 if found.share <= TARGET_SHARE and found.pause <= TARGET_PAUSE else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.snapshots", description=__doc__)
    parser.add_argument("--annotators", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--snapshots", type=int, default=8)
    parser.add_argument("--snapshot-seconds", type=float, default=30.0)
    parser.add_argument("--ahead", type=int, default=40_000, help="weight written ahead after each of the last batches")
    parser.add_argument("--folder", help="where the segments go; default: the folder for temporary files")
    return parser.parse_args()


def _whole(world: World) -> float:
    """Return the CPU seconds to encode all of the state as one value."""
    began = time.process_time()
    codec = BlockCodec()
    codec.encode("annotator", list(world.question.annotators.values()))
    codec.encode("item", list(world.question.items.values()))
    return time.process_time() - began


@dataclass(slots=True)
class Found:
    """Share of a core that snapshots cost; seconds of the longest pause, by the clock and of this process's CPU."""

    share: float = 0.0
    pause: float = 0.0
    pause_cpu: float = 0.0


class Stopwatch:
    """Seconds by the clock and of CPU, of all calls and of the longest."""

    def __init__(self) -> None:
        self.cpu = self.longest = self.longest_cpu = 0.0

    def run(self, action: Callable[[], Any]) -> Any:
        """Do something and take its time."""
        cpu, clock = time.process_time(), time.perf_counter()
        result = action()
        cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
        self.cpu += cpu
        self.longest, self.longest_cpu = max(self.longest, clock), max(self.longest_cpu, cpu)
        return result


def _segments(world: World, folder: Path, options: argparse.Namespace) -> Found:
    """Measure snapshots at full speed."""
    log = SegmentLog(SegmentFolder(folder), BlockCodec(), fetch=world.fetch, weights=WEIGHTS)
    for key in world.all_keys():
        log.mark(key)
    log.snapshot()
    found, reference = Found(), b""
    for number in range(options.snapshots):
        after_batches, in_snapshot = Stopwatch(), Stopwatch()
        _work_until_snapshot(world, log, after_batches, options)
        reference = in_snapshot.run(lambda: log.snapshot(carried_weight_min=CARRIED_WEIGHT_MIN))
        share = (after_batches.cpu + in_snapshot.cpu) / options.snapshot_seconds
        found.share += share / options.snapshots
        for watch in (after_batches, in_snapshot):
            found.pause = max(found.pause, watch.longest)
            found.pause_cpu = max(found.pause_cpu, watch.longest_cpu)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(
            f"snapshot {number + 1:>3}: {share:6.1%} of CPU; {in_snapshot.cpu * 1000:4.0f} ms of CPU in the snapshot "
            f"({in_snapshot.longest * 1000:.0f} by the clock), {after_batches.longest_cpu * 1000:3.0f} after a batch; "
            f"{size / 1e6:,.0f} MB on disk",
            file=sys.stderr,
        )
    began = time.process_time()
    restored = SegmentLog(SegmentFolder(folder), BlockCodec(), fetch=world.fetch, weights=WEIGHTS).restore(reference)
    print(f"restored {len(restored):,} records in {time.process_time() - began:.1f} s of CPU")
    assert len(restored) == options.annotators + options.items
    return found


def _work_until_snapshot(world: World, log: SegmentLog, watch: Stopwatch, options: argparse.Namespace) -> None:
    """Let events come; mark what they touch, and write ahead: items as they come, annotators at the end."""
    batches = round(options.snapshot_seconds / BATCH_SECONDS)
    for batch in range(batches):
        touched = world.work(round(EVENTS_PER_SECOND * BATCH_SECONDS))

        def mark(touched: list[Key] = touched, is_end: bool = (batches - batch) * BATCH_SECONDS <= END_SECONDS) -> None:
            for key in touched:
                log.mark(key)
            log.write_ahead(ITEMS_AHEAD, kind="item")
            if is_end:
                log.write_ahead(options.ahead)

        watch.run(mark)


if __name__ == "__main__":
    sys.exit(main())
