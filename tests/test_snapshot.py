"""The form of the state on disk: what was written once can be read for good, and what cannot is refused plainly."""

import gzip
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import pytest

from flows.segment_files import SegmentFolder
from operators.decode import Decoder
from operators.project.settings import FoldSettings
from operators.segments import Segment
from operators.shard import Shard, ShardState
from operators.snapshot import decode_state, decode_whole_state, encode_state
from schemas.errors import IncompatibleStateError
from schemas.policy import default_policy
from schemas.rows import TABLES
from tests.support.folding import DECODE_SETTINGS, FOLD_SETTINGS, batches_of, merge_rows

GOLDEN = Path(__file__).parent / "snapshots"
"""State after the first half of the log beside it; written once, by a build of that format, and never again."""
LEARNT_SINCE = {"accuracy_estimate", "estimate_low", "estimate_high"} | {
    f"consensus_{name}" for name in ("labels", "accuracy", "low", "high")
}
"""Columns that rest on evidence which a build of format 2 did not gather."""
FULL = replace(FOLD_SETTINGS, has_consensus=True, has_agreement=True, has_estimates=True, policy=default_policy())


def golden_log(version: int) -> list[bytes]:
    """Return the lines of the log of a golden snapshot."""
    return gzip.decompress((GOLDEN / f"format-{version}.jsonl.gz").read_bytes()).split(b"\n")[:-1]


def rows_after(shard: Shard, lines: list[bytes], *, start: int) -> dict:
    """Fold lines that stand in the log from `start` on, and return the rows they change."""
    tables: dict = {name: {} for name in ("labels_versions", "annotators_versions", "annotator_windows_versions")}
    [batch] = batches_of(lines, [len(lines)])
    batch.offsets = range(start, start + len(lines))
    for _, value in Decoder(DECODE_SETTINGS)([batch]):
        rows = shard.take([value]).rows
        merge_rows(tables, {name: rows[name] for name in tables if name in rows})
    return tables


def half_way(lines: list[bytes], settings: FoldSettings) -> Shard:
    """Return a shard that has folded the first half of a log."""
    shard = Shard(ShardState({}, {}), settings)
    rows_after(shard, lines[: len(lines) // 2], start=0)
    return shard


def known_then(tables: dict, version: int) -> dict:
    """Leave out what a build of a format could not know."""
    left_out = LEARNT_SINCE if version == 2 else set()
    kept = {
        name: [index for index, column in enumerate(TABLES[name].columns) if column not in left_out] for name in tables
    }
    return {
        name: {key: [row[index] for index in kept[name]] for key, row in rows.items()} for name, rows in tables.items()
    }


def golden_state(version: int, settings: FoldSettings) -> ShardState:
    """Return the state of a golden snapshot; up to format 2 it is one value, from 3 on a base."""
    if version <= 2:
        return decode_whole_state((GOLDEN / f"format-{version}.bin").read_bytes(), window=settings.window)
    data = (GOLDEN / f"{version:012d}.base").read_bytes()
    return decode_state(SegmentFolder(GOLDEN).base(Segment(version, len(data), crc32(data))))


@pytest.mark.parametrize(("version", "log", "settings"), [(1, 1, FOLD_SETTINGS), (2, 2, FULL), (3, 2, FULL)])
def test_an_old_snapshot_still_loads_and_goes_on(version: int, log: int, settings: FoldSettings) -> None:
    """From the state that an earlier build wrote, the rest of the log gives the rows of an undisturbed run."""
    lines = golden_log(log)
    half = len(lines) // 2
    resumed = Shard(golden_state(version, settings), settings)
    expected = known_then(rows_after(half_way(lines, settings), lines[half:], start=half), version)
    assert known_then(rows_after(resumed, lines[half:], start=half), version) == expected


def test_state_of_another_format_is_refused() -> None:
    """A snapshot of an unknown format, or one that is damaged, is refused with a plain reason."""
    data = next(encode_state(half_way(golden_log(1), FOLD_SETTINGS).state))
    for damaged in (bytes([data[0], 99]) + data[2:], data[: len(data) // 2], b"", b"\x00"):
        with pytest.raises(IncompatibleStateError, match="recovery store holds state"):
            decode_state([damaged])
