"""The documentation names what exists: commands, options, settings, make targets, modules, queries, files."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from flows.cli.failures import EXIT_CODE_MEANINGS
from flows.cli.main import app
from flows.settings import CONFIG_FILE_VARIABLE, SECRETS_DIR_VARIABLE, Settings, variable_of
from monitor.queries.catalogue import QUERIES

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("docs", "docker", "benchmarks")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
COMMANDS = {command.name: command for command in typer.main.get_command(app).commands.values()}  # type: ignore[attr-defined]
VARIABLES = {CONFIG_FILE_VARIABLE, SECRETS_DIR_VARIABLE, *(variable_of(name) for name in Settings.model_fields)}
OF_COMPOSE = {"LABELPULSE_TAG"}

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def code_of(page: Path) -> Iterator[str]:
    """Yield the lines of fenced blocks and what stands between backticks; continued lines are joined."""
    text = page.read_text()
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def calls_of(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield command and further words of each call of labelpulse in the code of a page."""
    for line in code_of(page):
        for call in re.findall(r"(?:^|[\s/|])labelpulse ((?:--debug )?[a-z][a-z-]*\b[^|;`&>]*)", line):
            command, *words = call.split()
            yield command, words


def options_of(command: str) -> set[str]:
    """Return the options of a command."""
    return {name for parameter in COMMANDS[command].params for name in (*parameter.opts, *parameter.secondary_opts)}


@pages
def test_calls_are_of_commands_and_options_that_exist(page: Path) -> None:
    """Each `labelpulse COMMAND --option` in code is a command with that option."""
    for command, words in calls_of(page):
        assert command in COMMANDS, command
        options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert options <= options_of(command) | {"--help", "--debug"}, (command, words)


@pages
def test_queries_that_are_asked_exist(page: Path) -> None:
    """Each `labelpulse query NAME` names a query."""
    for command, words in calls_of(page):
        if command == "query" and words and re.fullmatch(r"[a-z-]+", words[0]) and not words[0].startswith("-"):
            assert words[0] in QUERIES


@pages
def test_variables_are_settings(page: Path) -> None:
    """Each LABELPULSE_ variable in the text is one that is read."""
    named = set(re.findall(r"\bLABELPULSE_[A-Z][A-Z_]*[A-Z]\b", page.read_text()))
    of_options = {name for name in named if name.startswith(variable_of("kafka_options") + "__")}
    assert named - of_options <= VARIABLES | OF_COMPOSE


@pages
def test_make_targets_and_modules_exist(page: Path) -> None:
    """Each `make TARGET` is in the Makefile, each `python -m MODULE` of ours is a module."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for line in code_of(page):
        for target in re.findall(r"(?:^|[;&] ?)make ([a-z]+)", line):
            assert target in targets, target
        for module in re.findall(r"python3? -m ((?:flows|benchmarks|tests)[\w.]*)", line):
            assert importlib.util.find_spec(module) is not None, module


@pages
def test_links_lead_somewhere(page: Path) -> None:
    """Each relative link is to a file or folder of the project."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not re.match(r"[a-z]+:|#", target):
            assert (page.parent / target.partition("#")[0]).exists(), target


@pages
def test_paths_in_backticks_exist(page: Path) -> None:
    """A path below one of our folders that is named as code is there; * stands for anything."""
    for code in code_of(page):
        if re.fullmatch(r"(flows|operators|sinks|schemas|monitor|tests|benchmarks|docs|docker)/[\w./*-]*", code):
            assert list(ROOT.glob(code.rstrip("/"))), code


def test_every_command_is_in_the_documentation() -> None:
    """A reader of the documentation meets each command."""
    named = {command for page in PAGES for command, _ in calls_of(page)}
    assert set(COMMANDS) <= named


def test_every_query_is_in_the_documentation() -> None:
    """A reader of the documentation meets each query."""
    text = "\n".join(page.read_text() for page in PAGES)
    assert [name for name in QUERIES if not re.search(rf"\b{name}\b", text)] == []


def test_every_setting_is_in_the_documentation_with_its_meaning() -> None:
    """The table of settings has a row for each, in order, with the description that the command shows."""
    rows = re.findall(
        r"^\| `([a-z_]+)` \| ([^|]+) \| (.+) \|$", (ROOT / "docs/command-line.md").read_text(), re.MULTILINE
    )
    told = [(name, meaning) for name, _, meaning in rows if name in Settings.model_fields]
    assert told == [(name, field.description) for name, field in Settings.model_fields.items()]
    defaults = {name: default for name, default, _ in rows}
    for name, value in Settings().shown().items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert float(defaults[name]) == value


def test_every_exit_code_is_in_the_documentation() -> None:
    """The table of exit codes says what --help says."""
    page = (ROOT / "docs/command-line.md").read_text()
    for code, meaning in EXIT_CODE_MEANINGS.items():
        assert f"| {code:d} | {meaning} |" in page
