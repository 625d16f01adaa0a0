"""labelpulse doctor: each thing that can be wrong is told, with how to mend it, and nothing is changed."""

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import Producer

from flows.cli.checks import kafka
from flows.cli.checks.database import check_database
from flows.cli.checks.finding import Finding, Level
from flows.cli.checks.machine import check_machine
from flows.cli.checks.recovery import check_recovery
from flows.cli.checks.source import check_source
from flows.cli.failures import ExitCode
from flows.cli.main import run_arguments
from flows.dataflow import frozen_settings
from flows.recovery import RecoveryDirectory
from flows.settings import Settings, load_settings
from schemas.policy import default_policy
from tests.support.clickhouse_front import ClickHouseFront
from tests.support.kafka.node import Broker

pytest_plugins = ["tests.support.broker"]


def settings(**values: object) -> Settings:
    """Return settings."""
    return load_settings(values).settings


def found(findings: Iterator[Finding], subject: str) -> Finding:
    """Return the finding about a subject; every finding that is not ok says how to mend it."""
    all_of_them = list(findings)
    for finding in all_of_them:
        assert (finding.level is Level.OK) == (not finding.remedy)
    (one,) = [finding for finding in all_of_them if finding.subject == subject]
    return one


def levels(findings: Iterator[Finding]) -> dict[str, Level]:
    """Return the level of each subject."""
    return {finding.subject: finding.level for finding in findings}


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """A file of events."""
    path = tmp_path / "events.jsonl"
    path.write_text("{}\n")
    return path


def test_all_is_well_is_exit_code_0(
    events: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With everything in order each line begins with ok; nothing is made on disk."""
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    places = ["--clickhouse", f"chdb://{tmp_path}/db", "--recovery", str(tmp_path / "recovery")]
    assert run_arguments(["doctor", "--source", f"file:{events}", *places]) == ExitCode.OK
    lines = capfd.readouterr().out.splitlines()
    assert {line[:5] for line in lines} == {"ok   "}
    assert list(tmp_path.iterdir()) == [events]


def test_one_failure_is_exit_code_1(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A check that failed is a line, its remedy another, and the rest is looked at all the same."""
    arguments = ["--source", f"file:{tmp_path}/none", "--clickhouse", f"chdb://{tmp_path}/db"]
    assert run_arguments(["doctor", *arguments]) == ExitCode.FAILED
    shown = capfd.readouterr().out
    assert re.search(r"^fail  source: .* does not exist\n      try: check the path$", shown, flags=re.MULTILINE)
    assert re.search(r"^ok    database: ", shown, flags=re.MULTILINE)


def test_wrong_settings_are_findings(capfd: pytest.CaptureFixture[str]) -> None:
    """Settings that are refused elsewhere are lines here, one each."""
    assert run_arguments(["doctor", "--set", "shards=0", "--set", "window=3"]) == ExitCode.FAILED
    assert len(re.findall(r"^fail  settings: ", capfd.readouterr().out, flags=re.MULTILINE)) == 2


def test_the_machine_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that would open a port is told; Python, packages and time zones are in order where tests run."""
    assert Level.FAIL not in levels(check_machine()).values()
    monkeypatch.setenv("BYTEWAX_DATAFLOW_API_ENABLED", "0")
    assert found(check_machine(), "engine").level is Level.WARN


@pytest.mark.parametrize(
    ("source", "level"),
    [
        (None, Level.WARN),
        ("simulate:events=10", Level.OK),
        ("simulate:events=no", Level.FAIL),
        ("simulate:event=10", Level.FAIL),
        ("kafka:///topic", Level.FAIL),
        ("ftp://x", Level.FAIL),
        ("-", Level.OK),
    ],
)
def test_a_source_is_looked_at(source: str | None, level: Level) -> None:
    """What a run would refuse is a failure here."""
    assert found(check_source(settings(source=source)), "source").level is level


def test_a_directory_of_files_is_counted(events: Path) -> None:
    """A directory is a source, and its files are counted."""
    assert "1 files" in found(check_source(settings(source=f"file:{events.parent}")), "source").message


def test_a_broker_that_is_not_there_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address without a broker is one failure that names it."""
    monkeypatch.setattr(kafka, "TIMEOUT_SECONDS", 0.5)
    findings = list(check_source(settings(source="kafka://127.0.0.1:1/events")))
    assert [finding.level for finding in findings] == [Level.FAIL]
    assert "127.0.0.1:1" in findings[0].message


def test_an_embedded_database_is_looked_at(tmp_path: Path) -> None:
    """A new one will be made; an old one is opened and its migrations compared."""
    dsn = f"chdb://{tmp_path}/db"
    assert levels(check_database(dsn)) == {"database": Level.OK}
    assert run_arguments(["migrate", "--clickhouse", dsn]) == ExitCode.OK
    assert levels(check_database(dsn)) == {"database": Level.OK, "migrations": Level.OK}


@pytest.mark.parametrize("dsn", ["mysql://x", "clickhouse://127.0.0.1:1/labelpulse", "chdb://"])
def test_a_database_that_cannot_be_used_is_a_failure(dsn: str) -> None:
    """A wrong address and one where nobody answers are failures."""
    assert found(check_database(dsn), "database").level is Level.FAIL


def test_a_server_without_migrations_is_a_failure(tmp_path: Path) -> None:
    """On a server the migrations are a step of their own; the remedy is the command."""
    with ClickHouseFront(tmp_path / "engine") as front:
        finding = found(check_database(front.dsn), "migrations")
        assert finding.level is Level.FAIL
        assert finding.remedy.startswith("labelpulse migrate")
        assert run_arguments(["migrate", "--clickhouse", front.dsn]) == ExitCode.OK
        assert levels(check_database(front.dsn)) == {"database": Level.OK, "clock": Level.OK, "migrations": Level.OK}


def test_a_recovery_directory_is_looked_at(tmp_path: Path) -> None:
    """None is a warning, a new one is fine, one that a flow runs on says so, and nothing is made."""
    path = tmp_path / "recovery"
    now = settings(recovery=path)
    assert found(check_recovery(settings()), "recovery").level is Level.WARN
    assert "will be made" in found(check_recovery(now), "recovery").message
    assert not path.exists()
    with RecoveryDirectory(
        path, frozen=frozen_settings(now, policy=default_policy(), source="s"), started_at=datetime.now(UTC)
    ):
        assert "running" in found(check_recovery(now), "recovery lock").message
    assert levels(check_recovery(now)) == {"recovery space": Level.OK, "recovery": Level.OK}


def test_a_recovery_directory_of_other_settings_is_a_failure(tmp_path: Path) -> None:
    """The settings that differ are named before a run refuses them."""
    path = tmp_path / "recovery"
    with RecoveryDirectory(
        path, frozen=frozen_settings(settings(), policy=default_policy(), source="s"), started_at=datetime.now(UTC)
    ):
        pass
    finding = found(check_recovery(settings(recovery=path, window_seconds=3600, shards=8)), "recovery")
    assert finding.level is Level.FAIL
    assert "shards, window_seconds" in finding.message


def test_a_recovery_directory_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    """A broken manifest, and a file in the directory's place, are failures."""
    (tmp_path / "labelpulse.json").write_text("{")
    assert found(check_recovery(settings(recovery=tmp_path)), "recovery").level is Level.FAIL
    file = tmp_path / "file"
    file.touch()
    assert found(check_recovery(settings(recovery=file)), "recovery").level is Level.FAIL


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_recovery_directory_that_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    """A directory without the right to write is a failure."""
    tmp_path.chmod(0o500)
    assert found(check_recovery(settings(recovery=tmp_path / "recovery")), "recovery").level is Level.FAIL


def event(project: str) -> bytes:
    """Return what the doctor looks at in an event."""
    return json.dumps({"project_id": project}).encode()


@pytest.mark.kafka
def test_a_topic_in_order_is_found_so(broker: Broker) -> None:
    """Stamps by the broker, unlimited retention, each project in one partition: all ok."""
    topic = broker.create_topic(partitions=3, config={"message.timestamp.type": "LogAppendTime", "retention.ms": "-1"})
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap, "partitioner": "murmur2_random", "enable.idempotence": True}
    )
    for project in ("a", "b", "c", "d") * 3:
        producer.produce(topic, event(project), key=project)
    assert producer.flush(30) == 0
    assert set(levels(check_source(settings(source=f"kafka://{broker.bootstrap}/{topic}"))).values()) == {Level.OK}


@pytest.mark.kafka
def test_what_is_wrong_with_a_topic_is_told(broker: Broker) -> None:
    """A missing topic, producers' stamps, short retention, compaction, and a project in two partitions are told."""
    missing = settings(source=f"kafka://{broker.bootstrap}/no-such-topic")
    assert "kafka-topics.sh --create" in found(check_source(missing), "topic").remedy
    short = broker.create_topic(partitions=2, config={"retention.ms": "86400000"})
    broker.produce(short, [(0, event("a")), (1, event("a"))])
    assert levels(check_source(settings(source=f"kafka://{broker.bootstrap}/{short}"))) == {
        "topic": Level.OK, "topic stamps": Level.WARN, "topic retention": Level.WARN, "keys": Level.FAIL,
        "dead letters": Level.OK,
    }  # fmt: skip
    compacted = broker.create_topic(config={"cleanup.policy": "compact"})
    assert (
        found(check_source(settings(source=f"kafka://{broker.bootstrap}/{compacted}")), "topic retention").level
        is Level.FAIL
    )
