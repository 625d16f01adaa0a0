"""Makes the receiver of a hook from its options: secrets are read and addresses checked here, before anything runs."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import assert_never

from schemas.errors import ConfigurationError
from schemas.hooks import (
    AlertmanagerHook,
    AnyHook,
    CloudEventsKafkaHook,
    CommandHook,
    GroupingHook,
    LabelStudioHook,
    LogHook,
    PagerDutyHook,
    SlackHook,
    WebhookHook,
)
from sinks.hooks.addresses import Network, parse_networks, parse_target
from sinks.hooks.alertmanager import RESEND_RESOLVED_SECONDS, Alertmanager
from sinks.hooks.cloudevents_kafka import CloudEventsKafka
from sinks.hooks.command import Command
from sinks.hooks.http_client import HttpClient
from sinks.hooks.label_studio import LabelStudio
from sinks.hooks.log import Log
from sinks.hooks.notification import Receiver
from sinks.hooks.pagerduty import PagerDuty
from sinks.hooks.publisher import Delivery
from sinks.hooks.slack import Slack
from sinks.hooks.traits import HookTraits
from sinks.hooks.webhook import Webhook, key_of

ENVIRONMENT_OF_COMMANDS = ("PATH", "HOME", "LANG")
SECRET_BYTES_MAX = 65_536
_DIGEST_BYTES = 16
_EVERYWHERE = parse_networks("0.0.0.0/0,::/0")


def delivery_of(name: str, hook: AnyHook, *, networks: Sequence[Network], environment: Mapping[str, str]) -> Delivery:
    """Return how to deliver to a hook.

    Parameters
    ----------
    name
        As rules refer to it.
    hook
        Its options.
    networks
        Networks that may be connected to though they are not public.
    environment
        Environment variables, for secrets and for commands.

    Raises
    ------
    ConfigurationError
        If a secret is missing, or an address may not be called.
    """
    try:
        open_receiver = _receiver(hook, networks=networks, environment=environment)
    except ConfigurationError as error:
        raise ConfigurationError(f"hook {name}: {error.message}", remedy=error.remedy) from error
    return Delivery(traits_of(name, hook), open_receiver)


def traits_of(name: str, hook: AnyHook) -> HookTraits:
    """Return what the outbox has to know of a hook."""
    groups = hook if isinstance(hook, GroupingHook) else None
    resends = hook if isinstance(hook, AlertmanagerHook) else None
    return HookTraits(
        name=name,
        configuration=hashlib.blake2b(hook.model_dump_json().encode(), digest_size=_DIGEST_BYTES).hexdigest(),
        send_resolved=hook.send_resolved,
        takes_acknowledgements=isinstance(hook, PagerDutyHook | WebhookHook | CloudEventsKafkaHook | LogHook),
        group_by=groups.group_by if groups else None,
        group_seconds=groups.group_seconds if groups else 0.0,
        group_alerts_max=groups.group_alerts_max if groups else 1,
        resend_seconds=resends.resend_seconds if resends else None,
        resend_resolved_seconds=RESEND_RESOLVED_SECONDS if resends else 0.0,
        give_up_seconds=hook.give_up_seconds,
        retry_seconds=hook.retry_seconds,
        retry_seconds_max=max(hook.retry_seconds, hook.retry_seconds_max),
        rate_per_minute=hook.rate_per_minute,
        burst=hook.burst,
    )


def destination_of(hook: AnyHook) -> str:
    """Return where a hook leads, in a few words without secrets."""
    match hook:
        case WebhookHook() | PagerDutyHook() | LabelStudioHook():
            return _place(hook.url)
        case SlackHook():
            return hook.url
        case AlertmanagerHook():
            return ", ".join(_place(url) for url in hook.urls)
        case CloudEventsKafkaHook():
            return f"{hook.topic} on {hook.brokers}"
        case CommandHook():
            return hook.command[0]
        case LogHook():
            return "-"
        case _:
            assert_never(hook)


def read_secret(reference: str, environment: Mapping[str, str]) -> str:
    """Return a secret.

    Parameters
    ----------
    reference
        ``env:NAME`` or ``file:PATH``.
    environment
        Environment variables.

    Raises
    ------
    ConfigurationError
        If there is none there.
    """
    kind, _, where = reference.partition(":")
    if kind == "env":
        secret = environment.get(where, "").strip()
    else:
        try:
            with Path(where).open() as file:
                secret = file.read(SECRET_BYTES_MAX).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"the secret in {where} cannot be read", remedy="check the path and its rights"
            ) from error
    if not secret:
        raise ConfigurationError(f"the secret {reference} is empty", remedy="set it, or name another one")
    return secret


def _receiver(hook: AnyHook, *, networks: Sequence[Network], environment: Mapping[str, str]) -> Callable[[], Receiver]:
    def secret(reference: str) -> str:
        return read_secret(reference, environment)

    def address(url: str) -> str:
        text = url if url.startswith(("http://", "https://")) else secret(url)
        parse_target(text, networks=networks)
        return text

    def client() -> HttpClient:
        return HttpClient(networks=networks, timeout_seconds=hook.timeout_seconds)

    link = hook.link
    match hook:
        case WebhookHook():
            secrets = [secret(one) for one in (hook.secret, hook.previous_secret) if one is not None]
            for one in secrets:
                key_of(one)
            url = address(hook.url)
            return lambda: Webhook(client(), url=url, secrets=secrets, link=link)
        case SlackHook():
            url = address(hook.url)
            return lambda: Slack(client(), url=url, link=link)
        case PagerDutyHook():
            url, key, source = address(hook.url), secret(hook.routing_key), hook.source
            return lambda: PagerDuty(client(), url=url, routing_key=key, source=source, link=link)
        case AlertmanagerHook():
            return _alertmanager(hook, client, urls=[address(url) for url in hook.urls], secret=secret)
        case CloudEventsKafkaHook():
            return _cloudevents(hook, secret)
        case LabelStudioHook():
            url, token, scheme, reason = address(hook.url), secret(hook.token), hook.scheme, hook.reason
            return lambda: LabelStudio(client(), url=url, token=token, scheme=scheme, reason=reason)
        case CommandHook():
            passed = {name: environment[name] for name in (*ENVIRONMENT_OF_COMMANDS, *hook.environment)
                      if name in environment}  # fmt: skip
            command, seconds = hook.command, hook.timeout_seconds
            return lambda: Command(command, environment=passed, timeout_seconds=seconds, link=link)
        case LogHook():
            return Log
        case _:
            assert_never(hook)


def _alertmanager(
    hook: AlertmanagerHook, client: Callable[[], HttpClient], *, urls: list[str], secret: Callable[[str], str]
) -> Callable[[], Receiver]:
    authorization = None if hook.authorization is None else secret(hook.authorization)
    return lambda: Alertmanager(
        client(),
        urls=urls,
        resend_seconds=hook.resend_seconds,
        authorization=authorization,
        labels=hook.labels,
        link=hook.link,
    )


def _cloudevents(hook: CloudEventsKafkaHook, secret: Callable[[str], str]) -> Callable[[], Receiver]:
    options = {
        name: secret(value) if value.startswith(("env:", "file:")) else value for name, value in hook.options.items()
    }
    return lambda: CloudEventsKafka(
        brokers=hook.brokers,
        topic=hook.topic,
        source=hook.source,
        timeout_seconds=hook.timeout_seconds,
        options=options,
        link=hook.link,
    )


def _place(url: str) -> str:
    return parse_target(url, networks=_EVERYWHERE).place if url.startswith(("http://", "https://")) else url


def environment_of_process() -> dict[str, str]:
    """Return the environment variables of this process."""
    return dict(os.environ)
