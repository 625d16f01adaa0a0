"""``labelpulse policy``: checks a policy file, explains it, tries it on recorded events."""

import json
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.failures import note
from flows.cli.options import ConfigOption, SetOption, settings_from
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from schemas.alerts import Alert
    from schemas.policy import Policy


class Action(StrEnum):
    """What to do with a policy."""

    CHECK = "check"
    EXPLAIN = "explain"
    TEST = "test"
    SCHEMA = "schema"


class AlertFormat(StrEnum):
    """How alerts are listed; json is an object a line, figures and all."""

    TEXT = "text"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("policy")(policy)


def policy(
    action: Annotated[
        Action,
        typer.Argument(
            help="check it, explain it in plain sentences, test it on events, or print the schema.", show_default=False
        ),
    ],
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="The policy; without one, the policy that holds by default.", show_default=False
        ),
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(
            "--events", metavar="PATH", help="For test: recorded events, a file or directory.", show_default=False
        ),
    ] = None,
    form: Annotated[AlertFormat, typer.Option("--format", help="For test: how alerts are listed.")] = AlertFormat.TEXT,
    config: ConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Check a policy file, explain it, try it on recorded events, or print its JSON Schema.

    Nothing is written and nobody is told.

    Examples:
      labelpulse policy check policy.yaml
      labelpulse policy explain policy.yaml
      labelpulse policy test policy.yaml --events events.jsonl
      labelpulse policy schema > policy.schema.json
    """
    from flows.policy import load_policy

    if action is Action.SCHEMA:
        from schemas.policy import policy_json_schema

        print(json.dumps(policy_json_schema(), indent=2, ensure_ascii=False))
        return
    loaded = load_policy(file)
    if action is Action.CHECK:
        print(f"{'the default policy' if file is None else file.name} is valid: {_counted(loaded)}")
    elif action is Action.EXPLAIN:
        from operators.rules.explaining import explained

        for sentence in explained(loaded):
            print(sentence)
    else:
        _test(loaded, events, form, config, overrides)


def _counted(loaded: "Policy") -> str:
    hooks = len(loaded.hooks)
    return f"{len(loaded.rules)} rules, {hooks} hook{'' if hooks == 1 else 's'}"


def _test(
    loaded: "Policy", events: Path | None, form: AlertFormat, config: Path | None, overrides: list[str] | None
) -> None:
    if events is None:
        raise ConfigurationError("no events are named", remedy="labelpulse policy test policy.yaml --events FILE")
    from flows.dry_run import alerts_of

    settings = settings_from(config=config, overrides=overrides).settings
    counts: Counter[str] = Counter()
    for alert in alerts_of(loaded, events, settings):
        counts[alert.state] += 1
        print(alert.to_json() if form is AlertFormat.JSON else _line(alert))
    note(f"{counts['firing']:,} alerts would have been raised, {counts['resolved']:,} of them resolved")


def _line(alert: "Alert") -> str:
    from schemas.timestamps import moment_of

    said = f"{alert.severity}, {alert.rule}" if alert.state == "firing" else alert.rule
    hooks = f" [{alert.hooks}]" if alert.hooks else ""
    moment = f"{moment_of(alert.happened_at):%Y-%m-%d %H:%M:%S}"
    return f"{moment} {alert.project_id} {alert.state} ({said}): {alert.summary}{hooks}"
