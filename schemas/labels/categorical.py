"""Categorical labels: one class out of a set that need not be known in advance."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

CLASS_CHARACTERS_MAX = 256


class CategoricalLabel(BaseModel):
    """One class.

    Parameters
    ----------
    value
        The class name, 1 to 256 characters, compared exactly (case matters).
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    kind: Literal["categorical"] = Field(description="The kind of label.")
    value: Annotated[str, Field(min_length=1, max_length=CLASS_CHARACTERS_MAX, description="The class chosen.")]
