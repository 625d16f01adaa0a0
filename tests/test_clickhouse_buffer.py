"""Rows that wait: when they are due, and which of them need not be written."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.rows import ANNOTATORS, ITEMS, LABELS, PROGRESS, TABLES, row_version
from sinks.clickhouse.buffer import RowBuffer, latest, rows_to_write
from tests.support.clickhouse_rows import row

Row = tuple[Any, ...]

versions = st.builds(
    lambda generation, offset, key, payload: (
        f"k{key}", payload, generation, row_version(generation=generation, offset=offset), 0,
    ),
    st.integers(0, 2), st.integers(0, 3), st.integers(0, 3), st.integers(),
)  # fmt: skip


@given(rows=st.lists(versions, min_size=1, max_size=30))
def test_the_latest_rows_are_those_that_the_engine_would_keep(rows: list[Row]) -> None:
    """Of each key and generation the highest version stays, of equal versions the last: as ReplacingMergeTree does."""
    kept: dict[tuple[Any, ...], Row] = {}
    for one in rows:
        key = (one[0], one[-3])
        if key not in kept or one[-2] >= kept[key][-2]:
            kept[key] = one
    assert sorted(latest(list(rows), key_width=1)) == sorted(kept.values())


def test_rows_are_due_by_age_of_the_first() -> None:
    """Later rows do not put off what waits, and an empty buffer is never due."""
    buffer = RowBuffer(flush_seconds=1.0, flush_rows=100)
    assert buffer.due_at is None
    buffer.add({ITEMS.name: []}, now=5.0)
    assert buffer.due_at is None
    buffer.add({ITEMS.name: [row(ITEMS)]}, now=10.0)
    buffer.add({LABELS.name: [row(LABELS)]}, now=10.9)
    assert buffer.due_at == 11.0
    assert {table: len(lists) for table, lists in buffer.take_all().items()} == {ITEMS.name: 1, LABELS.name: 1}
    assert (buffer.rows, buffer.due_at, buffer.take_all()) == (0, None, {})


def test_a_full_buffer_gives_up_its_large_tables_only() -> None:
    """Small tables wait until they are due: an insertion costs as much as thousands of rows."""
    buffer = RowBuffer(flush_seconds=1.0, flush_rows=100)
    buffer.add(
        {LABELS.name: [row(LABELS)] * 60, ITEMS.name: [row(ITEMS)] * 37, PROGRESS.name: [row(PROGRESS)]}, now=3.0
    )
    assert not buffer.is_full
    buffer.add({PROGRESS.name: [row(PROGRESS)] * 2}, now=3.5)
    assert buffer.is_full
    assert set(buffer.take_most()) == {LABELS.name, ITEMS.name}
    assert (buffer.rows, buffer.due_at, buffer.is_full) == (3, 4.0, False)
    assert {table: list(map(len, lists)) for table, lists in buffer.take_all().items()} == {PROGRESS.name: [1, 2]}


@given(counts=st.lists(st.integers(0, 40), min_size=len(TABLES), max_size=len(TABLES)))
def test_taking_most_leaves_less_than_half_and_loses_nothing(counts: list[int]) -> None:
    """However rows are spread, what is taken and what stays is everything, and room is made."""
    buffer = RowBuffer(flush_seconds=1.0, flush_rows=1)
    for table, count in zip(TABLES.values(), counts, strict=True):
        buffer.add({table.name: [row(table)] * count}, now=0.0)
    before = buffer.rows
    taken, left = buffer.take_most(), buffer.rows
    assert 2 * left <= before
    assert sum(len(part) for lists in taken.values() for part in lists) + left == before
    assert sum(len(part) for lists in buffer.take_all().values() for part in lists) == left


def test_superseded_rows_are_left_out_where_that_pays() -> None:
    """Rows of annotators come again and again, and only the last is written; labels are written as they are."""
    annotators = [row(ANNOTATORS, labels=count, version=count) for count in (1, 2, 3)]
    assert rows_to_write(ANNOTATORS.name, [annotators[:2], annotators[2:]]) == annotators[2:]
    labels = [row(LABELS, revision=revision, version=revision + 1) for revision in (0, 1)]
    assert rows_to_write(LABELS.name, [labels]) == labels


def test_a_tombstone_supersedes_what_it_ends() -> None:
    """A key that was born and ceased within one flush still leaves its tombstone."""
    born = row(ITEMS, labels=1, version=5)
    ceased = row(ITEMS, labels=0, version=9, is_deleted=1)
    assert rows_to_write(ITEMS.name, [[born], [ceased]]) == [ceased]
