"""Preferences: the better one of two or more options."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.labels.class_name import ClassName, sorted_distinct

OPTIONS_MAX = 100


class PreferenceLabel(BaseModel):
    """The option that was preferred.

    Parameters
    ----------
    chosen
        The option preferred, one of `options`.
    options
        The options there were, at least two, each once; kept in ascending order, since the side on which an option was
        shown is no part of the answer.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    kind: Literal["preference"] = Field(description="The kind of label.")
    chosen: Annotated[ClassName, Field(description="The option preferred.")]
    options: Annotated[
        list[ClassName],
        Field(min_length=2, max_length=OPTIONS_MAX, description="The options there were, each once, in any order."),
        AfterValidator(sorted_distinct),
    ]

    @model_validator(mode="after")
    def _chose_an_option(self) -> Self:
        if self.chosen not in self.options:
            raise PydanticCustomError("chosen_unknown", "expected the chosen one among the options")
        return self
