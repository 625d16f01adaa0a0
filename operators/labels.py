"""Labels as the fold holds them: the text that stands for an answer, and its full content where the text is not all."""

from typing import Any, Literal

import msgspec

from operators.stats.comparison.by_kind import COMPARISONS
from schemas.labels.any_label import AnyLabel

CATEGORICAL = "categorical"
_DISPLAYED = {
    "multi_label": "values",
    "boxes": "boxes",
    "spans": "spans",
    "ranking": "order",
}


class OtherLabel(msgspec.Struct, frozen=True, gc=False):
    """A label of another kind than categorical.

    Parameters
    ----------
    kind
        The kind of label.
    value
        What people read: the number of a rating, the text, the option chosen, else the answer as JSON.
    content
        The whole label as canonical JSON: equal answers have equal contents.
    """

    kind: str
    value: str
    content: str


class _Box(msgspec.Struct, gc=False):
    label: str
    x: float
    y: float
    width: float
    height: float


class _Span(msgspec.Struct, gc=False):
    label: str
    start: int
    end: int


class Content(msgspec.Struct, omit_defaults=True):
    """A label read back from its content; the fields of other kinds are empty."""

    kind: Literal["multi_label", "rating", "boxes", "spans", "preference", "ranking", "text"]
    value: float | str = ""
    values: list[str] = []
    scale: str = ""
    low: float = 0.0
    high: float = 0.0
    boxes: list[_Box] = []
    spans: list[_Span] = []
    chosen: str = ""
    options: list[str] = []
    order: list[str | list[str]] = []


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Content).decode


def other_label(label: AnyLabel) -> OtherLabel:
    """Return the fold's form of a label that is not categorical.

    Examples
    --------
    >>> from schemas.labels.rating import RatingLabel
    >>> other_label(RatingLabel(kind="rating", value=4, scale="ordinal", low=1, high=5)).value
    '4'
    """
    fields = label.model_dump()
    return OtherLabel(label.kind, _text_of(label.kind, fields), _encode(fields).decode())


def content_of(content: str) -> Content:
    """Return a label read back from its content."""
    return _decode(content)


def compare_contents(given: str, expected: str) -> float:
    """Return how well one answer agrees with another of the same kind, in [0, 1]."""
    if given == expected:
        return 1.0
    first = _decode(given)
    return COMPARISONS[first.kind](first, _decode(expected))


def classes_of(kind: str, value: str, content: str | None) -> tuple[str, ...]:
    """Return the classes that a label names: none for kinds whose answers are not drawn from a set of classes."""
    if is_class(kind, content):
        return (value,)
    return tuple(_decode(content).values) if kind == "multi_label" and content is not None else ()


def is_class(kind: str, content: str | None) -> bool:
    """Return whether the value of a label is a class: one out of a set that many labels are drawn from."""
    if content is None or kind == "preference":
        return True
    return kind == "rating" and _decode(content).scale == "ordinal"


def _text_of(kind: str, fields: dict[str, Any]) -> str:
    if kind == "rating":
        return f"{fields['value']:.15g}"
    if kind == "text":
        return fields["value"]
    if kind == "preference":
        return fields["chosen"]
    return _encode(fields[_DISPLAYED[kind]]).decode()
