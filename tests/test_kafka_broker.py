"""The broker that developers and tests start."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient

from tests.support.kafka.jars import BrokerUnavailableError, java_command, kafka_jars
from tests.support.kafka.node import free_port

COMMAND = (sys.executable, "-m", "tests.support.broker")
ROOT = Path(__file__).parent.parent
START_SECONDS = 120


@pytest.mark.kafka
def test_the_command_starts_a_broker_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """It prints a command that names a topic which is there; at SIGTERM the broker ends and its data are removed."""
    try:
        java_command()
        kafka_jars()
    except BrokerUnavailableError as error:
        pytest.skip(f"NO REAL KAFKA, nothing of this is proven here: {error}")
    port = free_port()
    process = subprocess.Popen(
        [*COMMAND, "--port", str(port), "--topic", "some.events", "--partitions", "3"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        assert lines[2].split() == ["labelpulse", "run", "--source", f"kafka://127.0.0.1:{port}/some.events"]
        topics = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}"}).list_topics(timeout=30).topics
        assert len(topics["some.events"].partitions) == 3
        (java,) = psutil.Process(process.pid).children()
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(START_SECONDS)
        process.stdout.close()
    assert code == 0
    assert not java.is_running()
    assert not list(tmp_path.glob("labelpulse-kafka-*"))


@pytest.mark.parametrize("lacks", ["java", "port"])
def test_what_is_missing_is_told_in_one_line(tmp_path: Path, lacks: str) -> None:
    """Without Java, or with the port taken, the command says so and ends with an error."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        path = str(tmp_path) if lacks == "java" else os.environ["PATH"]
        environment = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"} | {"PATH": path}
        port = taken.getsockname()[1] if lacks == "port" else free_port()
        done = subprocess.run(
            [*COMMAND, "--port", str(port)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert ("Java is missing" if lacks == "java" else f"port {port} of 127.0.0.1 is in use") in done.stderr
