"""Records that are no events: one kind for each reason code that decoding has.

A kind is made from a good event, so that it differs from one in nothing but what is wrong with it.
"""

import json
from collections.abc import Callable
from typing import Any

from schemas.errors import ErrorCode

NESTING = 1_000
UNKNOWN_VERSION = 99

Fields = dict[str, Any]

_FAULTS: dict[ErrorCode, Callable[[Fields], object]] = {
    ErrorCode.UNKNOWN_VERSION: lambda event: event.update(schema_version=UNKNOWN_VERSION),
    ErrorCode.UNKNOWN_TYPE: lambda event: event.update(type="annotation.archived"),
    ErrorCode.UNKNOWN_LABEL_KIND: lambda event: event["label"].update(kind="hologram"),
    ErrorCode.MISSING_FIELD: lambda event: event.pop("item_id"),
    ErrorCode.WRONG_TYPE: lambda event: event.update(annotator_id=17),
    ErrorCode.INVALID_VALUE: lambda event: event.update(revision=-1),
    ErrorCode.TIMESTAMP_INVALID: lambda event: event.update(occurred_at="2026-02-30T25:61:00Z"),
    ErrorCode.TIMESTAMP_NAIVE: lambda event: event.update(occurred_at=event["occurred_at"].removesuffix("Z")),
    ErrorCode.TIMESTAMP_OUT_OF_RANGE: lambda event: event.update(occurred_at="0001-01-01T00:00:00Z"),
    ErrorCode.TIMESTAMP_FAR_FUTURE: lambda event: event.update(
        received_at=event["occurred_at"], occurred_at=f"{int(event['occurred_at'][:4]) + 100}-06-01T00:00:00Z"
    ),
}
"""What is done to the fields of a good event."""

_BYTES: dict[ErrorCode, Callable[[bytes], bytes]] = {
    ErrorCode.EMPTY: lambda line: b"",
    ErrorCode.NOT_UTF8: lambda line: line.replace(b'"source":"', b'"source":"\xff\xfe'),
    ErrorCode.NOT_JSON: lambda line: line[: len(line) // 2],
    ErrorCode.NOT_AN_OBJECT: lambda line: b"[" + line + b"]",
    ErrorCode.TOO_DEEP: lambda line: line[:-1] + b',"context":' + b"[" * NESTING + b"]" * NESTING + b"}",
}
"""What is done to the bytes of a good event."""

BAD_CODES: tuple[ErrorCode, ...] = (*_BYTES, *_FAULTS)
"""Reason codes that a small bad record can have; ``oversized`` comes beside them where it is asked for."""


def bad_record(code: ErrorCode, good: bytes, *, serial: int, oversized_bytes: int) -> bytes:
    """Return a record that is refused for `code`.

    Parameters
    ----------
    code
        One of `BAD_CODES`, or ``ErrorCode.OVERSIZED``.
    good
        An ``annotation.submitted`` event to make it from.
    serial
        Number of the bad record, so that no two are the same event.
    oversized_bytes
        Size of an oversized record.
    """
    event = json.loads(good)
    event["event_id"] = f"bad{serial}"
    if code in _FAULTS:
        _FAULTS[code](event)
    line = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
    if code is ErrorCode.OVERSIZED:
        return line[:-1] + b',"padding":"' + b"x" * max(0, oversized_bytes - len(line) - 13) + b'"}'
    return _BYTES[code](line) if code in _BYTES else line
