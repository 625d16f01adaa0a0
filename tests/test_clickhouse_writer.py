"""The writer: when it writes, that what it writes is there, and what it does when the database fails."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import SinkError, TerminalSinkError
from schemas.records import RowBatch
from schemas.rows import ITEMS, LABELS, PROGRESS, TABLES, Table
from sinks.clickhouse.client import connect
from sinks.clickhouse.writer import RowWriter
from tests.support.clickhouse_front import ClickHouseFront, Fault, FaultKind
from tests.support.clickhouse_rows import empty_tables, migrated, row

NEVER = 3600.0
PATIENCE_SECONDS = 60.0
INSERT_LABELS = "INSERT INTO labels_versions"
DOWN = {"kind": FaultKind.STATUS, "matching": "INSERT", "times": None}


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseFront]:
    """A server over a migrated database."""
    path = tmp_path_factory.mktemp("writer")
    with migrated(path), ClickHouseFront(path) as front:
        yield front


@pytest.fixture
def embedded(front: ClickHouseFront) -> Iterator[Client]:
    """A connection to the database behind the server, past it; its tables are empty."""
    front.clear()
    front.seen.clear()
    with connect(f"chdb://{front.path}") as client:
        empty_tables(client)
        yield client


@pytest.fixture
def opened(front: ClickHouseFront) -> Iterator[Callable[..., RowWriter]]:
    """Opens writers that flush only when asked to and do not wait long before another try; closes them at the end."""
    writers: list[RowWriter] = []

    def open_writer(dsn: str | None = None, **arguments: Any) -> RowWriter:
        defaults = {"flush_seconds": NEVER, "retry_seconds": 0.001, "retry_seconds_max": 0.01}
        writers.append(RowWriter(connect(dsn or front.dsn), **{**defaults, **arguments}))
        return writers[-1]

    yield open_writer
    front.clear()
    for writer in writers:
        writer.close()


def labels(*versions: int, **values: Any) -> RowBatch:
    """Return a batch with a label row for each version."""
    return RowBatch({LABELS.name: [row(LABELS, version=version, **values) for version in versions]})


def count(client: Client, table: str = "labels") -> int:
    """Return the number of rows of a table or view."""
    return int(client.command(f"SELECT count() FROM {table}"))


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
@pytest.mark.parametrize("is_server", [False, True], ids=["embedded", "server"])
def test_each_table_takes_its_rows(
    front: ClickHouseFront, embedded: Client, opened: Callable[..., RowWriter], table: Table, is_server: bool
) -> None:
    """What is added and flushed is in the table, column by column, whether in this process or over HTTP."""
    writer = opened(front.dsn if is_server else f"chdb://{front.path}")
    writer.add(RowBatch({table.name: [row(table, version=2**48 + 7)]}))
    writer.flush()
    read = embedded.query(f"SELECT * REPLACE (toString(version) AS version) FROM {table.name}")
    assert tuple(read.column_names) == table.columns
    assert read.first_row[-2] == str(2**48 + 7)


def test_rows_come_by_age(front: ClickHouseFront, embedded: Client, opened: Callable[..., RowWriter]) -> None:
    """Rows are written without anyone asking, once the first is old enough."""
    written = Fault(FaultKind.HOLD_AFTER, INSERT_LABELS)
    front.inject(written)
    opened(flush_seconds=0.01).add(labels(1))
    assert written.reached.wait(PATIENCE_SECONDS)
    assert count(embedded) == 1


def test_rows_come_by_number(front: ClickHouseFront, embedded: Client, opened: Callable[..., RowWriter]) -> None:
    """Rows are written without anyone asking, once there are enough, and not before."""
    written = Fault(FaultKind.HOLD_AFTER, INSERT_LABELS)
    front.inject(written)
    writer = opened(flush_rows=3)
    writer.add(labels(1))
    writer.add(labels(2, item_id="other"))
    assert front.seen["INSERT INTO"] == 0
    writer.add(labels(3, item_id="third"))
    assert written.reached.wait(PATIENCE_SECONDS)
    assert count(embedded) == 3


def test_a_flush_returns_when_all_is_there(
    front: ClickHouseFront, embedded: Client, opened: Callable[..., RowWriter]
) -> None:
    """A flush is a barrier: it waits for the rows added before it, those of an insertion under way included."""
    held = Fault(FaultKind.HOLD_BEFORE, INSERT_LABELS)
    front.inject(held)
    writer = opened(flush_rows=1)
    writer.add(labels(1))
    assert held.reached.wait(PATIENCE_SECONDS)
    writer.add(RowBatch({ITEMS.name: [row(ITEMS)], PROGRESS.name: [row(PROGRESS)]}))
    seen: list[int] = []
    flush = threading.Thread(target=lambda: (writer.flush(), seen.append(count(embedded, "items"))))
    flush.start()
    assert (count(embedded), count(embedded, "items"), flush.is_alive()) == (0, 0, True)
    held.released.set()
    flush.join(PATIENCE_SECONDS)
    assert seen == [1]
    assert (count(embedded), count(embedded, "progress")) == (1, 1)


def test_flushing_nothing_returns_at_once(front: ClickHouseFront, opened: Callable[..., RowWriter]) -> None:
    """Without rows there is no insertion and no waiting, even if the database is down."""
    writer = opened()
    front.inject(Fault(**DOWN))
    writer.add(RowBatch({LABELS.name: []}))
    writer.flush()
    assert writer.status.flushes == 0


def test_a_full_buffer_holds_up_who_adds(
    front: ClickHouseFront, embedded: Client, opened: Callable[..., RowWriter]
) -> None:
    """While the database is slow, adding waits, so that what waits is bounded; nothing is lost."""
    held = Fault(FaultKind.HOLD_BEFORE, INSERT_LABELS)
    front.inject(held)
    writer = opened(flush_rows=4, buffer_rows_max=4)
    writer.add(labels(1, 2, 3, 4))
    assert held.reached.wait(PATIENCE_SECONDS)
    events: list[str] = []
    adding = threading.Event()

    def add_more() -> None:
        adding.set()
        writer.add(labels(5, 6))
        events.append("added")

    adder = threading.Thread(target=add_more)
    adder.start()
    assert adding.wait(PATIENCE_SECONDS)
    for _ in range(20):
        assert count(embedded) == 0
    assert writer.status.rows_waiting == 4
    events.append("released")
    held.released.set()
    adder.join(PATIENCE_SECONDS)
    writer.flush()
    assert events == ["released", "added"]
    assert count(embedded, "labels_versions") == 6


def test_the_highest_version_counts_in_whatever_order(embedded: Client, opened: Callable[..., RowWriter]) -> None:
    """Within a flush and across flushes, out of order and again, the row with the highest version is in force."""
    writer = opened()
    for versions in ((5, 3), (4,), (9, 9), (7, 8), (1,)):
        for version in versions:
            writer.add(labels(version, revision=version))
            writer.add(RowBatch({ITEMS.name: [row(ITEMS, labels=version, version=version)]}))
        writer.flush()
    assert embedded.query("SELECT revision FROM labels").result_rows == [(9,)]
    assert embedded.query("SELECT labels FROM items").result_rows == [(9,)]


def test_what_has_ceased_stays_away(embedded: Client, opened: Callable[..., RowWriter]) -> None:
    """A tombstone hides its key for good: also within one flush, when merged, and when an older version comes again."""
    writer = opened()
    writer.add(labels(1))
    writer.add(labels(2, is_deleted=1))
    writer.add(RowBatch({ITEMS.name: [row(ITEMS, version=1), row(ITEMS, version=2, is_deleted=1)]}))
    writer.flush()
    assert (count(embedded), count(embedded, "items")) == (0, 0)
    embedded.command("OPTIMIZE TABLE labels_versions FINAL")
    embedded.command("OPTIMIZE TABLE items_versions FINAL")
    writer.add(labels(1))
    writer.add(RowBatch({ITEMS.name: [row(ITEMS, version=1)]}))
    writer.flush()
    assert (count(embedded), count(embedded, "items")) == (0, 0)
    writer.add(labels(3))
    writer.flush()
    assert count(embedded) == 1


def test_a_block_that_was_written_before_is_not_dropped(embedded: Client, opened: Callable[..., RowWriter]) -> None:
    """Where the server remembers blocks and drops repetitions, ours come through: their rows may be needed again."""
    embedded.command("ALTER TABLE labels_versions MODIFY SETTING non_replicated_deduplication_window = 1000")
    try:
        writer = opened()
        for _ in range(2):
            writer.add(labels(1))
            writer.flush()
            assert count(embedded) == 1
            embedded.command("ALTER TABLE labels_versions DELETE WHERE 1 SETTINGS mutations_sync = 1")
    finally:
        embedded.command("ALTER TABLE labels_versions MODIFY SETTING non_replicated_deduplication_window = 0")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(FaultKind.RESET_BEFORE, times=3),
        Fault(FaultKind.RESET_AFTER, times=3),
        Fault(FaultKind.HALF_ANSWER, times=3),
        Fault(FaultKind.STATUS, times=3, status=503),
        Fault(FaultKind.STATUS_AFTER, times=3, status=504),
        Fault(FaultKind.STATUS, times=3, status=429),
        Fault(FaultKind.STATUS, times=3, status=502),
        Fault(FaultKind.STATUS, times=3, status=500, code=252, message="Too many parts"),
        Fault(FaultKind.STATUS, times=3, status=500, code=241, message="Memory limit exceeded"),
        Fault(FaultKind.STATUS_AFTER, times=3, status=500, code=319, message="Unknown status of insert"),
        Fault(FaultKind.HOLD_AFTER, times=1),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}-{fault.code}",
)
def test_what_may_pass_is_tried_again(
    front: ClickHouseFront, embedded: Client, opened: Callable[..., RowWriter], fault: Fault
) -> None:
    """Resets, time-outs, full servers: the rows are there in the end, once, and the status told of the failures."""
    fault.matching, failures = INSERT_LABELS, fault.times
    front.inject(fault)
    writer = opened(f"{front.dsn}?send_receive_timeout=1" if fault.kind is FaultKind.HOLD_AFTER else None)
    writer.add(labels(1))
    writer.flush()
    assert writer.status.failures == failures
    assert writer.status.last_error is None
    assert front.seen[fault.kind] == failures
    assert count(embedded) == 1


@pytest.mark.parametrize("code", [16, 60, 497, 516])
def test_what_does_not_pass_is_told_at_once(
    front: ClickHouseFront, embedded: Client, opened: Callable[..., RowWriter], code: int
) -> None:
    """Unknown columns and tables, missing rights: no second try, and every later call says the same."""
    front.inject(Fault(FaultKind.STATUS, INSERT_LABELS, times=None, status=500, code=code, message="no way"))
    writer = opened()
    writer.add(labels(1))
    for call in (writer.flush, lambda: writer.add(labels(2)), writer.flush):
        with pytest.raises(TerminalSinkError, match="labels_versions could not be written: no way"):
            call()
    assert front.seen[FaultKind.STATUS] == 1


def test_a_value_of_the_wrong_type_is_told(embedded: Client, opened: Callable[..., RowWriter]) -> None:
    """A bug that makes a wrong row ends the flow with the column's name, and is not tried for ever."""
    writer = opened()
    writer.add(labels(1, revision="first"))
    with pytest.raises(TerminalSinkError, match="labels_versions.revision"):
        writer.flush()


def test_a_flush_can_be_limited_and_goes_on_later(
    front: ClickHouseFront, embedded: Client, opened: Callable[..., RowWriter]
) -> None:
    """A flush that cannot end in time is an error that says why; the rows still wait, and are written later."""
    front.inject(Fault(**DOWN, message="maintenance"))
    writer = opened()
    writer.add(labels(1))
    while writer.status.failures == 0:
        with pytest.raises(SinkError) as refused:
            writer.flush(0.01)
    with pytest.raises(SinkError, match="1 rows could not be written in time: .*maintenance") as refused:
        writer.flush(0)
    assert not isinstance(refused.value, TerminalSinkError)
    assert writer.status.rows_waiting == 1
    front.clear()
    writer.flush()
    assert (count(embedded), writer.status.rows_waiting, writer.status.last_error) == (1, 0, None)


def test_a_drain_ends_all_waiting(front: ClickHouseFront, embedded: Client, opened: Callable[..., RowWriter]) -> None:
    """Once told to give up, calls that wait and calls that come end with an error instead of waiting for ever."""
    front.inject(Fault(**DOWN))
    writer = opened(flush_rows=1, buffer_rows_max=1)
    writer.add(labels(1))
    errors: list[SinkError] = []

    def add_more() -> None:
        try:
            writer.add(labels(2))
        except SinkError as error:
            errors.append(error)

    adder = threading.Thread(target=add_more)
    adder.start()
    writer.give_up_after(0.01)
    adder.join(PATIENCE_SECONDS)
    assert len(errors) == 1
    with pytest.raises(SinkError, match="in time"):
        writer.flush()


def test_closing_ends_at_once(front: ClickHouseFront, embedded: Client, opened: Callable[..., RowWriter]) -> None:
    """A writer that is closed writes nothing more, even if it was in the middle of trying, and takes nothing more."""
    front.inject(Fault(**DOWN))
    writer = opened(flush_rows=1, retry_seconds=NEVER, retry_seconds_max=NEVER)
    writer.add(labels(1))
    while writer.status.failures == 0:
        with pytest.raises(SinkError, match="in time"):
            writer.flush(0.01)
    writer.close()
    front.clear()
    assert count(embedded) == 0
    with pytest.raises((AssertionError, SinkError)):
        writer.add(labels(2))


def test_a_database_without_tables_is_refused(front: ClickHouseFront) -> None:
    """A writer on a database that was not migrated is an error with the remedy, before a row is taken."""
    with connect(f"{front.dsn}/elsewhere") as client:
        client.command("CREATE DATABASE IF NOT EXISTS elsewhere", use_database=False)
        with pytest.raises(TerminalSinkError, match="lacks column") as refused:
            RowWriter(client)
    assert "labelpulse migrate" in refused.value.remedy


def test_the_status_counts_rows(embedded: Client, opened: Callable[..., RowWriter]) -> None:
    """Rows written and left out, flushes and the time of the last one by the clock that was given."""
    told: list[int] = []
    writer = opened(clock=lambda: 42.0, on_written=told.append)
    assert writer.status.last_flush_at is None
    writer.add(RowBatch({ITEMS.name: [row(ITEMS, version=version) for version in (1, 2, 3)]}))
    assert writer.status.rows_waiting == 3
    writer.flush()
    status = writer.status
    assert (status.rows_waiting, status.rows_written, status.rows_superseded, status.flushes) == (0, 3, 2, 1)
    assert told == [3]
    assert status.last_flush_at == 42.0
    assert count(embedded, "items_versions") == 1


batches = st.lists(
    st.lists(st.tuples(st.integers(0, 9), st.integers(1, 60)), min_size=1, max_size=8),
    min_size=1,
    max_size=12,
)
fault_kinds = st.sampled_from(
    [FaultKind.RESET_BEFORE, FaultKind.RESET_AFTER, FaultKind.STATUS, FaultKind.STATUS_AFTER, FaultKind.HALF_ANSWER]
)


def is_gone(version: int) -> bool:
    """Return whether the row with this version is a tombstone, in the test below."""
    return version % 3 == 0


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=batches, kinds=st.lists(fault_kinds, max_size=3), flush_rows=st.sampled_from([1, 5, 1000]))
def test_whatever_goes_wrong_nothing_is_lost_or_doubled(
    front: ClickHouseFront,
    embedded: Client,
    batches: list[list[tuple[int, int]]],
    kinds: list[FaultKind],
    flush_rows: int,
) -> None:
    """After any versions in any order, with half of the insertions failing in any way, the rows in force are right."""
    empty_tables(embedded)
    front.inject(*(Fault(kind, "INSERT", times=None, probability=0.2) for kind in kinds))
    writer = RowWriter(
        connect(f"{front.dsn}/labelpulse"), flush_seconds=NEVER, flush_rows=flush_rows, retry_seconds=0.001
    )
    newest: dict[str, int] = {}
    for batch in batches:
        for item, version in batch:
            newest[str(item)] = max(version, newest.get(str(item), 0))
        rows = [
            row(ITEMS, item_id=str(item), labels=version, version=version, is_deleted=int(is_gone(version)))
            for item, version in batch
        ]
        writer.add(RowBatch({ITEMS.name: rows}))
    writer.flush()
    writer.close()
    front.clear()
    in_force = sorted((item, version) for item, version in newest.items() if not is_gone(version))
    assert sorted(embedded.query("SELECT item_id, labels FROM items").result_rows) == in_force
