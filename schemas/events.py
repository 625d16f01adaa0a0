"""The event contract, version 1: what annotation tools say.

Every event is one JSON object; ``type`` says which. Unknown extra fields are left out, never fatal. A version-2
event is read as version 1 with additions, so that producers may be upgraded before consumers.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from schemas.labels.categorical import CategoricalLabel
from schemas.timestamps import Timestamp

IDENTIFIER_CHARACTERS_MAX = 256
DURATION_MS_MAX = 604_800_000
REVISION_MAX = 2**31 - 1
ANSWERS_MAX = 64

Identifier = Annotated[str, Field(min_length=1, max_length=IDENTIFIER_CHARACTERS_MAX)]
Label = CategoricalLabel
"""What an annotator answered. A union discriminated on ``kind`` once there are several kinds."""


class Event(BaseModel):
    """What all events have in common."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    schema_version: Annotated[Literal[1, 2], Field(description="Version of the contract.")] = 1
    event_id: Annotated[Identifier, Field(description="Unique in the project; an event delivered again keeps it.")]
    occurred_at: Annotated[Timestamp, Field(description="When it happened, RFC 3339 with a zone.")]
    source: Annotated[Identifier, Field(description="The system that emitted the event, such as label-studio:7.")]
    project_id: Annotated[Identifier, Field(description="The project; also the key of the event in Kafka.")]
    received_at: Annotated[
        Timestamp | None, Field(description="When a gateway took the event in; sets the limit for far-future stamps.")
    ] = None


class AnnotationSubmitted(Event):
    """An annotator answered one question of one item; a higher revision replaces the earlier answer."""

    type: Literal["annotation.submitted"]
    question_id: Annotated[Identifier, Field(description="The question of the project that is answered.")]
    item_id: Annotated[Identifier, Field(description="The item that is labelled.")]
    annotator_id: Annotated[Identifier, Field(description="Who answered.")]
    annotation_id: Annotated[
        Identifier, Field(description="The submission; shared by its answers to several questions.")
    ]
    revision: Annotated[int, Field(ge=0, le=REVISION_MAX, description="A higher revision replaces a lower one.")] = 0
    step: Annotated[Identifier, Field(description="The step of the workflow.")] = "annotate"
    label: Label
    duration_ms: Annotated[
        int | None, Field(ge=0, le=DURATION_MS_MAX, description="Time spent on the answer, in milliseconds.")
    ] = None


class AnnotationRetracted(Event):
    """An annotation no longer counts, with all of its labels and for good."""

    type: Literal["annotation.retracted"]
    annotation_id: Annotated[Identifier, Field(description="The annotation that is taken back.")]


class Answer(BaseModel):
    """One accepted answer of an item."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    label: Label
    weight: Annotated[
        float, Field(ge=0, le=1, allow_inf_nan=False, description="Credit for giving this answer, 0 to 1.")
    ] = 1.0


class GoldSet(Event):
    """The known answers of an item; the newest by ``occurred_at`` is in force."""

    type: Literal["gold.set"]
    question_id: Annotated[Identifier, Field(description="The question that is answered.")]
    item_id: Annotated[Identifier, Field(description="The item whose answer is known.")]
    answers: Annotated[list[Answer], Field(min_length=1, max_length=ANSWERS_MAX, description="All accepted answers.")]
    origin: Annotated[Identifier, Field(description="Where the known answer comes from.")] = "gold"


AnyEvent = Annotated[AnnotationSubmitted | AnnotationRetracted | GoldSet, Field(discriminator="type")]

EVENT_ADAPTER: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


def parse_event(payload: bytes) -> AnyEvent:
    """Read one event from its JSON bytes: the definition that every faster reader is tested against.

    Raises
    ------
    pydantic.ValidationError
        If the bytes are not an event of the contract.
    """
    return EVENT_ADAPTER.validate_json(payload)


def event_json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the contract."""
    schema = EVENT_ADAPTER.json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "labelpulse events, version 1",
        **schema,
    }
