"""Events as the hot path holds them: the contract of schemas.events as msgspec structs.

msgspec reads an event about eight times as fast as pydantic. What these structs accept is a subset of what
schemas.events accepts, with equal values (a property-based test holds that); what they refuse is put to
schemas.events, which decides. So the contract has one definition.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from schemas.events import ANSWERS_MAX, DURATION_MS_MAX, IDENTIFIER_CHARACTERS_MAX, REVISION_MAX
from schemas.labels.categorical import CLASS_CHARACTERS_MAX

Identifier = Annotated[str, Meta(min_length=1, max_length=IDENTIFIER_CHARACTERS_MAX)]
Moment = Annotated[datetime, Meta(tz=True)]


class Categorical(msgspec.Struct, frozen=True, gc=False):
    """A categorical label. (A tag would be optional while there is one kind only, so `kind` is a field.)"""

    kind: Literal["categorical"]
    value: Annotated[str, Meta(min_length=1, max_length=CLASS_CHARACTERS_MAX)]


class Submitted(msgspec.Struct, tag_field="type", tag="annotation.submitted", kw_only=True, gc=False):
    """``annotation.submitted``."""

    event_id: Identifier
    occurred_at: Moment
    source: Identifier
    project_id: Identifier
    question_id: Identifier
    item_id: Identifier
    annotator_id: Identifier
    annotation_id: Identifier
    label: Categorical
    revision: Annotated[int, Meta(ge=0, le=REVISION_MAX)] = 0
    step: Identifier = "annotate"
    duration_ms: Annotated[int, Meta(ge=0, le=DURATION_MS_MAX)] | None = None
    received_at: Moment | None = None
    schema_version: Annotated[int, Meta(ge=1, le=2)] = 1


class Retracted(msgspec.Struct, tag_field="type", tag="annotation.retracted", kw_only=True, gc=False):
    """``annotation.retracted``."""

    event_id: Identifier
    occurred_at: Moment
    source: Identifier
    project_id: Identifier
    annotation_id: Identifier
    received_at: Moment | None = None
    schema_version: Annotated[int, Meta(ge=1, le=2)] = 1


class AcceptedAnswer(msgspec.Struct, kw_only=True, gc=False):
    """One accepted answer of an item."""

    label: Categorical
    weight: Annotated[float, Meta(ge=0, le=1)] = 1.0


class Gold(msgspec.Struct, tag_field="type", tag="gold.set", kw_only=True, gc=False):
    """``gold.set``."""

    event_id: Identifier
    occurred_at: Moment
    source: Identifier
    project_id: Identifier
    question_id: Identifier
    item_id: Identifier
    answers: Annotated[list[AcceptedAnswer], Meta(min_length=1, max_length=ANSWERS_MAX)]
    origin: Identifier = "gold"
    received_at: Moment | None = None
    schema_version: Annotated[int, Meta(ge=1, le=2)] = 1


FoldableEvent = Submitted | Retracted | Gold
