"""A topic of a real Apache Kafka read by the engine: drained, crashed, moved between workers, resumed."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from bytewax import operators as op
from bytewax.dataflow import Dataflow
from bytewax.errors import BytewaxRuntimeError
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSink, cluster_main

from flows.sources.kafka import KafkaSource
from flows.sources.slots import BatchLimits, SlotContext
from schemas.records import RecordBatch
from tests.support.kafka.node import Broker
from tests.support.reading import Record, records_of

pytest_plugins = ["tests.support.broker"]
pytestmark = pytest.mark.kafka

PARTITIONS = 6
RECORDS = 1_200
LIMITS = BatchLimits(batch_records_max=10)


class Crash(Exception):
    """Ends a worker in the middle of its work."""


@pytest.fixture
def topic(broker: Broker) -> str:
    """A topic whose partitions hold numbered records."""
    name = broker.create_topic(partitions=PARTITIONS)
    broker.produce(name, [(number % PARTITIONS, b"%d" % number) for number in range(RECORDS)])
    return name


def expected_records() -> list[Record]:
    """Return what the topic holds, in order."""
    return sorted((number % PARTITIONS, number // PARTITIONS, b"%d" % number) for number in range(RECORDS))


def run_flow(
    broker: Broker,
    topic: str,
    recovery: Path,
    *,
    workers: int = 1,
    drain: Callable[[], bool] = lambda: False,
    until_eof: bool = False,
    watch: Callable[[RecordBatch], RecordBatch] = lambda batch: batch,
) -> list[RecordBatch]:
    """Run a flow that only reads, and return the batches it read."""
    out: list[RecordBatch] = []
    source = KafkaSource(
        brokers=broker.bootstrap, topic=topic, slots=4, until_eof=until_eof, context=SlotContext(LIMITS, drain)
    )
    flow = Dataflow("reading")
    batches = op.map("watch", op.input("records", flow, source), watch)
    op.output("out", batches, TestingSink(out))
    cluster_main(
        flow,
        [],
        0,
        epoch_interval=timedelta(0),
        recovery_config=RecoveryConfig(recovery),
        worker_count_per_proc=workers,
    )
    return out


def test_drains_and_rescales_keep_every_record_exactly_once(broker: Broker, topic: str, tmp_path: Path) -> None:
    """Ended by drains and resumed with other numbers of workers, the runs together read each record once, in order."""
    init_db_dir(tmp_path, 2)
    batches: list[RecordBatch] = []
    for workers, calls in ((1, 20), (2, 30), (3, 40), (1, 25)):
        countdown = iter(range(calls))
        batches += run_flow(
            broker,
            topic,
            tmp_path,
            workers=workers,
            drain=lambda left=countdown: next(left, None) is None,  # type: ignore[misc]
        )
    assert 0 < len(records_of(batches)) < RECORDS
    batches += run_flow(broker, topic, tmp_path, workers=2, until_eof=True)
    assert sorted(records_of(batches)) == expected_records()
    for partition in range(PARTITIONS):
        own = [batch for batch in batches if batch.partition == partition]
        assert [offset for batch in own for offset in batch.offsets] == list(range(RECORDS // PARTITIONS))
        assert [batch.records_in for batch in own] == [batch.offsets[-1] + 1 for batch in own]
    assert run_flow(broker, topic, tmp_path, until_eof=True) == []


def test_crashes_lose_no_record(broker: Broker, topic: str, tmp_path: Path) -> None:
    """Ended by exceptions and resumed, the runs together read each record at least once."""
    init_db_dir(tmp_path, 1)
    seen: list[RecordBatch] = []
    for survives in (5, 9, 14):

        def watch(batch: RecordBatch, left: list[int] = [survives]) -> RecordBatch:  # noqa: B006, B023
            left[0] -= 1
            if left[0] < 0:
                raise Crash
            seen.append(batch)
            return batch

        with pytest.raises(BytewaxRuntimeError):
            run_flow(broker, topic, tmp_path, watch=watch)
    assert len(records_of(seen)) < RECORDS
    seen += run_flow(broker, topic, tmp_path, until_eof=True)
    assert sorted(set(records_of(seen))) == expected_records()
