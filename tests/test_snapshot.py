"""The form of the state on disk: what was written once can be read for good, and what cannot is refused plainly."""

from pathlib import Path

import pytest

from operators.decode import Decoder
from operators.shard import Shard, ShardState
from operators.snapshot import decode_state, decode_whole_state, encode_state
from schemas.errors import IncompatibleStateError
from tests.support.folding import DECODE_SETTINGS, FOLD_SETTINGS, batches_of, merge_rows
from tests.support.logs import LogShape, random_log

GOLDEN = Path(__file__).parent / "snapshots" / "format-1.bin"
"""State after the first half of the log below; written once, by `encode_state`, and never again."""

LINES = random_log(4, LogShape(events=400, projects=1))
HALF = len(LINES) // 2


def rows_after(shard: Shard, lines: list[bytes], *, start: int) -> dict:
    """Fold lines that stand in the log from `start` on, and return the rows they change."""
    tables: dict = {name: {} for name in ("labels_versions", "annotators_versions", "annotator_windows_versions")}
    [batch] = batches_of(lines, [len(lines)])
    batch.offsets = range(start, start + len(lines))
    for _, value in Decoder(DECODE_SETTINGS)([batch]):
        rows = shard.take([value]).rows
        merge_rows(tables, {name: rows[name] for name in tables if name in rows})
    return tables


def half_way() -> Shard:
    """Return a shard that has folded the first half."""
    shard = Shard(ShardState({}, {}), FOLD_SETTINGS)
    rows_after(shard, LINES[:HALF], start=0)
    return shard


def test_an_old_snapshot_still_loads_and_goes_on() -> None:
    """From the state that an earlier build wrote, the rest of the log gives the rows of an undisturbed run."""
    resumed = Shard(decode_whole_state(GOLDEN.read_bytes(), window=FOLD_SETTINGS.window), FOLD_SETTINGS)
    assert rows_after(resumed, LINES[HALF:], start=HALF) == rows_after(half_way(), LINES[HALF:], start=HALF)


def test_state_of_another_format_is_refused() -> None:
    """A snapshot of an unknown format, or one that is damaged, is refused with a plain reason."""
    data = next(encode_state(half_way().state))
    for damaged in (bytes([data[0], 99]) + data[2:], data[: len(data) // 2], b"", b"\x00"):
        with pytest.raises(IncompatibleStateError, match="recovery store holds state"):
            decode_state([damaged])
