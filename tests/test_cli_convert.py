"""labelpulse convert, simulate, schema, settings and version: what they write, and where."""

import json
from pathlib import Path

import pytest

from flows.cli.failures import ExitCode
from flows.cli.main import run_arguments
from flows.settings import Settings
from schemas.events import event_json_schema, parse_event


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    """A file of answers with one bad row."""
    path = tmp_path / "answers.csv"
    path.write_text("item,worker,label\nt1,w1,yes\nt1,w2,no\n,w1,yes\nt2,w1,no\n")
    return path


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    """A file of known answers."""
    path = tmp_path / "gold.csv"
    path.write_text("item,label\nt1,yes\n")
    return path


def convert(*arguments: object) -> int:
    """Run the command."""
    return run_arguments(["convert", "--from", "answers-csv", *map(str, arguments), "--project", "p"])


def test_events_go_to_standard_output_and_the_rest_to_standard_error(
    answers: Path, gold: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each line of the output is an event, known answers first; counts and warnings do not mix with it."""
    assert convert(answers, "--gold", gold, "--question", "q", "--skip-bad-rows") == ExitCode.OK
    out, err = capfd.readouterr()
    events = [parse_event(line.encode()) for line in out.splitlines()]
    assert [event.type for event in events] == ["gold.set"] + 3 * ["annotation.submitted"]
    assert {event.project_id for event in events} == {"p"}
    assert {event.question_id for event in events} == {"q"}
    assert "4 events: 3 labels, 1 items with known answers" in err
    assert "line 4" in err and "1 rows were left out" in err


def test_a_bad_row_ends_it_unless_asked_otherwise(answers: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """By default nothing is left out unseen: the first bad row is an error that names its line."""
    assert convert(answers) == ExitCode.REFUSED
    assert "line 4" in capfd.readouterr().err


@pytest.mark.parametrize("which", ["answers", "gold"])
def test_a_file_that_cannot_be_read_is_told(which: str, answers: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A missing file is a plain error."""
    missing = answers.parent / "missing.csv"
    arguments = [missing] if which == "answers" else [answers, "--gold", missing]
    assert convert(*arguments) == ExitCode.REFUSED
    assert capfd.readouterr().err == f"error: cannot read {missing}: No such file or directory\n  try: check the path\n"


def test_a_simulated_log_and_its_truth(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """simulate writes as many records as it was asked for, and the truth beside them; parts may be apart or joined."""
    truth = tmp_path / "truth.json"
    assert run_arguments(["simulate", "events=500", "seed=3", "--truth", str(truth)]) == ExitCode.OK
    apart = capfd.readouterr().out
    assert run_arguments(["simulate", "events=500,seed=3"]) == ExitCode.OK
    assert capfd.readouterr().out == apart
    assert json.loads(truth.read_text())["records"] == len(apart.split("\n")) - 1 == 500


def test_a_truth_that_cannot_be_written_is_told_before_the_stream(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A wrong path for the truth does not cost a run."""
    assert run_arguments(["simulate", "events=500", "--truth", str(tmp_path / "no" / "truth.json")]) == ExitCode.REFUSED
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: cannot write ")


def test_the_names_of_a_simulation_are_listed(capfd: pytest.CaptureFixture[str]) -> None:
    """simulate --describe shows names with defaults."""
    assert run_arguments(["simulate", "--describe"]) == ExitCode.OK
    assert "annotators" in capfd.readouterr().out


def test_the_schema_is_the_contracts(capfd: pytest.CaptureFixture[str]) -> None:
    """schema prints the JSON Schema of the events."""
    assert run_arguments(["schema"]) == ExitCode.OK
    assert json.loads(capfd.readouterr().out) == json.loads(json.dumps(event_json_schema()))


def test_settings_are_shown_with_their_origins_and_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The table names every setting, its value and where it came from; no secret appears."""
    monkeypatch.setenv("LABELPULSE_SHARDS", "16")
    monkeypatch.setenv("LABELPULSE_KAFKA_OPTIONS__SASL_PASSWORD", "hunter2")
    options = ["--clickhouse", "clickhouse://u:hunter2@h", "--set", "generation=3"]
    assert run_arguments(["settings", *options]) == ExitCode.OK
    lines = {line.split()[0]: line.split() for line in capfd.readouterr().out.splitlines()}
    assert set(Settings.model_fields) <= set(lines)
    assert lines["shards"] == ["shards", "16", "environment"]
    assert lines["generation"] == ["generation", "3", "flag"]
    assert "hunter2" not in str(lines)
    assert run_arguments(["settings", "--format", "json", *options]) == ExitCode.OK
    shown = json.loads(capfd.readouterr().out)
    assert (shown["shards"], set(shown)) == (16, set(Settings.model_fields))


def test_settings_say_what_they_mean(capfd: pytest.CaptureFixture[str]) -> None:
    """settings --describe gives the description of each, whole."""
    assert run_arguments(["settings", "--describe"]) == ExitCode.OK
    shown = capfd.readouterr().out
    for field in Settings.model_fields.values():
        assert field.description in shown


def test_versions_are_those_of_the_packages(capfd: pytest.CaptureFixture[str]) -> None:
    """version tells what figures depend on."""
    assert run_arguments(["version"]) == ExitCode.OK
    assert {"labelpulse", "python", "bytewax", "river", "chdb"} <= {
        line.split()[0] for line in capfd.readouterr().out.splitlines()
    }
