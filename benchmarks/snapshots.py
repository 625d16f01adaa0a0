"""What it costs to keep the state of a large project, and to have it back: ``python -m benchmarks.snapshots``.

A project with 100,000 annotators and 1,000,000 open items, with all statistics, is folded by the flow's own classes
and kept in files. Then events come at 5,000 a second of real time, with a snapshot every 30 s; and at the end another
process, which knows the files alone, is timed from its start to its first new row. CPU is that of this process and of
those that write bases; the share of it that keeping takes is told twice: what was spent in keeping itself, and all that
was spent, less what the same number of events costs without keeping (so with pages copied for the sake of a base).
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.measure import Usage
from flows.dataflow import decode_settings_of, fold_settings_of
from flows.policy import load_policy
from flows.run import rare_collections
from flows.segment_files import ShardFolders
from flows.settings import Settings
from operators.decode import Decoder
from operators.kept_shard import KeptShard
from operators.segments import read_reference
from schemas.records import RecordBatch
from schemas.timestamps import moment_of

EVENTS_PER_SECOND = 5_000
LABEL_SECONDS = 2
BATCH = 2_500
GOLD_SHARE = 0.1
ACCURACY = 0.9
PROJECT = "project"
CLASSES = ("none", "mild", "severe")
START = 1_767_600_000_000_000
TARGET_SHARE = 0.10
TARGET_PAUSE = 0.3
TARGET_RESTART = 5.0


class World:
    """A project at work, as lines of a log.

    Parameters
    ----------
    annotators, items
        How many there are.
    """

    def __init__(self, *, annotators: int, items: int) -> None:
        self._rng = random.Random(1)
        self._annotators, self._items = annotators, items
        self.lines = 0

    def fill(self) -> Iterator[list[bytes]]:
        """Yield batches after which each item has a label, and some a known answer."""
        lines: list[bytes] = []
        for item in range(self._items):
            if item % round(1 / GOLD_SHARE) == 0:
                lines.append(self._gold(item))
            lines.append(self._label(item % self._annotators, item))
            if len(lines) >= BATCH:
                yield lines
                lines = []

    def work(self) -> list[bytes]:
        """Return a batch of labels by those who are at work."""
        working = min(EVENTS_PER_SECOND * LABEL_SECONDS, self._annotators)
        return [self._label(self._rng.randrange(working), self._rng.randrange(self._items)) for _ in range(BATCH)]

    def _label(self, annotator: int, item: int) -> bytes:
        value = CLASSES[item % 3] if self._rng.random() < ACCURACY else self._rng.choice(CLASSES)
        return self._event(
            type="annotation.submitted", question_id="question", item_id=f"item-{item}",
            annotator_id=f"annotator-{annotator}", annotation_id=f"annotation-{self.lines}",
            label={"kind": "categorical", "value": value}, duration_ms=self._rng.randrange(500, 9_000),
        )  # fmt: skip

    def _gold(self, item: int) -> bytes:
        answers = [{"label": {"kind": "categorical", "value": CLASSES[item % 3]}}]
        return self._event(type="gold.set", question_id="question", item_id=f"item-{item}", answers=answers)

    def _event(self, **fields: Any) -> bytes:
        self.lines += 1
        at = moment_of(START + self.lines * 1_000_000 // EVENTS_PER_SECOND).isoformat()
        common = {"event_id": f"event-{self.lines}", "occurred_at": at, "source": "bench", "project_id": PROJECT}
        return json.dumps(common | fields).encode()


@dataclass
class Stopwatch:
    """Seconds by the clock and of CPU, of all calls and of the longest."""

    cpu: float = 0.0
    longest: float = 0.0
    longest_cpu: float = 0.0

    def run(self, action: Callable[[], Any]) -> Any:
        """Do something and take its time."""
        cpu, clock = time.thread_time(), time.perf_counter()
        result = action()
        cpu, clock = time.thread_time() - cpu, time.perf_counter() - clock
        self.cpu += cpu
        self.longest, self.longest_cpu = max(self.longest, clock), max(self.longest_cpu, cpu)
        return result


class Flow:
    """Decoder and shard of the flow, kept in a folder or not.

    Parameters
    ----------
    folder
        Where the shard is kept.
    counts_only
        Whether consensus, agreement, estimates and alerts are left out.
    resume
        The reference to resume from; None to begin with nothing.
    """

    def __init__(self, folder: Path, *, counts_only: bool, resume: bytes | None = None) -> None:
        learns = not counts_only
        settings = Settings(consensus=learns, agreement=learns, estimates=learns, alerts=learns)
        now = datetime.now(UTC)
        self._decoder = Decoder(decode_settings_of(settings, first_started_at=now))
        self.folders = ShardFolders(folder)
        self.shard = KeptShard(fold_settings_of(settings, policy=load_policy(None)), self.folders.keeping, resume)
        self.restart_watches()

    def restart_watches(self) -> None:
        """Measure anew."""
        self.decoding, self.folding, self.keeping, self.snapshots = (Stopwatch() for _ in range(4))

    def take(self, lines: list[bytes], *, first: int) -> int:
        """Fold lines that begin at an offset of the log; return how many rows they changed."""
        batch = RecordBatch("bench:log", 0, range(first, first + len(lines)), lines, first + len(lines))
        values = self.decoding.run(lambda: [value for _, value in self._decoder([batch])])
        rows = self.folding.run(lambda: self.shard.fold(values))
        self.keeping.run(lambda: self.shard.keep(values))
        return sum(map(len, rows.rows.values()))

    def snapshot(self) -> bytes:
        """Take a snapshot."""
        return self.snapshots.run(self.shard.snapshot)


@dataclass
class Found:
    """What was measured: shares of a core, and seconds."""

    share: float = 0.0
    share_by_difference: float = 0.0
    pause: float = 0.0
    pause_cpu: float = 0.0
    reference: bytes = field(default=b"", repr=False)


def main() -> int:
    """Measure and print; return 1 if a target is missed."""
    options = _options()
    if options.resume:
        return _resume(Path(options.resume), options)
    folder = Path(tempfile.mkdtemp(prefix="labelpulse-snapshots-", dir=options.folder))
    try:
        with rare_collections():
            world = World(annotators=options.annotators, items=options.items)
            flow = Flow(folder, counts_only=options.counts_only)
            _fill(world, flow)
            found = _measure(world, flow, options)
            restart = _restarted(folder, found.reference, world.lines, options)
            flow.folders.close()
    finally:
        shutil.rmtree(folder)
    print(
        f"keeping: {found.share:.1%} of a core, {found.share_by_difference:.1%} by difference "
        f"(target {TARGET_SHARE:.0%})"
    )
    print(
        f"longest pause: {found.pause_cpu * 1000:.0f} ms of CPU, {found.pause * 1000:.0f} ms by the clock "
        f"(target {TARGET_PAUSE * 1000:.0f} ms)"
    )
    print(f"from the start of a process to its first new row: {restart:.1f} s (target {TARGET_RESTART:.0f} s)")
    is_met = found.share <= TARGET_SHARE and found.pause <= TARGET_PAUSE and restart <= TARGET_RESTART
    return 0 if is_met else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.snapshots", description=__doc__)
    parser.add_argument("--annotators", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=120.0, help="of work that is measured")
    parser.add_argument("--snapshot-seconds", type=float, default=30.0)
    parser.add_argument("--counts-only", action="store_true", help="leave out consensus, agreement, estimates, alerts")
    parser.add_argument("--folder", help="where the files go; default: the folder for temporary files")
    parser.add_argument("--resume", help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def _fill(world: World, flow: Flow) -> None:
    began, first = time.monotonic(), 0
    for lines in world.fill():
        flow.take(lines, first=first)
        first += len(lines)
    flow.snapshot()
    print(f"folded {world.lines:,} events in {time.monotonic() - began:.0f} s", file=sys.stderr)


def _measure(world: World, flow: Flow, options: argparse.Namespace) -> Found:
    plain = _plain_cost(world, flow)
    flow.restart_watches()
    found, making, began, due = Found(), Stopwatch(), Usage.now(), options.snapshot_seconds
    events = 0
    while (elapsed := time.monotonic() - began.seconds) < options.seconds:
        time.sleep(max(events / EVENTS_PER_SECOND - elapsed, 0.0))
        if elapsed >= due:
            found.reference, due = flow.snapshot(), due + options.snapshot_seconds
            _tell(flow, found.reference, elapsed)
        lines = making.run(world.work)
        flow.take(lines, first=world.lines - len(lines))
        events += len(lines)
    used = Usage.now() - began
    spent = used.cpu_seconds - making.cpu
    found.share_by_difference = (spent - events * plain) / used.seconds
    found.share = (spent - flow.folding.cpu - flow.decoding.cpu) / used.seconds
    for watch in (flow.keeping, flow.snapshots):
        found.pause, found.pause_cpu = max(found.pause, watch.longest), max(found.pause_cpu, watch.longest_cpu)
    print(f"{events:,} events in {used.seconds:.0f} s; {plain * 1e6:.1f} µs each without keeping", file=sys.stderr)
    return found


def _plain_cost(world: World, flow: Flow) -> float:
    """Return the CPU seconds to decode and fold one event."""
    events, cpu = 0, 0.0
    for _ in range(40):
        lines = world.work()
        before = time.thread_time()
        kept = flow.keeping.cpu
        flow.take(lines, first=world.lines - len(lines))
        cpu += time.thread_time() - before - (flow.keeping.cpu - kept)
        events += len(lines)
    return cpu / events


def _tell(flow: Flow, data: bytes, elapsed: float) -> None:
    reference = read_reference(data)
    base, journals = reference.base, sum(journal.length for journal in reference.journals)
    print(
        f"at {elapsed:4.0f} s: base {(base.length if base else 0) / 1e6:,.0f} MB, journals {journals / 1e6:,.0f} MB; "
        f"{flow.snapshots.longest * 1000:.0f} ms the longest snapshot, {flow.keeping.longest * 1000:.0f} ms else",
        file=sys.stderr,
    )


def _restarted(folder: Path, reference: bytes, first: int, options: argparse.Namespace) -> float:
    """Return the seconds from the start of another process to its first new row."""
    (folder / "reference").write_bytes(reference)
    command = [sys.executable, "-m", "benchmarks.snapshots", "--resume", str(folder), "--first", str(first)]
    command += ["--counts-only"] * options.counts_only
    began = time.time()
    told = subprocess.run(command, check=True, capture_output=True, text=True)
    print(told.stderr, end="", file=sys.stderr)
    return float(told.stdout) - began


def _resume(folder: Path, options: argparse.Namespace) -> int:
    imported = Usage.now()
    with rare_collections():
        flow = Flow(folder, counts_only=options.counts_only, resume=(folder / "reference").read_bytes())
        resumed = Usage.now() - imported
        world = World(annotators=1_000, items=1_000)
        world.lines = options.first
        assert flow.take(world.work(), first=options.first)
        print(time.time())
    print(
        f"restart: {imported.cpu_seconds:.1f} s of CPU to begin, {resumed.cpu_seconds:.1f} s to have the state "
        f"({resumed.seconds:.1f} s by the clock)",
        file=sys.stderr,
    )
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
