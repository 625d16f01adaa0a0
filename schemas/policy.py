"""The policy: per project, which conditions raise an alert, how bad it is, who is told and what should be done."""

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from schemas.alerts import Action, Severity
from schemas.hooks import HookName, HooksSection
from schemas.signals import DIRECTIONS, DRIFTS, SIGNALS, Scope, Unit

RULES_MAX = 200
CONDITIONS_MAX = 32
DEPTH_MAX = 6
LAST_MAX = 64
DURATION_MAX = 366 * 86_400_000_000
_WINDOW_MIN = 60_000_000

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_UNITS = {"ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}


def parse_duration(value: object) -> object:
    """Return the microseconds of a text such as ``90s``, ``15m``, ``4h`` or ``1d``.

    >>> parse_duration("1.5h")
    5400000000
    """
    if value == 0:
        return 0
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise PydanticCustomError("duration", "should be a time such as 90s, 15m, 4h or 1d")
    return round(float(match[1]) * _UNITS[match[2]])


def duration_text(microseconds: int) -> str:
    """Return a time as `parse_duration` reads it.

    >>> duration_text(5_400_000_000), duration_text(86_400_000_000), duration_text(2_500_000)
    ('90m', '1d', '2500ms')
    """
    for unit in ("d", "h", "m", "s"):
        if microseconds % _UNITS[unit] == 0:
            return f"{microseconds // _UNITS[unit]}{unit}"
    return f"{microseconds // 1_000}ms"


Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    Field(ge=0, le=DURATION_MAX),
    PlainSerializer(duration_text, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*(ms|s|m|h|d)$"}),
]
"""A field: a text such as ``15m`` in, whole microseconds out."""

Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$", max_length=64)]
Pattern = Annotated[str, Field(min_length=1, max_length=256, description="* and ? stand for any characters.")]
SignalName = Literal[tuple(SIGNALS)]  # type: ignore[valid-type]
DriftName = Literal[DRIFTS]  # type: ignore[valid-type]
_DIRECTION_WORDS = ("any", *(word for words in DIRECTIONS.values() for word in words))
Direction = Literal[_DIRECTION_WORDS]  # type: ignore[valid-type]
_MICROSECONDS_OF = {Unit.DURATION: 1, Unit.MILLISECONDS: 1_000}
_BOUNDS = ("below", "at_most", "above", "at_least")


class Strict(BaseModel):
    """A part of the policy; a name that is not known is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Bound = Annotated[float | None, Field(allow_inf_nan=False), WithJsonSchema({"type": ["number", "string", "null"]})]


class Comparison(Strict):
    """A signal lies beyond a bound; what is not known yet lies beyond none."""

    signal: SignalName
    below: Bound = None
    at_most: Bound = None
    above: Bound = None
    at_least: Bound = None
    hysteresis: Annotated[
        Bound, Field(description="While it fires, the bound is this much easier to stay beyond, in the signal's unit.")
    ] = 0.0
    last: Annotated[
        int | None, Field(ge=1, le=LAST_MAX, description="Over so many of the annotator's last outcomes only.")
    ] = None
    of_at_least: Annotated[
        int | None, Field(ge=1, le=LAST_MAX, description="Known from so many outcomes on; with last.")
    ] = None
    faster_than: Annotated[Duration | None, Field(description="What is too fast, for too_fast_share.")] = None
    window: Annotated[Duration | None, Field(description="Of throughput_ratio: what is counted; 1h by default.")] = None

    @model_validator(mode="before")
    @classmethod
    def _read_times(cls, value: object) -> object:
        """Let bounds of signals that are times be written as such."""
        signal = SIGNALS.get(str(value.get("signal"))) if isinstance(value, dict) else None
        if signal is None or signal.unit not in _MICROSECONDS_OF:
            return value
        unit = _MICROSECONDS_OF[signal.unit]
        return {
            name: parse_duration(part) / unit
            if name in (*_BOUNDS, "hysteresis") and isinstance(part, str) and _DURATION.fullmatch(part.strip())
            else part
            for name, part in value.items()
        }

    @model_validator(mode="after")
    def _require_one_bound(self) -> Self:
        given = [name for name in _BOUNDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError("bounds", "should have one of below, at_most, above and at_least")
        if self.hysteresis is None or self.hysteresis < 0:
            raise PydanticCustomError("hysteresis", "hysteresis should not be negative")
        return self

    @property
    def bound(self) -> tuple[str, float]:
        """Which bound is given, and its value."""
        return next((name, getattr(self, name)) for name in _BOUNDS if getattr(self, name) is not None)

    @property
    def reading(self) -> str:
        """Name of what is compared, its history included: ``accuracy``, or ``accuracy@20``."""
        return f"{self.signal}@{self.last}" if self.last else self.signal


class Drift(Strict):
    """One of an annotator's signals changed, by a detector with the promised rate of false alarms."""

    drift: DriftName
    direction: Direction = "any"
    holds_for: Annotated[Duration, Field(description="Counts as changed for so long of the project's clock.")] = (
        86_400_000_000
    )


class CommonCause(Strict):
    """Many annotators of a project changed together: the task or the guidelines, rather than people."""

    common_cause: DriftName
    direction: Direction = "any"
    within: Annotated[Duration, Field(description="How far apart the changes may lie.")] = 14_400_000_000
    annotators_min: Annotated[int, Field(ge=2)] = 3
    share_min: Annotated[float, Field(gt=0, le=1)] = 0.2
    holds_for: Annotated[Duration, Field(description="Counts as changed for so long of the project's clock.")] = (
        86_400_000_000
    )


class All(Strict):
    """All of several conditions hold."""

    all: Annotated[list["Condition"], Field(min_length=1, max_length=CONDITIONS_MAX)]


class Any_(Strict):
    """At least one of several conditions holds."""

    any: Annotated[list["Condition"], Field(min_length=1, max_length=CONDITIONS_MAX)]


_KINDS = {"all": All, "any": Any_, "drift": Drift, "common_cause": CommonCause, "signal": Comparison}


def _kind_of(value: object) -> str | None:
    """Tell the kinds of conditions apart by the key that only one of them has."""
    for key, kind in _KINDS.items():
        if isinstance(value, kind) or (isinstance(value, dict) and key in value):
            return f"<{key}>"
    return None


Condition = Annotated[
    Annotated[All, Tag("<all>")]
    | Annotated[Any_, Tag("<any>")]
    | Annotated[Drift, Tag("<drift>")]
    | Annotated[CommonCause, Tag("<common_cause>")]
    | Annotated[Comparison, Tag("<signal>")],
    Discriminator(
        _kind_of,
        custom_error_type="condition",
        custom_error_message="should have one of signal, drift, common_cause, all and any",
    ),
]
All.model_rebuild()
Any_.model_rebuild()


class Rule(Strict):
    """A condition, and what follows from it."""

    name: Annotated[Name, Field(description="Unique; it is part of the alert's identity.")]
    when: Annotated[Condition, Field(description="What raises the alert.")]
    scope: Annotated[Scope, Field(description="What the condition is asked of, one at a time.")] = Scope.ANNOTATOR
    projects: Annotated[list[Pattern], Field(min_length=1, description="Patterns of project ids.")] = ["*"]
    questions: Annotated[list[Pattern], Field(min_length=1, description="Patterns of question ids.")] = ["*"]
    steps: Annotated[list[Pattern], Field(min_length=1, description="Patterns of steps, for the scope step.")] = ["*"]
    evidence: Annotated[
        dict[SignalName, Annotated[float, Field(ge=0)]], Field(description="Counts that it takes before it may fire.")
    ] = {}
    severity: Severity = Severity.WARNING
    action: Annotated[Action | None, Field(description="What to recommend.")] = None
    hooks: Annotated[list[HookName], Field(description="Names of the hooks that are told.")] = []
    cool_down: Annotated[
        Duration, Field(description="After it fired, it does not fire again for so long of the project's clock.")
    ] = 0
    resolve_after: Annotated[
        Duration, Field(description="It is resolved once the condition has not held for so long.")
    ] = 0


class ErrorControl(Strict):
    """Alerts of drift only as e-Benjamini-Hochberg over all of a project's annotators declares them."""

    level: Annotated[float, Field(gt=0, le=1, description="Error over patience; see docs/statistics_drift.md.")]


class ProjectOptions(Strict):
    """What differs for some projects; the last entry that matches and says something counts."""

    match: Annotated[list[Pattern], Field(min_length=1, description="Patterns of project ids.")]
    false_alarms_per_million_judgements: Annotated[float | None, Field(gt=0, le=100_000)] = None
    error_control: ErrorControl | Literal["none"] | None = None
    prices: dict[Name, Annotated[float, Field(ge=0, allow_inf_nan=False)]] | None = None
    attributes: Annotated[list[Name] | None, Field(max_length=8)] = None


class ProjectPolicy(Strict):
    """The policy of one project: rules that concern it, and its options."""

    project_id: str
    false_alarms_per_million_judgements: float
    error_control: ErrorControl | None
    prices: dict[str, float]
    attributes: tuple[str, ...]
    rules: tuple[Rule, ...]


class Policy(Strict):
    """The policy file."""

    version: Literal[1] = 1
    false_alarms_per_million_judgements: Annotated[
        float, Field(gt=0, le=100_000, description="The promise of the drift detectors, per annotator's judgements.")
    ] = 10.0
    error_control: Annotated[ErrorControl | Literal["none"], Field(description="Over all annotators of a project.")] = (
        "none"
    )
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="Of the prices, ISO 4217.")] = "EUR"
    prices: Annotated[
        dict[Name, Annotated[float, Field(ge=0, allow_inf_nan=False)]], Field(description="Of one label, by step.")
    ] = {}
    attributes: Annotated[
        list[Name], Field(max_length=8, description="Names of the events' attributes that are kept.")
    ] = ["team", "vendor", "language", "guideline_version", "batch"]
    projects: Annotated[list[ProjectOptions], Field(max_length=1_000)] = []
    hooks: Annotated[HooksSection, Field(max_length=100, description="Where alerts are delivered to, by name.")] = {}
    rules: Annotated[list[Rule], Field(max_length=RULES_MAX)]

    def for_project(self, project_id: str) -> ProjectPolicy:
        """Return what holds for a project."""
        options: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("false_alarms_per_million_judgements", "error_control", "prices", "attributes")
        }
        for entry in self.projects:
            if matches(project_id, entry.match):
                options |= {name: value for name in options if (value := getattr(entry, name)) is not None}
        if options["error_control"] == "none":
            options["error_control"] = None
        rules = tuple(rule for rule in self.rules if matches(project_id, rule.projects))
        return ProjectPolicy(project_id=project_id, rules=rules, **options)


def matches(value: str, patterns: list[str]) -> bool:
    """Return whether a value matches one of several patterns.

    >>> matches("toxicity-de", ["spam", "tox*"])
    True
    """
    return any(fnmatchcase(value, pattern) for pattern in patterns)


def leaves(condition: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield the conditions that hold no others, each with its path from the outermost one."""
    if isinstance(condition, All | Any_):
        name = "all" if isinstance(condition, All) else "any"
        for index, inner in enumerate(getattr(condition, name)):
            yield from leaves(inner, (*path, name, index))
    else:
        yield path, condition


def read_policy(value: object) -> Policy:
    """Return the policy of plain values, as a YAML or JSON file holds them.

    Raises
    ------
    pydantic.ValidationError
        With the path to each mistake.
    """
    policy = Policy.model_validate(value)
    mistakes = list(_mistakes(policy))
    if mistakes:
        raise ValidationError.from_exception_data(
            "Policy",
            [
                InitErrorDetails(type=PydanticCustomError("rule", "{reason}", {"reason": reason}), loc=path, input=None)
                for path, reason in mistakes
            ],
        )
    return policy


def policy_json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the policy file."""
    schema = Policy.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "labelpulse policy, version 1",
    }


def _mistakes(policy: Policy) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield what single fields do not show, each with its path."""
    first: dict[str, int] = {}
    for index, rule in enumerate(policy.rules):
        at: tuple[str | int, ...] = ("rules", index)
        if first.setdefault(rule.name, index) != index:
            yield (*at, "name"), f"is the name of rules[{first[rule.name]}] as well"
        for name in rule.evidence:
            if SIGNALS[name].unit is not Unit.COUNT:
                yield (*at, "evidence", name), "is no count"
            elif rule.scope not in SIGNALS[name].scopes:
                yield (*at, "evidence", name), f"is not known of the scope {rule.scope}"
        for place, name in enumerate(rule.hooks):
            if name not in policy.hooks:
                yield (*at, "hooks", place), f"names {name}, which is not among the hooks of the policy"
        found = list(leaves(rule.when, (*at, "when")))
        if len(found) > CONDITIONS_MAX:
            yield (*at, "when"), f"has more than {CONDITIONS_MAX} conditions"
        for path, leaf in found:
            if len(path) > 3 + 2 * DEPTH_MAX:
                yield path, f"is nested deeper than {DEPTH_MAX} levels"
            yield from ((path + end, reason) for end, reason in _mistakes_of(leaf, rule.scope))


def _mistakes_of(leaf: Any, scope: Scope) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(leaf, Drift | CommonCause):
        name = "drift" if isinstance(leaf, Drift) else "common_cause"
        needed = Scope.ANNOTATOR if name == "drift" else Scope.PROJECT
        words = ("any", *DIRECTIONS[getattr(leaf, name)])
        if scope is not needed:
            yield (name,), f"is known of the scope {needed} only"
        if leaf.direction not in words:
            yield ("direction",), f"of {getattr(leaf, name)} is one of {', '.join(words)}"
        return
    signal = SIGNALS[leaf.signal]
    if scope not in signal.scopes:
        yield ("signal",), f"{leaf.signal} is not known of the scope {scope}"
    if leaf.last is not None and not (signal.history and scope is Scope.ANNOTATOR):
        yield ("last",), f"{leaf.signal} keeps no last outcomes of a {scope}"
    if leaf.of_at_least is not None and (leaf.last is None or leaf.of_at_least > leaf.last):
        yield ("of_at_least",), "goes with last, and is no larger"
    if (leaf.faster_than is not None) != (leaf.signal == "too_fast_share"):
        yield ("signal",), "faster_than says what too_fast_share counts: both or neither"
    if leaf.signal == "too_fast_share" and leaf.last is None:
        yield ("signal",), "too_fast_share is asked of the last so many answers: give last"
    if leaf.signal == "agreement" and scope is Scope.ANNOTATOR and leaf.last is None:
        yield ("signal",), "agreement of an annotator is asked of the last so many answers: give last"
    if leaf.window is not None and (leaf.signal != "throughput_ratio" or leaf.window < _WINDOW_MIN):
        yield ("window",), "goes with throughput_ratio, and is 1m or longer"
    if signal.unit is Unit.DURATION and leaf.bound[1] < _UNITS["s"]:
        yield (leaf.bound[0],), "is a time of a second or more, such as 4h"
    if signal.unit is Unit.DURATION and leaf.bound[0] not in ("above", "at_least"):
        yield (leaf.bound[0],), "is always so right after an event: say above"
    if signal.unit is Unit.SHARE and not 0 <= leaf.bound[1] <= 1:
        yield (leaf.bound[0],), "is a share, from 0 to 1"


_DEFAULT = """
{"rules": [
  {"name": "common-cause", "scope": "project", "severity": "error", "action": "check", "cool_down": "4h",
   "when": {"common_cause": "accuracy", "direction": "worse"}},
  {"name": "accuracy-drift", "severity": "warning", "action": "check", "cool_down": "4h",
   "when": {"drift": "accuracy", "direction": "worse"}},
  {"name": "agreement-drift", "severity": "warning", "action": "check", "cool_down": "4h",
   "when": {"drift": "agreement", "direction": "worse"}},
  {"name": "class-use-drift", "severity": "info", "action": "check", "cool_down": "4h",
   "when": {"drift": "class_use"}},
  {"name": "rushing", "severity": "info", "action": "check", "cool_down": "4h",
   "when": {"drift": "speed", "direction": "faster"}},
  {"name": "accuracy-low", "severity": "warning", "action": "retrain", "cool_down": "1d",
   "when": {"signal": "accuracy_high", "below": 0.7, "hysteresis": 0.05}, "evidence": {"gold_labels": 20}},
  {"name": "skips-in-a-row", "severity": "info", "action": "check", "cool_down": "1h",
   "when": {"signal": "skips_in_a_row", "at_least": 10}}
]}
"""


def default_policy() -> Policy:
    """Return the policy that holds where there is no file."""
    return read_policy(json.loads(_DEFAULT))
