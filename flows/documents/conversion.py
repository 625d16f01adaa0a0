"""A file of a tool made into events, and into what is to be told of everything in it that is none."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from flows.documents.document import DOCUMENT_BYTES_MAX, Document, Unreadable
from flows.documents.reading import read_documents
from schemas.adapters.common import AdapterError, AdapterSettings, Outcome, Refusal, RefusalReason
from schemas.adapters.registry import convert

DOCUMENTS = "documents"
REFUSED = "refused"
UNREADABLE = "unreadable"
UNTIMED = "untimed"


@dataclass(frozen=True, slots=True)
class Told:
    """What is to be told or counted beside events.

    Parameters
    ----------
    counts_as
        ``documents`` for each that was read, ``untimed`` for one whose time was taken from elsewhere, ``refused`` for a
        part that no event can say, ``unreadable`` for what is no payload of the tool.
    line
        Place, reason code and detail for people; empty where there is nothing to say.
    """

    counts_as: str
    line: str = ""


def converted(
    stream: BinaryIO,
    *,
    tool: str,
    settings: AdapterSettings,
    changed_at: str | None = None,
    bytes_max: int = DOCUMENT_BYTES_MAX,
) -> Iterator[dict[str, Any] | Told]:
    """Yield the events of a file of a tool in order, and what is to be told of all else in it.

    Parameters
    ----------
    stream, tool, bytes_max
        See `read_documents`.
    settings
        What people set about the conversion.
    changed_at
        RFC 3339, when the file was last changed: the time of documents that tell none, where people set none either.
    """
    for read in read_documents(stream, tool=tool, bytes_max=bytes_max):
        if isinstance(read, Unreadable):
            yield Told(UNREADABLE, _line(read.place, read.reason_code, read.detail))
        else:
            yield Told(DOCUMENTS)
            yield from _told(read, tool, settings, changed_at)


def _told(
    read: Document, tool: str, settings: AdapterSettings, changed_at: str | None
) -> Iterator[dict[str, Any] | Told]:
    try:
        outcomes = list(convert(tool, read.value, settings=settings))
        if changed_at is not None and any(map(_lacks_time, outcomes)):
            yield Told(UNTIMED, _line(read.place, "", f"tells no time; taken as of {changed_at}"))
            outcomes = list(convert(tool, read.value, settings=replace(settings, occurred_at=changed_at)))
        for outcome in outcomes:
            if isinstance(outcome, Refusal):
                yield Told(REFUSED, _line(read.place, outcome.reason_code, outcome.detail))
            else:
                yield outcome
    except AdapterError as error:
        yield Told(UNREADABLE, _line(read.place, error.reason_code, error.detail))


def _lacks_time(outcome: Outcome) -> bool:
    return isinstance(outcome, Refusal) and outcome.reason_code is RefusalReason.NO_TIME


def _line(place: str, reason_code: str, detail: str) -> str:
    return ": ".join(part for part in (place, reason_code, " ".join(detail.split())) if part)
