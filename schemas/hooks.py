"""Hooks: where alerts are delivered to, as the section ``hooks`` of a policy file says it.

A hook has a name, by which rules refer to it, a ``kind``, and options. Secrets are never in the file: it says where
they are, as ``env:NAME`` or ``file:PATH``.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

HOOK_NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
SECRET_PATTERN = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"
URL_PATTERN = r"^(https?://.+|env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"
MINUTE_SECONDS = 60.0
HOUR_SECONDS = 3_600.0
DAY_SECONDS = 86_400.0

HookName = Annotated[str, Field(pattern=HOOK_NAME_PATTERN)]
SecretReference = Annotated[str, Field(pattern=SECRET_PATTERN, max_length=1_024)]
"""Where a secret is: ``env:NAME`` of an environment variable, or ``file:PATH``; surrounding white space is left out."""
Url = Annotated[str, Field(pattern=URL_PATTERN, max_length=2_048)]
"""An address; as a `SecretReference` where it is itself a secret."""
LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
GroupField = Literal["project_id", "rule", "severity", "question_id", "annotator_id", "step", "label_class"]
PAUSE_REASONS = Literal["MANUAL", "BEHAVIOR_BASED", "ANNOTATOR_EVALUATION", "ANNOTATION_LIMIT", "CUSTOM_SCRIPT"]


class Hook(BaseModel):
    """What all kinds of hooks have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    send_resolved: Annotated[bool, Field(description="Whether it is told of resolutions too.")] = True
    rate_per_minute: Annotated[
        float, Field(gt=0, le=60_000, description="Most requests a minute in the long run; more alerts wait.")
    ] = 60.0
    burst: Annotated[int, Field(ge=1, le=10_000, description="Most requests at once after a quiet time.")] = 20
    timeout_seconds: Annotated[
        float,
        Field(gt=0, le=120, description="An attempt that takes longer has failed, from connecting to the answer."),
    ] = 15.0
    give_up_seconds: Annotated[
        float, Field(gt=0, le=7 * DAY_SECONDS, description="An alert that cannot be delivered for so long is dead.")
    ] = 6 * HOUR_SECONDS
    retry_seconds: Annotated[
        float,
        Field(gt=0, le=HOUR_SECONDS, description="Pause after the first failure; it doubles with each further one."),
    ] = 1.0
    retry_seconds_max: Annotated[
        float, Field(gt=0, le=DAY_SECONDS, description="Longest pause between two attempts.")
    ] = 10 * MINUTE_SECONDS
    link: Annotated[
        str | None,
        Field(max_length=1_024, description="A page about the alert; {project_id} and {alert_id} are filled in."),
    ] = None


class GroupingHook(Hook):
    """A hook that can tell of several alerts in one request."""

    group_by: Annotated[
        tuple[GroupField, ...] | None,
        Field(description="Alerts that wait and agree in these go out together; none: each alone."),
    ] = None
    group_seconds: Annotated[
        float, Field(ge=0, le=HOUR_SECONDS, description="How long an alert waits for others of its group.")
    ] = 0.0
    group_alerts_max: Annotated[int, Field(ge=1, le=1_000, description="Most alerts in one request.")] = 50


class WebhookHook(GroupingHook):
    """Any receiver that speaks Standard Webhooks."""

    kind: Literal["webhook"]
    url: Url
    secret: Annotated[SecretReference, Field(description="Signs each request; base64, with or without whsec_.")]
    previous_secret: Annotated[
        SecretReference | None, Field(description="Signs as well, while receivers change over to a new secret.")
    ] = None


class SlackHook(GroupingHook):
    """A channel of Slack, or of what takes Slack's messages."""

    kind: Literal["slack"]
    url: Annotated[SecretReference, Field(description="The incoming webhook's address, which is itself a secret.")]
    group_by: tuple[GroupField, ...] | None = ("project_id", "rule")
    group_alerts_max: Annotated[int, Field(ge=1, le=50)] = 50
    rate_per_minute: Annotated[float, Field(gt=0, le=60_000)] = 30.0
    burst: Annotated[int, Field(ge=1, le=10_000)] = 5


class PagerDutyHook(Hook):
    """A service of PagerDuty, by its Events API v2."""

    kind: Literal["pagerduty"]
    routing_key: Annotated[SecretReference, Field(description="The integration key of the service.")]
    url: Url = "https://events.pagerduty.com/v2/enqueue"
    source: Annotated[str, Field(min_length=1, max_length=255, description="The affected system.")] = "labelpulse"


class AlertmanagerHook(GroupingHook):
    """Prometheus Alertmanager, by its API v2."""

    kind: Literal["alertmanager"]
    urls: Annotated[
        tuple[Url, ...],
        Field(
            min_length=1, max_length=8, description="Base address of each instance; all are told, one has to take it."
        ),
    ]
    authorization: Annotated[
        SecretReference | None, Field(description="Value of the header Authorization, such as Bearer and a token.")
    ] = None
    labels: Annotated[dict[LabelName, str], Field(max_length=32, description="Added to the labels of each alert.")] = {}
    resend_seconds: Annotated[
        float, Field(ge=1, le=HOUR_SECONDS, description="How often a firing alert is sent again.")
    ] = 60.0
    group_by: tuple[GroupField, ...] | None = ()
    group_alerts_max: Annotated[int, Field(ge=1, le=1_000)] = 500


class CloudEventsKafkaHook(Hook):
    """A topic of Kafka, each alert a CloudEvent."""

    kind: Literal["cloudevents_kafka"]
    brokers: Annotated[str, Field(min_length=1, max_length=4_096, description="host:port, separated by commas.")]
    topic: Annotated[str, Field(max_length=249, pattern=r"^[a-zA-Z0-9._-]+$")] = "labelpulse.alerts"
    source: Annotated[str, Field(min_length=1, max_length=255, description="The event's source, a URI.")] = (
        "/labelpulse"
    )
    options: Annotated[
        dict[str, str],
        Field(max_length=64, description="librdkafka's; a value of env:NAME or file:PATH is read from there."),
    ] = {}
    rate_per_minute: Annotated[float, Field(gt=0, le=60_000)] = 6_000.0
    burst: Annotated[int, Field(ge=1, le=10_000)] = 1_000


class LabelStudioHook(Hook):
    """Label Studio Enterprise: pauses the annotator of an alert whose rule recommends it."""

    kind: Literal["label_studio"]
    url: Annotated[Url, Field(description="Base address of Label Studio.")]
    token: SecretReference
    scheme: Annotated[Literal["Token", "Bearer"], Field(description="How the token is presented.")] = "Token"
    reason: PAUSE_REASONS = "CUSTOM_SCRIPT"


class CommandHook(Hook):
    """A command to execute on this machine, with the alert as JSON on its standard input."""

    kind: Literal["command"]
    command: Annotated[tuple[str, ...], Field(min_length=1, description="The program and its arguments; no shell.")]
    environment: Annotated[
        tuple[str, ...], Field(max_length=64, description="Environment variables that it gets beside PATH, HOME, LANG.")
    ] = ()


class LogHook(Hook):
    """The log of the flow."""

    kind: Literal["log"]
    rate_per_minute: Annotated[float, Field(gt=0, le=60_000)] = 600.0
    burst: Annotated[int, Field(ge=1, le=10_000)] = 100


AnyHook = Annotated[
    WebhookHook
    | SlackHook
    | PagerDutyHook
    | AlertmanagerHook
    | CloudEventsKafkaHook
    | LabelStudioHook
    | CommandHook
    | LogHook,
    Field(discriminator="kind"),
]
"""One hook; the section ``hooks`` of a policy is a `HooksSection`."""
HooksSection = dict[HookName, AnyHook]

HOOKS_ADAPTER: TypeAdapter[dict[str, AnyHook]] = TypeAdapter(HooksSection)
