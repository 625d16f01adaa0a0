"""What a file of an annotation tool is read into: documents, and places where there is none."""

from dataclasses import dataclass

from schemas.errors import ErrorCode

DOCUMENT_BYTES_MAX = 268_435_456
"""A single document, which has to be held in memory whole, may be so long (256 MiB)."""


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed document.

    Parameters
    ----------
    place
        Where it stands in its file, for people, such as ``line 3``; empty if it is all of it.
    value
        Parsed JSON, or what stands for it.
    """

    place: str
    value: object


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A place of a file where no document could be read.

    Parameters
    ----------
    place
        See `Document`.
    reason_code
        Why.
    detail
        What is wrong, in one line.
    """

    place: str
    reason_code: ErrorCode
    detail: str


Read = Document | Unreadable
