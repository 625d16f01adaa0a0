"""Reading members of parsed JSON that may be anything: a function returns what it promises, or raises AdapterError."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from schemas.adapters.common import AdapterError, is_unicode
from schemas.errors import ErrorCode
from schemas.events import DURATION_MS_MAX, IDENTIFIER_CHARACTERS_MAX, REVISION_MAX
from schemas.timestamps import MICROSECONDS_PER_SECOND, microseconds, moment_of

INTEGER_MAX = 2**64
"""Ids that are numbers lie below it."""
UNIX_SECONDS_MAX = microseconds(datetime(2262, 1, 1, tzinfo=UTC)) // MICROSECONDS_PER_SECOND
"""Latest unix time that is believed; milliseconds taken for seconds lie far beyond it."""

MICROSECONDS_PER_MILLISECOND = 1_000
REVISION_PIECES = ((2**30, 1), (2**29, 100), (2**29 - 1, 1_000))
"""How time since its creation becomes the revision of an annotation: (ticks, length of a tick in ms), one after the
other: 12 days of milliseconds, 20 months of tenths of seconds, 17 years of seconds."""

assert sum(ticks for ticks, _ in REVISION_PIECES) == REVISION_MAX


def object_of(value: object, name: str) -> dict[str, Any]:
    """Return a value that must be an object."""
    if type(value) is dict:
        return value
    raise _wrong_type(value, name, "an object")


def array_of(value: object, name: str) -> list[Any]:
    """Return a value that must be an array."""
    if type(value) is list:
        return value
    raise _wrong_type(value, name, "an array")


def text_of(value: object, name: str) -> str:
    """Return a value that must be a string."""
    if type(value) is str:
        return value
    raise _wrong_type(value, name, "a string")


def member(owner: dict[str, Any], key: str, name: str) -> Any:
    """Return a member that must be there and not null; `name` says whose member it is."""
    value = owner.get(key)
    if value is None:
        raise AdapterError(ErrorCode.MISSING_FIELD, f"{name}.{key}: missing")
    return value


def object_in(owner: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    """Return a member that is an object; an empty one where it is absent or null."""
    value = owner.get(key)
    return {} if value is None else object_of(value, f"{name}.{key}")


def array_in(owner: dict[str, Any], key: str, name: str) -> list[Any]:
    """Return a member that is an array; an empty one where it is absent or null."""
    value = owner.get(key)
    return [] if value is None else array_of(value, f"{name}.{key}")


def objects_in(owner: dict[str, Any], key: str, name: str) -> list[dict[str, Any]]:
    """Return a member that is an array of objects; an empty one where it is absent or null."""
    return [object_of(value, f"{name}.{key}[]") for value in array_in(owner, key, name)]


def identifier(value: object, name: str) -> str:
    """Return a string or whole number as an id: 1 to 256 characters of Unicode text."""
    if type(value) is str and value.isascii() and 1 <= len(value) <= IDENTIFIER_CHARACTERS_MAX:
        return value
    if type(value) is int and -INTEGER_MAX < value < INTEGER_MAX:
        return str(value)
    if type(value) is not str:
        raise _wrong_type(value, name, "a string or a whole number")
    if not 1 <= len(value) <= IDENTIFIER_CHARACTERS_MAX:
        raise AdapterError(
            ErrorCode.INVALID_VALUE, f"{name}: expected 1 to {IDENTIFIER_CHARACTERS_MAX} characters, not {len(value)}"
        )
    if not is_unicode(value):
        raise AdapterError(ErrorCode.INVALID_VALUE, f"{name}: not Unicode text (a lone surrogate)")
    return value


def identifier_in(owner: dict[str, Any], key: str, name: str) -> str:
    """Return a member that must be there and be an id."""
    return identifier(member(owner, key, name), f"{name}.{key}")


def time_of(value: object, name: str) -> int:
    """Return a timestamp as microseconds since the epoch. One without a zone is in UTC, as the tools mean it.

    Examples
    --------
    >>> time_of("1970-01-01T00:00:01", "at") == time_of("1970-01-01T01:00:01.000+01:00", "at") == 1_000_000
    True
    """
    if type(value) is not str:
        raise _wrong_type(value, name, "a timestamp")
    try:
        if len(value) < len("2026-01-05T09:00:00") or value[10] not in "Tt ":
            raise ValueError
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        at = microseconds(moment)
    except (ValueError, OverflowError):
        raise AdapterError(ErrorCode.TIMESTAMP_INVALID, f"{name}: no timestamp: {value[:40]!r}") from None
    return _believable(at, name)


def unix_time_of(value: object, name: str) -> int:
    """Return a unix time in seconds, whole or not, as microseconds since the epoch."""
    if type(value) is not int and type(value) is not float:
        raise _wrong_type(value, name, "a unix time")
    if not 0 <= value <= UNIX_SECONDS_MAX:
        raise AdapterError(ErrorCode.TIMESTAMP_OUT_OF_RANGE, f"{name}: no unix time in seconds")
    return round(value * MICROSECONDS_PER_SECOND)


@lru_cache(maxsize=1_024)
def timestamp_text(at: int) -> str:
    """Return microseconds since the epoch as RFC 3339 in UTC, to the millisecond where that says all."""
    precision = "microseconds" if at % MICROSECONDS_PER_MILLISECOND else "milliseconds"
    return moment_of(at).isoformat(timespec=precision)[:-6] + "Z"


def duration_ms_of(seconds: object) -> int | None:
    """Return a time spent in milliseconds; None where it is not told, or cannot be true."""
    if type(seconds) is not int and type(seconds) is not float:
        return None
    return round(seconds * 1_000) if 0 <= seconds <= DURATION_MS_MAX // 1_000 else None


def revision_of(created: int, updated: int) -> int:
    """Return the revision of an annotation that its tool does not count: how long after its creation it was changed.

    Both times are what the tool tells wherever it tells of the annotation, so that its webhook and its export give the
    same revision, and later changes give higher ones.

    Parameters
    ----------
    created, updated
        Microseconds since the epoch.

    Returns
    -------
    revision
        In [0, 2³¹ - 1]; a millisecond apart is told apart during 12 days, then a tenth of a second, then a second.

    Examples
    --------
    >>> revision_of(0, 71_250)
    71
    """
    left, revision = max(updated - created, 0) // MICROSECONDS_PER_MILLISECOND, 0
    for ticks, length in REVISION_PIECES:
        if left < ticks * length:
            return revision + left // length
        left -= ticks * length
        revision += ticks
    return revision


def _believable(at: int, name: str) -> int:
    if not 0 <= at <= UNIX_SECONDS_MAX * MICROSECONDS_PER_SECOND:
        raise AdapterError(ErrorCode.TIMESTAMP_OUT_OF_RANGE, f"{name}: no time from 1970 to 2261")
    return at


def _wrong_type(value: object, name: str, expected: str) -> AdapterError:
    if value is None:
        return AdapterError(ErrorCode.MISSING_FIELD, f"{name}: missing")
    return AdapterError(ErrorCode.WRONG_TYPE, f"{name}: expected {expected}, not {type(value).__name__}")
