"""The state on disk: what a recovery directory holds is shown as it is, and taken out only when that is meant."""

import fcntl
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from shutil import copytree

import pytest

from flows.cli.main import run_arguments
from flows.engine_store import kept_values, replace_values
from flows.recovery import Manifest, RecoveryDirectory, read_manifest, write_manifest
from flows.recovery_lock import LOCK_NAME
from flows.recovery_store import inspect_recovery, reset_recovery
from flows.run import run
from flows.segment_files import SHARDS_FOLDER, SegmentFolder
from flows.settings import load_settings
from operators.segments import read_reference
from operators.snapshot import FORMAT_VERSION, decode_state
from schemas.errors import ConfigurationError, IncompatibleStateError
from tests.support.filling import write_log
from tests.support.folding import column, fold_log
from tests.support.logs import LogShape, random_log

LINES = random_log(4, LogShape(events=400))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The recovery directory of a flow that has read a log to its end."""
    folder = tmp_path_factory.mktemp("state")
    path = write_log(folder / "log", LINES)
    run(
        load_settings(
            {"source": f"file:{path}", "clickhouse": f"chdb://{folder}/db", "recovery": folder / "recovery",
             "until_eof": True, "window_seconds": 300}
        ).settings
    )  # fmt: skip
    yield folder / "recovery"


@pytest.fixture
def copy(ran: Path, tmp_path: Path) -> Path:
    """A copy of the directory."""
    copied = tmp_path / "recovery"
    return copytree(ran, copied)


def test_the_contents_are_those_of_the_flow(ran):
    """Positions, projects and their numbers are those that folding the log gives."""
    contents, tables = inspect_recovery(ran), fold_log(LINES)
    [position] = contents.positions
    assert (position.partition, position.next_offset, position.records_in) == (0, len(LINES), len(LINES))
    assert position.stream.endswith("/log")
    assert {project.project_id for project in contents.projects} == {"p0", "p1"}
    of_project = column(tables, "projects_versions", "labels")
    assert {(project.project_id,): project.labels for project in contents.projects} == of_project
    newest = column(tables, "projects_versions", "last_at")
    assert {(project.project_id,): project.newest_at for project in contents.projects} == newest
    assert sum(shard.projects for shard in contents.shards) == 2
    assert contents.snapshot_at is not None and contents.snapshot_at >= contents.manifest.created_at.replace(
        microsecond=0
    )
    assert contents.bytes_on_disk > sum(shard.bytes for shard in contents.shards) > 0


def test_the_command_shows_it(ran, capsys):
    """Inspect prints settings, positions and projects, for people and as JSON, and changes nothing."""
    before = {file: file.read_bytes() for file in ran.rglob("*") if file.is_file()}
    assert run_arguments(["state", "inspect", "--recovery", str(ran), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["made_under"]["window_seconds"] == 300 and told["is_running"] is False
    assert [project["project_id"] for project in told["projects"]] == ["p0", "p1"]
    assert run_arguments(["state", "inspect", "--recovery", str(ran)]) == 0
    assert "window_seconds" in capsys.readouterr().out
    assert {file: file.read_bytes() for file in ran.rglob("*") if file.is_file()} == before


def test_a_reset_is_done_only_when_it_is_meant(copy, capsys):
    """Without --yes nothing goes; with it all goes but the lock, and the directory is as good as new."""
    assert run_arguments(["state", "reset", "--recovery", str(copy)]) == 3
    assert "--yes" in capsys.readouterr().err
    assert len(list(copy.iterdir())) == 4
    assert run_arguments(["state", "reset", "--recovery", str(copy), "--yes"]) == 0
    assert [file.name for file in copy.iterdir()] == [LOCK_NAME]
    assert run_arguments(["state", "inspect", "--recovery", str(copy)]) == 3


def test_a_directory_in_use_is_told_and_not_reset(copy):
    """While a flow holds the lock, inspect says so and reset refuses."""
    with (copy / LOCK_NAME).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert inspect_recovery(copy).is_running
        with pytest.raises(ConfigurationError, match="a flow is running"):
            reset_recovery(copy)
    assert not inspect_recovery(copy).is_running


def test_what_is_no_recovery_directory_is_left_alone(tmp_path):
    """Reset touches nothing in a directory that no flow has made."""
    (tmp_path / "precious").write_text("data")
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ConfigurationError, match="is not a recovery directory"):
            reset_recovery(path)
    assert (tmp_path / "precious").exists()


def test_a_damaged_store_is_told(copy):
    """A store that cannot be read is a plain error, not a traceback."""
    [store] = copy.glob("part-*.sqlite3")
    data = bytearray(store.read_bytes())
    data[:100] = bytes(100)
    store.write_bytes(data)
    with pytest.raises(IncompatibleStateError, match="cannot be read"):
        inspect_recovery(copy)


def test_state_of_an_older_format_is_brought_up_to_date(copy, capsys):
    """Migrate writes it anew, once, and what it holds is the same; a flow may also take it over as it is."""
    older = (Path(__file__).parent / "snapshots" / "format-2.bin").read_bytes()
    shards = [kept for kept in kept_values(copy) if kept.step == "fold"]
    replace_values([(kept, older) for kept in shards])
    manifest = read_manifest(copy)
    write_manifest(copy, Manifest(manifest.created_at, {**manifest.frozen, "state_format": 2}))
    before = inspect_recovery(copy)
    assert {shard.format for shard in before.shards} == {2} and before.projects
    with RecoveryDirectory(copy, frozen=manifest.frozen, started_at=manifest.created_at) as recovery:
        assert recovery.manifest == manifest
    assert run_arguments(["state", "migrate", "--recovery", str(copy)]) == 0
    assert run_arguments(["state", "migrate", "--recovery", str(copy)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{len(shards)} shards brought up to format {FORMAT_VERSION}", "all is of this version already"
    ]  # fmt: skip
    after = inspect_recovery(copy)
    assert {shard.format for shard in after.shards} == {FORMAT_VERSION}
    assert after.projects == before.projects and after.positions == before.positions
    reference = read_reference(next(kept.value for kept in kept_values(copy) if kept.step == "fold"))
    assert decode_state(SegmentFolder(copy / SHARDS_FOLDER / reference.shard).base(reference.base)).projects


def test_what_was_not_completed_is_gone_when_a_flow_starts(copy):
    """An epoch that was never completed cannot be taken for complete later on."""
    [store] = copy.glob("part-*.sqlite3")
    add_incomplete_epoch(store)
    manifest = read_manifest(copy)
    before = kept_values(copy)
    with RecoveryDirectory(copy, frozen=manifest.frozen, started_at=manifest.created_at):
        pass
    with closing(sqlite3.connect(store)) as connection:
        assert connection.execute("SELECT count(*) FROM snaps WHERE snap_epoch = 1000000").fetchone() == (0,)
    assert kept_values(copy) == before


def add_incomplete_epoch(store):
    """Write what an epoch that is never completed leaves."""
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute(
            "INSERT INTO snaps (step_id, state_key, snap_epoch, ser_change) "
            "SELECT step_id, state_key, 1000000, x'00' FROM snaps"
        )


def test_only_complete_snapshots_count(copy):
    """What an epoch has written that was never completed is not shown."""
    [store] = copy.glob("part-*.sqlite3")
    before = inspect_recovery(copy)
    add_incomplete_epoch(store)
    after = inspect_recovery(copy)
    assert (after.positions, after.projects) == (before.positions, before.projects)
