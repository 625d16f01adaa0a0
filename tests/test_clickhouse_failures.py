"""What the client's errors mean: worth another try or not, and one plain line."""

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from urllib3.exceptions import ProtocolError

from schemas.errors import TerminalSinkError, TransientSinkError
from sinks.clickhouse.failures import MESSAGE_CHARACTERS_MAX, is_transient, plain_message, sink_error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OperationalError("Error executing HTTP request"), True),
        (ProtocolError("Connection broken"), True),
        (OSError("No space left on device"), True),
        (DatabaseError("Code: 252. too many parts", code=252), True),
        (DatabaseError("Code: 16. no such column", code=16), False),
        (OperationalError("Code: 516. wrong password", code=516), False),
        (DatabaseError("HTTP driver received HTTP status 502"), True),
        (DatabaseError("HTTP driver received HTTP status 429, server response: slow down"), True),
        (DatabaseError("HTTP driver received HTTP status 404"), False),
        (DatabaseError("something else"), False),
        (ValueError("a bug"), False),
    ],
    ids=str,
)
def test_errors_are_told_apart(error: Exception, expected: bool) -> None:
    """What may pass by itself is tried again; what cannot is not, an unknown error included."""
    assert is_transient(error) is expected
    told = sink_error(error, doing="rows could not be written")
    assert isinstance(told, TransientSinkError if expected else TerminalSinkError)
    assert told.message.startswith("rows could not be written: ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Received ClickHouse exception, code: 60, server response: Code: 60. DB::Exception: Unknown table 'x'. "
            "(UNKNOWN_TABLE) (version 26.9.2.1) (for url http://db:8123)",
            "Unknown table 'x'. (UNKNOWN_TABLE)",
        ),
        (
            "Code: 6. DB::Exception: Code: 6. DB::Exception: Cannot parse\n 'x0'. (version 26.9.2.1)",
            "Cannot parse 'x0'",
        ),
        ("x" * 1000, "x" * (MESSAGE_CHARACTERS_MAX - 1) + "…"),
    ],
    ids=["server", "embedded", "long"],
)
def test_messages_are_one_plain_line(text: str, expected: str) -> None:
    """Codes, versions, addresses and line ends are left out, and a message is never longer than a limit."""
    assert plain_message(DatabaseError(text)) == expected
