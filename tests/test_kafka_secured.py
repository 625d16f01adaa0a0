"""A Kafka that wants TLS and a password: the options that are passed through let the flow in, and nothing else does."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import OffsetSpec

from flows.cli.failures import ExitCode
from flows.simulator.settings import SimulationSettings
from flows.simulator.simulation import simulate
from tests.support.command import call, query
from tests.support.kafka.jars import BrokerUnavailableError, java_command, kafka_jars
from tests.support.kafka.secured import SecuredBroker

EVENTS = 500

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def broker() -> Iterator[SecuredBroker]:
    """A broker with an encrypted listener."""
    with tempfile.TemporaryDirectory(prefix="labelpulse-kafka-", ignore_cleanup_errors=True) as scratch:
        try:
            java_command()
            kafka_jars()
            started = SecuredBroker(data=Path(scratch))
            started.start()
        except BrokerUnavailableError as error:
            pytest.skip(f"NO REAL KAFKA, nothing of this is proven here: {error}")
        try:
            yield started
        finally:
            started.kill()


@pytest.fixture(scope="module")
def topic(broker: SecuredBroker) -> str:
    """A topic with events and bad records."""
    name = broker.create_topic()
    records = simulate(SimulationSettings(events=EVENTS, annotators=5, bad_rate=0.02, seed=3))
    broker.produce(name, [(0, record) for record in records])
    return name


def test_the_flow_reads_and_writes_over_tls_with_a_password(broker: SecuredBroker, topic: str, tmp_path: Path) -> None:
    """Events come, refused records go to their topic, and neither needs the listener that is open to all."""
    dead_letters, dsn = broker.create_topic(), f"chdb://{tmp_path}/database"
    call(
        "run", "--source", f"kafka://{broker.secured_bootstrap}/{topic}", "--clickhouse", dsn, "--until-eof",
        kafka_options=json.dumps(broker.client_options), dead_letter_topic=dead_letters,
    )  # fmt: skip
    [progress] = query("progress", dsn)
    assert progress["events_in"] == EVENTS
    written = broker.admin.list_offsets({TopicPartition(dead_letters, 0): OffsetSpec.latest()})
    [end] = [future.result(30).offset for future in written.values()]
    assert end == progress["dead"] + progress["late"] > 0


@pytest.mark.parametrize(
    "wrong", [{"sasl.password": "guessed"}, {"ssl.ca.location": None}, {"security.protocol": "SASL_PLAINTEXT"}]
)
def test_who_may_not_get_in_is_told_so_before_anything_is_read(
    broker: SecuredBroker, topic: str, tmp_path: Path, wrong: dict[str, str | None]
) -> None:
    """A wrong password, a broker that cannot be trusted and a line that is not encrypted end it in one plain line."""
    options = {name: value for name, value in (broker.client_options | wrong).items() if value is not None}
    done = call(
        "run", "--source", f"kafka://{broker.secured_bootstrap}/{topic}",
        "--clickhouse", f"chdb://{tmp_path}/database", "--until-eof",
        check=False, kafka_options=json.dumps(options),
    )  # fmt: skip
    assert done.returncode == ExitCode.UNAVAILABLE
    lines = done.stderr.decode().splitlines()
    assert [line.split(":")[0] for line in lines[-2:]] == ["error", "  try"]
    assert broker.password not in done.stderr.decode()


def test_the_password_is_shown_nowhere(broker: SecuredBroker) -> None:
    """The effective settings hide it, and the doctor finds the broker with it."""
    options = json.dumps(broker.client_options)
    shown = call("settings", kafka_options=options).stdout.decode()
    assert "sasl.username" in shown
    assert broker.password not in shown
