"""The name of a class, an option or an item, as labels of several kinds hold it; and what a set of names must be."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field
from pydantic_core import PydanticCustomError

from schemas.labels.categorical import CLASS_CHARACTERS_MAX

ClassName = Annotated[str, Field(min_length=1, max_length=CLASS_CHARACTERS_MAX)]
"""1 to 256 characters, compared exactly (case matters)."""


def sorted_distinct(names: list[str]) -> list[str]:
    """Return names in ascending order of their code points, which is the canonical form of a set.

    Raises
    ------
    PydanticCustomError
        If a name stands there twice.

    Examples
    --------
    >>> sorted_distinct(["b", "a"])
    ['a', 'b']
    """
    require_distinct(names)
    return sorted(names)


def require_distinct(names: Sequence[object]) -> None:
    """Refuse a sequence in which something stands twice.

    Raises
    ------
    PydanticCustomError
        If it does.
    """
    if len(set(names)) != len(names):
        raise PydanticCustomError("duplicates", "expected each value once")
