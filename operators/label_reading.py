"""Labels as the fast reader takes them from JSON, made into the fold's form: the kinds of schemas.labels as structs.

As with events (operators.events), these structs accept a subset of what the contract accepts, with equal values; what
they refuse is put to the contract.
"""

from typing import Annotated, Any, ClassVar, Literal
from unicodedata import normalize

import msgspec
from msgspec import Meta

from operators.labels import OtherLabel
from schemas.labels.boxes import BOXES_MAX, EDGE_TOLERANCE
from schemas.labels.categorical import CLASS_CHARACTERS_MAX
from schemas.labels.multi_label import CLASSES_MAX
from schemas.labels.preference import OPTIONS_MAX
from schemas.labels.ranking import RANKED_MAX
from schemas.labels.rating import RATING_MAGNITUDE_MAX
from schemas.labels.spans import OFFSET_MAX, SPANS_MAX
from schemas.labels.text import TEXT_CHARACTERS_MAX

ClassName = Annotated[str, Meta(min_length=1, max_length=CLASS_CHARACTERS_MAX)]
RatingNumber = Annotated[float, Meta(ge=-RATING_MAGNITUDE_MAX, le=RATING_MAGNITUDE_MAX)]
Position = Annotated[float, Meta(ge=0, le=1)]
Extent = Annotated[float, Meta(gt=0, le=1)]
Offset = Annotated[int, Meta(ge=0, le=OFFSET_MAX)]


class RefusedLabelError(ValueError):
    """A label that the fast reader does not take; the contract says what is wrong with it, if anything is."""


class Categorical(msgspec.Struct, tag_field="kind", tag="categorical", frozen=True, gc=False):
    """A categorical label: the fold takes it as it is read."""

    kind: ClassVar[str] = "categorical"

    value: ClassName


class _MultiLabel(msgspec.Struct, tag_field="kind", tag="multi_label", gc=False):
    values: Annotated[list[ClassName], Meta(max_length=CLASSES_MAX)]

    def folded(self) -> OtherLabel:
        values = _text(_sorted_distinct(self.values))
        return OtherLabel("multi_label", values, f'{{"kind":"multi_label","values":{values}}}')


class _Rating(msgspec.Struct, tag_field="kind", tag="rating", gc=False):
    value: RatingNumber
    scale: Literal["ordinal", "interval"]
    low: RatingNumber
    high: RatingNumber

    def folded(self) -> OtherLabel:
        if not (self.low < self.high and self.low <= self.value <= self.high):
            raise RefusedLabelError
        return OtherLabel("rating", f"{self.value:.15g}", _text(self))


class _Box(msgspec.Struct, order=True, gc=False):
    label: ClassName
    x: Position
    y: Position
    width: Extent
    height: Extent


class _Boxes(msgspec.Struct, tag_field="kind", tag="boxes", gc=False):
    boxes: Annotated[list[_Box], Meta(max_length=BOXES_MAX)]

    def folded(self) -> OtherLabel:
        for box in self.boxes:
            if box.x + box.width > 1 + EDGE_TOLERANCE or box.y + box.height > 1 + EDGE_TOLERANCE:
                raise RefusedLabelError
        boxes = _text(sorted(self.boxes))
        return OtherLabel("boxes", boxes, f'{{"kind":"boxes","boxes":{boxes}}}')


class _Span(msgspec.Struct, gc=False):
    label: ClassName
    start: Offset
    end: Offset


class _Spans(msgspec.Struct, tag_field="kind", tag="spans", gc=False):
    spans: Annotated[list[_Span], Meta(max_length=SPANS_MAX)]

    def folded(self) -> OtherLabel:
        places = {(span.start, span.end, span.label): span for span in self.spans}
        if len(places) != len(self.spans) or any(start > end for start, end, _ in places):
            raise RefusedLabelError
        spans = _text([places[place] for place in sorted(places)])
        return OtherLabel("spans", spans, f'{{"kind":"spans","spans":{spans}}}')


class _Preference(msgspec.Struct, tag_field="kind", tag="preference", gc=False):
    chosen: ClassName
    options: Annotated[list[ClassName], Meta(min_length=2, max_length=OPTIONS_MAX)]

    def folded(self) -> OtherLabel:
        self.options = _sorted_distinct(self.options)
        if self.chosen not in self.options:
            raise RefusedLabelError
        return OtherLabel("preference", self.chosen, _text(self))


class _Ranking(msgspec.Struct, tag_field="kind", tag="ranking", gc=False):
    order: Annotated[
        list[ClassName | Annotated[list[ClassName], Meta(min_length=1, max_length=RANKED_MAX)]],
        Meta(min_length=1, max_length=RANKED_MAX),
    ]

    def folded(self) -> OtherLabel:
        groups = [[place] if isinstance(place, str) else place for place in self.order]
        _sorted_distinct([name for group in groups for name in group])
        order = _text([sorted(group) if len(group) > 1 else group[0] for group in groups])
        return OtherLabel("ranking", order, f'{{"kind":"ranking","order":{order}}}')


class _Text(msgspec.Struct, tag_field="kind", tag="text", gc=False):
    value: Annotated[str, Meta(min_length=1, max_length=TEXT_CHARACTERS_MAX)]

    def folded(self) -> OtherLabel:
        if not self.value.isascii():
            self.value = normalize("NFC", self.value)
        return OtherLabel("text", self.value, _text(self))


ReadLabel = Categorical | _MultiLabel | _Rating | _Boxes | _Spans | _Preference | _Ranking | _Text
"""A label as it is read: `folded` returns the fold's form of the kinds that are not taken as they are."""

_encode = msgspec.json.Encoder().encode


def _text(value: Any) -> str:
    return _encode(value).decode()


def _sorted_distinct(names: list[str]) -> list[str]:
    if len(set(names)) != len(names):
        raise RefusedLabelError
    return sorted(names)
