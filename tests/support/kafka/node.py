"""One node of Apache Kafka (KRaft: broker and controller in one process) on loopback."""

import base64
import secrets
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from tests.support.kafka.jars import BrokerUnavailableError, java_command, kafka_jars

HOST = "127.0.0.1"
START_SECONDS_MAX = 90
STOP_SECONDS_MAX = 30
CALL_SECONDS_MAX = 30
JAVA_OPTIONS = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
LOG_OPTIONS = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",)

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={logs}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=2
"""

Record = tuple[int, bytes | None]
"""A record to produce: partition and value."""


class Broker:
    """A broker of our own, with the few calls that tests make of it.

    Parameters
    ----------
    data
        Folder for its data; formatted at the first start, and kept by `stop`.
    port
        Port to listen on; None picks a free one.
    """

    def __init__(self, *, data: Path, port: int | None = None) -> None:
        self._data = data
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._names = count()
        self._admin: AdminClient | None = None

    @property
    def bootstrap(self) -> str:
        """Address for clients, as host:port."""
        return f"{HOST}:{self.port}"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The Java process."""
        assert self._process is not None
        return self._process

    @property
    def admin(self) -> AdminClient:
        """A client for administration."""
        if self._admin is None:
            self._admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        return self._admin

    def start(self) -> None:
        """Start it, and wait until it answers."""
        require_free_port(self.port)
        self._data.mkdir(parents=True, exist_ok=True)
        properties = self._data / "server.properties"
        logs = self._data / "logs"
        properties.write_text(self.properties(logs), encoding="utf-8")
        if not (logs / "meta.properties").exists():
            self._format(properties)
        with self._log.open("ab") as log:
            command = self._command("kafka.Kafka", str(properties))
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self._wait_until_ready()

    def properties(self, logs: Path) -> str:
        """Return its configuration, with the folder of its logs."""
        return PROPERTIES.format(host=HOST, port=self.port, controller_port=free_port(), logs=logs)

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL)

    def create_topic(self, *, partitions: int = 1, name: str | None = None, config: Mapping[str, str] = {}) -> str:  # noqa: B006
        """Create a topic, under a name of its own if none is given, and return its name."""
        name = name or f"topic-{next(self._names)}-{secrets.token_hex(3)}"
        topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=dict(config))
        self.admin.create_topics([topic])[name].result(CALL_SECONDS_MAX)
        self._wait_for_partitions(name, partitions)
        return name

    def delete_topic(self, name: str) -> None:
        """Delete a topic, and wait until it is gone."""
        self.admin.delete_topics([name])[name].result(CALL_SECONDS_MAX)
        while name in self.admin.list_topics(timeout=CALL_SECONDS_MAX).topics:
            pass

    def add_partitions(self, name: str, *, total: int) -> None:
        """Raise the number of partitions of a topic."""
        self.admin.create_partitions([NewPartitions(name, total)])[name].result(CALL_SECONDS_MAX)
        self._wait_for_partitions(name, total)

    def produce(self, topic: str, records: Iterable[Record], options: Mapping[str, str | int] = {}) -> None:  # noqa: B006
        """Write records to their partitions in order, and wait until all are acknowledged."""
        failed: list[str] = []

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failed.append(str(error))

        # idempotent: a batch that a broker refuses while it makes a new topic ready is sent again in its place
        producer = Producer({
            "bootstrap.servers": self.bootstrap, "enable.idempotence": True, "linger.ms": 5, "log_level": 0, **options
        })  # fmt: skip
        for partition, value in records:
            while True:
                try:
                    producer.produce(topic, value, partition=partition, on_delivery=delivered)
                    break
                except BufferError:
                    producer.poll(1)
        assert producer.flush(CALL_SECONDS_MAX) == 0 and not failed, failed

    @property
    def _log(self) -> Path:
        return self._data / "broker.log"

    def _command(self, main_class: str, *arguments: str) -> Sequence[str]:
        return (java_command(), *JAVA_OPTIONS, *LOG_OPTIONS, "-cp", f"{kafka_jars()}/*", main_class, *arguments)

    def _format(self, properties: Path) -> None:
        cluster = base64.urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode()
        cluster = cluster.replace("-", "A", 1) if cluster.startswith("-") else cluster
        command = self._command(
            "kafka.tools.StorageTool", "format", "--cluster-id", cluster, "--config", str(properties)
        )
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BrokerUnavailableError(f"the broker's storage cannot be formatted: {done.stderr.strip()[-500:]}")

    def _wait_until_ready(self) -> None:
        client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        for _ in range(START_SECONDS_MAX):
            try:
                if client.list_topics(timeout=1).brokers:
                    return
            except KafkaException:
                pass
            if self.process.poll() is not None:
                break
        self.kill()
        tail = self._log.read_text(errors="replace")[-800:].strip()
        raise BrokerUnavailableError(f"the broker did not start: {tail}")

    def _wait_for_partitions(self, name: str, partitions: int) -> None:
        while True:
            topic = self.admin.list_topics(name, timeout=CALL_SECONDS_MAX).topics[name]
            leaders = [partition.leader for partition in topic.partitions.values()]
            if len(leaders) == partitions and min(leaders) >= 0:
                return

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


@contextmanager
def running_broker(*, port: int | None = None, data: Path | None = None) -> Iterator[Broker]:
    """Start a broker, hand it over, and end it.

    Parameters
    ----------
    port
        Port of 127.0.0.1 to listen on; None picks a free one.
    data
        Folder that keeps its data; None takes a temporary one, removed at the end.

    Raises
    ------
    BrokerUnavailableError
        If Java, Maven or the jars cannot be had, or the broker does not start.
    """
    with tempfile.TemporaryDirectory(prefix="labelpulse-kafka-", ignore_cleanup_errors=True) as scratch:
        broker = Broker(data=data or Path(scratch), port=port)
        try:
            broker.start()
            yield broker
        finally:
            broker.stop() if data else broker.kill()


def free_port() -> int:
    """Return a port of loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def require_free_port(port: int) -> None:
    """Raise if something listens on the port already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise BrokerUnavailableError(f"port {port} of {HOST} is in use: choose another with --port") from error
