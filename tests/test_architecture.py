"""The shape of the code: who may import whom, what the pure parts must not touch, and how large things may grow."""

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("flows", "operators", "sinks", "schemas", "monitor")
MAY_IMPORT = {
    "flows": {"flows", "operators", "sinks", "schemas", "monitor"},
    "operators": {"operators", "schemas"},
    "sinks": {"sinks", "schemas"},
    "monitor": {"monitor", "schemas"},
    "schemas": {"schemas"},
}
SCHEMAS_LIBRARIES = {"pydantic", "pydantic_core"}
STATS_LIBRARIES = {"numpy", "scipy", "river", "msgspec", "rapidfuzz"}
STATS_STANDARD_LIBRARY = {
    "abc", "bisect", "collections", "dataclasses", "enum", "functools", "heapq", "itertools", "math", "statistics",
    "typing",
}  # fmt: skip
CLOCKS = {
    ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"), ("time", "time"),
    ("time", "monotonic"), ("time", "perf_counter"), ("time", "time_ns"), ("time", "monotonic_ns"), ("time", "sleep"),
}  # fmt: skip
MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70

FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


def modules_of(*folders: str) -> list[str]:
    """Return the paths of all modules below folders, relative to the project."""
    return sorted(str(path.relative_to(ROOT)) for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def parsed(module: str) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse((ROOT / module).read_text(), filename=module)


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """Yield the full names of the modules that a tree imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""


def called_names(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield (owner, name) of each call: ("datetime", "now") for ``datetime.now()``, ("", "open") for ``open()``."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute):
            owner = node.func.value
            yield (owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")), node.func.attr
        elif isinstance(node.func, ast.Name):
            yield "", node.func.id


def top_level(module: str) -> str:
    """Return the top-level package of a module name."""
    return module.partition(".")[0]


def for_each(values: Iterable[str]) -> Callable[[Callable[[str], None]], Callable[[], None]]:
    """Make one test of a check of many values; a failure names the value. A test each would take much longer."""

    def decorate(check: Callable[[str], None]) -> Callable[[], None]:
        def test() -> None:
            for value in values:
                try:
                    check(value)
                except AssertionError as error:
                    raise AssertionError(f"{value}: {error}") from error

        test.__name__, test.__doc__ = check.__name__, check.__doc__
        return test

    return decorate


@for_each(modules_of(*PACKAGES))
def test_imports_go_one_way(module: str) -> None:
    """A package imports only what lies below it: flows → monitor, sinks, operators → schemas."""
    package = Path(module).parts[0]
    ours = {top_level(name) for name in imported_modules(parsed(module))} & set(PACKAGES)
    assert ours <= MAY_IMPORT[package]


@for_each(modules_of(*PACKAGES))
def test_no_module_of_the_product_needs_tests_or_benchmarks(module: str) -> None:
    """What is installed imports nothing that is not installed."""
    assert not {top_level(name) for name in imported_modules(parsed(module))} & {"tests", "benchmarks", "docker"}


@for_each(modules_of("schemas"))
def test_schemas_need_pydantic_and_the_standard_library_only(module: str) -> None:
    """The contract can be read by any program that has pydantic."""
    libraries = (
        {top_level(name) for name in imported_modules(parsed(module))} - {"schemas"} - set(sys.stdlib_module_names)
    )
    assert libraries <= SCHEMAS_LIBRARIES


@for_each(modules_of("operators/stats"))
def test_statistics_are_pure(module: str) -> None:
    """Statistics import neither the engine nor anything that does input, output, time or global randomness."""
    tree = parsed(module)
    names = {top_level(name) for name in imported_modules(tree)} - {"operators", "schemas"}
    assert names <= STATS_LIBRARIES | STATS_STANDARD_LIBRARY
    calls = set(called_names(tree))
    assert not {("", "open"), ("", "print"), ("", "input")} & calls
    assert not {name for owner, name in calls if owner == "random"} - {"default_rng", "Generator"}


@for_each(modules_of("operators", "schemas"))
def test_nothing_that_decides_a_row_looks_at_a_clock(module: str) -> None:
    """Rows are a function of the log: neither operators nor schemas ask what time it is."""
    assert not CLOCKS & set(called_names(parsed(module)))


@for_each(modules_of("operators"))
def test_nothing_that_decides_a_row_depends_on_hash_order(module: str) -> None:
    """Rows are the same in every process: no hash(), no loop over a set that is made on the spot."""
    tree = parsed(module)
    assert ("", "hash") not in set(called_names(tree))
    loops = [node.iter for node in ast.walk(tree) if isinstance(node, ast.For | ast.comprehension)]
    assert not [loop for loop in loops if isinstance(loop, ast.Set | ast.SetComp)]
    assert not [
        loop
        for loop in loops
        if isinstance(loop, ast.Call) and isinstance(loop.func, ast.Name) and loop.func.id in ("set", "frozenset")
    ]


@for_each(modules_of("operators", "sinks", "monitor", "schemas"))
def test_only_flows_reads_the_environment(module: str) -> None:
    """Lower layers get plain values: settings come from one place."""
    names = {
        (node.value.id, node.attr)
        for node in ast.walk(parsed(module))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    assert not names & {("os", "environ"), ("os", "getenv")}


@for_each(modules_of(*PACKAGES))
def test_no_exception_is_swallowed_unseen(module: str) -> None:
    """There is no bare except, and whoever catches everything raises it again."""
    for node in ast.walk(parsed(module)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        assert node.type is not None, f"bare except in line {node.lineno}"
        if isinstance(node.type, ast.Name) and node.type.id == "BaseException":
            assert any(isinstance(inner, ast.Raise) for inner in ast.walk(node)), (
                f"line {node.lineno} swallows everything"
            )


@for_each([name for name in modules_of(*PACKAGES, "tests") if name.endswith("__init__.py")])
def test_a_package_is_a_docstring(module: str) -> None:
    """__init__.py holds a docstring and no code: every name has one place to be imported from."""
    body = parsed(module).body
    assert len(body) == 1
    assert ast.get_docstring(parsed(module))


@for_each(sorted({str(Path(module).parent) for module in modules_of(*PACKAGES)}))
def test_every_folder_of_modules_is_a_package(folder: str) -> None:
    """No folder is a namespace package by accident: all have an __init__.py, so all are in the wheel."""
    assert (ROOT / folder / "__init__.py").exists()


@for_each(modules_of(*PACKAGES))
def test_everything_public_is_described(module: str) -> None:
    """Each module, public class and public function says what it is."""
    tree = parsed(module)
    assert ast.get_docstring(tree)
    assert not list(_undescribed(tree))


def _undescribed(owner: ast.Module | ast.ClassDef) -> Iterator[str]:
    for node in owner.body:
        if isinstance(node, FUNCTIONS | ast.ClassDef) and not node.name.startswith("_"):
            is_overload = any(isinstance(mark, ast.Name) and mark.id == "override" for mark in node.decorator_list)
            if not ast.get_docstring(node) and not is_overload:
                yield node.name
            if isinstance(node, ast.ClassDef):
                yield from (f"{node.name}.{name}" for name in _undescribed(node))


@for_each(modules_of(*PACKAGES, "tests", "benchmarks"))
def test_modules_and_functions_stay_small(module: str) -> None:
    """No module outgrows 500 lines, no function 70."""
    assert len((ROOT / module).read_text().splitlines()) <= MODULE_LINES_MAX
    functions = [node for node in ast.walk(parsed(module)) if isinstance(node, FUNCTIONS)]
    too_long = [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES_MAX]
    assert not too_long


def test_the_docker_folder_is_no_package() -> None:
    """docker/ has no __init__.py, which would hide the distribution of that name."""
    assert not (ROOT / "docker" / "__init__.py").exists()
