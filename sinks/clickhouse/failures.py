"""What the client's errors mean to us: worth another try, or not; and in one plain line."""

import re
from collections.abc import Iterator

from clickhouse_connect.driver.exceptions import ClickHouseError, Error, OperationalError
from urllib3.exceptions import HTTPError, MaxRetryError, NameResolutionError, NewConnectionError
from urllib3.exceptions import TimeoutError as Urllib3TimeoutError

from schemas.errors import SinkError, TerminalSinkError, TransientSinkError

MESSAGE_CHARACTERS_MAX = 300
TRANSIENT_CODES = frozenset({
    74, 75, 76,  # cannot read, write or open a file: a full disk, among others
    159, 160, 209, 210, 279,  # time-outs and the network
    201, 202, 203, 373, 439,  # quotas, too many queries, no free connection, locked session, no thread
    225, 236, 242, 285, 286, 319, 999,  # coordination of replicas
    241, 243, 252,  # memory, disk space, too many parts
    394, 425, 499, 735, 1000, 1001, 1002,  # cancelled, system and storage errors
})  # fmt: skip
"""ClickHouse's error codes that may go away by themselves."""

UNKNOWN_TABLE, UNKNOWN_DATABASE = 60, 81
AUTHENTICATION_CODES = frozenset({192, 193, 194, 516})

_STATUS = re.compile(r"HTTP status (\d{3})")
_TRANSIENT_STATUSES = frozenset({408, 425, 429})
_NOISE = re.compile(r"Received ClickHouse exception, code: \d+, server response: |Code: \d+\. |DB::Exception: ")
_TRAILERS = re.compile(
    r"\s*(\(version .*|\(for url .*|Stack trace .*|executing HTTP request attempt .*)", flags=re.DOTALL
)


def sink_error(error: Exception, *, doing: str) -> SinkError:
    """Return an error of the client as one of ours.

    Parameters
    ----------
    error
        What the client raised.
    doing
        What was being done, as in "rows of labels_versions could not be written".
    """
    kind = TransientSinkError if is_transient(error) else TerminalSinkError
    return kind(f"{doing}: {plain_message(error)}")


def is_transient(error: Exception) -> bool:
    """Return whether another try may succeed."""
    if isinstance(error, HTTPError | OSError):
        return True
    if isinstance(error, Error) and error.code is not None:
        return error.code in TRANSIENT_CODES
    status = http_status(error)
    if status is not None:
        return status >= 500 or status in _TRANSIENT_STATUSES
    return isinstance(error, OperationalError)


def http_status(error: Exception) -> int | None:
    """Return the HTTP status of an answer that did not come from ClickHouse itself; None if there is none."""
    found = _STATUS.search(str(error)) if isinstance(error, ClickHouseError) else None
    return int(found[1]) if found else None


def plain_message(error: Exception) -> str:
    """Return the message of an error as one line, without codes, versions and addresses."""
    line = " ".join((_transport_message(error) or _TRAILERS.sub("", _NOISE.sub("", str(error)))).split()).rstrip(".")
    return line if len(line) <= MESSAGE_CHARACTERS_MAX else f"{line[: MESSAGE_CHARACTERS_MAX - 1]}…"


def _transport_message(error: Exception) -> str:
    """Return why a server was not reached, or stopped answering; empty if it is not that."""
    cause = error.__cause__
    if isinstance(cause, MaxRetryError) and cause.reason is not None:
        cause = cause.reason
    if isinstance(cause, NameResolutionError):
        return "the host name is unknown"
    if isinstance(cause, TimeoutError | Urllib3TimeoutError) and not isinstance(cause, NewConnectionError):
        return "no answer in time"
    if not isinstance(cause, HTTPError):
        return ""
    reasons = [reason.strerror for reason in _chain(cause) if isinstance(reason, OSError) and reason.strerror]
    return reasons[-1].lower() if reasons else str(cause)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
