"""Rows as the database takes them at the least cost: an Arrow stream of columns.

Of what was measured (lists through the client's Native codec, MessagePack, JSON, Arrow), Arrow costs least in all:
pyarrow converts a value in 15 to 35 ns, and the engine reads the stream at a tenth of the cost of MessagePack.
"""

import re
import sys
from collections.abc import Sequence
from itertools import chain
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from schemas.errors import TerminalSinkError
from schemas.rows import TABLES
from sinks.clickhouse.client import is_embedded

INPUT_FORMAT = "ArrowStream"

_COLUMN_TYPES = """
SELECT table, name, type
FROM system.columns
WHERE database = {database:String} AND endsWith(table, '_versions')
"""
_WRAPPED = re.compile(r"(LowCardinality|Nullable)\((.*)\)")
_MAP = re.compile(r"Map\(LowCardinality\(String\), (\w+)\)")
_ARROW_TYPES = {
    "String": pa.binary(),
    "UInt8": pa.uint8(),
    "UInt16": pa.uint16(),
    "UInt32": pa.uint32(),
    "UInt64": pa.uint64(),
    "Float64": pa.float64(),
    "DateTime64(6, 'UTC')": pa.timestamp("us", "UTC"),
}
_VALUE_ERRORS = (pa.ArrowException, OverflowError, TypeError, ValueError)


class _PandasHidden:
    """Import hook that finds no pandas."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def _convert_once_without_pandas() -> None:
    """Make pyarrow's first conversion, at which it would import pandas: 1.4 s and 50 MB for what is not used here.

    What does need pandas, such as ``Table.to_pandas``, still imports it.
    """
    sys.meta_path.insert(0, _PandasHidden)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(_PandasHidden)


_convert_once_without_pandas()


class RowEncoder:
    """Turns the rows of one table into Arrow streams.

    Parameters
    ----------
    table
        Name of the table, for error messages.
    columns
        Name and ClickHouse type of each column, in the order of a row's tuple.
    compression
        Codec of the stream's buffers (``lz4`` or ``zstd``); None for none.
    """

    def __init__(self, table: str, columns: Sequence[tuple[str, str]], *, compression: str | None = None) -> None:
        self._table = table
        self._names = [name for name, _ in columns]
        self._types = [arrow_type(clickhouse_type) for _, clickhouse_type in columns]
        self._options = pa.ipc.IpcWriteOptions(compression=compression)

    def encode(self, rows: Sequence[tuple[Any, ...]]) -> memoryview:
        """Return rows, at least one, as the bytes of an Arrow stream.

        Timestamps are whole microseconds since the epoch; None and NaN are null.

        Raises
        ------
        TerminalSinkError
            If a value does not fit the type of its column.
        """
        width = len(self._names)
        values = list(chain.from_iterable(rows))
        assert len(values) == width * len(rows), f"a row of {self._table} has {width} values"
        arrays = [self._encode_column(index, values[index::width]) for index in range(width)]
        batch = pa.record_batch(arrays, names=self._names)
        buffer = pa.BufferOutputStream()
        with pa.ipc.new_stream(buffer, batch.schema, options=self._options) as stream:
            stream.write_batch(batch)
        return memoryview(buffer.getvalue())

    def _encode_column(self, index: int, values: list[Any]) -> pa.Array:
        try:
            return _array_of(values, self._types[index])
        except _VALUE_ERRORS as error:
            column = f"{self._table}.{self._names[index]}"
            raise TerminalSinkError(f"a value does not fit column {column}: {error}") from error


def row_encoders(client: Client) -> dict[str, RowEncoder]:
    """Return an encoder for each table, made from the columns that the database has.

    Raises
    ------
    TerminalSinkError
        If a table or column is missing.
    """
    types: dict[str, dict[str, str]] = {}
    for table, name, clickhouse_type in client.query(_COLUMN_TYPES, {"database": client.database}).result_rows:
        types.setdefault(table, {})[name] = clickhouse_type
    compression = None if is_embedded(client) else "lz4"
    encoders = {}
    for table in TABLES.values():
        missing = set(table.columns) - types.get(table.name, {}).keys()
        if missing:
            raise TerminalSinkError(
                f"table {table.name} lacks column {min(missing)}", remedy="run `labelpulse migrate --clickhouse DSN`"
            )
        columns = [(name, types[table.name][name]) for name in table.columns]
        encoders[table.name] = RowEncoder(table.name, columns, compression=compression)
    return encoders


def arrow_type(clickhouse_type: str) -> pa.DataType:
    """Return the Arrow type that the values of a column are sent as.

    >>> arrow_type("LowCardinality(Nullable(String))")
    DictionaryType(dictionary<values=binary, indices=int32, ordered=0>)

    Raises
    ------
    TerminalSinkError
        If no table of ours has such columns.
    """
    pair = _MAP.fullmatch(clickhouse_type)
    if pair is not None:
        return pa.map_(_ARROW_TYPES["String"], arrow_type(pair[1]))
    wrapped = _WRAPPED.fullmatch(clickhouse_type)
    if wrapped is None:
        if clickhouse_type not in _ARROW_TYPES:
            raise TerminalSinkError(f"columns of type {clickhouse_type} cannot be written")
        return _ARROW_TYPES[clickhouse_type]
    inner = arrow_type(wrapped[2])
    return pa.dictionary(pa.int32(), inner) if wrapped[1] == "LowCardinality" else inner


def _array_of(values: list[Any], kind: pa.DataType) -> pa.Array:
    first = values[0]
    if values[-1] is first and values.count(first) == len(values):
        return _repeated(first, len(values), kind)
    return _converted(values, kind)


def _converted(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_map(kind):
        return pa.array([list(value.items()) if value else [] for value in values], kind)
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).view(kind)
    return pa.array(values, kind, from_pandas=pa.types.is_floating(kind))


def _repeated(value: Any, length: int, kind: pa.DataType) -> pa.Array:
    """Repeat a value, at a tenth of the cost of converting each: many columns (step, generation) hold but one."""
    if not pa.types.is_dictionary(kind):
        return pa.repeat(_converted([value], kind)[0], length)
    indices = pa.repeat(pa.scalar(0, kind.index_type), length)
    return pa.DictionaryArray.from_arrays(indices, pa.array([value], kind.value_type))
