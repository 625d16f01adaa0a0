"""Control events: what people do about alerts, hooks and refused records.

They come from the topic ``labelpulse.control``, or from a file of JSON lines in the recovery directory, and change
no row of the flow, only what is delivered. An event that is read again changes nothing.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from schemas.timestamps import Timestamp

CONTROL_TOPIC = "labelpulse.control"
CONTROL_FILE = "control.jsonl"
"""Name of the file in the recovery directory."""

Text = Annotated[str, Field(min_length=1, max_length=256)]
Comment = Annotated[str, Field(max_length=2_000)]


class ControlEvent(BaseModel):
    """What all control events have in common."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    event_id: Annotated[Text, Field(description="Unique; also the name of a silence.")]
    occurred_at: Annotated[Timestamp, Field(description="When it was said, RFC 3339 with a zone.")]
    by: Annotated[Text, Field(description="Who said it.")]
    comment: Comment = ""


class AlertAcknowledged(ControlEvent):
    """Somebody has taken an alert on."""

    type: Literal["alert.acknowledged"]
    alert_id: Text


class AlertsSilenced(ControlEvent):
    """Alerts that agree in all that is given are not delivered until a time; at least one field is given."""

    type: Literal["alerts.silenced"]
    until: Timestamp
    project_id: Text | None = None
    rule: Text | None = None
    question_id: Text | None = None
    annotator_id: Text | None = None
    step: Text | None = None
    severity: Text | None = None
    alert_id: Text | None = None

    @property
    def matchers(self) -> dict[str, str]:
        """Field of an alert → the value that it must have."""
        given = {name: getattr(self, name) for name in SILENCE_FIELDS}
        return {name: value for name, value in given.items() if value is not None}

    @model_validator(mode="after")
    def _require_matcher(self) -> Self:
        if not self.matchers:
            raise ValueError(f"a silence needs at least one of {', '.join(SILENCE_FIELDS)}")
        return self


SILENCE_FIELDS = ("project_id", "rule", "question_id", "annotator_id", "step", "severity", "alert_id")


class SilenceEnded(ControlEvent):
    """A silence ends before its time."""

    type: Literal["silence.ended"]
    silence_id: Annotated[Text, Field(description="The event_id of the silence.")]


class HookEnabled(ControlEvent):
    """A hook that was disabled is to be used again."""

    type: Literal["hook.enabled"]
    hook: Text


class DeadLetterReplayed(ControlEvent):
    """A refused record was appended to the log again; said once it is there."""

    type: Literal["dead_letter.replayed"]
    stream: Annotated[str, Field(min_length=1, max_length=4_096)]
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    project_id: Annotated[Text, Field(description="Project of the event that took its place.")]
    is_changed: Annotated[bool, Field(description="Whether its text was replaced.")]


AnyControlEvent = Annotated[
    AlertAcknowledged | AlertsSilenced | SilenceEnded | HookEnabled | DeadLetterReplayed, Field(discriminator="type")
]

CONTROL_ADAPTER: TypeAdapter[AnyControlEvent] = TypeAdapter(AnyControlEvent)


def parse_control_event(payload: bytes) -> AnyControlEvent:
    """Read one control event from its JSON bytes.

    Raises
    ------
    pydantic.ValidationError
        If the bytes are no control event that is known here.
    """
    return CONTROL_ADAPTER.validate_json(payload)
