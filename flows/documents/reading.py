"""Which form a file of an annotation tool has, told by its first character."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast
from xml.etree.ElementTree import ParseError

import msgspec

from flows.documents.document import DOCUMENT_BYTES_MAX, Document, Read, Unreadable
from flows.documents.json_documents import read_array, read_lines
from schemas.adapters.cvat_xml import read_images
from schemas.errors import ConfigurationError, ErrorCode

STANDARD_INPUT = "-"
GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = b"PK\x03\x04"
BLANKS = b" \t\r\n\xef\xbb\xbf"
PEEK_BYTES = 4_096
TABLE_COLUMNS = {"toloka": b"ASSIGNMENT:assignment_id", "label-studio": b"annotation_id"}
"""The tools that export tables, and a column by which their headers are known."""
XML_TOOLS = ("cvat",)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, or standard input for ``-``; what is packed with gzip is unpacked on the way.

    Raises
    ------
    ConfigurationError
        If it cannot be opened, or is a zip archive.
    """
    is_input = str(path) == STANDARD_INPUT
    try:
        stream = open(0 if is_input else path, "rb", closefd=not is_input)  # noqa: SIM115
        start = stream.peek(len(ZIP_MAGIC))
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}", remedy="check the path") from error
    with stream:
        if start.startswith(ZIP_MAGIC):
            raise ConfigurationError(f"{path} is a zip archive", remedy="unzip it, and convert the file in it")
        if start.startswith(GZIP_MAGIC):
            with gzip.GzipFile(fileobj=stream) as unpacked:
                yield cast(BinaryIO, unpacked)
        else:
            yield stream


def read_documents(stream: BinaryIO, *, tool: str, bytes_max: int = DOCUMENT_BYTES_MAX) -> Iterator[Read]:
    """Yield the documents of a file one by one, and where there is none.

    An array is read element by element, lines one by one, a table row by row (Toloka, Label Studio), XML image by image
    (CVAT). Only a single document that goes on over several lines is held in memory as a whole.

    Parameters
    ----------
    stream
        The file, open for bytes, with ``peek``.
    tool
        Name of the tool, which decides what may be there besides JSON.
    bytes_max
        A longer line, or single document, is not read.
    """
    try:
        start, line = _start(stream)
        column = TABLE_COLUMNS.get(tool)
        if start.startswith(b"["):
            yield from read_array(stream)
        elif start.startswith(b"<") and tool in XML_TOOLS:
            yield from _read_xml(stream)
        elif column is not None and not start.startswith(b"{") and column in start.partition(b"\n")[0]:
            yield from _read_table(stream, first_line=line, has_json=tool == "label-studio")
        else:
            yield from read_lines(stream, first_line=line, bytes_max=bytes_max)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        yield Unreadable("", ErrorCode.NOT_JSON, f"the packed file is broken from here on: {error}")


def _start(stream: BinaryIO) -> tuple[bytes, int]:
    """Move a stream to its first character that is not blank; return what is there, and the number of its line."""
    line = 1
    while ahead := cast(io.BufferedReader, stream).peek(PEEK_BYTES):
        blank = len(ahead) - len(ahead.lstrip(BLANKS))
        line += stream.read(blank).count(b"\n")
        if blank < len(ahead):
            return cast(io.BufferedReader, stream).peek(PEEK_BYTES), line
    return b"", line


def _read_xml(stream: BinaryIO) -> Iterator[Read]:
    number = 0
    try:
        for number, image in enumerate(read_images(stream), start=1):
            yield Document(f"image {number}", image)
    except (ParseError, ValueError) as error:
        yield Unreadable(f"image {number + 1}", ErrorCode.INVALID_VALUE, f"no XML from here on: {error}")


def _read_table(stream: BinaryIO, *, first_line: int, has_json: bool) -> Iterator[Read]:
    """Yield each row of a table with a header, its columns parted by tabs or commas; values may be JSON."""
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    rows: csv.DictReader[str] | None = None
    try:
        header = text.readline()
        rows = csv.DictReader(text, next(csv.reader([header], delimiter=_delimiter(header)), []))
        rows.reader = csv.reader(text, delimiter=_delimiter(header), strict=True)
        for row in rows:
            values = {key: _value(value) if has_json else value for key, value in row.items() if key and value}
            yield Document(f"line {first_line + rows.line_num}", values)
    except (csv.Error, UnicodeDecodeError) as error:
        line = first_line + (0 if rows is None else rows.line_num)
        yield Unreadable(f"line {line}", ErrorCode.INVALID_VALUE, f"no table from here on: {error}")
    finally:
        text.detach()


def _value(text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def _delimiter(header: str) -> str:
    return "\t" if "\t" in header else ","
