"""The command line as a whole: help, exit codes, errors in plain lines."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli.failures import EXIT_CODE_MEANINGS, ExitCode, guarded
from flows.cli.main import run_arguments
from schemas.errors import (
    ConfigurationError,
    IncompatibleStateError,
    LabelpulseError,
    SourceError,
    TerminalSinkError,
    UnavailableError,
)

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("run", "query", "simulate", "convert", "schema", "migrate", "doctor", "settings", "version")
HEAVY = ("bytewax", "river", "chdb", "clickhouse_connect", "confluent_kafka", "numpy", "pandas", "pydantic_settings")


def labelpulse(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-c", "from flows.cli.main import main; main()", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    """--help explains the command and ends with 0."""
    assert run_arguments([command, "--help"]) == ExitCode.OK
    shown = capfd.readouterr().out
    assert f"Usage: labelpulse {command}" in shown


def test_the_help_lists_commands_and_exit_codes(capfd: pytest.CaptureFixture[str]) -> None:
    """A newcomer sees every command, an example, and what the exit codes mean."""
    assert run_arguments(["--help"]) == ExitCode.OK
    shown = capfd.readouterr().out
    for command in COMMANDS:
        assert f" {command} " in shown
    assert "labelpulse run --source simulate:" in shown
    for code in ExitCode:
        assert f" {code:d}  {EXIT_CODE_MEANINGS[code][:30]}" in shown


def test_help_needs_none_of_the_heavy_libraries() -> None:
    """Help comes at once: neither engine, database nor broker client is imported for it."""
    script = (
        "import sys; from flows.cli.main import run_arguments; run_arguments(['run', '--help']); "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["run", "--nonsense"], "labelpulse run"),
        (["frobnicate"], "labelpulse"),
        (["convert"], "labelpulse convert"),
        (["query", "annotators", "--format", "xml"], "labelpulse query"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_a_remedy(
    arguments: list[str], command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Usage errors end with 2, and point at the help of the command."""
    assert run_arguments(arguments) == ExitCode.USAGE
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.endswith(f"  try: {command} --help\n")
    assert len(err.splitlines()) == 2


def test_no_command_shows_the_help_and_is_a_usage_error(capfd: pytest.CaptureFixture[str]) -> None:
    """The bare command tells what there is."""
    assert run_arguments([]) == ExitCode.USAGE
    shown = "".join(capfd.readouterr())
    assert "Usage: labelpulse" in shown
    assert "error:" not in shown


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("m", remedy="r"), ExitCode.REFUSED),
        (IncompatibleStateError("m", remedy="r"), ExitCode.REFUSED),
        (UnavailableError("m", remedy="r"), ExitCode.UNAVAILABLE),
        (SourceError("m", remedy="r"), ExitCode.FAILED),
        (TerminalSinkError("m", remedy="r"), ExitCode.FAILED),
    ],
)
def test_our_errors_are_told_plainly(error: LabelpulseError, code: ExitCode, capfd: pytest.CaptureFixture[str]) -> None:
    """What went wrong and what to do about it, without a traceback, with the code of its kind."""

    def fail() -> None:
        raise error

    assert guarded(fail) == code
    assert capfd.readouterr().err == "error: m\n  try: r\n"


def test_an_error_inside_another_ones_is_found(capfd: pytest.CaptureFixture[str]) -> None:
    """Where the engine wraps what we raised, ours is told."""

    def fail() -> None:
        raise RuntimeError("worker panicked") from SourceError("the topic was made anew", remedy="start over")

    assert guarded(fail) == ExitCode.FAILED
    assert capfd.readouterr().err == "error: the topic was made anew\n  try: start over\n"


def test_a_bug_is_one_line_and_a_traceback_on_request(capfd: pytest.CaptureFixture[str]) -> None:
    """An unexpected error is a line that says how to see more; --debug shows all."""

    def fail() -> None:
        raise ZeroDivisionError("here")

    assert guarded(fail) == ExitCode.FAILED
    assert capfd.readouterr().err.startswith("error: unexpected: ZeroDivisionError: here\n  try: ")
    assert guarded(fail, shows_traceback=True) == ExitCode.FAILED
    assert "Traceback" in capfd.readouterr().err


def test_debug_may_stand_anywhere(capfd: pytest.CaptureFixture[str]) -> None:
    """--debug is taken before and after the command."""
    for arguments in (["--debug", "simulate", "event=1"], ["simulate", "event=1", "--debug"]):
        assert run_arguments(arguments) == ExitCode.REFUSED
        assert "Traceback" in capfd.readouterr().err


def test_ctrl_c_is_not_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    """Stopping a command says nothing, and ends as shells expect."""

    def stop() -> None:
        raise KeyboardInterrupt

    assert guarded(stop) == ExitCode.INTERRUPTED
    assert capfd.readouterr() == ("", "")


def test_a_reader_that_goes_away_is_no_error() -> None:
    """With its output closed, a command ends quietly, with the code of a filter that head has cut off."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", "from flows.cli.main import main; main()", "simulate", "events=20000"]
    done = subprocess.run(command, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (ExitCode.READER_GONE, "")


def test_a_connection_that_breaks_is_not_taken_for_a_reader_that_left(capfd: pytest.CaptureFixture[str]) -> None:
    """A broken pipe to a server is told, as standard output is whole."""

    def fail() -> None:
        raise BrokenPipeError("the server hung up")

    assert guarded(fail) == ExitCode.FAILED
    assert "the server hung up" in capfd.readouterr().err


def test_a_wrong_setting_is_a_line_each_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two wrong settings are two lines; nothing is run."""
    monkeypatch.setenv("LABELPULSE_SHARDS", "0")
    assert run_arguments(["run", "--source", "-", "--set", "windows=3"]) == ExitCode.REFUSED
    lines = capfd.readouterr().err.splitlines()
    assert [line[:6] for line in lines] == ["error:", "error:", "  try:"]


@pytest.mark.parametrize("override", ["shards", "=3", ""])
def test_an_override_without_name_or_value_is_refused(override: str, capfd: pytest.CaptureFixture[str]) -> None:
    """--set takes NAME=VALUE and nothing else."""
    assert run_arguments(["settings", "--set", override]) == ExitCode.REFUSED
    assert capfd.readouterr().err.startswith("error: ")


def test_run_without_a_source_says_what_to_write(capfd: pytest.CaptureFixture[str]) -> None:
    """There is no default source; the remedy is a command that works."""
    assert run_arguments(["run"]) == ExitCode.REFUSED
    assert "--source simulate:" in capfd.readouterr().err


def test_the_installed_command_is_this_one() -> None:
    """The entry point of the package names the function that is tested here."""
    assert 'labelpulse = "flows.cli.main:main"' in (ROOT / "pyproject.toml").read_text()
    assert labelpulse("version").stdout.startswith("labelpulse ")
