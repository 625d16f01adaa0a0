"""Tables for people: how values and rows look in a terminal."""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH_WITHOUT_TERMINAL = 10_000
COLUMN_GAP = 2

_TIMESTAMP = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(?:\.\d+)?Z")


def output_console() -> Console:
    """Return a console on standard output that does not fold lines where nobody watches."""
    is_terminal = sys.stdout.isatty()
    return Console(highlight=False, width=None if is_terminal else WIDTH_WITHOUT_TERMINAL)


def cell_text(value: Any) -> str:
    """Return a value as it is shown in a cell.

    >>> cell_text(None), cell_text(True), cell_text(1234567), cell_text("2026-01-05T09:00:00.123Z")
    ('-', 'yes', '1,234,567', '2026-01-05 09:00:00Z')
    """
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3f}" if 1e-3 <= abs(value) < 1e9 or value == 0 else f"{value:.3g}"
    if isinstance(value, int):
        return f"{value:,}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _TIMESTAMP.sub(r"\1 \2Z", text)


def column_texts(values: Sequence[Any]) -> list[str]:
    """Return the values of a column as they are shown: all numbers with a fraction if one has one, else none.

    >>> column_texts([1.0, 2]), column_texts([1, 0.25]), column_texts([None, 3.0])
    (['1', '2'], ['1.000', '0.250'], ['-', '3'])
    """
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    convert = int if all(float(number).is_integer() for number in numbers) else float
    return [cell_text(convert(value) if type(value) in (int, float) else value) for value in values]


def rows_table(
    rows: Sequence[Mapping[str, Any]], *, columns: Iterable[str], title: str | None = None, width: int | None = None
) -> tuple[Table, list[str]]:
    """Return a table of rows, and the names of the columns that had no room in it.

    Parameters
    ----------
    rows
        Mappings from column name to value.
    columns
        The columns to show, in order; a float column is a share unless all its values are whole.
    title
        Heading of the table.
    width
        Characters of a line; None for as many as it takes. At least one column is shown.
    """
    texts = {column: column_texts([row.get(column) for row in rows]) for column in columns}
    shown, hidden = _fitting(texts, width)
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, COLUMN_GAP, 0, 0)
    )
    for column in shown:
        is_number = any(isinstance(row.get(column), int | float) for row in rows)
        table.add_column(column, justify="right" if is_number else "left", header_style="dim", overflow="fold")
    for cells in zip(*(texts[column] for column in shown), strict=True):
        table.add_row(*map(Text, cells))
    return table, hidden


def _fitting(texts: Mapping[str, Sequence[str]], width: int | None) -> tuple[list[str], list[str]]:
    names = list(texts)
    if width is None:
        return names, []
    used = 0
    for index, name in enumerate(names):
        used += max(map(len, (name, *texts[name]))) + (COLUMN_GAP if index else 0)
        if used > width and index:
            return names[:index], names[index:]
    return names, []
