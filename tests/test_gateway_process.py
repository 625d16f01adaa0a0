"""The command `labelpulse gateway` as a process: its end in good order, its end without warning, and what it leaves."""

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from flows.cli.main import run_arguments
from tests.support.command import call, query, start
from tests.support.gateway import (
    CALL_SECONDS_MAX,
    TOKEN,
    Senders,
    body_of,
    event,
    ids_in_spool,
    running_gateway,
)
from tests.support.tool_events import payload

EVENTS = "/v1/events"


@pytest.mark.slow
def test_a_webhook_can_be_tried_without_kafka(tmp_path: Path) -> None:
    """From the request to a figure in the database: the spool's directory is a source of the flow."""
    spool, dsn = tmp_path / "spool", f"chdb://{tmp_path}/database"
    with running_gateway("--spool-only", "--spool", spool) as gateway:
        body = json.dumps(payload("label-studio/002_ANNOTATION_CREATED__choices_single.json")).encode()
        answer = gateway.post("/v1/ingest/label-studio", body)
        assert (answer.status, answer.document) == (200, {"accepted": 2})
        assert gateway.ask("GET", "/readyz").status == 200
        assert gateway.post(EVENTS, b"x" * 9_000_000).status == 413
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(CALL_SECONDS_MAX) == 0
    call("run", "--source", f"file:{spool}", "--until-eof", "--clickhouse", dsn)
    (annotator,) = query("annotators", dsn)
    assert (annotator["annotator_id"], annotator["labels"], annotator["accuracy"]) == ("1", 1, 1.0)


@pytest.mark.slow
def test_an_end_in_good_order_answers_what_was_asked(tmp_path: Path) -> None:
    """At SIGTERM requests that were begun are answered, no others are taken, and the exit code is 0."""
    with running_gateway("--spool-only", "--spool", tmp_path / "spool") as gateway:
        senders = Senders(gateway)
        senders.wait(50)
        slow = socket.create_connection(("127.0.0.1", gateway.port), timeout=CALL_SECONDS_MAX)
        body = json.dumps(event(0, project="slow")).encode()
        head = (
            f"POST {EVENTS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        slow.sendall(head.encode() + body[:10])
        senders.wait(100)
        gateway.process.send_signal(signal.SIGTERM)
        senders.join()
        slow.sendall(body[10:])
        assert slow.recv(1_000).startswith(b"HTTP/1.1 200")
        slow.close()
        assert gateway.process.wait(CALL_SECONDS_MAX) == 0
    assert not senders.refused
    found = ids_in_spool(tmp_path / "spool")
    assert set(senders.accepted) | {"e-0"} <= set(found)


@pytest.mark.slow
def test_kill_under_load_loses_nothing_that_was_accepted(tmp_path: Path) -> None:
    """Every event that was answered 200 before `kill -9` is in the spool."""
    spool = tmp_path / "spool"
    with running_gateway("--spool-only", "--spool", spool, requests_per_second=0) as gateway:
        senders = Senders(gateway)
        senders.wait(500)
        os.kill(gateway.process.pid, signal.SIGKILL)
        senders.join()
    assert not senders.refused
    assert len(senders.accepted) >= 500
    assert set(senders.accepted) <= set(ids_in_spool(spool))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "where events go is not said"),
        (["--kafka", "file:x"], "no topic of Kafka"),
        (["--kafka", "kafka://localhost/x", "--spool-only"], "both a topic and --spool-only"),
        (["--spool-only", "--listen", "nowhere"], "HOST:PORT"),
    ],
)
def test_mistakes_end_in_plain_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    """The exit code and one line say what is wrong, before anything is listened on."""
    assert run_arguments(["gateway", "--open", "--spool", str(tmp_path / "spool"), *arguments]) == 3
    assert told in capsys.readouterr().err


@pytest.mark.slow
def test_a_spool_or_address_in_use_is_told(tmp_path: Path) -> None:
    """A second gateway says which of its means another process uses."""
    with running_gateway("--spool-only", "--spool", tmp_path / "spool") as gateway:
        options = {"gateway_open": True, "gateway_spool_only": True}
        same_spool = start("gateway", "--listen", "127.0.0.1:0", "--spool", tmp_path / "spool", **options)
        same_port = start("gateway", "--listen", f"127.0.0.1:{gateway.port}", "--spool", tmp_path / "other", **options)
        for process, told in ((same_spool, "is in use by another process"), (same_port, "cannot be listened on")):
            _, error = process.communicate(timeout=60)
            assert process.returncode == 4
            assert told in error.decode()
            assert b"Traceback" not in error


@pytest.mark.slow
def test_a_limit_of_the_spool_is_503_over_the_wire(tmp_path: Path) -> None:
    """A full disk quota is told to senders with a time to come back, and to who asks whether it is ready."""
    with running_gateway("--spool-only", "--spool", tmp_path / "spool", spool_bytes_max=1_048_576) as gateway:
        body = json.dumps([event(number, extra="x" * 300_000) for number in range(3)]).encode()
        assert gateway.post(EVENTS, body).status == 200
        answer = gateway.post(EVENTS, body)
        assert (answer.status, answer.reason) == (503, "not_durable")
        assert int(answer.headers["retry-after"]) >= 1
        assert gateway.post(EVENTS, body_of(9)).status == 200
