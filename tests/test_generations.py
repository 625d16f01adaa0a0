"""Generations: figures built anew beside the old ones, under other settings, and shown once they have caught up."""

import json
from datetime import UTC, datetime

import pytest

from flows.cli.main import run_arguments
from flows.generations import Position, begin_generation, behind
from flows.recovery import RecoveryDirectory, read_manifest
from flows.run import run
from flows.settings import load_settings
from schemas.errors import ConfigurationError, IncompatibleStateError
from sinks.clickhouse.client import connect
from tests.support.logs import LogShape, random_log

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def opened(path, **frozen) -> RecoveryDirectory:
    """Open a recovery directory under settings."""
    return RecoveryDirectory(path, frozen=frozen, started_at=NOW)


def test_a_directory_is_made_ready_for_the_next_generation(tmp_path):
    """The old state goes into a folder that is a recovery directory itself; the next run may have other settings."""
    path = tmp_path / "state"
    opened(path, generation=0, window=900).close()
    (path / "shards").mkdir()
    (path / "shards" / "old").write_bytes(b"kept")
    store = (path / "part-0.sqlite3").stat().st_ino
    assert begin_generation(path) == (1, path / "generation-0")
    assert (path / "generation-0" / "shards" / "old").read_bytes() == b"kept"
    assert (path / "generation-0" / "part-0.sqlite3").stat().st_ino == store
    opened(path / "generation-0", generation=0, window=900).close()
    with pytest.raises(ConfigurationError, match="generation 1 of .* has not begun yet"):
        begin_generation(path)
    with pytest.raises(IncompatibleStateError, match="is ready for generation 1, not for 0"):
        opened(path, generation=0, window=300)
    opened(path, generation=1, window=300).close()
    manifest = read_manifest(path)
    assert manifest is not None and manifest.frozen == {"generation": 1, "window": 300} and manifest.has_begun
    assert (path / "part-0.sqlite3").stat().st_ino != store and not (path / "shards").exists()
    assert begin_generation(path) == (2, path / "generation-1")


def test_an_interrupted_beginning_is_completed(tmp_path):
    """What was moved before an interruption stays moved; another call moves the rest."""
    path = tmp_path / "state"
    opened(path, generation=3).close()
    (path / "more").write_bytes(b"rest")
    (path / "generation-3").mkdir()
    (path / "part-0.sqlite3").rename(path / "generation-3" / "part-0.sqlite3")
    assert begin_generation(path) == (4, path / "generation-3")
    assert {file.name for file in (path / "generation-3").iterdir()} == {"labelpulse.json", "more", "part-0.sqlite3"}


def test_a_directory_in_use_is_left_alone(tmp_path):
    """While a flow runs on it, no generation begins."""
    with (
        opened(tmp_path / "state", generation=0),
        pytest.raises(ConfigurationError, match="another process is running"),
    ):
        begin_generation(tmp_path / "state")


def test_behind_is_what_has_been_read_less_far():
    """A generation has caught up once each partition has been read as far; more partitions do no harm."""
    old = [Position(0, "kafka:t", number, 9, 10) for number in (0, 1)]
    new = [Position(1, "kafka:t", 0, 9, 10), Position(1, "kafka:t", 2, 0, 1)]
    assert behind([*old, *new], generation=1, active=0) == ["partition 1 of kafka:t: not begun, to reach 9"]
    assert behind([*old, *new, Position(1, "kafka:t", 1, 11, 12)], generation=1, active=0) == []


def rules(dsn) -> set[str]:
    """Return the names of the rules whose alerts are shown."""
    with connect(dsn) as client:
        return {row[0] for row in client.query(f"SELECT DISTINCT rule FROM {client.database}.alerts").result_rows}


@pytest.mark.slow
def test_changed_settings_take_effect_with_a_new_generation(tmp_path, capsys):
    """Old figures stay readable while new ones are built; after the switch the new ones are shown; and back again."""
    path, dsn, state = tmp_path / "events.jsonl", f"chdb://{tmp_path}/db", tmp_path / "state"
    path.write_bytes(b"\n".join(random_log(3, LogShape(events=400))) + b"\n")
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules:\n  - name: busy\n    when: {signal: labels, above: 3}\n    severity: info\n")
    given = {"source": f"file:{path}", "clickhouse": dsn, "recovery": state, "until_eof": True}
    database = ["--clickhouse", dsn]

    def windows():
        """Return project and start of the windows that are shown."""
        assert run_arguments(["query", "project-windows", *database, "--format", "json", "--limit", "100000"]) == 0
        return {(row["project_id"], row["window_start"]) for row in json.loads(capsys.readouterr().out)}

    run(load_settings(given).settings)
    before, without = windows(), rules(dsn)
    assert run_arguments(["generation", "switch", "1", *database]) == 3
    assert "holds no rows of generation 1" in capsys.readouterr().err
    assert run_arguments(["generation", "new", "--recovery", str(state)]) == 0
    run(load_settings({**given, "window_seconds": 86_400, "policy": policy}).settings)
    capsys.readouterr()
    assert windows() == before and len(before) > 10 and rules(dsn) == without and "busy" not in without
    assert run_arguments(["generation", "list", *database]) == 0
    assert "all projects" in capsys.readouterr().out
    assert run_arguments(["generation", "switch", "1", "--project", "p0", *database]) == 0
    capsys.readouterr()
    days = {(name, start) for name, start in windows() if "T00:00" in start}
    assert {name for name, _ in days} == {"p0"}
    assert windows() - days == {(name, start) for name, start in before if name == "p1"}
    assert run_arguments(["generation", "switch", "1", *database]) == 0
    capsys.readouterr()
    assert windows() == days | {("p1", start) for _, start in days}
    assert "busy" in rules(dsn)
    with path.open("ab") as file:
        file.write(path.read_bytes().splitlines()[0] + b"\n")
    run(load_settings({**given, "window_seconds": 86_400, "policy": policy}).settings)
    assert run_arguments(["generation", "switch", "0", *database]) == 3
    assert "generation 0 has not caught up: partition 0" in capsys.readouterr().err
    assert run_arguments(["generation", "switch", "0", "--unchecked", *database]) == 0
    capsys.readouterr()
    assert windows() == before
