"""Spans: stretches of a text, a recording or a series, each with a class."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.labels.class_name import ClassName, require_distinct

SPANS_MAX = 10_000
OFFSET_MAX = 2**53 - 1
"""The largest whole number that every reader of JSON keeps exactly."""

Offset = Annotated[int, Field(ge=0, le=OFFSET_MAX)]


class Span(BaseModel):
    """A stretch with a class.

    Parameters
    ----------
    label
        The class of the stretch, 1 to 256 characters.
    start, end
        Whole numbers, start ≤ end: the first position inside and the first one behind, in the unit of the question
        (characters of a text, milliseconds of a recording). Where they are equal the span marks a point.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    label: Annotated[ClassName, Field(description="The class of the stretch.")]
    start: Annotated[Offset, Field(description="The first position inside.")]
    end: Annotated[Offset, Field(description="The first position behind.")]

    @model_validator(mode="after")
    def _runs_forwards(self) -> Self:
        if self.start > self.end:
            raise PydanticCustomError("span_backwards", "expected start not to lie behind end")
        return self


def _sorted_spans(spans: list[Span]) -> list[Span]:
    require_distinct([(span.start, span.end, span.label) for span in spans])
    return sorted(spans, key=lambda span: (span.start, span.end, span.label))


class SpansLabel(BaseModel):
    """All the spans of an item; none at all is an answer too.

    Parameters
    ----------
    spans
        The spans, each once; kept in ascending order of place and class, so that equal markings are equal labels.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    kind: Literal["spans"] = Field(description="The kind of label.")
    spans: Annotated[
        list[Span],
        Field(max_length=SPANS_MAX, description="The spans, each once, in any order."),
        AfterValidator(_sorted_spans),
    ]
