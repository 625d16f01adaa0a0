"""Ratings: a number on a scale with two ends."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

RATING_MAGNITUDE_MAX = 1e9

RatingNumber = Annotated[float, Field(ge=-RATING_MAGNITUDE_MAX, le=RATING_MAGNITUDE_MAX, allow_inf_nan=False)]


class RatingLabel(BaseModel):
    """A number on a scale.

    Parameters
    ----------
    value
        The rating, in [low, high].
    scale
        ``ordinal`` if only the order of ratings means something, ``interval`` if their differences do.
    low, high
        The ends of the scale, low < high.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    kind: Literal["rating"] = Field(description="The kind of label.")
    value: Annotated[RatingNumber, Field(description="The rating, from low to high.")]
    scale: Literal["ordinal", "interval"] = Field(description="Whether differences of ratings mean something.")
    low: Annotated[RatingNumber, Field(description="The lowest rating that can be given.")]
    high: Annotated[RatingNumber, Field(description="The highest rating that can be given.")]

    @model_validator(mode="after")
    def _lies_on_its_scale(self) -> Self:
        if self.low >= self.high:
            raise PydanticCustomError("scale_empty", "expected low to be below high")
        if not self.low <= self.value <= self.high:
            raise PydanticCustomError("rating_off_scale", "expected a value from low to high")
        return self
