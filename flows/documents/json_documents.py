"""JSON in its three forms in files: lines of documents, one long array of them, or a single document."""

from collections.abc import Iterator
from typing import BinaryIO

import ijson
import msgspec

from flows.documents.depth import DepthGuard, TooDeepError
from flows.documents.document import Document, Read, Unreadable
from schemas.errors import ErrorCode

READ_BYTES = 8_192
"""Arrays are read in pieces so short that nesting inside one of them does no harm."""
SKIP_BYTES = 1_048_576
UNFINISHED_ENDS = (b"{", b"[", b",", b":")
"""How the first line ends where a document goes on over several lines."""

_DECODER = msgspec.json.Decoder()


def read_array(stream: BinaryIO) -> Iterator[Read]:
    """Yield the elements of an array, or of one array after the other; only one element is held in memory.

    What follows a mistake cannot be read: the reading ends there.
    """
    number = 0
    try:
        elements = ijson.items(DepthGuard(stream), "item", multiple_values=True, use_float=True, buf_size=READ_BYTES)
        for number, element in enumerate(elements, start=1):
            yield Document(f"element {number}", element)
    except TooDeepError as error:
        yield Unreadable(f"element {number + 1}", error.reason_code, f"from here on: {error}")
    except (ijson.JSONError, UnicodeDecodeError, ValueError) as error:
        detail = f"no JSON from here on: {_one_line(error)}"
        yield Unreadable(f"element {number + 1}", ErrorCode.NOT_JSON, detail)


def read_lines(stream: BinaryIO, *, first_line: int, bytes_max: int) -> Iterator[Read]:
    """Yield a document for each line that is not blank, or the one document that goes on over all lines.

    Parameters
    ----------
    stream
        The file, at the start of a document.
    first_line
        The number of the line that it is at.
    bytes_max
        A longer line, or a longer document over several lines, is not read.
    """
    for number, line in enumerate(iter(lambda: stream.readline(bytes_max + 1), b""), start=first_line):
        if number == first_line and line.rstrip().endswith(UNFINISHED_ENDS):
            yield _read("", line + stream.read(bytes_max + 1), bytes_max)
            return
        if len(line) > bytes_max:
            _skip_line(stream, line)
        if line.strip():
            yield _read(f"line {number}", line, bytes_max)


def _read(place: str, text: bytes, bytes_max: int) -> Read:
    if len(text) > bytes_max:
        detail = f"more than {bytes_max:,} bytes in one document; convert it to one document a line"
        return Unreadable(place, ErrorCode.OVERSIZED, detail)
    try:
        return Document(place, _DECODER.decode(text))
    except RecursionError:
        return Unreadable(place, ErrorCode.TOO_DEEP, "nested too deeply")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Unreadable(place, ErrorCode.NOT_JSON, _one_line(error))


def _skip_line(stream: BinaryIO, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = stream.readline(SKIP_BYTES)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
