"""The build commands: what make says on a machine, and what the CI script calls."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TARGETS = ("setup", "run", "test", "lint", "lock", "kafka", "bench", "wheel", "clean")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str, folder: Path = ROOT, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run make in a folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    if path is not None:
        environment["PATH"] = path
    command = [shutil.which("make") or "make", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with the Makefile and what it depends on, and no environment."""
    for name in ("Makefile", "requirements-dev.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def interpreter(folder: Path, name: str, *lines: str) -> None:
    """Put an imitation of an interpreter into a folder."""
    script = folder / name
    script.write_text("\n".join(("#!/bin/sh", *lines, "")))
    script.chmod(0o755)


def test_plain_make_lists_the_commands() -> None:
    """Whoever types make sees what there is."""
    shown = make().stdout
    for target in TARGETS:
        assert f"  make {target} " in shown


def test_a_machine_without_a_fitting_python_is_told_what_to_do(copy: Path) -> None:
    """No interpreter that fits: one line says so, another what to do; nothing is left behind."""
    done = make("setup", "PYTHON=no-such-python", folder=copy)
    assert done.returncode != 0
    assert "error: no Python 3.11 or 3.12 that runs (looked for: no-such-python)" in done.stderr
    assert "  try: " in done.stderr
    assert not (copy / ".venv").exists()


def test_an_interpreter_without_venv_is_told_apart(copy: Path) -> None:
    """A Python that fits but cannot make environments, as Debian's bare one, gets a remedy of its own."""
    interpreter(copy, "bare-python", 'case "$2" in *ensurepip*) exit 1;; esac', "exit 0")
    done = make("setup", f"PYTHON={copy}/bare-python", folder=copy)
    assert done.returncode != 0
    assert "venv and ensurepip are missing" in done.stderr
    assert "python3-venv" in done.stderr


def test_a_shim_that_does_not_run_is_passed_over(copy: Path) -> None:
    """The first candidate that runs and fits is taken, not the first that exists."""
    interpreter(copy, "shim-python", "echo 'command not found' >&2", "exit 127")
    interpreter(copy, "good-python", 'case "$*" in *venv\\ --clear*) echo "made $*"; exit 3;; esac', "exit 0")
    done = make("setup", f"PYTHON={copy}/shim-python {copy}/good-python", folder=copy)
    assert "made -m venv --clear .venv" in done.stdout
    assert "command not found" not in done.stderr


def test_the_environment_is_made_anew_only_when_the_lock_changes(copy: Path) -> None:
    """With an up-to-date stamp nothing is installed; a newer lock file asks for it."""
    stamp = copy / ".venv" / ".installed"
    stamp.parent.mkdir()
    stamp.touch()
    os.utime(copy / "requirements-dev.lock", (1, 1))
    os.utime(copy / "pyproject.toml", (1, 1))
    assert make("--question", "setup", folder=copy).returncode == 0
    os.utime(copy / "requirements-dev.lock", (4_000_000_000, 4_000_000_000))
    assert make("--question", "setup", folder=copy).returncode == 1


def test_the_demonstration_starts_over_and_a_run_of_ones_own_removes_nothing() -> None:
    """Only the demonstration's own folder is removed, and only for the demonstration."""
    demonstration = make("--dry-run", "run").stdout
    assert "rm -rf labelpulse-data/demo\n" in demonstration
    assert "--until-eof" in demonstration
    own = make("--dry-run", "run", "ARGS=--source file:events.jsonl").stdout
    assert "rm -rf labelpulse-data" not in own
    assert "labelpulse run --source file:events.jsonl" in own


def test_options_are_passed_on_as_they_are_quoted(copy: Path) -> None:
    """An argument with spaces, quoted in ARGS, arrives as one."""
    (copy / ".venv" / "bin").mkdir(parents=True)
    interpreter(copy / ".venv" / "bin", "labelpulse", 'for part in "$@"; do echo "[$part]"; done', "exit 7")
    for name in ("requirements-dev.lock", "pyproject.toml"):
        os.utime(copy / name, (1, 1))
    (copy / ".venv" / ".installed").touch()
    done = make("run", "ARGS=--source 'file:a b.jsonl'", folder=copy)
    assert done.stdout.splitlines() == ["[run]", "[--source]", "[file:a b.jsonl]"]
    assert "Error 7" in done.stderr


def test_unit_tests_leave_out_what_needs_more() -> None:
    """make test runs neither what needs a broker, a browser or a tool, nor what is slow; the CI script runs all."""
    asked = re.search(r"-m 'not \(([^)]*)\)'", make("--dry-run", "test").stdout)
    parts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["markers"]
    assert asked and set(asked[1].split(" or ")) == {part.split(":")[0] for part in parts}
    script = (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "make test" in script
    assert re.search(r"pytest -m ", script) and all(part.split(":")[0] in script for part in parts)
    assert subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=False).returncode == 0
