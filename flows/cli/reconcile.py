"""``labelpulse reconcile``: what a tool knows and did not tell, told."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.failures import ExitCode, note, tell, warn
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    import httpx2 as httpx

UrlOption = Annotated[str, typer.Option("--url", metavar="URL", help="Label Studio's address.")]
ProjectOption = Annotated[str, typer.Option("--project", metavar="N", help="Id of the project in Label Studio.")]
TokenEnvOption = Annotated[
    str | None,
    typer.Option("--token-env", metavar="NAME", help="Environment variable that holds the token.", show_default=False),
]
TokenFileOption = Annotated[
    Path | None, typer.Option("--token-file", metavar="FILE", help="File that holds the token.", show_default=False)
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="TIME", help="Leave out tasks unchanged since then (RFC 3339).", show_default=False
    ),
]
GatewayOption = Annotated[
    str | None,
    typer.Option(
        "--gateway", metavar="URL", help="Send the events there instead of standard output.", show_default=False
    ),
]
GatewayTokenEnvOption = Annotated[
    str | None,
    typer.Option("--gateway-token-env", metavar="NAME", help="Variable with the gateway's token.", show_default=False),
]
GatewayTokenFileOption = Annotated[
    Path | None,
    typer.Option("--gateway-token-file", metavar="FILE", help="File with the gateway's token.", show_default=False),
]
ToolSettingsOption = Annotated[
    Path | None,
    typer.Option(
        "--tool-settings",
        metavar="FILE",
        help="What the gateway was told of the source, as TOML.",
        show_default=False,
    ),
]

_commands = typer.Typer(help="Reads a tool's API and emits what its webhooks did not tell.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the command, with one command below it for each tool."""
    app.add_typer(_commands, name="reconcile")


@_commands.callback()
def _reconcile() -> None:
    """Reads a tool's API and emits what its webhooks did not tell: what is known already adds nothing."""


@_commands.command("label-studio")
def label_studio(
    url: UrlOption,
    project: ProjectOption,
    token_env: TokenEnvOption = None,
    token_file: TokenFileOption = None,
    since: SinceOption = None,
    gateway: GatewayOption = None,
    gateway_token_env: GatewayTokenEnvOption = None,
    gateway_token_file: GatewayTokenFileOption = None,
    tool_settings_file: ToolSettingsOption = None,
) -> int:
    """Read all annotations of a project of Label Studio and emit them as events.

    They have the ids that its webhooks gave them: what is known already adds
    nothing. Label Studio fires no event for imported annotations, and does
    not repeat what the gateway missed. What was deleted it does not list.

    Example:
      labelpulse reconcile label-studio --url http://localhost:8080
        --token-file token --project 7 > events.jsonl
    """
    from flows.reconcile import label_studio as source
    from flows.reconcile.http import Server
    from flows.tool_settings import tool_settings

    token = _secret("--token", token_env, token_file)
    if not token:
        raise typer.BadParameter("give the token with --token-env or --token-file")
    gateway_token = _secret("--gateway-token", gateway_token_env, gateway_token_file)
    if gateway is None and gateway_token:
        raise typer.BadParameter("a token of the gateway goes with --gateway")
    moment = _moment(since)
    settings = tool_settings(tool_settings_file)
    told: Counter[str] = Counter()
    with _client(url, "--url", source.TokenAuth(token)) as client:
        found = source.read_events(Server(client, "Label Studio"), project, settings=settings, since=moment)
        events = _events(found, told)
        if gateway is None:
            _write(events)
        else:
            _send(events, gateway, gateway_token, told)
    return _summed_up(told)


def _events(found: Iterator[dict[str, Any] | str], told: Counter[str]) -> Iterator[dict[str, Any]]:
    for one in found:
        if isinstance(one, str):
            told["refused"] += 1
            print(f"refused: {one}", file=sys.stderr)
        else:
            told["events"] += 1
            yield one


def _write(events: Iterator[dict[str, Any]]) -> None:
    from schemas.adapters.answers_csv import encode_event

    for event in events:
        sys.stdout.buffer.write(encode_event(event) + b"\n")
    sys.stdout.buffer.flush()


def _send(events: Iterator[dict[str, Any]], url: str, token: str, told: Counter[str]) -> None:
    from flows.reconcile.gateway import post_events
    from flows.reconcile.http import Server

    with _client(url, "--gateway", None) as client:
        for delivered in post_events(Server(client, "the gateway"), events, token):
            told["accepted"] += delivered.accepted
            told["rejected"] += delivered.rejected
            for line in delivered.details:
                print(f"rejected: {line}", file=sys.stderr)


def _summed_up(told: Counter[str]) -> int:
    accepted = f", {told['accepted']:,} taken by the gateway" if told["accepted"] else ""
    print(f"{told['events']:,} events{accepted}", file=sys.stderr)
    if told["refused"]:
        warn(f"{told['refused']:,} parts of tasks cannot be said by events")
    if not told["events"]:
        note("no task has an annotation")
    if told["rejected"]:
        tell(f"the gateway rejected {told['rejected']:,} events", remedy="see the lines above")
        return ExitCode.FAILED
    return ExitCode.OK


def _client(url: str, option: str, auth: "httpx.Auth | None") -> "httpx.Client":
    import httpx2 as httpx

    from flows.reconcile.http import TIMEOUT_SECONDS

    if not url.startswith(("http://", "https://")):
        raise typer.BadParameter(f"{option} {url!r} is no address such as http://localhost:8080")
    return httpx.Client(base_url=url.rstrip("/"), auth=auth, timeout=TIMEOUT_SECONDS, follow_redirects=True)


def _secret(option: str, variable: str | None, file: Path | None) -> str:
    """Return a secret from where people said that it is; empty where they did not say."""
    if variable is not None and file is not None:
        raise typer.BadParameter(f"give either {option}-env or {option}-file")
    if variable is not None:
        if not os.environ.get(variable):
            raise ConfigurationError(f"the environment variable {variable} is not set", remedy="set it to the token")
        return os.environ[variable].strip()
    if file is None:
        return ""
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read {file}: {error}", remedy="check the path") from error


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise typer.BadParameter(f"--since {text!r} is no time with a zone such as 2026-01-05T09:00:00Z")
    return moment
