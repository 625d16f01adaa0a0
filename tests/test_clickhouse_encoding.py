"""Rows on their way to the database: what is written is what is read."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import TerminalSinkError
from schemas.timestamps import microseconds
from sinks.clickhouse.client import connect
from sinks.clickhouse.encoding import INPUT_FORMAT, RowEncoder, arrow_type

COLUMNS = [
    ("name", "LowCardinality(String)"),
    ("maybe_name", "LowCardinality(Nullable(String))"),
    ("data", "String"),
    ("small", "UInt8"),
    ("medium", "UInt16"),
    ("maybe_count", "Nullable(UInt32)"),
    ("count", "UInt64"),
    ("figure", "Float64"),
    ("maybe_figure", "Nullable(Float64)"),
    ("at", "DateTime64(6, 'UTC')"),
    ("maybe_at", "Nullable(DateTime64(6, 'UTC'))"),
]
NAMES = [name for name, _ in COLUMNS]
EARLIEST, LATEST = (microseconds(datetime(year, 1, 1, tzinfo=UTC)) for year in (1970, 2299))

figures = st.floats(allow_nan=False)
stamps = st.integers(EARLIEST, LATEST)
names = st.text(max_size=8)
rows = st.lists(
    st.tuples(
        names, st.none() | names, names | st.binary(max_size=8), st.integers(0, 255), st.integers(0, 2**16 - 1),
        st.none() | st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), figures, st.none() | figures,
        stamps, st.none() | stamps,
    ),
    min_size=1,
    max_size=20,
)  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A database with a table of all types."""
    with connect(f"chdb://{tmp_path_factory.mktemp('encoding')}") as client:
        client.command("CREATE DATABASE labelpulse", use_database=False)
        columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS)
        client.command(f"CREATE TABLE types ({columns}) ENGINE = Memory")
        yield client


def stored(client: Client, values: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Write rows and read them back, timestamps as microseconds, text as bytes."""
    client.command("TRUNCATE TABLE types")
    client.raw_insert("types", NAMES, RowEncoder("types", COLUMNS).encode(values), fmt=INPUT_FORMAT)
    selected = [f"toUnixTimestamp64Micro({name})" if kind.endswith("'UTC')") else name for name, kind in COLUMNS]
    selected[-1] = "toUnixTimestamp64Micro(assumeNotNull(maybe_at)), isNull(maybe_at)"
    formats = {name: "bytes" for name in ("name", "maybe_name", "data")}
    read = client.query(f"SELECT {', '.join(selected)} FROM types", column_formats=formats).result_rows
    return [(*row[:-2], None if row[-1] else row[-2]) for row in read]


def as_bytes(value: Any) -> Any:
    """Return text as its UTF-8 bytes, all else as it is."""
    return value.encode() if isinstance(value, str) else value


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=rows, repeats=st.sampled_from([1, 3]))
def test_what_is_written_is_what_is_read(client: Client, values: list[tuple[Any, ...]], repeats: int) -> None:
    """Values of each type, nulls, any text, any bytes, and columns that hold one value only, come back as they were."""
    written = values[:1] * repeats if repeats > 1 else values
    assert stored(client, written) == [tuple(map(as_bytes, row)) for row in written]


def test_what_is_no_number_is_missing(client: Client) -> None:
    """A figure that is not a number is stored as null."""
    nan = float("nan")
    one = ("n", None, b"", 0, 0, None, 0, 0.0, nan, 0, None)
    assert [row[8] for row in stored(client, [one])] == [None]
    assert [row[8] for row in stored(client, [one, (*one[:8], 0.5, *one[9:])])] == [None, 0.5]


@pytest.mark.parametrize(
    ("column", "value"),
    [("name", 1), ("small", 256), ("count", -1), ("count", 2**64), ("figure", "x"), ("at", "2026-01-05")],
)
def test_a_value_of_the_wrong_type_is_named(column: str, value: Any) -> None:
    """A value that does not fit is an error that no other try mends, and that names the column."""
    good = ("n", None, b"", 0, 0, None, 0, 0.0, None, 0, None)
    bad = tuple(value if name == column else held for name, held in zip(NAMES, good, strict=True))
    for values in ([bad], [good, bad]):
        with pytest.raises(TerminalSinkError, match=f"types.{column}"):
            RowEncoder("types", COLUMNS).encode(values)


def test_a_column_of_another_type_is_refused() -> None:
    """A type that the tables do not have is an error when the encoder is made, not wrong values."""
    with pytest.raises(TerminalSinkError, match="Array"):
        arrow_type("Array(String)")


def test_writing_does_not_load_pandas() -> None:
    """Converting rows does not make pyarrow load pandas, which is slow; it can still be found afterwards."""
    program = """
import sys
from sinks.clickhouse.encoding import RowEncoder
RowEncoder("t", [("name", "String")]).encode([("x",)])
assert "pandas" not in sys.modules
from importlib.util import find_spec
assert find_spec("pandas") is not None
"""
    subprocess.run([sys.executable, "-c", program], check=True)
