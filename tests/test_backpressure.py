"""What the flow does while something behind or before it is down: the intake stops, memory stays, nothing is lost."""

import re
import resource
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sinks.clickhouse import migrate
from sinks.clickhouse.client import connect
from tests.support.clickhouse_front import ClickHouseFront, Fault, FaultKind
from tests.support.command import call, query, start
from tests.support.kafka.node import Broker, running_broker

pytestmark = pytest.mark.slow

EVENTS = 60_000
SOURCE = f"simulate:events={EVENTS},annotators=40,seed=3"
STANDSTILL_LINES = 12
MEMORY_GROWTH_MAX = 100_000_000
SECONDS_MAX = 240
SETTINGS = {"flush_rows": 2_000, "progress_seconds": 0.1, "snapshot_seconds": 0.5, "log_format": "json"}
_READ = re.compile(rb'"records_read": ?(\d+)')
_WRITTEN = re.compile(rb'"rows_written": ?[1-9]')


class Following:
    """A running flow whose progress is read from its log."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.lines: list[bytes] = []
        self._killer = threading.Timer(SECONDS_MAX, process.kill)
        self._killer.start()

    def __enter__(self) -> "Following":
        return self

    def __exit__(self, *_: object) -> None:
        self._killer.cancel()
        self.process.kill()
        self.process.communicate()

    def progress(self) -> Iterator[int]:
        """Yield how many records have been read, as often as the flow says so."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if (found := _READ.search(line)) is not None:
                yield int(found[1])
        raise AssertionError(f"the flow has ended; it said {b''.join(self.lines[-5:]).decode()}")

    def until_reading(self) -> int:
        """Wait until something has been read."""
        return next(records for records in self.progress() if records)

    def until_standstill(self) -> int:
        """Wait until nothing is read any more; return how much has been."""
        seen: list[int] = []
        for records in self.progress():
            seen.append(records)
            if len(seen) > STANDSTILL_LINES and seen[-STANDSTILL_LINES] == records > 0:
                return records
        raise AssertionError

    def until_said(self, text: bytes) -> None:
        """Wait until the flow says something."""
        for _ in self.progress():
            if any(text in line for line in self.lines):
                return

    def until_writing(self) -> None:
        """Wait until something has been written, so that all that the flow opens is open."""
        for _ in self.progress():
            if _WRITTEN.search(self.lines[-1]):
                return

    def until_end(self) -> int:
        """Wait for its end; return the exit code."""
        _, errors = self.process.communicate(timeout=SECONDS_MAX)
        self.lines += errors.splitlines()
        return self.process.returncode


@pytest.fixture
def front(tmp_path: Path) -> Iterator[ClickHouseFront]:
    """A server with the tables in place."""
    with ClickHouseFront(tmp_path / "db") as served:
        with connect(served.dsn) as client:
            migrate.apply(client, client.database or "")
        yield served


def require_all_there(dsn: str, *, records: int) -> None:
    """Raise unless each record is accounted for, and the tables hold what was folded."""
    progress = query("progress", dsn)
    parts = ("folded", "duplicate", "late", "dead")
    assert sum(row["events_in"] for row in progress) == records
    assert sum(row[part] for row in progress for part in parts) == records


@pytest.mark.parametrize("kind", [FaultKind.RESET_BEFORE, FaultKind.STATUS, FaultKind.HOLD_BEFORE])
def test_a_database_that_is_down_or_hangs_stops_the_intake(front: ClickHouseFront, kind: FaultKind) -> None:
    """Reading stops at what the buffers hold, memory stays, the log says why; afterwards all is there."""
    outage = Fault(kind, matching="INSERT", times=None)
    front.inject(outage)
    with Following(start("run", "--source", SOURCE, "--clickhouse", front.dsn, "--until-eof", **SETTINGS)) as flow:
        if kind is FaultKind.HOLD_BEFORE:
            assert outage.reached.wait(SECONDS_MAX)
        else:
            flow.until_said(b"clickhouse_insert_failed")
        stopped_at = flow.until_standstill()
        assert stopped_at < EVENTS / 2
        memory = psutil.Process(flow.process.pid).memory_info().rss
        assert flow.until_standstill() == stopped_at
        assert psutil.Process(flow.process.pid).memory_info().rss < memory + MEMORY_GROWTH_MAX
        front.clear()
        assert flow.until_end() == 0, flow.lines[-5:]
    require_all_there(front.dsn, records=EVENTS)


def test_doctor_says_that_the_database_is_down(front: ClickHouseFront) -> None:
    """Whoever asks how it is, is told: exit code 1, with the reason."""
    front.inject(Fault(FaultKind.STATUS, times=None))
    told = call("doctor", "--source", SOURCE, "--clickhouse", front.dsn, check=False)
    assert told.returncode == 1
    assert b"503" in told.stdout + told.stderr or b"injected" in told.stdout + told.stderr


@pytest.mark.parametrize("is_known", [True, False], ids=["tried", "not tried yet"])
def test_a_drain_during_an_outage_ends_in_time_and_loses_nothing(
    front: ClickHouseFront, tmp_path: Path, is_known: bool
) -> None:
    """Asked to end while the database is down, it gives up after the grace period, says so, and goes on later."""
    arguments = (
        "run", "--source", SOURCE, "--clickhouse", front.dsn, "--recovery", tmp_path / "state", "--until-eof",
    )  # fmt: skip
    front.inject(Fault(FaultKind.RESET_BEFORE, matching="INSERT", times=None))
    with Following(start(*arguments, **SETTINGS, grace_seconds=1)) as flow:
        flow.until_reading()
        if is_known:
            flow.until_said(b"clickhouse_insert_failed")
        flow.process.send_signal(signal.SIGTERM)
        assert flow.until_end() not in (0, -signal.SIGTERM)
        assert any(b"could not be written in time" in line for line in flow.lines)
        assert not any(b"Traceback" in line for line in flow.lines)
    front.clear()
    call(*arguments, **SETTINGS)
    require_all_there(front.dsn, records=EVENTS)


@pytest.mark.parametrize("limit", [60_000, 1_000_000])
def test_a_full_disk_ends_the_flow_in_plain_words_and_loses_nothing(
    front: ClickHouseFront, tmp_path: Path, limit: int
) -> None:
    """Where no snapshot can be written the flow ends and says so; with room again it goes on where it was."""
    arguments = (
        "run", "--source", SOURCE, "--clickhouse", front.dsn, "--recovery", tmp_path / "state", "--until-eof",
    )  # fmt: skip
    with Following(start(*arguments, **SETTINGS)) as flow:
        resource.prlimit(flow.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
        assert flow.until_end() in range(1, 128)
        said = b"".join(flow.lines)
        assert b"Traceback" not in said and b"panicked" not in said
        assert re.search(rb"disk|space|full|too large", said)
    call(*arguments, **SETTINGS)
    require_all_there(front.dsn, records=EVENTS)


@pytest.mark.kafka
def test_a_broker_that_is_down_is_told_and_waited_for(front: ClickHouseFront, tmp_path: Path) -> None:
    """Without its broker the flow waits, says why, and keeps its memory; once it is back, it catches up."""
    with running_broker() as broker:
        topic = broker.create_topic(partitions=2)
        produce(broker, topic, 3_000)
        source = f"kafka://{broker.bootstrap}/{topic}"
        with Following(start("run", "--source", source, "--clickhouse", front.dsn, **SETTINGS)) as flow:
            flow.until_writing()
            broker.stop()
            flow.until_said(b'"notice"')
            memory = psutil.Process(flow.process.pid).memory_info().rss
            read = flow.until_standstill()
            assert psutil.Process(flow.process.pid).memory_info().rss < memory + MEMORY_GROWTH_MAX
            told = call("doctor", "--source", source, "--clickhouse", front.dsn, check=False)
            assert told.returncode == 1
            broker.start()
            produce(broker, topic, 3_000)
            assert read == 3_000
            next(records for records in flow.progress() if records == 6_000)
            flow.process.send_signal(signal.SIGTERM)
            assert flow.until_end() == 0
    require_all_there(front.dsn, records=6_000)


def produce(broker: Broker, topic: str, count: int) -> None:
    """Put simulated records on a topic, none of them bad: a dead letter would be waited for, but not for ever."""
    lines = call("simulate", f"events={count},projects=1,bad_rate=0,seed={count}").stdout.splitlines()
    assert len(lines) == count
    broker.produce(topic, [(0, line) for line in lines])
