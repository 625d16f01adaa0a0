"""The event contract, version 1: what annotation tools say.

Every event is one JSON object; ``type`` says which. Unknown extra fields are left out, never fatal. A version-2
event is read as version 1 with additions, so that producers may be upgraded before consumers.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

from schemas.labels.any_label import AnyLabel
from schemas.timestamps import Timestamp

IDENTIFIER_CHARACTERS_MAX = 256
DURATION_MS_MAX = 604_800_000
REVISION_MAX = 2**31 - 1
ANSWERS_MAX = 64
ATTRIBUTES_MAX = 8
ATTRIBUTE_NAME_CHARACTERS_MAX = 64
ATTRIBUTE_CHARACTERS_MAX = 128
GOLD_ORIGIN = "gold"
EXPECTED_ORIGIN = "expected"
"""Origin of the known answers that tools tell along with submissions."""

Identifier = Annotated[str, Field(min_length=1, max_length=IDENTIFIER_CHARACTERS_MAX)]
Duration = Annotated[int, Field(ge=0, le=DURATION_MS_MAX)]
AttributeName = Annotated[str, Field(min_length=1, max_length=ATTRIBUTE_NAME_CHARACTERS_MAX)]
Attribute = Annotated[str, Field(min_length=1, max_length=ATTRIBUTE_CHARACTERS_MAX)]


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
    attributes: Annotated[
        dict[AttributeName, Attribute] | None,
        Field(max_length=ATTRIBUTES_MAX, description="Slices by which figures can be asked, such as team or language."),
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
    label: AnyLabel
    duration_ms: Annotated[Duration | None, Field(description="Time spent on the answer, in milliseconds.")] = None
    expected: Annotated[AnyLabel | None, Field(description="The known answer, where the tool tells it along.")] = None


class AnnotationSkipped(Event):
    """An annotator declined to answer; with an ``annotation_id`` it replaces an answer of a lower revision."""

    type: Literal["annotation.skipped"]
    question_id: Annotated[Identifier, Field(description="The question that was not answered.")]
    item_id: Annotated[Identifier, Field(description="The item that was skipped.")]
    annotator_id: Annotated[Identifier, Field(description="Who skipped it.")]
    annotation_id: Annotated[
        Identifier | None, Field(description="The submission that says so; the event's own id if there is none.")
    ] = None
    revision: Annotated[int, Field(ge=0, le=REVISION_MAX, description="A higher revision replaces a lower one.")] = 0
    step: Annotated[Identifier, Field(description="The step of the workflow.")] = "annotate"
    duration_ms: Annotated[Duration | None, Field(description="Time spent on the item, in milliseconds.")] = None


class AnnotationRetracted(Event):
    """An annotation no longer counts, with all of its labels and for good."""

    type: Literal["annotation.retracted"]
    annotation_id: Annotated[Identifier, Field(description="The annotation that is taken back.")]


class Answer(BaseModel):
    """One accepted answer of an item."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    label: AnyLabel
    weight: Annotated[
        float, Field(ge=0, le=1, allow_inf_nan=False, description="Credit for giving this answer, 0 to 1.")
    ] = 1.0


class GoldSet(Event):
    """The known answers of an item, as one origin has them; the newest by ``occurred_at`` is in force."""

    type: Literal["gold.set"]
    question_id: Annotated[Identifier, Field(description="The question that is answered.")]
    item_id: Annotated[Identifier, Field(description="The item whose answer is known.")]
    answers: Annotated[list[Answer], Field(min_length=1, max_length=ANSWERS_MAX, description="All accepted answers.")]
    origin: Annotated[Identifier, Field(description="Where the known answer comes from.")] = GOLD_ORIGIN


class GoldWithdrawn(Event):
    """The answer of an item is no longer held to be known: that of one origin, or of all."""

    type: Literal["gold.withdrawn"]
    question_id: Annotated[Identifier, Field(description="The question concerned.")]
    item_id: Annotated[Identifier, Field(description="The item whose known answer is withdrawn.")]
    origin: Annotated[
        Identifier | None, Field(description="Whose known answer is withdrawn; of every origin if it is not said.")
    ] = None


class ReviewDecided(Event):
    """A reviewer accepted, fixed or rejected one label."""

    type: Literal["review.decided"]
    question_id: Annotated[Identifier, Field(description="The question of the label.")]
    annotation_id: Annotated[Identifier, Field(description="The submission that was reviewed.")]
    reviewer_id: Annotated[Identifier, Field(description="Who reviewed it.")]
    decision: Annotated[Literal["accept", "fix", "reject"], Field(description="What became of the label.")]
    correction: Annotated[AnyLabel | None, Field(description="The corrected label; with ``fix``, and only then.")] = (
        None
    )
    step: Annotated[Identifier, Field(description="The step of the workflow.")] = "review"
    duration_ms: Annotated[Duration | None, Field(description="Time spent on the review, in milliseconds.")] = None

    @model_validator(mode="after")
    def _corrects_what_it_fixes(self) -> Self:
        if (self.correction is not None) != (self.decision == "fix"):
            raise PydanticCustomError(
                "correction_unexpected", "expected a correction with the decision fix, and no other"
            )
        return self


class ItemAdjudicated(Event):
    """An expert's final answer; the newest by ``occurred_at`` is in force, and stands above all other known answers."""

    type: Literal["item.adjudicated"]
    question_id: Annotated[Identifier, Field(description="The question that is answered.")]
    item_id: Annotated[Identifier, Field(description="The item that is decided.")]
    adjudicator_id: Annotated[Identifier, Field(description="Who decided.")]
    label: AnyLabel
    step: Annotated[Identifier, Field(description="The step of the workflow.")] = "adjudicate"
    duration_ms: Annotated[Duration | None, Field(description="Time spent on the decision, in milliseconds.")] = None


AnyEvent = Annotated[
    AnnotationSubmitted
    | AnnotationSkipped
    | AnnotationRetracted
    | GoldSet
    | GoldWithdrawn
    | ReviewDecided
    | ItemAdjudicated,
    Field(discriminator="type"),
]

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
