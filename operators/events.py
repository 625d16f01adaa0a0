"""Events as the hot path holds them: the contract of schemas.events as msgspec structs.

msgspec reads an event about eight times as fast as pydantic. What these structs accept is a subset of what
schemas.events accepts, with equal values (a property-based test holds that); what they refuse is put to
schemas.events, which decides. So the contract has one definition.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from operators.label_reading import Categorical, ReadLabel
from operators.labels import OtherLabel, other_label
from schemas.events import (
    ANSWERS_MAX,
    ATTRIBUTE_CHARACTERS_MAX,
    ATTRIBUTE_NAME_CHARACTERS_MAX,
    ATTRIBUTES_MAX,
    DURATION_MS_MAX,
    GOLD_ORIGIN,
    IDENTIFIER_CHARACTERS_MAX,
    REVISION_MAX,
    AnyEvent,
)
from schemas.labels.any_label import AnyLabel

Identifier = Annotated[str, Meta(min_length=1, max_length=IDENTIFIER_CHARACTERS_MAX)]
Moment = Annotated[datetime, Meta(tz=True)]
Revision = Annotated[int, Meta(ge=0, le=REVISION_MAX)]
Duration = Annotated[int, Meta(ge=0, le=DURATION_MS_MAX)]
Version = Annotated[int, Meta(ge=1, le=2)]
Attributes = Annotated[
    dict[
        Annotated[str, Meta(min_length=1, max_length=ATTRIBUTE_NAME_CHARACTERS_MAX)],
        Annotated[str, Meta(min_length=1, max_length=ATTRIBUTE_CHARACTERS_MAX)],
    ],
    Meta(max_length=ATTRIBUTES_MAX),
]


Label = ReadLabel
"""The fold is never handed the labels of other kinds as they are read, but their form `OtherLabel`: see `folded`."""


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
    label: Label
    revision: Revision = 0
    step: Identifier = "annotate"
    duration_ms: Duration | None = None
    expected: Label | None = None
    received_at: Moment | None = None
    attributes: Attributes | None = None
    schema_version: Version = 1


class Skipped(msgspec.Struct, tag_field="type", tag="annotation.skipped", kw_only=True, gc=False):
    """``annotation.skipped``."""

    event_id: Identifier
    occurred_at: Moment
    source: Identifier
    project_id: Identifier
    question_id: Identifier
    item_id: Identifier
    annotator_id: Identifier
    annotation_id: Identifier | None = None
    revision: Revision = 0
    step: Identifier = "annotate"
    duration_ms: Duration | None = None
    received_at: Moment | None = None
    attributes: Attributes | None = None
    schema_version: Version = 1


class Retracted(msgspec.Struct, tag_field="type", tag="annotation.retracted", kw_only=True, gc=False):
    """``annotation.retracted``."""

    event_id: Identifier
    occurred_at: Moment
    source: Identifier
    project_id: Identifier
    annotation_id: Identifier
    received_at: Moment | None = None
    attributes: Attributes | None = None
    schema_version: Version = 1


class AcceptedAnswer(msgspec.Struct, kw_only=True, gc=False):
    """One accepted answer of an item."""

    label: Label
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
    origin: Identifier = GOLD_ORIGIN
    received_at: Moment | None = None
    attributes: Attributes | None = None
    schema_version: Version = 1


class Withdrawn(msgspec.Struct, tag_field="type", tag="gold.withdrawn", kw_only=True, gc=False):
    """``gold.withdrawn``."""

    event_id: Identifier
    occurred_at: Moment
    source: Identifier
    project_id: Identifier
    question_id: Identifier
    item_id: Identifier
    origin: Identifier | None = None
    received_at: Moment | None = None
    attributes: Attributes | None = None
    schema_version: Version = 1


class Reviewed(msgspec.Struct, tag_field="type", tag="review.decided", kw_only=True, gc=False):
    """``review.decided``."""

    event_id: Identifier
    occurred_at: Moment
    source: Identifier
    project_id: Identifier
    question_id: Identifier
    annotation_id: Identifier
    reviewer_id: Identifier
    decision: Literal["accept", "fix", "reject"]
    correction: Label | None = None
    step: Identifier = "review"
    duration_ms: Duration | None = None
    received_at: Moment | None = None
    attributes: Attributes | None = None
    schema_version: Version = 1

    def __post_init__(self) -> None:
        if (self.correction is not None) != (self.decision == "fix"):
            raise ValueError("expected a correction with the decision fix alone")


class Adjudicated(msgspec.Struct, tag_field="type", tag="item.adjudicated", kw_only=True, gc=False):
    """``item.adjudicated``."""

    event_id: Identifier
    occurred_at: Moment
    source: Identifier
    project_id: Identifier
    question_id: Identifier
    item_id: Identifier
    adjudicator_id: Identifier
    label: Label
    step: Identifier = "adjudicate"
    duration_ms: Duration | None = None
    received_at: Moment | None = None
    attributes: Attributes | None = None
    schema_version: Version = 1


FoldableEvent = Submitted | Skipped | Retracted | Gold | Withdrawn | Reviewed | Adjudicated

_BY_TYPE: dict[str, type[msgspec.Struct]] = {
    kind.__struct_config__.tag: kind
    for kind in (Submitted, Skipped, Retracted, Gold, Withdrawn, Reviewed, Adjudicated)
}  # fmt: skip
_LABEL_FIELDS = ("label", "expected", "correction")


def folded(event: FoldableEvent) -> FoldableEvent:
    """Bring the labels of an event just read into the form that the fold takes; return the event.

    Raises
    ------
    RefusedLabelError
        If a label is none of its kind.
    """
    kind = type(event)
    if kind is Submitted:
        if type(event.label) is not Categorical:
            event.label = event.label.folded()
        if event.expected is not None and type(event.expected) is not Categorical:
            event.expected = event.expected.folded()
    elif kind is Gold:
        for answer in event.answers:
            if type(answer.label) is not Categorical:
                answer.label = answer.label.folded()
    elif kind is Reviewed and type(event.correction) is not Categorical and event.correction is not None:
        event.correction = event.correction.folded()
    elif kind is Adjudicated and type(event.label) is not Categorical:
        event.label = event.label.folded()
    return event


def foldable_event(event: AnyEvent) -> FoldableEvent:
    """Return an event of the contract as the fold takes it."""
    kind = _BY_TYPE[event.type]
    fields = {name: getattr(event, name) for name in kind.__struct_fields__}
    for name in _LABEL_FIELDS:
        if fields.get(name) is not None:
            fields[name] = foldable_label(fields[name])
    if "answers" in fields:
        fields["answers"] = [
            AcceptedAnswer(label=foldable_label(answer.label), weight=answer.weight) for answer in fields["answers"]
        ]
    return kind(**fields)


def foldable_label(label: AnyLabel) -> Categorical | OtherLabel:
    """Return a label of the contract as the fold takes it."""
    return Categorical(label.value) if label.kind == "categorical" else other_label(label)
