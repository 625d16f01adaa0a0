"""The spool: what it says is on the disk can be read back, in order, whatever happened in between."""

import errno
import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import IncompatibleStateError, UnavailableError
from sinks.spool.segments import ASIDE_NAME, STATE_NAME, Position
from sinks.spool.spool import Spool, SpoolFullError

WAIT_SECONDS = 30


class Commits:
    """Collects what a spool says of its commits."""

    def __init__(self) -> None:
        self.tokens: list[Any] = []
        self.failed: list[Any] = []
        self.groups = 0
        self._changed = threading.Condition()

    def __call__(self, tokens: list[Any], error: OSError | None) -> None:
        with self._changed:
            (self.tokens if error is None else self.failed).extend(tokens)
            self.groups += 1
            self._changed.notify_all()

    def wait(self, count: int) -> None:
        """Wait until so many appends have ended, one way or the other."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.tokens) + len(self.failed) >= count, WAIT_SECONDS)


@contextmanager
def opened(folder: Path, **options: Any) -> Iterator[tuple[Spool, Commits]]:
    """Open a spool, and close it."""
    commits = Commits()
    spool = Spool(folder, **{"bytes_max": 1_000_000, "on_commit": commits, **options})
    try:
        yield spool, commits
    finally:
        spool.close()


def read_all(spool: Spool, *, bytes_max: int = 4_096) -> list[bytes]:
    """Read and forget everything that is in a spool."""
    found: list[bytes] = []
    while (events := spool.read(bytes_max=bytes_max)).lines:
        found += events.lines
        spool.set_forwarded(events.end)
    return found


def test_what_is_committed_is_in_the_file(tmp_path: Path) -> None:
    """At the time of the commit another program that reads the directory finds the lines."""
    with opened(tmp_path) as (spool, commits):
        spool.append(b'{"a":1}\n{"a":2}\n', "first")
        commits.wait(1)
        assert commits.tokens == ["first"]
        (segment,) = tmp_path.glob("events-*.jsonl")
        assert segment.read_bytes() == b'{"a":1}\n{"a":2}\n'


def test_appends_that_arrive_during_a_sync_share_the_next_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred appends while the disk is busy cost one sync, not a hundred; nothing is read before it is synced."""
    entered, goes_on = threading.Event(), threading.Event()
    write = os.write

    def slow(descriptor: int, data: memoryview) -> int:
        entered.set()
        assert goes_on.wait(WAIT_SECONDS)
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", slow)
    with opened(tmp_path) as (spool, commits):
        spool.append(b"first\n", 0)
        assert entered.wait(WAIT_SECONDS)
        for number in range(1, 101):
            spool.append(b"%d\n" % number, number)
        assert not commits.tokens
        assert spool.read().lines == []
        assert not spool.is_idle
        goes_on.set()
        commits.wait(101)
        assert commits.tokens == list(range(101))
        assert commits.groups == 2


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4), min_size=1, max_size=12),
    st.integers(20, 120),
    st.integers(1, 100),
)
def test_all_lines_come_back_in_order(
    tmp_path_factory: pytest.TempPathFactory, groups: list[list[bytes]], segment_bytes: int, read_bytes: int
) -> None:
    """However lines are cut into segments and reads, each is read once and in order."""
    lines = [[line.hex().encode() for line in group] for group in groups]
    with opened(tmp_path_factory.mktemp("spool"), segment_bytes_max=segment_bytes) as (spool, commits):
        for number, group in enumerate(lines, start=1):
            spool.append(b"\n".join(group) + b"\n", number)
            commits.wait(number)
        assert spool.bytes_held == sum(len(line) + 1 for group in lines for line in group)
        assert read_all(spool, bytes_max=read_bytes) == [line for group in lines for line in group]
        assert spool.bytes_held == 0
        assert len(list(spool.folder.glob("events-*.jsonl"))) == 1


def test_what_was_not_forwarded_is_there_after_a_restart(tmp_path: Path) -> None:
    """A new process goes on behind the last event that was forwarded, in a segment of its own."""
    with opened(tmp_path) as (spool, commits):
        spool.append(b"a\nb\n", 0)
        commits.wait(1)
        spool.set_forwarded(Position(1, 2))
    with opened(tmp_path) as (spool, commits):
        assert spool.bytes_held == 2
        spool.append(b"c\n", 0)
        commits.wait(1)
        assert read_all(spool) == [b"b", b"c"]


def test_names_of_segments_only_ever_ascend(tmp_path: Path) -> None:
    """Where all segments were taken away the next one is not called like an earlier one: readers go by name."""
    for expected in ("events-000000000001.jsonl", "events-000000000002.jsonl"):
        with opened(tmp_path) as (spool, commits):
            spool.append(b"x\n", 0)
            commits.wait(1)
            (segment,) = tmp_path.glob("events-*.jsonl")
            assert segment.name == expected
            segment.unlink()


def test_half_a_line_from_a_crash_is_no_event(tmp_path: Path) -> None:
    """What a crash left of a line is neither read nor joined with the next one."""
    with opened(tmp_path) as (spool, commits):
        spool.append(b"whole\n", 0)
        commits.wait(1)
    with (tmp_path / "events-000000000001.jsonl").open("ab") as file:
        file.write(b'{"half')
    with opened(tmp_path) as (spool, commits):
        spool.append(b"next\n", 0)
        commits.wait(1)
        assert read_all(spool) == [b"whole", b"next"]


def test_a_write_returns_when_it_is_on_the_disk(tmp_path: Path) -> None:
    """The open segment is written synchronously: there is no moment between a write and its sync."""
    with opened(tmp_path) as (spool, commits):
        spool.append(b"line\n", 0)
        commits.wait(1)
        (segment,) = tmp_path.glob("events-*.jsonl")
        (descriptor,) = (int(link.name) for link in Path("/proc/self/fd").iterdir() if _is_link_to(link, segment))
        assert fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DSYNC


def _is_link_to(link: Path, target: Path) -> bool:
    try:
        return link.readlink() == target
    except FileNotFoundError:  # the descriptor of the listing itself
        return False


@pytest.mark.parametrize("way", ["half", "broken"])
def test_a_failing_disk_is_told_and_leaves_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """A write that fails half-way, or at once, fails its group alone; later lines are whole."""
    real_write = os.write

    def half(descriptor: int, data: memoryview) -> int:
        if len(data) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(descriptor, data[: len(data) // 2])

    def broken(descriptor: int, data: memoryview) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with opened(tmp_path) as (spool, commits):
        spool.append(b"before\n", 0)
        commits.wait(1)
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", half if way == "half" else broken)
            spool.append(b"lost\n", 1)
            commits.wait(2)
        assert commits.failed == [1]
        spool.append(b"after\n", 2)
        commits.wait(3)
        assert [line for line in read_all(spool) if line != b"lost"] == [b"before", b"after"]


def test_a_full_spool_takes_no_more_until_some_is_forwarded(tmp_path: Path) -> None:
    """The limit counts what was not forwarded; an append beyond it is refused and writes nothing."""
    with opened(tmp_path, bytes_max=10) as (spool, commits):
        spool.append(b"12345678\n", 0)
        with pytest.raises(SpoolFullError, match="9 bytes of at most 10"):
            spool.append(b"12\n", 1)
        commits.wait(1)
        assert read_all(spool) == [b"12345678"]
        spool.append(b"12\n", 2)
        commits.wait(2)
        assert commits.tokens == [0, 2]


def test_segments_that_were_moved_away_make_room(tmp_path: Path) -> None:
    """Where the directory itself is the log, who takes segments away after reading frees their bytes."""
    with opened(tmp_path, bytes_max=10, segment_bytes_max=9) as (spool, commits):
        spool.append(b"12345678\n", 0)
        commits.wait(1)
        (tmp_path / "events-000000000001.jsonl").unlink()
        spool.append(b"12345678\n", 1)
        commits.wait(2)
        assert commits.tokens == [0, 1]


def test_two_processes_cannot_use_one_spool(tmp_path: Path) -> None:
    """The second one is told so, whatever the first one is."""
    with opened(tmp_path), pytest.raises(UnavailableError, match="in use"):
        Spool(tmp_path, bytes_max=1, on_commit=Commits())
    with opened(tmp_path):
        pass


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """A file in the place of the folder is an error in plain words."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="cannot be used"):
        Spool(tmp_path / "file", bytes_max=1, on_commit=Commits())


def test_a_spool_of_another_version_is_refused(tmp_path: Path) -> None:
    """State that a newer version wrote is not guessed at, and the directory is free afterwards."""
    (tmp_path / STATE_NAME).write_text(json.dumps({"version": 2}))
    with pytest.raises(IncompatibleStateError):
        Spool(tmp_path, bytes_max=1, on_commit=Commits())
    (tmp_path / STATE_NAME).unlink()
    with opened(tmp_path):
        pass


def test_a_state_that_power_cut_short_means_all_is_forwarded_again(tmp_path: Path) -> None:
    """Where the state is lost events are forwarded twice rather than never."""
    with opened(tmp_path) as (spool, commits):
        spool.append(b"a\nb\n", 0)
        commits.wait(1)
        spool.set_forwarded(Position(1, 2))
    (tmp_path / STATE_NAME).write_bytes(b"")
    with opened(tmp_path) as (spool, commits):
        assert read_all(spool) == [b"a", b"b"]
        spool.append(b"c\n", 0)
        commits.wait(1)
        assert (tmp_path / "events-000000000002.jsonl").exists()


def test_what_is_put_aside_is_kept_out_of_the_log(tmp_path: Path) -> None:
    """An event that nobody takes is in a file of its own, which readers of the directory leave out."""
    with opened(tmp_path) as (spool, _):
        spool.put_aside(b"too large")
        assert (tmp_path / ASIDE_NAME).read_bytes() == b"too large\n"
        assert spool.read().lines == []
