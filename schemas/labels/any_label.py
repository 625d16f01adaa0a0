"""A label of any kind: the union of all kinds, told apart by ``kind``."""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from schemas.labels.boxes import BoxesLabel
from schemas.labels.categorical import CategoricalLabel
from schemas.labels.multi_label import MultiLabel
from schemas.labels.preference import PreferenceLabel
from schemas.labels.ranking import RankingLabel
from schemas.labels.rating import RatingLabel
from schemas.labels.spans import SpansLabel
from schemas.labels.text import TextLabel

AnyLabel = Annotated[
    CategoricalLabel | MultiLabel | RatingLabel | BoxesLabel | SpansLabel | PreferenceLabel | RankingLabel | TextLabel,
    Field(discriminator="kind"),
]

LABEL_ADAPTER: TypeAdapter[AnyLabel] = TypeAdapter(AnyLabel)
_validate, _dump = LABEL_ADAPTER.validator.validate_python, LABEL_ADAPTER.serializer.to_python


def canonical_label(label: object) -> dict[str, Any]:
    """Return a label, given as plain values, in its canonical form: equal answers become equal dictionaries.

    Raises
    ------
    pydantic.ValidationError
        If it is no label of any kind.

    Examples
    --------
    >>> canonical_label({"kind": "multi_label", "values": ["b", "a"]})
    {'kind': 'multi_label', 'values': ['a', 'b']}
    """
    return _dump(_validate(label))
