"""What all adapters of tools share: what they are told, what they return, and how they fail.

An adapter is two pure functions, from what a tool sends or exports to events of the contract::

    webhook_events(payload, *, received_at=None, settings=DEFAULTS, headers=NO_HEADERS) -> list[Outcome]
    export_events(record, *, received_at=None, settings=DEFAULTS) -> list[Outcome]

Payload and record are parsed JSON. An outcome is an event (a ``dict``) or a `Refusal`: something in the payload that no
event can say. What is no payload of the tool at all raises `AdapterError`, and nothing else is ever raised.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, get_args

from schemas.errors import ConfigurationError, ErrorCode, LabelpulseError
from schemas.labels.any_label import AnyLabel

Event = dict[str, Any]

KINDS = frozenset(get_args(kind.model_fields["kind"].annotation)[0] for kind in get_args(get_args(AnyLabel)[0]))
"""The names of all kinds of labels."""

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
DETAIL_CHARACTERS_MAX = 300


class RefusalReason(StrEnum):
    """Why an event cannot be had from a payload, or from a part of it."""

    NO_LABEL = "no_label"
    """It tells of something else than answers: a project, a pool, an item without answers."""
    NO_PAYLOAD = "no_payload"
    """Only the name of the action was sent."""
    NO_WEBHOOK = "no_webhook"
    """The tool has no webhooks, or none that this could be."""
    DRAFT = "draft"
    """The answer is not submitted yet."""
    UNFINISHED = "unfinished"
    """The work was not done: it ran out of time, or goes on."""
    LABEL_ELSEWHERE = "label_elsewhere"
    """The answer lies in another file or behind the tool's API."""
    ITEM_DELETED = "item_deleted"
    """Items are gone; which annotations went with them is not said."""
    UNSUPPORTED_LABEL = "unsupported_label"
    """No kind of label can say it: a mask, a polygon, a relation, a track."""
    PER_REGION = "per_region"
    """The answer is about a region of the item, not about the item."""
    ROTATED_BOX = "rotated_box"
    """Boxes are upright."""
    SCALE_UNKNOWN = "scale_unknown"
    """The ends of a rating's scale are not said."""
    IMAGE_SIZE_UNKNOWN = "image_size_unknown"
    """Pixels cannot be made into shares of the image."""
    LABEL_INVALID = "label_invalid"
    """The answer breaks a rule of its kind: too long, backwards, outside the image."""
    NO_ANNOTATOR = "no_annotator"
    """Who answered is not said."""
    NO_ITEM = "no_item"
    """What was labelled is not said."""
    NO_QUESTION = "no_question"
    """Which question was answered is not said."""
    NO_TIME = "no_time"
    """When it happened is not said, and no time to take instead was given."""


def is_unicode(text: str) -> bool:
    """Return whether a string has no lone surrogates, which no encoding can write."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def printable(detail: str) -> str:
    """Return a line that every encoding of Unicode can write, and of bounded length."""
    line = detail[:DETAIL_CHARACTERS_MAX]
    return line if is_unicode(line) else line.encode("ascii", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something in a payload that no event can say.

    Parameters
    ----------
    reason_code
        Why.
    detail
        What it is about, in one line.
    """

    reason_code: RefusalReason
    detail: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "detail", printable(self.detail))


Outcome = Event | Refusal


class AdapterError(LabelpulseError):
    """What was sent is no payload of the tool: a member is missing or of the wrong type.

    Parameters
    ----------
    reason_code
        Why.
    detail
        Which member, and what is wrong with it, in one line.
    """

    def __init__(self, reason_code: ErrorCode, detail: str) -> None:
        super().__init__(printable(detail), remedy="check that it comes from the tool named, unchanged")
        self.reason_code = reason_code
        self.detail = self.message


class RefusedError(Exception):
    """Raised inside an adapter where a part of a payload is refused; never leaves it.

    Parameters
    ----------
    reason_code, detail
        See `Refusal`.
    classes
        The classes of the shapes that no kind of label can hold: what can be said of them all the same.
    """

    def __init__(self, reason_code: RefusalReason, detail: str, classes: Iterable[object] = ()) -> None:
        super().__init__(detail)
        self.refusal = Refusal(reason_code, detail)
        self.classes = tuple(classes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is known of a question before its answers.

    Parameters
    ----------
    kind
        The kind of its labels; None if it is to be told from each answer's look.
    classes
        The names that can be answered; empty if they are not known.
    low, high
        The ends of a rating's scale; None if they are not known.
    scale
        Of a rating: ``ordinal`` or ``interval``.
    """

    kind: str | None = None
    classes: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    scale: str = "ordinal"

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in KINDS:
            raise ConfigurationError(f"no kind of label is called {self.kind!r}", remedy=f"use {sorted(KINDS)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSettings:
    """What people may set; each part has a default that needs no thought.

    Parameters
    ----------
    project_id
        The project of all events; None takes the one that the payload names, else the tool's name.
    source
        The source of all events; None makes it of the tool's name and the project that the payload names.
    step
        The step of the workflow that annotations belong to, where the tool does not say.
    occurred_at
        RFC 3339; the time of what the payload tells no time of, where no gateway stamped its arrival. None refuses it.
    item_id
        The item of what the payload names no item of; None refuses it.
    annotator_id
        The annotator of what the payload names none of; None refuses it.
    gold_key
        Member of an item's own metadata that holds its known answer; empty looks for none.
    attribute_keys
        Members of an item's own metadata that become attributes of its events.
    questions
        What is known of questions, by id. Comes before what a payload says of them.
    label_config
        Label Studio's labeling configuration (XML), for exports, which do not hold it.
    """

    project_id: str | None = None
    source: str | None = None
    step: str = "annotate"
    occurred_at: str | None = None
    item_id: str | None = None
    annotator_id: str | None = None
    gold_key: str = "gold"
    attribute_keys: tuple[str, ...] = ()
    questions: Mapping[str, Question] = field(default_factory=dict)
    label_config: str = ""


DEFAULTS = AdapterSettings()
