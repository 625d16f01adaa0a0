"""Several workers on a real Kafka: a topic of several partitions gives the same rows however many processes read it."""

import os
import signal

import pytest

from flows.simulator.settings import SimulationSettings
from flows.simulator.simulation import simulate
from tests.support.clusters import served_databases, wait_for_progress, workers_of
from tests.support.command import call, start
from tests.test_kafka_flow import produce
from tests.test_run import stored

PARTITIONS = 4

pytest_plugins = ["tests.support.broker"]


@pytest.mark.kafka
def test_any_number_of_workers_writes_the_same_rows_of_a_topic(broker, tmp_path):
    """One, two and three workers, and a cluster that is killed and goes on with another number: all alike."""
    records = list(simulate(SimulationSettings(events=12_000, annotators=40, projects=9, seed=17, bad_rate=0.01)))
    topic = broker.create_topic(partitions=PARTITIONS)
    produce(broker.bootstrap, topic, records)
    arguments = ("run", "--source", f"kafka://{broker.bootstrap}/{topic}")
    settings = {"dead_letter_topic": "none", "control_topic": "none"}
    with served_databases(tmp_path / "engine", "one", "two", "three", "killed") as (*dsns, killed):
        for workers, dsn in enumerate(dsns, 1):
            call(*arguments, "--until-eof", "--clickhouse", dsn, "--workers", workers, **settings)
        resumed = (*arguments, "--clickhouse", killed, "--recovery", tmp_path / "recovery")
        for workers, victim in ((2, 1), (3, 0)):
            process = start(
                *resumed, "--workers", workers, snapshot_seconds=0.2, flush_seconds=0.2, progress_seconds=0.1,
                batch_records_max=200, **settings,
            )  # fmt: skip
            wait_for_progress(process, b" rows_written=[1-9]")
            os.kill(workers_of(process.pid)[victim], signal.SIGKILL)
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 1 and b"ended with signal SIGKILL" in errors
        call(*resumed, "--until-eof", "--workers", 1, **settings)
        one, *others = [stored(dsn) for dsn in (*dsns, killed)]
    assert one["labels_versions"] and len({key[1] for key in one["progress_versions"]}) == PARTITIONS
    for other in others:
        assert other == one
