"""Rows of CSV files, with what is wrong with them said by line and column."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from schemas.errors import ConfigurationError
from schemas.events import IDENTIFIER_CHARACTERS_MAX

Row = Mapping[str, str]
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot become an event.

    Parameters
    ----------
    table
        Name of the table for people, such as ``answers``.
    line
        Line of the file where the row ends, from 1, the header included.
    column
        The column that is wrong; empty if it is none in particular.
    reason
        What is wrong.
    """

    table: str
    line: int
    column: str
    reason: str

    def __str__(self) -> str:
        place = f", column {self.column!r}" if self.column else ""
        return f"{self.table}, line {self.line}{place}: {self.reason}"


BadRowHandler = Callable[[BadRow], None]


class RowRefused(Exception):
    """Raised by whoever reads a row, to say which column is wrong and why."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(column, reason)
        self.column = column
        self.reason = reason


def read_rows(lines: Iterable[str]) -> "csv.DictReader[str]":
    """Return a reader of the rows of a CSV file with a header, with or without a byte order mark."""
    return csv.DictReader(_without_byte_order_mark(lines), strict=True)


def _without_byte_order_mark(lines: Iterable[str]) -> Iterator[str]:
    for index, line in enumerate(lines):
        yield line.removeprefix("\ufeff") if index == 0 else line


def read_table(
    table: str,
    rows: Iterable[Row],
    columns: tuple[str, ...],
    read: Callable[[Row], Value],
    *,
    on_bad_row: BadRowHandler | None,
) -> Iterator[Value]:
    """Yield what `read` makes of each row of a table.

    Parameters
    ----------
    table
        Name of the table for people.
    rows
        Rows by column name: a ``csv.DictReader``, or any mappings.
    columns
        The columns that must be there.
    read
        Turns a row into a value, or raises `RowRefused`.
    on_bad_row
        Told of each row that was refused, which is then left out; where it is None, the first one ends the reading.

    Raises
    ------
    ConfigurationError
        If a column is missing, a row is bad and `on_bad_row` is None, or the input is no CSV file in UTF-8.
    """
    for line, row in _numbered(table, rows, columns):
        try:
            if None in row:
                raise RowRefused("", "more values than the header has columns")
            value = read(row)
        except RowRefused as refused:
            bad = BadRow(table, line, refused.column, refused.reason)
            if on_bad_row is None:
                raise ConfigurationError(str(bad), remedy="mend the row, or have bad rows left out") from None
            on_bad_row(bad)
            continue
        yield value


def identifier(row: Row, column: str) -> str:
    """Return the value of a column that is an id or a class name: as it stands, 1 to 256 characters.

    Raises
    ------
    RowRefused
        If it is empty, too long or not Unicode text.
    """
    value = row.get(column)
    if not value:
        raise RowRefused(column, "empty")
    if len(value) > IDENTIFIER_CHARACTERS_MAX:
        raise RowRefused(column, f"{len(value)} characters, more than {IDENTIFIER_CHARACTERS_MAX}")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise RowRefused(column, "not Unicode text (a lone surrogate)")
    return value


def _numbered(table: str, rows: Iterable[Row], columns: tuple[str, ...]) -> Iterator[tuple[int, Row]]:
    """Yield each row with its line: of the file where the reader knows it, else as if no value held a line break."""
    try:
        if isinstance(rows, csv.DictReader):
            _require_columns(table, rows.fieldnames or (), columns)
        for index, row in enumerate(rows):
            if index == 0:
                _require_columns(table, row, columns)
            yield getattr(rows, "line_num", index + 2), row
    except csv.Error as error:
        line = rows.reader.line_num if isinstance(rows, csv.DictReader) else 0
        raise ConfigurationError(
            f"{table}, line {line}: not a CSV file: {error}",
            remedy="quote values that hold commas, quotes or line breaks",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{table}: not in UTF-8: {error.reason}", remedy="save the file as UTF-8") from error


def _require_columns(table: str, header: Iterable[str], columns: tuple[str, ...]) -> None:
    present = [column for column in header if column is not None]
    missing = [column for column in columns if column not in present]
    if missing:
        raise ConfigurationError(
            f"{table}: no column {_listed(missing)}; the first line has {_listed(present) or 'nothing'}",
            remedy=f"name the columns {', '.join(columns)} in the first line",
        )


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names))
