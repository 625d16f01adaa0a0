"""The distribution: what is in it, what it needs, and that it works from a clean environment."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("flows", "operators", "sinks", "schemas", "monitor")
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")
IMPORTED_AS = {
    "backports-zstd": "backports",
    "clickhouse-connect": "clickhouse_connect",
    "confluent-kafka": "confluent_kafka",
    "prometheus-client": "prometheus_client",
    "pydantic-settings": "pydantic_settings",
    "pyyaml": "yaml",
}
NOT_IMPORTED = {"tzdata", "chdb", "httptools", "uvloop"}
"""Needed at run time without being imported by us: time zone data, an engine, what uvicorn runs on."""
BROUGHT_ALONG = {"pydantic_core"}
"""Imported by us, and part of a dependency's public face."""


@pytest.fixture(scope="session")
def project() -> dict[str, object]:
    """The project table of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def name_of(requirement: str) -> str:
    """Return the name of a requirement, normalised."""
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def locked(lock: str) -> dict[str, str]:
    """Return the pinned versions of a lock file by name."""
    pins = re.findall(r"^([a-z0-9.-]+)==(\S+)", (ROOT / lock).read_text(), flags=re.MULTILINE)
    return dict(pins)


def third_party_imports() -> Iterator[str]:
    """Yield the top-level names of other people's packages that the product imports."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                yield from {name.partition(".")[0] for name in names} - sys.stdlib_module_names - set(PACKAGES)


def test_dependencies_are_what_is_imported(project: dict[str, object]) -> None:
    """Every package that is imported is a declared dependency, and no dependency is declared in vain."""
    declared = {name_of(requirement) for requirement in project["dependencies"]}  # type: ignore[attr-defined]
    names = {IMPORTED_AS.get(name, name) for name in declared - NOT_IMPORTED}
    assert names == set(third_party_imports()) - BROUGHT_ALONG


def test_what_state_depends_on_is_pinned(project: dict[str, object]) -> None:
    """Bytewax and River are pinned exactly, as their private classes are in recovery stores."""
    assert {"bytewax==0.21.1", "river==0.26.1"} <= set(project["dependencies"])  # type: ignore[call-overload]


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_are_pinned_hashed_and_free_of_addresses(lock: str) -> None:
    """Each entry has one version and hashes; no index or other address is named."""
    text = (ROOT / lock).read_text()
    assert "make lock" in text.splitlines()[1]
    assert "://" not in text
    assert not re.search(r"^\s*--?(i|f|index-url|extra-index-url|find-links)\b", text, flags=re.MULTILINE)
    entries = re.split(r"\n(?=[a-z0-9])", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    for entry in entries:
        assert re.match(r"[a-z0-9.-]+==\S+", entry.strip()), entry
        assert "--hash=sha256:" in entry


def test_locks_hold_what_the_project_declares(project: dict[str, object]) -> None:
    """The run-time lock has every dependency, the development lock agrees with it and adds the tools."""
    runtime, development = locked("requirements.lock"), locked("requirements-dev.lock")
    declared = {name_of(requirement) for requirement in project["dependencies"]}  # type: ignore[attr-defined]
    assert declared <= set(runtime)
    assert runtime.items() <= development.items()
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    tools = {name_of(tool) for group in groups.values() for tool in group if isinstance(tool, str)}
    assert tools <= set(development)
    assert locked("requirements-build.lock").items() <= development.items()


def test_no_other_distribution_owns_our_names() -> None:
    """No installed distribution but ours has a top-level package called flows, operators, sinks, schemas or monitor."""
    owners = packages_distributions()
    for package in PACKAGES:
        assert set(owners.get(package, [])) <= {"labelpulse"}


def test_the_repository_has_no_address_of_a_package_registry() -> None:
    """Build files work with whatever registry the machine is set up for."""
    for name in ("pyproject.toml", "Makefile", ".ci/run", "docker/Dockerfile", "docker/compose.yaml"):
        assert not re.search(r"pypi|pythonhosted|--index-url|registry", (ROOT / name).read_text()), name


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources without the network."""
    folder = tmp_path_factory.mktemp("build")
    for name in (*PACKAGES, "pyproject.toml", "LICENSE", "README.md"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    (built,) = (folder / "dist").iterdir()
    return built


@pytest.mark.slow
def test_the_wheel_holds_the_product_and_nothing_else(wheel: Path) -> None:
    """All modules and migrations are in it; tests, benchmarks, docker and docs are not."""
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)
    for package in PACKAGES:
        files = [path for path in (ROOT / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        assert {str(path.relative_to(ROOT)) for path in files} <= names
    assert any(name.endswith(".sql") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.fixture(scope="session")
def clean_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of a new environment with the run-time lock and the wheel, and nothing else."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--require-hashes", "--requirement", str(ROOT / "requirements.lock")], check=True)
    subprocess.run([*pip, str(wheel)], check=True)
    subprocess.run([python, "-m", "pip", "--disable-pip-version-check", "check"], check=True)
    return folder / "bin"


@pytest.mark.slow
def test_the_installed_wheel_works_without_development_dependencies(clean_environment: Path, tmp_path: Path) -> None:
    """Help, contract, a simulated run into the embedded database, and a query of it, from an empty directory."""

    def labelpulse(*arguments: str) -> str:
        command = [str(clean_environment / "labelpulse"), *arguments]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    assert "Usage: labelpulse" in labelpulse("--help")
    assert json.loads(labelpulse("schema"))["title"].startswith("labelpulse events")
    assert "bytewax 0.21.1" in labelpulse("version")
    assert labelpulse("run", "--source", "simulate:events=3000,seed=7", "--until-eof")
    annotators = json.loads(labelpulse("query", "annotators", "--format", "json"))
    assert {"annotator_id", "labels", "accuracy", "accuracy_low", "accuracy_high"} <= set(annotators[0])
    (progress,) = json.loads(labelpulse("query", "progress", "--format", "json"))
    parts = [progress[name] for name in ("folded", "duplicate", "late", "dead")]
    assert progress["events_in"] == sum(parts) == 3000
