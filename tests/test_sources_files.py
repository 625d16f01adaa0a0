"""Files and directories of JSON lines as a source."""

import gzip
import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.sources.files import FileSlot, FileSource
from flows.sources.intake import Intake
from flows.sources.log_files import FileList
from flows.sources.slots import IDLE_SECONDS_MAX, BatchLimits, SlotContext, State
from schemas.errors import ConfigurationError, IncompatibleStateError, SourceError
from schemas.records import RecordBatch
from tests.support.reading import lines_by_definition, payloads_of, read_records, read_to_end, records_of

PIECES = [b"\n", b"\r\n", b"a", b"bc", b'{"b":1}', b"0123456789" * 3, b"\xff"]
CONTENT = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)
LIMITS = st.builds(
    BatchLimits,
    batch_records_max=st.integers(1, 8),
    batch_bytes_max=st.integers(2, 60),
    record_bytes_max=st.integers(1, 40),
)
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": zstd.compress,
    ".zstd": zstd.compress,
}
FILES = st.lists(st.tuples(CONTENT, st.sampled_from(sorted(COMPRESSORS))), max_size=4)


def write_files(folder: Path, files: list[tuple[bytes, str]]) -> None:
    """Write contents to files whose names are in their order."""
    for index, (content, suffix) in enumerate(files):
        (folder / f"{index:03d}.jsonl{suffix}").write_bytes(COMPRESSORS[suffix](content))


def open_slot(path: Path, *, until_eof: bool = True, state: State | None = None, **context: object) -> FileSlot:
    """Return the slot of a file source that lists its directory whenever it is asked."""
    source = FileSource(path, until_eof=until_eof, context=SlotContext(**context), listing_seconds=0)  # type: ignore[arg-type]
    return source.build_part("records", "slot-00", state)


def sized(batches: list[RecordBatch]) -> list[tuple[bytes, int]]:
    """Return the payloads of batches with their full sizes."""
    return [
        (payload, batch.sizes_cut.get(index, len(payload)))
        for batch in batches
        for index, payload in enumerate(batch.payloads)
    ]


@settings(deadline=None)
@given(FILES, LIMITS)
def test_records_are_the_lines_of_the_files_in_name_order(files: list[tuple[bytes, str]], limits: BatchLimits) -> None:
    """Plain or compressed, whatever the limits: each line is a record, numbered through, within the limits."""
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), files)
        intake = Intake()
        batches = read_to_end(open_slot(Path(folder), limits=limits, intake=intake))
    expected = [line for content, _ in files for line in lines_by_definition(content, limits.record_bytes_max)]
    assert sized(batches) == expected
    assert [offset for batch in batches for offset in batch.offsets] == list(range(len(expected)))
    assert intake.records_read == len(expected)
    assert intake.bytes_read == sum(len(line) for line, _ in expected)
    read = 0
    for batch in batches:
        read += len(batch.payloads)
        assert batch.records_in == read and batch.partition == 0 and batch.stamps is None
        assert batch.stream == f"file:{folder}"
        assert len(batch.payloads) <= limits.batch_records_max
        assert len(batch.payloads) == 1 or sum(map(len, batch.payloads)) <= limits.batch_bytes_max


@settings(deadline=None, max_examples=50)
@given(FILES, LIMITS)
def test_reading_resumes_exactly_from_any_snapshot(files: list[tuple[bytes, str]], limits: BatchLimits) -> None:
    """From the snapshot after any batch, a new slot gives the very records that were left, with their offsets."""
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), files)
        slot = open_slot(Path(folder), limits=limits)
        snapshots, batches = [slot.snapshot()], []
        try:
            while True:
                batches.append(slot.next_batch())
                snapshots.append(slot.snapshot())
        except StopIteration:
            slot.close()
        for index, snapshot in enumerate(snapshots):
            left = [batch for later in batches[index:] for batch in later]
            resumed = read_to_end(open_slot(Path(folder), limits=limits, state=snapshot))
            assert (records_of(resumed), sized(resumed)) == (records_of(left), sized(left))
            assert [batch.records_in for batch in resumed[-1:]] == [batch.records_in for batch in left[-1:]]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(CONTENT, min_size=1, max_size=4), min_size=1, max_size=3), LIMITS, st.booleans())
def test_a_followed_directory_gives_what_is_appended(
    files: list[list[bytes]], limits: BatchLimits, resumes: bool
) -> None:
    """Lines come once their end is there, a file's last line once a later file is; resuming changes nothing."""
    with tempfile.TemporaryDirectory() as folder:
        slot = open_slot(Path(folder), until_eof=False, limits=limits)
        taken: list[tuple[bytes, int]] = []
        expected: list[tuple[bytes, int]] = []
        for index, pieces in enumerate(files):
            path = Path(folder, f"{index:03d}.jsonl")
            for upto, piece in enumerate(pieces, start=1):
                with path.open("ab") as file:
                    file.write(piece)
                complete = b"".join(pieces[:upto]).rpartition(b"\n")
                visible = expected + lines_by_definition(complete[0] + complete[1], limits.record_bytes_max)
                taken += sized(read_what_is_there(slot))
                assert taken == visible
                if resumes:
                    state = slot.snapshot()
                    slot.close()
                    slot = open_slot(Path(folder), until_eof=False, limits=limits, state=state)
            expected += lines_by_definition(b"".join(pieces), limits.record_bytes_max)
        state = slot.snapshot()
        slot.close()
        taken += sized(read_to_end(open_slot(Path(folder), limits=limits, state=state)))
        assert taken == expected


def read_what_is_there(slot: FileSlot) -> list[RecordBatch]:
    """Return batches until the slot has given nothing twice in a row: once may be a step to the next file."""
    batches: list[RecordBatch] = []
    silent = 0
    while silent < 2:
        batch = slot.next_batch()
        silent = 0 if batch else silent + 1
        batches += batch
    return batches


def test_lines_written_before_a_later_file_appears_are_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is appended after the end was met, and just before the later file was seen, still comes first."""
    (tmp_path / "a.jsonl").write_bytes(b"1\n")
    slot = open_slot(tmp_path, until_eof=False)
    assert payloads_of(read_records(slot, 1)) == [b"1"]
    list_names = FileList.names

    def names_after_a_write(files: FileList) -> list[str]:
        if not (tmp_path / "b.jsonl").exists():
            with (tmp_path / "a.jsonl").open("ab") as file:
                file.write(b"2\n3")
            (tmp_path / "b.jsonl").write_bytes(b"4\n")
        return list_names(files)

    monkeypatch.setattr(FileList, "names", names_after_a_write)
    assert payloads_of(read_records(slot, 3)) == [b"2", b"3", b"4"]
    slot.close()


def test_compressed_files_are_followed_by_later_ones(tmp_path: Path) -> None:
    """A followed directory of compressed files is read on when the next one appears, from a snapshot as well."""
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b"1\n2"))
    slot = open_slot(tmp_path, until_eof=False)
    assert payloads_of(read_records(slot, 2)) == [b"1", b"2"]
    state = slot.snapshot()
    slot.close()
    (tmp_path / "b.jsonl.zst").write_bytes(zstd.compress(b"3\n"))
    slot = open_slot(tmp_path, until_eof=False, state=state)
    assert payloads_of(read_records(slot, 1)) == [b"3"]
    slot.close()


def test_files_that_are_being_written_or_are_not_meant_are_left_out(tmp_path: Path) -> None:
    """Hidden files, markers, half-written ``.tmp`` files and directories do not belong to the log."""
    for name in (".hidden", "_SUCCESS", "b.jsonl.tmp"):
        (tmp_path / name).write_bytes(b"no\n")
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "a.jsonl").write_bytes(b"yes\n")
    assert payloads_of(read_to_end(open_slot(tmp_path))) == [b"yes"]


def test_an_idle_slot_backs_off_up_to_a_bound_and_a_drain_ends_it(tmp_path: Path) -> None:
    """While nothing comes the slot asks to be woken later and later, at most 50 ms ahead; a drain ends it at once."""
    (tmp_path / "a.jsonl").write_bytes(b"1\nhalf a li")
    drains = [False]
    slot = open_slot(tmp_path, until_eof=False, drain=lambda: drains[0])
    assert slot.next_awake() is None
    assert payloads_of(slot.next_batch()) == [b"1"]
    assert slot.next_awake() is None
    for _ in range(9):
        asked_at = datetime.now(UTC)
        assert slot.next_batch() == []
        awake_at = slot.next_awake()
        assert awake_at is not None
        assert asked_at < awake_at <= datetime.now(UTC) + timedelta(seconds=IDLE_SECONDS_MAX)
    drains[0] = True
    with pytest.raises(StopIteration):
        slot.next_batch()
    assert slot.snapshot()["position"] == 2
    slot.close()


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("damage", ["cut short", "overwritten"])
def test_a_damaged_compressed_file_stops_the_reading(tmp_path: Path, suffix: str, damage: str) -> None:
    """A compressed file that ends too soon or holds something else is an error that names it, never a silent end."""
    whole = COMPRESSORS[suffix](os.urandom(50_000).hex().encode() + b"\n")
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(whole[: len(whole) // 2] if damage == "cut short" else b"not compressed at all")
    with pytest.raises(SourceError, match="not a whole compressed file") as raised:
        read_to_end(open_slot(path))
    assert path.name in raised.value.message and raised.value.remedy


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_file_that_is_shorter_than_what_was_read_stops_the_resume(tmp_path: Path, suffix: str) -> None:
    """A file cut below the saved position, or gone, cannot be resumed."""
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(COMPRESSORS[suffix](b"1\n2\n"))
    slot = open_slot(path)
    read_to_end(slot)
    state = slot.snapshot()
    path.write_bytes(COMPRESSORS[suffix](b"1\n"))
    with pytest.raises(SourceError, match="ends at byte 2, but 4 bytes"):
        open_slot(path, state=state)
    source = FileSource(path, until_eof=True)
    path.unlink()
    with pytest.raises(SourceError, match="vanished"):
        source.build_part("records", "slot-00", state)


@pytest.mark.parametrize("change", ["cut", "replaced", "deleted"])
def test_a_followed_file_that_is_cut_replaced_or_deleted_stops_the_reading(tmp_path: Path, change: str) -> None:
    """Rotation in place would hide lines: it is an error, not silence."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"1\n2\n")
    slot = open_slot(path, until_eof=False)
    assert payloads_of(read_records(slot, 2)) == [b"1", b"2"]
    assert slot.next_batch() == []
    if change == "cut":
        os.truncate(path, 0)
    else:
        path.rename(tmp_path / "a.jsonl.1")
    if change == "replaced":
        path.write_bytes(b"3\n")
    with pytest.raises(SourceError, match="cut or replaced" if change != "deleted" else "vanished"):
        slot.next_batch()
    slot.close()


@pytest.mark.parametrize("resumes", [False, True])
def test_a_file_that_appears_before_the_present_one_stops_the_reading(tmp_path: Path, resumes: bool) -> None:
    """Its records would shift all ordinals; earlier files that are deleted, on the other hand, do no harm."""
    for name in ("b.jsonl", "d.jsonl"):
        (tmp_path / name).write_bytes(b"1\n")
    slot = open_slot(tmp_path, until_eof=False)
    read_records(slot, 2)
    (tmp_path / "b.jsonl").unlink()
    assert slot.next_batch() == []
    (tmp_path / "c.jsonl").write_bytes(b"2\n")
    with pytest.raises(SourceError, match=r"comes before d\.jsonl"):
        if resumes:
            open_slot(tmp_path, until_eof=False, state=slot.snapshot())
        else:
            slot.next_batch()
    slot.close()


def test_paths_that_cannot_be_read_are_wrong_settings(tmp_path: Path) -> None:
    """A missing path, a pipe, or a name that is not UTF-8 is refused when the source is made."""
    os.mkfifo(tmp_path / "pipe")
    not_text = os.fsdecode(b"caf\xe9.jsonl")
    (tmp_path / not_text).write_bytes(b"")
    for name, reason in (("missing", "no file or directory"), ("pipe", "not a file or directory"), (not_text, "UTF-8")):
        with pytest.raises(ConfigurationError, match=reason) as raised:
            FileSource(tmp_path / name, until_eof=True)
        assert raised.value.remedy


def test_a_state_of_another_source_or_form_is_refused(tmp_path: Path) -> None:
    """A recovery store that was written for another path, or by a later release, is not resumed."""
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_bytes(b"1\n")
    slot = open_slot(tmp_path / "a.jsonl")
    read_to_end(slot)
    state = slot.snapshot()
    with pytest.raises(IncompatibleStateError, match=r"a\.jsonl"):
        open_slot(tmp_path / "b.jsonl", state=state)
    with pytest.raises(IncompatibleStateError, match="unknown form 2"):
        open_slot(tmp_path / "a.jsonl", state=state | {"version": 2})


def test_relative_paths_name_the_same_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stream is named by the absolute path, so that rows do not depend on the working directory."""
    (tmp_path / "a.jsonl").write_bytes(b"1\n")
    monkeypatch.chdir(tmp_path)
    assert FileSource("a.jsonl", until_eof=True).stream == f"file:{tmp_path}/a.jsonl"
    assert read_to_end(open_slot(Path("a.jsonl")))[0].stream == f"file:{tmp_path}/a.jsonl"
