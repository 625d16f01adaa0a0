"""Rankings: items put in order."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from schemas.labels.class_name import ClassName, require_distinct

RANKED_MAX = 1_000

TiedNames = Annotated[list[ClassName], Field(min_length=1, max_length=RANKED_MAX)]


def tie_groups(order: Sequence[str | Sequence[str]]) -> list[Sequence[str]]:
    """Return the items of a ranking by place, from the best on; items that share a place are tied.

    >>> tie_groups(["c", ["a", "b"]])
    [['c'], ['a', 'b']]
    """
    return [[place] if isinstance(place, str) else place for place in order]


def _canonical_order(order: list[str | list[str]]) -> list[str | list[str]]:
    groups = tie_groups(order)
    require_distinct([name for group in groups for name in group])
    return [sorted(group) if len(group) > 1 else group[0] for group in groups]


class RankingLabel(BaseModel):
    """Items in order.

    Parameters
    ----------
    order
        The items from the best to the worst, each once. Items that share a place stand in a list of their own, which
        is kept in ascending order.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    kind: Literal["ranking"] = Field(description="The kind of label.")
    order: Annotated[
        list[ClassName | TiedNames],
        Field(
            min_length=1,
            max_length=RANKED_MAX,
            description="The items from the best to the worst, each once; items that share a place in a list.",
        ),
        AfterValidator(_canonical_order),
    ]
