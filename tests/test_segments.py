"""State as a base and journals: whatever crashes, at whatever step, what is resumed is what was there."""

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from flows.segment_files import SegmentFolder
from operators.segments import BasePace, ShardLog, read_reference
from schemas.errors import IncompatibleStateError, SinkError
from schemas.policy import default_policy
from tests.support.folding import FOLD_SETTINGS, HOUR, cuts_of, fold_log
from tests.support.keeping import Faults, fold_kept
from tests.support.logs import LogShape, random_log

FULL = replace(FOLD_SETTINGS, has_consensus=True, has_agreement=True, has_estimates=True, policy=default_policy())
SHORT_MEMORY = replace(FULL, retention=HOUR, annotator_retention=2 * HOUR, judgement_age_max=HOUR // 2)
MORE = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 12)]


@pytest.mark.parametrize("is_beside", [False, True], ids=["at once", "beside"])
@pytest.mark.parametrize("seed", [0, *MORE])
def test_crashes_change_no_row(seed, is_beside, tmp_path):
    """With all statistics, an hour of memory and crashes at any step of the store, all rows are as without any."""
    lines = random_log(seed, LogShape(events=200, is_workflow=bool(seed % 2)))
    settings = (SHORT_MEMORY, FULL)[seed % 3 == 2]
    faults = Faults(random.Random(seed), 0.06)
    kept = fold_kept(
        lines,
        cuts=cuts_of(len(lines), 1 + seed % 5),
        settings=settings,
        folder=tmp_path,
        faults=faults,
        is_beside=is_beside,
    )
    assert len(faults.crashes) >= 3
    assert kept == fold_log(lines, settings=settings)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Callable[[], SegmentFolder]]:
    """Opens the folder of a shard; whoever had it open before has crashed."""
    stores: list[SegmentFolder] = []

    def open_folder() -> SegmentFolder:
        for store in stores:
            store.close()
        stores.append(SegmentFolder(tmp_path / "shard"))
        return stores[-1]

    yield open_folder
    open_folder().close()


def logged(store: SegmentFolder, state: list[bytes], **pace: int) -> ShardLog:
    """Return the log of a state that is a list."""
    pace = {"records_min": 10, "at_once_bytes_max": 10**9} | pace
    return ShardLog("shard", store, BasePace(lambda: 0.0, share=1.0, **pace), blocks=lambda: iter(list(state)))


def held(store: SegmentFolder, reference: bytes) -> list[bytes]:
    """Return what a reference names."""
    found = read_reference(reference)
    entries = list(store.base(found.base)) if found.base is not None else []
    return [*entries, *(entry for journal in found.journals for entry in store.journal(journal))]


def note(log: ShardLog, state: list[bytes], entry: bytes) -> None:
    """Let something happen."""
    state.append(entry)
    log.note(entry, records=1)


def test_a_base_is_written_beside_the_fold(folder):
    """Another process writes the state as it was when it began; what comes meanwhile goes to the next journal."""
    store, state = folder(), []
    log = logged(store, state, at_once_bytes_max=0)
    for number in range(10):
        note(log, state, b"%d" % number)
    assert store._process is not None
    os.waitid(os.P_PID, store._process._pid, os.WEXITED | os.WNOWAIT)
    note(log, state, b"later")
    reference = log.snapshot([])
    found = read_reference(reference)
    assert found.base is not None and found.base.number == 1 and [journal.number for journal in found.journals] == [2]
    assert list(folder().base(found.base)) == [b"%d" % number for number in range(10)]
    assert held(folder(), reference) == state


def test_a_base_that_fails_is_written_at_once_the_next_time(folder):
    """A process that is killed, or cannot write, loses nothing and is not tried in vain for ever."""
    store, state = folder(), []
    log = logged(store, state, at_once_bytes_max=0)
    for number in range(10):
        note(log, state, b"%d" % number)
    os.kill(store._process._pid, 9)
    os.waitid(os.P_PID, store._process._pid, os.WEXITED | os.WNOWAIT)
    reference = log.snapshot([])
    assert read_reference(reference).base is None and held(store, reference) == state
    note(log, state, b"then")
    reference = log.snapshot([])
    assert read_reference(reference).base is not None and held(store, reference) == state


def test_the_last_snapshot_is_a_base_alone(folder):
    """A drain leaves a base and no journal to fold again, also where a base was being written."""
    store, state = folder(), []
    log = logged(store, state, at_once_bytes_max=0)
    for number in range(10):
        note(log, state, b"%d" % number)
    assert store._process is not None
    found = read_reference(log.snapshot([], is_last=True))
    assert store._process is None and found.journals == () and list(store.base(found.base)) == state
    assert log.snapshot([], is_last=True) == log.snapshot([])


def test_a_base_of_a_shard_that_has_gone_quiet_keeps_no_other_waiting(tmp_path):
    """Another shard sees that it is written, and begins its own."""
    pace = BasePace(lambda: 0.0, share=1.0, records_min=2, at_once_bytes_max=0)
    stores = [SegmentFolder(tmp_path / name) for name in "ab"]
    logs = [ShardLog(name, store, pace, blocks=lambda: [b"state"]) for name, store in zip("ab", stores, strict=True)]
    for _ in range(2):
        logs[0].note(b"entry", records=1)
    logs[1].note(b"entry", records=2)
    assert stores[0]._process is not None and stores[1]._process is None
    os.waitid(os.P_PID, stores[0]._process._pid, os.WEXITED | os.WNOWAIT)
    logs[1].note(b"entry", records=2)
    assert stores[0]._process is None and stores[1]._process is not None
    for log, store in zip(logs, stores, strict=True):
        assert read_reference(log.snapshot([], is_last=True)).base is not None
        store.close()


def test_files_stay_few(folder, tmp_path):
    """However long it runs, there are the files of the last few snapshots; of each of these all are there."""
    store, state, references = folder(), [], []
    log = logged(store, state)
    for number in range(200):
        note(log, state, b"%d" % number)
        if number % 7 == 0:
            references.append((log.snapshot([]), list(state)))
            assert len(list((tmp_path / "shard").iterdir())) <= 8
            for reference, expected in references[-3:]:
                assert held(store, reference) == expected


def test_numbers_are_not_used_again(folder):
    """What a process that crashed has left is neither written over nor taken for part of the state."""
    state: list[bytes] = []
    log = logged(folder(), state)
    note(log, state, b"one")
    reference = log.snapshot([])
    note(log, state, b"lost")
    again = logged(folder(), state := [b"one"])
    again.resume(read_reference(reference), records=1)
    note(again, state, b"two")
    reference = again.snapshot([])
    assert held(folder(), reference) == state == [b"one", b"two"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "bytes, not"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?"), "not those that were written"),
    ],
)
@pytest.mark.parametrize("kind", ["base", "journal"])
def test_torn_and_missing_segments_are_told(folder, tmp_path, kind, damage, reason):
    """A segment that is gone, cut or altered is a plain error, never a state that lacks something."""
    state: list[bytes] = []
    log = logged(folder(), state)
    for number in range(12):
        note(log, state, b"%d" % number)
    reference = log.snapshot([])
    for file in (tmp_path / "shard").glob(f"*.{kind}"):
        damage(file)
    with pytest.raises(IncompatibleStateError, match=f"segment .* is damaged: .*{reason}"):
        held(folder(), reference)


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    """Where a file is in the way, that is a plain error."""
    (tmp_path / "shard").write_text("")
    with pytest.raises(SinkError, match="state cannot be written"):
        SegmentFolder(tmp_path / "shard" / "below")


def test_bases_take_their_share_of_the_time():
    """After a base of a second there is none for as long as the share demands; then the one worth most goes first."""
    now, nothing = [0.0], lambda: None
    pace = BasePace(lambda: now[0], share=0.1, records_min=10)
    assert not pace.may_begin("a", records=9, size=1, look=nothing)
    assert pace.may_begin("a", records=10, size=100, look=nothing)
    assert not pace.may_begin("b", records=1000, size=1, look=nothing)
    pace.ended(1.0)
    now[0] = 8.9
    assert not pace.may_begin("b", records=1000, size=1, look=nothing)
    now[0] = 9.0
    assert not pace.may_begin("c", records=20, size=100, look=nothing)
    assert pace.may_begin("b", records=1000, size=1, look=nothing)
    pace.ended(1.0)
    now[0] = 18.0
    assert pace.may_begin("c", records=20, size=100, look=nothing)
