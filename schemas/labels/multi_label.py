"""Multi-label answers: any number of classes out of a set that need not be known in advance."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from schemas.labels.class_name import ClassName, sorted_distinct

CLASSES_MAX = 1_000


class MultiLabel(BaseModel):
    """A set of classes; none at all is an answer too.

    Parameters
    ----------
    values
        The class names, each once; kept in ascending order, so that equal sets are equal labels.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    kind: Literal["multi_label"] = Field(description="The kind of label.")
    values: Annotated[
        list[ClassName],
        Field(max_length=CLASSES_MAX, description="The classes chosen, each once, in any order."),
        AfterValidator(sorted_distinct),
    ]
