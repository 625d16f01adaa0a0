"""Boxes: upright rectangles in an image, each with a class."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from schemas.labels.class_name import ClassName

BOXES_MAX = 1_000
EDGE_TOLERANCE = 1e-6
"""How far a box may reach beyond the image, as a share of it: what rounding makes of a box that ends at the edge."""

Position = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Extent = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class Box(BaseModel):
    """A rectangle; all lengths are shares of the image's width or height.

    Parameters
    ----------
    label
        The class of what is in the box, 1 to 256 characters.
    x, y
        The upper left corner, in [0, 1]; x from the left, y from the top.
    width, height
        In (0, 1].
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    label: Annotated[ClassName, Field(description="The class of what is in the box.")]
    x: Annotated[Position, Field(description="Left edge, as a share of the image's width.")]
    y: Annotated[Position, Field(description="Upper edge, as a share of the image's height.")]
    width: Annotated[Extent, Field(description="Width, as a share of the image's width.")]
    height: Annotated[Extent, Field(description="Height, as a share of the image's height.")]

    @model_validator(mode="after")
    def _lies_in_the_image(self) -> Self:
        if self.x + self.width > 1 + EDGE_TOLERANCE or self.y + self.height > 1 + EDGE_TOLERANCE:
            raise PydanticCustomError("box_outside", "expected a box inside the image")
        return self


def _sorted_boxes(boxes: list[Box]) -> list[Box]:
    return sorted(boxes, key=lambda box: (box.label, box.x, box.y, box.width, box.height))


class BoxesLabel(BaseModel):
    """All the boxes of an image; none at all is an answer too.

    Parameters
    ----------
    boxes
        The boxes; kept in ascending order of class and place, so that equal drawings are equal labels.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    kind: Literal["boxes"] = Field(description="The kind of label.")
    boxes: Annotated[
        list[Box],
        Field(max_length=BOXES_MAX, description="The boxes, in any order."),
        AfterValidator(_sorted_boxes),
    ]
