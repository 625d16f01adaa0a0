"""The sink in a dataflow: rows are in the database at each snapshot, whatever becomes of the flow."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.errors import BytewaxRuntimeError
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSource, cluster_main, run_main
from clickhouse_connect.driver.client import Client

from schemas.errors import IncompatibleStateError, SinkError
from schemas.records import RowBatch
from schemas.rows import ITEMS
from sinks.clickhouse.client import connect
from sinks.clickhouse.sink import SNAPSHOT, ClickHouseSink, slot_name
from sinks.clickhouse.writer import RowWriter
from tests.support.clickhouse_front import ClickHouseFront, Fault, FaultKind
from tests.support.clickhouse_rows import empty_tables, migrated, row

NEVER = 3600.0


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Client]]:
    """A migrated database: its DSN and a connection."""
    with migrated(tmp_path_factory.mktemp("sink")) as opened:
        yield opened


@pytest.fixture
def dsn(engine: tuple[str, Client]) -> str:
    """The DSN of the database, whose tables are empty."""
    empty_tables(engine[1])
    return engine[0]


@pytest.fixture
def client(engine: tuple[str, Client]) -> Client:
    """A connection to the database."""
    return engine[1]


def sink(dsn: str, **writing: float) -> ClickHouseSink:
    """Return a sink that writes only when it has to."""
    open_writer = partial(RowWriter, **{"flush_seconds": NEVER, **writing})
    return ClickHouseSink(partial(connect, dsn), open_writer=open_writer, slots=3)


def flow_of(items: list[int | TestingSource.ABORT], target: ClickHouseSink) -> Dataflow:
    """Return a flow that writes a row for each number, keyed by it."""
    flow = Dataflow("flow")
    numbers = op.input("numbers", flow, TestingSource(items, batch_size=1))
    rows = op.map("rows", numbers, lambda number: (f"shard-{number % 5}", batch(number)))
    op.output("rows_out", rows, target)
    return flow


def batch(number: int) -> RowBatch:
    """Return a batch of one row."""
    return RowBatch({ITEMS.name: [row(ITEMS, item_id=f"{number:03d}", version=number + 1)]})


def items_in_force(client: Client) -> list[int]:
    """Return the numbers whose rows are in force."""
    return [int(item) for (item,) in client.query("SELECT item_id FROM items ORDER BY item_id").result_rows]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_flow_that_ends_has_written_everything(dsn: str, client: Client, workers: int) -> None:
    """Without recovery nothing asks for a flush, and still all rows are there, from one worker and from two."""
    cluster_main(flow_of(list(range(40)), sink(dsn)), [], 0, worker_count_per_proc=workers)
    assert items_in_force(client) == list(range(40))


def test_a_flow_that_crashes_loses_nothing(dsn: str, client: Client, tmp_path: Path) -> None:
    """Rows are there at the latest with each snapshot; what was in flight at a crash comes again after the restart."""
    init_db_dir(tmp_path, 1)
    recovery = RecoveryConfig(str(tmp_path))
    numbers: list[int | TestingSource.ABORT] = list(range(30))
    numbers.insert(20, TestingSource.ABORT())
    for _ in range(2):
        run_main(flow_of(numbers, sink(dsn)), epoch_interval=timedelta(0), recovery_config=recovery)
    assert items_in_force(client) == list(range(30))


def test_a_snapshot_waits_for_the_database(dsn: str, client: Client) -> None:
    """When a snapshot returns, all rows so far are in the database, those of other slots too; its state is constant."""
    target = sink(dsn)
    slots = [target.build_part("rows_out", name, None) for name in target.list_parts()]
    for number, slot in enumerate(slots):
        slot.write_batch([batch(number), batch(number + 10)])
    assert items_in_force(client) == []
    assert slots[0].snapshot() == SNAPSHOT
    assert items_in_force(client) == [0, 1, 2, 10, 11, 12]
    for slot in slots:
        slot.close()


def test_slots_share_one_connection(dsn: str) -> None:
    """A process has one writer, opened with the first slot and closed with the last, and can open another one later."""
    target = sink(dsn)
    assert target.writer is None
    for _ in range(2):
        slots = [target.build_part("rows_out", name, SNAPSHOT) for name in target.list_parts()]
        writer = target.writer
        assert writer is not None
        for slot in slots:
            assert target.writer is writer
            slot.close()
        assert target.writer is None


def test_keys_go_to_fixed_slots() -> None:
    """Names of slots and the slot of a key are a disk format."""
    target = ClickHouseSink(lambda: pytest.fail("no connection is needed"), slots=8)
    assert target.list_parts() == [f"slot-0{number}" for number in range(8)]
    assert slot_name(11) == "slot-11"
    assert target.part_fn("shard-0001-0") == 2_928_095_864


def test_a_database_without_migrations_stops_the_start(dsn: str) -> None:
    """A flow on a database that lacks migrations ends before it reads, with what to do."""
    target = sink(f"{dsn}?database=elsewhere")
    with pytest.raises(IncompatibleStateError, match="lacks migrations") as refused:
        target.build_part("rows_out", "slot-00", None)
    assert "labelpulse migrate" in refused.value.remedy
    assert target.writer is None


def test_rows_that_cannot_be_written_stop_the_flow(dsn: str, client: Client) -> None:
    """An error of the database that no other try mends ends the flow, with the reason."""
    with ClickHouseFront(dsn.removeprefix("chdb://")) as front:
        front.inject(Fault(FaultKind.STATUS, "INSERT", times=None, status=500, code=497, message="not allowed"))
        with pytest.raises((BytewaxRuntimeError, SinkError)) as stopped:
            run_main(flow_of(list(range(4)), sink(front.dsn)))
    reasons = []
    error: BaseException | None = stopped.value
    while error is not None:
        reasons.append(str(error))
        error = error.__cause__
    assert any("not allowed" in reason for reason in reasons)
    assert items_in_force(client) == []
