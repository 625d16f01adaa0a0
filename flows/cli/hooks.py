"""``labelpulse hooks``: lists where alerts go, and tries a hook."""

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.failures import ExitCode, note
from flows.cli.options import ConfigOption, RecoveryOption, SetOption, settings_from
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from flows.hook_trial import Trial
    from flows.settings import Settings
    from schemas.hooks import AnyHook


class HooksAction(StrEnum):
    """What to do with hooks."""

    LIST = "list"
    TEST = "test"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("hooks")(hooks)


def hooks(
    action: Annotated[HooksAction, typer.Argument(help="list them, or test one.", show_default=False)],
    policy: Annotated[
        Path, typer.Option("--policy", metavar="FILE", help="The policy file that names them.", show_default=False)
    ],
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The hook to test.", show_default=False)] = None,
    recovery: RecoveryOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
) -> int:
    """List the hooks of a policy and how their deliveries go, or send one of them a sample and show its answer.

    A sample says that it is one. It goes out at once, past the outbox, and is
    not sent again; where a hook is told of resolutions, one follows.

    Examples:
      labelpulse hooks list --policy policy.yaml --recovery ./state
      labelpulse hooks test on-call --policy policy.yaml
    """
    settings = settings_from(config=config, overrides=overrides, recovery=recovery).settings
    from flows.policy import load_policy

    known = load_policy(policy).hooks
    if action is HooksAction.LIST:
        _list(known, settings)
        return ExitCode.OK
    if name is None or name not in known:
        raise ConfigurationError(
            "no hook is named" if name is None else f"{policy.name} has no hook {name}",
            remedy=f"its hooks are: {', '.join(sorted(known)) or 'none'}",
        )
    return _test(name, known[name], settings)


def _list(known: "dict[str, AnyHook]", settings: "Settings") -> None:
    from flows.cli.tables import output_console, rows_table
    from flows.hooks import hook_counts
    from flows.receivers import destination_of

    counts = hook_counts(settings)
    rows = [
        {"hook": name, "kind": hook.kind, "where": destination_of(hook), **counts.get(name, {})}
        for name, hook in sorted(known.items())
    ]
    columns = ("hook", "kind", "where", "state", "waiting", "delivered", "dead")
    table, _ = rows_table(rows, columns=columns)
    output_console().print(table)
    if not counts:
        note("there is no outbox yet: nothing was delivered from here")


def _test(name: str, hook: "AnyHook", settings: "Settings") -> int:
    from flows.hook_trial import try_hook
    from flows.receivers import delivery_of, environment_of_process
    from sinks.hooks.addresses import parse_networks
    from sinks.hooks.notification import Outcome

    delivery = delivery_of(
        name,
        hook,
        networks=parse_networks(settings.hook_networks_allowed or ""),
        environment=environment_of_process(),
    )
    has_failed = False
    for trial in try_hook(delivery, now=time.time()):
        print(_told(trial))
        has_failed |= trial.answer.outcome not in (Outcome.DELIVERED, Outcome.NOT_APPLICABLE)
    return ExitCode.FAILED if has_failed else ExitCode.OK


def _told(trial: "Trial") -> str:
    from sinks.hooks.notification import printable

    answer = trial.answer
    status = "" if answer.status_code is None else f", status {answer.status_code}"
    said = answer.error or printable(answer.body)
    return (
        f"{trial.kind.value}: {answer.outcome.value}{status}, {trial.seconds * 1000:.0f} ms{f': {said}' * bool(said)}"
    )
