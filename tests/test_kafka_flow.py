"""The main job from a real Kafka: a simulated stream over several partitions gives the rows that its file gives."""

import zlib
from collections import defaultdict

import msgspec
import pytest
from confluent_kafka import Producer

from flows.simulator.settings import SimulationSettings
from flows.simulator.simulation import simulate
from schemas.rows import TABLES
from tests.support.command import call, query
from tests.test_run import alike, stored

PARTITIONS = 3

pytest_plugins = ["tests.support.broker"]


POSITIONS = {"alert_id", "sequence", "version", "is_deleted"}
"""Columns that depend on where in the log a record stands."""


def without_positions(tables):
    """Return the rows without what depends on where in the log a record stands."""
    kept = {
        name: [place for place, column in enumerate(TABLES[name].columns) if column not in POSITIONS] for name in tables
    }
    return {
        name: sorted((tuple(row[place] for place in kept[name]) for row in table.values()), key=repr)
        for name, table in tables.items()
    }


def produce(bootstrap, topic, records):
    """Put records on a topic, keyed by project, in order."""
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "enable.idempotence": True})
    for record in records:
        producer.produce(topic, value=record, key=key_of(record))
        producer.poll(0)
    assert producer.flush(60) == 0


def key_of(record):
    """Return the project of a record, or something that spreads bad records."""
    try:
        return msgspec.json.decode(record)["project_id"].encode()
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError, RecursionError, UnicodeDecodeError):
        return str(zlib.crc32(record)).encode()


@pytest.mark.kafka
def test_kafka_gives_the_rows_of_the_file(broker, tmp_path):
    """A topic of several partitions gives the same rows as the file, and the accounts of each partition balance."""
    records = list(simulate(SimulationSettings(events=20_000, annotators=30, projects=5, seed=11, bad_rate=0.01)))
    topic, path = broker.create_topic(partitions=PARTITIONS), tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join(records) + b"\n")
    produce(broker.bootstrap, topic, records)
    by_file, by_kafka = f"chdb://{tmp_path}/file", f"chdb://{tmp_path}/kafka"
    call("run", "--source", f"file:{path}", "--clickhouse", by_file, "--until-eof")
    arguments = ("--clickhouse", by_kafka, "--recovery", tmp_path / "state", "--until-eof")
    call("run", "--source", f"kafka://{broker.bootstrap}/{topic}", *arguments, dead_letter_topic=f"{topic}-dead")
    assert set(TABLES) == set(stored(by_file))
    assert without_positions(alike(stored(by_kafka))) == without_positions(alike(stored(by_file)))
    totals, parts = defaultdict(int), ("folded", "duplicate", "late", "dead")
    progress = query("progress", by_kafka)
    assert len(progress) == PARTITIONS
    for row in progress:
        assert row["events_in"] == sum(row[part] for part in parts)
        for part in (*parts, "events_in"):
            totals[part] += row[part]
    [of_file] = query("progress", by_file)
    assert dict(totals) == {part: of_file[part] for part in (*parts, "events_in")}
