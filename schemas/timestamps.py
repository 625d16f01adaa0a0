"""Timestamps of the contract: RFC 3339 with a zone, kept to the microsecond."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator
from pydantic_core import PydanticCustomError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MICROSECONDS_PER_SECOND = 1_000_000
SECONDS_PER_DAY = 86_400

_RFC3339 = re.compile(r"(\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:?\d{2})?", flags=re.ASCII)


def microseconds(moment: datetime) -> int:
    """Return the microseconds since 1970-01-01T00:00:00Z of an aware datetime.

    >>> microseconds(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    since = moment - EPOCH
    return (since.days * SECONDS_PER_DAY + since.seconds) * MICROSECONDS_PER_SECOND + since.microseconds


def moment_of(microseconds_since_epoch: int) -> datetime:
    """Return the aware datetime, in UTC, of a count of microseconds since the epoch."""
    return EPOCH + timedelta(microseconds=microseconds_since_epoch)


def _require_rfc3339(value: object) -> object:
    """Admit RFC 3339 strings only, and round what is finer than a microsecond (half up, by the seventh digit)."""
    if isinstance(value, datetime):
        return value
    match = _RFC3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise PydanticCustomError("timestamp_format", "expected an RFC 3339 timestamp such as 2026-01-05T09:00:00.000Z")
    seconds, fraction, zone = match.groups()
    if zone is None:
        raise PydanticCustomError("timestamp_naive", "expected a timestamp with a zone, such as a trailing Z")
    try:
        moment = datetime.fromisoformat(seconds.upper() + zone.upper().replace("Z", "+00:00"))
        return moment + timedelta(microseconds=_rounded_microseconds(fraction or ""))
    except (ValueError, OverflowError) as error:
        raise PydanticCustomError("timestamp_format", "expected a date and time that exist") from error


def _rounded_microseconds(fraction: str) -> int:
    digits = fraction.ljust(7, "0")
    return int(digits[:6]) + (digits[6] >= "5")


Timestamp = Annotated[AwareDatetime, BeforeValidator(_require_rfc3339)]
"""A pydantic field type: an RFC 3339 string in, an aware ``datetime`` out."""
