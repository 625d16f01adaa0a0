"""What a request's body becomes: lines for the log, and what was refused of it and why."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from pydantic import ValidationError

from flows.gateway.delivery import KeyedLine
from flows.gateway.refusals import RequestError, RequestReason
from operators.decode import read_event
from operators.reasons import reason_of
from schemas.adapters.common import AdapterError, AdapterSettings, Refusal, RefusalReason
from schemas.adapters.registry import Adapter, parts_of
from schemas.errors import ErrorCode

EVENT_BYTES_MAX = 900_000
"""Brokers refuse messages of about a megabyte unless they are told otherwise."""
TOLD_MAX = 1_000
EVENTS_PER_TURN = 200
JSON_LINES_TYPES = ("application/x-ndjson", "application/jsonl", "application/x-jsonlines", "application/json-lines")

IGNORED = frozenset(
    {
        RefusalReason.NO_LABEL,
        RefusalReason.DRAFT,
        RefusalReason.UNFINISHED,
        RefusalReason.LABEL_ELSEWHERE,
        RefusalReason.ITEM_DELETED,
    }
)
"""Reasons for which there is nothing wrong with what was sent: it tells of no label."""

_encode = msgspec.json.encode
_decode_any = msgspec.json.Decoder().decode
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


@dataclass(slots=True)
class Converted:
    """What a body became.

    Parameters
    ----------
    events
        What is to be delivered.
    ignored
        What tells of no label, and why.
    rejected
        What could not become an event, and why.
    """

    events: list[KeyedLine] = field(default_factory=list)
    ignored: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)

    def refusals(self) -> Iterator[str]:
        """Yield the reason code of everything that was ignored or rejected."""
        yield from (entry["reason"] for entry in (*self.ignored, *self.rejected))

    def document(self) -> dict[str, Any]:
        """Return what is told to the sender; of many refusals the first thousand."""
        told: dict[str, Any] = {"accepted": len(self.events)}
        for name, entries in (("ignored", self.ignored), ("rejected", self.rejected)):
            if entries:
                told[name] = entries[:TOLD_MAX]
                told[f"{name}_total"] = len(entries)
        return told


# Webhooks of tools


def convert_webhook(
    adapter: Adapter, body: bytes, *, headers: Mapping[str, str], received_at: str, settings: AdapterSettings
) -> Converted:
    """Return the events of a tool's webhook; records of its export are taken as well.

    Parameters
    ----------
    adapter
        The tool's.
    body
        JSON.
    headers
        The request's, names in lower case.
    received_at
        RFC 3339.
    settings
        What people set for the source.

    Raises
    ------
    RequestError
        If the body is not JSON (400), or no payload of the tool (422).
    """
    converted = Converted()
    document = _parsed(body)
    try:
        for part in parts_of(document):
            if type(part) is dict and adapter.is_webhook(part):
                outcomes = adapter.webhook_events(part, received_at=received_at, settings=settings, headers=headers)
            else:
                outcomes = adapter.export_events(part, received_at=received_at, settings=settings)
            for outcome in outcomes:
                _add_outcome(converted, outcome)
    except AdapterError as error:
        raise RequestError(422, error.reason_code, error.detail) from None
    except RecursionError:
        raise _too_deep() from None
    return converted


def _add_outcome(converted: Converted, outcome: dict[str, Any] | Refusal) -> None:
    if type(outcome) is Refusal:
        entries = converted.ignored if outcome.reason_code in IGNORED else converted.rejected
        entries.append({"reason": str(outcome.reason_code), "detail": outcome.detail})
        return
    line = _encode(outcome)
    if len(line) > EVENT_BYTES_MAX:
        detail = f"{outcome.get('question_id', 'event')}: {len(line):,} bytes, more than {EVENT_BYTES_MAX:,}"
        converted.rejected.append({"reason": str(ErrorCode.OVERSIZED), "detail": detail})
        return
    converted.events.append((outcome["project_id"].encode(), line))


def _parsed(body: bytes) -> Any:
    try:
        return _decode_any(body)
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _not_json(body, error) from None


def _not_json(body: bytes, error: Exception) -> RequestError:
    if not body.strip():
        return RequestError(400, ErrorCode.EMPTY, "the body is empty")
    try:
        body.decode()
    except UnicodeDecodeError:
        return RequestError(400, ErrorCode.NOT_UTF8, "the body is not UTF-8")
    return RequestError(400, ErrorCode.NOT_JSON, f"the body is not JSON: {error}")


def _too_deep() -> RequestError:
    return RequestError(400, ErrorCode.TOO_DEEP, "the body is nested too deeply")


# Native events


async def convert_events(body: bytes, *, content_type: str, received_at: str, events_max: int) -> Converted:
    """Return the events of a body that holds events of the contract: one, an array, or JSON lines.

    Parameters
    ----------
    body
        JSON, or JSON lines.
    content_type
        Value of the header; says JSON lines where they are, though they are found out without it as well.
    received_at
        RFC 3339; every event is stamped with it.
    events_max
        Most events of one request.

    Raises
    ------
    RequestError
        If the body is neither (400), or holds too many events (413).
    """
    pieces = _pieces(body, content_type.partition(";")[0].strip().lower() in JSON_LINES_TYPES)
    if len(pieces) > events_max:
        raise RequestError(
            413, RequestReason.TOO_MANY_EVENTS, f"{len(pieces):,} events in one request, of at most {events_max:,}"
        )
    converted = Converted()
    for index, piece in enumerate(pieces):
        if index and not index % EVENTS_PER_TURN:
            await asyncio.sleep(0)  # others' requests are answered meanwhile
        _add_event(converted, index, bytes(piece), received_at)
    return converted


def _pieces(body: bytes, is_lines: bool) -> list[Any]:
    try:
        if is_lines:
            return _lines(body)
        if body.lstrip(b" \t\r\n")[:1] == b"[":
            return _decode_array(body)
        try:
            _decode_any(body)
            return [body]
        except (msgspec.MsgspecError, UnicodeDecodeError):
            lines = _lines(body)
            if len(lines) < 2 or not _is_object(lines[0]):
                raise
            return lines
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _not_json(body, error) from None


def _lines(body: bytes) -> list[bytes]:
    return [line for line in body.split(b"\n") if line.strip()]


def _is_object(line: bytes) -> bool:
    try:
        return type(_decode_any(line)) is dict
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False


def _add_event(converted: Converted, index: int, piece: bytes, received_at: str) -> None:
    try:
        event = _parsed(piece)
        if type(event) is not dict:
            raise RequestError(422, ErrorCode.NOT_AN_OBJECT, "an event is an object")
        event["received_at"] = received_at
        line = _encode(event)
        if len(line) > EVENT_BYTES_MAX:
            detail = f"{len(line):,} bytes, more than {EVENT_BYTES_MAX:,}"
            raise RequestError(413, ErrorCode.OVERSIZED, detail)
        key = read_event(line).project_id.encode()
    except ValidationError as error:
        code, detail = reason_of(error, line)
        converted.rejected.append({"index": index, "reason": str(code), "detail": detail})
    except RequestError as error:
        converted.rejected.append({"index": index, "reason": str(error.reason_code), "detail": error.message})
    else:
        converted.events.append((key, line))
