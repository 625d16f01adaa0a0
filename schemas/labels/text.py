"""Free text: what an annotator wrote."""

from typing import Annotated, Literal
from unicodedata import normalize

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

TEXT_CHARACTERS_MAX = 16_384


def _composed(text: str) -> str:
    return text if text.isascii() else normalize("NFC", text)


class TextLabel(BaseModel):
    """A text.

    Parameters
    ----------
    value
        The text, 1 to 16,384 characters; kept in Unicode's composed form (NFC), so that texts that look alike because
        they are the same are equal labels. White space is kept as it stands.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    kind: Literal["text"] = Field(description="The kind of label.")
    value: Annotated[
        str,
        Field(min_length=1, max_length=TEXT_CHARACTERS_MAX, description="What was written."),
        AfterValidator(_composed),
    ]
