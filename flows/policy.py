"""Reads the policy file: YAML in, a validated policy out, each mistake with the line it stands on."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from schemas.errors import ConfigurationError
from schemas.policy import Policy, default_policy, read_policy

BYTES_MAX = 1_048_576
NODES_MAX = 100_000
_REMEDY = "`labelpulse policy schema` prints what a policy may hold, docs/policy.md explains it"


class _Loader(yaml.SafeLoader):
    """YAML's plain values, without times: 09:30 and 2026-01-05 stay text."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def load_policy(path: Path | None) -> Policy:
    """Return the policy of a file, or the default one where there is none.

    Raises
    ------
    ConfigurationError
        With one line a mistake: ``policy.yaml:12: rules[2].when.below: …``.
    """
    if path is None:
        return default_policy()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the policy {path}: {error.strerror}", remedy="check the path of the policy file"
        ) from error
    return parse_policy(data, name=path.name)


def parse_policy(data: bytes, *, name: str) -> Policy:
    """Return the policy that a YAML (or JSON) text holds; `name` stands in front of each mistake.

    Raises
    ------
    ConfigurationError
        As in `load_policy`.
    """
    if len(data) > BYTES_MAX:
        raise ConfigurationError(f"{name} has more than {BYTES_MAX:,} bytes", remedy=_REMEDY)
    try:
        loader = _Loader(data)
        node = loader.get_single_node()
        mistakes = [] if node is None else [f"{name}:{line}: {text}" for line, text in _mistakes_of_form(node)]
        if mistakes:
            raise ConfigurationError("\n".join(mistakes), remedy=_REMEDY)
        value = {} if node is None else loader.construct_document(node)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ConfigurationError(_told_yaml(error, name), remedy="write it as YAML, two spaces a level") from error
    try:
        return read_policy(value)
    except ValidationError as error:
        raise ConfigurationError("\n".join(_told(error, node, name)), remedy=_REMEDY) from error


def _told_yaml(error: Exception, name: str) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0] or type(error).__name__
    return f"{name}:{mark.line + 1}: {problem}" if mark else f"{name}: {problem}"


def _mistakes_of_form(root: yaml.Node) -> Iterator[tuple[int, str]]:
    """Yield keys that stand twice in one mapping, and a file that unfolds (by its aliases) into too much."""
    waiting, visited = [root], 0
    while waiting:
        node = waiting.pop()
        visited += 1
        if visited > NODES_MAX:
            yield node.start_mark.line + 1, f"the file has more than {NODES_MAX:,} values"
            return
        if isinstance(node, yaml.MappingNode):
            seen: dict[str, int] = {}
            for key, _ in node.value:
                line = key.start_mark.line + 1
                if seen.setdefault(str(key.value), line) != line:
                    yield line, f"{key.value} stands in line {seen[str(key.value)]} already"
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _told(error: ValidationError, root: yaml.Node | None, name: str) -> Iterator[str]:
    for detail in error.errors(include_url=False):
        line, path = _place(root, detail["loc"])
        reason = detail["msg"].removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
        is_shown = detail["loc"][:1] != ("hooks",) and detail["type"] not in ("missing", "extra_forbidden", "rule")
        shown = _got(detail["input"]) if is_shown else ""
        if detail["type"] == "extra_forbidden":
            reason = "is not known here"
        elif detail["type"] == "missing":
            reason = "is missing"
        elif close := _close_word(detail):
            reason, shown = f"{detail['input']} is none of the words it may be; did you mean {close}?", ""
        yield f"{name}:{line}: {path + ': ' if path else ''}{reason}{shown}"


def _close_word(detail: Any) -> str:
    if detail["type"] not in ("literal_error", "enum"):
        return ""
    words = re.findall(r"'([^']+)'", detail["msg"])
    return next(iter(get_close_matches(str(detail["input"]), words, n=1)), "")


def _got(value: Any) -> str:
    return f", not {value!r}" if isinstance(value, str | int | float) else ""


def _place(root: yaml.Node | None, location: tuple[int | str, ...]) -> tuple[int, str]:
    """Return the line of a location, counted from 1, and its path as people write it."""
    node, line, path = root, 1 if root is None else root.start_mark.line + 1, ""
    for depth, part in enumerate(location, start=1):
        is_tag = isinstance(part, str) and depth < len(location) and _child(node, part) is None
        if is_tag or (isinstance(part, str) and part[0] in "<["):
            continue
        path += f"[{part}]" if isinstance(part, int) else f"{'.' if path else ''}{part}"
        found = _child(node, part)
        if found is not None:
            line, node = found
        else:
            node = None
    return line, path


def _child(node: yaml.Node | None, part: int | str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None
