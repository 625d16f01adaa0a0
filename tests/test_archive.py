"""The archive: every record once, as it was, whatever happens between; and it can be audited in the log's stead."""

import random
import zlib
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer

from flows.archive.files import archived_files, last_archived, prepare_archive
from flows.archive.run import run_archive
from flows.archive.sink import ArchiveSink
from flows.audit.kafka_log import KafkaLog
from flows.audit.log import ArchiveLog, FileLog, RawRecord
from flows.cli.main import run_arguments
from flows.settings import load_settings
from flows.sources.urls import KafkaSpec
from schemas.errors import ConfigurationError, IncompatibleStateError
from schemas.records import RecordBatch
from tests.support.filling import write_log
from tests.support.logs import LogShape, random_log

pytest_plugins = ["tests.support.broker"]

STREAM = "kafka:events"
PARTITIONS = 2


def made_log(seed: int) -> dict[int, list[RawRecord]]:
    """Return the records of two partitions, whose offsets have gaps."""
    rng, log = random.Random(seed), {}
    for partition in range(PARTITIONS):
        offset, records = 0, []
        for payload in random_log(seed + partition, LogShape(events=rng.randrange(50, 150))):
            offset += rng.choice((1, 1, 1, 3))
            records.append(RawRecord(offset, payload, len(payload), 1_000_000 * offset if partition else None))
        log[partition] = records
    return log


def batch_of(partition: int, records: list[RawRecord]) -> RecordBatch:
    """Return consecutive records as a batch."""
    stamps = [record.stamp for record in records]
    return RecordBatch(
        STREAM, partition, [record.offset for record in records], [record.payload for record in records], 0,
        None if None in stamps else stamps,
    )  # fmt: skip


def archive_with_crashes(folder: Path, log: dict[int, list[RawRecord]], seed: int) -> int:
    """Archive a log in random batches; now and then lose all that is not on disk, and read on from an old position."""
    rng, crashes = random.Random(seed), 0
    prepare_archive(folder, STREAM)
    for partition, records in log.items():
        durable = at = 0
        slot = ArchiveSink(folder, slots=1, file_bytes=3_000).build_part("files", "archive-00", None)
        while at < len(records):
            end = at + rng.randrange(1, 12)
            slot.write_batch([batch_of(partition, records[at:end])])
            at = min(end, len(records))
            fate = rng.random()
            if fate < 0.2:
                slot.snapshot()
                durable = at
            elif fate < 0.35:
                at, crashes = durable, crashes + 1
                slot = ArchiveSink(folder, slots=1, file_bytes=3_000).build_part("files", "archive-00", None)
        slot.snapshot()
    return crashes


@pytest.mark.parametrize("seed", range(6))
def test_each_record_is_kept_once_whatever_crashes(tmp_path, seed):
    """Through crashes at any moment the archive holds each record once, in order, with its bytes and stamp."""
    log = made_log(seed)
    assert archive_with_crashes(tmp_path, log, seed) > 0
    archive = ArchiveLog(tmp_path)
    assert archive.stream == STREAM and archive.partitions() == [0, 1]
    for partition, records in log.items():
        assert list(archive.records(partition)) == records
        middle = records[len(records) // 2].offset
        assert archive.count_to(partition, middle) == sum(record.offset <= middle for record in records)
        offsets = [pq.read_table(file)["offset"].to_pylist() for file in archived_files(tmp_path, partition)]
        assert sum(offsets, []) == [record.offset for record in records]


def test_an_unfinished_file_is_none(tmp_path):
    """What a crash leaves of a file that was being written is not read, and its records are archived again."""
    log = made_log(1)
    archive_with_crashes(tmp_path, log, 1)
    [*_, last] = archived_files(tmp_path, 0)
    last.rename(last.with_name(last.name + ".tmp"))
    assert last_archived(tmp_path, 0) != (log[0][-1].offset, log[0][-1].payload)
    slot = ArchiveSink(tmp_path, slots=1).build_part("files", "archive-00", None)
    slot.write_batch([batch_of(0, log[0])])
    slot.snapshot()
    assert list(ArchiveLog(tmp_path).records(0)) == log[0]


def test_a_log_made_anew_is_refused(tmp_path):
    """Another record at an offset that is kept already means another log: nothing of it is archived."""
    log = made_log(2)
    archive_with_crashes(tmp_path, log, 2)
    slot = ArchiveSink(tmp_path, slots=1).build_part("files", "archive-00", None)
    others = [RawRecord(record.offset, b"other", 5) for record in log[0]]
    with pytest.raises(IncompatibleStateError, match="the log was made anew"):
        slot.write_batch([batch_of(0, others)])
    with pytest.raises(IncompatibleStateError, match="is the archive of kafka:events, not of kafka:other"):
        prepare_archive(tmp_path, "kafka:other")


def test_the_flow_archives_a_file_once(tmp_path):
    """The flow on its engine keeps all lines; started again, or without its offsets, it adds only what is new."""
    lines = random_log(3, LogShape(events=300))
    path, folder = write_log(tmp_path / "log", lines), tmp_path / "archive"
    settings = load_settings({"source": f"file:{path}", "until_eof": True}).settings
    assert run_archive(settings, folder).records_written == len(lines)
    assert run_archive(settings, folder).records_read == 0
    with path.open("ab") as log:
        log.write(b"one more\n")
    for file in sorted((folder / ".recovery").iterdir()):
        file.unlink()
    again = run_archive(settings, folder)
    assert (again.records_read, again.records_written) == (len(lines) + 1, 1)
    assert list(ArchiveLog(folder).records(0)) == list(FileLog(path).records(0))


def test_what_cannot_be_an_archive_is_refused(tmp_path, capfd):
    """Neither a pipe can be archived, nor a folder with other files be an archive; both are told in a line."""
    assert run_arguments(["archive", "--source", "-", "--to", str(tmp_path / "new")]) == 3
    assert "only a topic or files" in capfd.readouterr().err
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="holds other files"):
        prepare_archive(tmp_path, STREAM)
    with pytest.raises(ConfigurationError, match="not an archive that can be read"):
        ArchiveLog(tmp_path)


@pytest.mark.kafka
def test_a_topic_and_its_archive_are_the_same_log(broker, tmp_path):
    """A topic of a real broker, read directly or from its archive, gives the same records with the same stamps."""
    topic = broker.create_topic(partitions=3, config={"message.timestamp.type": "LogAppendTime"})
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for payload in random_log(5, LogShape(events=500)):
        producer.produce(topic, value=payload, key=str(zlib.crc32(payload)))
    assert producer.flush(30) == 0
    source = {"source": f"kafka://{broker.bootstrap}/{topic}", "until_eof": True}
    run_archive(load_settings(source).settings, tmp_path)
    archive, direct = ArchiveLog(tmp_path), KafkaLog(KafkaSpec(broker.bootstrap, topic), options={})
    assert archive.stream == direct.stream
    for partition in direct.partitions():
        records = list(direct.records(partition))
        assert list(archive.records(partition)) == records
        assert records and all(record.stamp is not None for record in records)
