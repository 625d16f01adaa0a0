"""Requests to the gateway: each way in which one can be right or wrong has its status and its reason."""

import asyncio
import gzip
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from flows.gateway.bodies import read_body
from flows.gateway.delivery import not_durable
from flows.gateway.limits import RateLimit, WorkLimit
from flows.gateway.refusals import RequestError, RequestReason
from flows.gateway.signatures import SignatureFailure
from schemas.events import parse_event
from tests.support.gateway import BEARER, EVENTS, INGEST, Memory, ask, ask_all, body_of, call, encoded, event, make_app
from tests.support.tool_events import PAYLOADS, payload

CREATED = "label-studio/002_ANNOTATION_CREATED__choices_single.json"


def test_a_webhook_becomes_events_of_the_contract() -> None:
    """A captured annotation is answered 200 and delivered under its project, stamped with the time of its arrival."""
    (answer,), memory = ask_all(INGEST, [encoded(payload(CREATED))])
    assert (answer.status, answer.document) == (200, {"accepted": 2})
    assert answer.headers["content-type"] == "application/json"
    label, gold = memory.documents()
    assert [label["type"], gold["type"]] == ["annotation.submitted", "gold.set"]
    assert label["label"] == {"kind": "categorical", "value": "Positive"}
    assert {key for key, _ in memory.events} == {b"7"} == {label["project_id"].encode()}
    for line in memory.events:
        assert parse_event(line[1]).received_at is not None


def test_a_webhook_sent_again_gives_the_same_ids() -> None:
    """Whoever sends a request again adds nothing: the ids derive from what it says."""
    for path in sorted((PAYLOADS / "label-studio").glob("*.json")):
        body = encoded(payload(f"label-studio/{path.name}"))
        _, memory = ask_all(INGEST, [body, body])
        ids = [document["event_id"] for document in memory.documents()]
        assert ids[: len(ids) // 2] == ids[len(ids) // 2 :]


@pytest.mark.parametrize("action", ["PROJECT_CREATED", "PROJECT_UPDATED", "LABEL_LINK_CREATED"])
def test_a_webhook_without_a_label_is_ignored_and_says_why(action: str) -> None:
    """There is nothing wrong with it, so it is answered 200: a tool has no reason to send it again."""
    (answer,), memory = ask_all(INGEST, [encoded({"action": action, "project": {"id": 7}})])
    assert answer.status == 200
    assert answer.document["accepted"] == 0
    assert [entry["reason"] for entry in answer.document["ignored"]] == ["no_label"]
    assert not memory.events


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"", 400, "empty"),
        (b" \n", 400, "empty"),
        (b"{", 400, "not_json"),
        (b'{"a": NaN}', 400, "not_json"),
        (b"\xff\xfe{}", 400, "not_utf8"),
        (b'"\xed\xa0\x80"', 400, "not_utf8"),
        (b"[" * 100_000, 400, "too_deep"),
        (b"[]", 200, None),
        (b"3", 422, "wrong_type"),
        (b"{}", 422, "missing_field"),
        (b'{"action": "ANNOTATION_CREATED"}', 422, "no_usable_event"),
        (b'{"action": "ANNOTATION_CREATED", "annotation": 3}', 422, "wrong_type"),
    ],
)
def test_bodies_that_are_no_webhook(body: bytes, status: int, reason: str | None) -> None:
    """What is not JSON is 400; what is JSON and no payload of the tool, or cannot be used, is 422; with the reason."""
    answer = ask(INGEST, body)
    assert answer.status == status
    assert reason is None or answer.reason == reason


@pytest.mark.parametrize(
    ("body", "status", "accepted"),
    [
        (encoded(event(1)), 200, 1),
        (json.dumps(event(1), indent=1).encode(), 200, 1),
        (body_of(1, 2, 3), 200, 3),
        (b"\n".join([encoded(event(1)), b"", encoded(event(2)) + b"\r", b""]), 200, 2),
        (b"[]", 200, 0),
        (encoded([event(1), {"type": "nonsense"}]), 207, 1),
        (encoded([{"type": "nonsense"}]), 422, 0),
        (encoded(event(1)) + b"\nnot json\n" + encoded(event(2)), 207, 2),
    ],
)
def test_native_events_come_one_by_one_in_arrays_and_in_lines(body: bytes, status: int, accepted: int) -> None:
    """Any of the three forms is told by its look; some bad events among good ones are 207, none good is 422."""
    (answer,), memory = ask_all(EVENTS, [body])
    assert (answer.status, answer.document["accepted"], len(memory.events)) == (status, accepted, accepted)


def test_every_rejected_event_is_named_with_its_place_and_reason() -> None:
    """A program can tell which of its events was wrong, and what about it."""
    body = encoded([event(1), 3, event(2, label={"kind": "categorical"}), event(3, occurred_at="2026-01-05T09:00:00")])
    answer = ask(EVENTS, body)
    told = [(entry["index"], entry["reason"]) for entry in answer.document["rejected"]]
    assert told == [(1, "not_an_object"), (2, "missing_field"), (3, "timestamp_naive")]
    assert answer.document["rejected_total"] == 3
    assert all(entry["detail"] for entry in answer.document["rejected"])


def test_an_event_is_stamped_by_the_gateway_whatever_its_sender_says() -> None:
    """The stamp bounds times in the future, so a sender cannot choose it."""
    before = time.time()
    _, memory = ask_all(EVENTS, [encoded(event(1, received_at="2031-01-01T00:00:00Z", extra={"kept": [1, 2.5, None]}))])
    (document,) = memory.documents()
    stamp = parse_event(memory.events[0][1]).received_at
    assert before - 1 <= stamp.timestamp() <= time.time() + 1
    assert document["extra"] == {"kept": [1, 2.5, None]}


def test_json_lines_can_be_announced() -> None:
    """With the content type of JSON lines every line is an event of its own, good or bad."""
    headers = {**BEARER, "content-type": "application/x-ndjson; charset=utf-8"}
    answer = ask(EVENTS, b"not json\n" + encoded(event(1)), headers)
    assert (answer.status, answer.document["rejected"][0]["index"]) == (207, 0)
    assert ask(EVENTS, b"{\n}", headers).status == 422


def test_one_event_may_not_be_larger_than_kafka_takes() -> None:
    """A huge event is refused by name; the others of its request are taken."""
    answer = ask(EVENTS, encoded([event(1), event(2, extra="x" * 1_000_000)]))
    assert (answer.status, answer.document["rejected"][0]["reason"]) == (207, "oversized")


def test_too_many_events_are_refused_as_a_whole() -> None:
    """A request is bounded in events as well as in bytes."""
    answer = ask(EVENTS, body_of(1, 2, 3), events_max=2)
    assert (answer.status, answer.reason) == (413, "too_many_events")


@pytest.mark.parametrize("path", [INGEST, EVENTS])
def test_gzip_is_unpacked(path: str) -> None:
    """Either address takes packed bodies, of several members too."""
    body = encoded(payload(CREATED)) if path == INGEST else body_of(1, 2)
    half = len(body) // 2
    packed = gzip.compress(body[:half]) + gzip.compress(body[half:])
    (answer,), memory = ask_all(path, [packed], {**BEARER, "content-encoding": "gzip"})
    assert (answer.status, len(memory.events)) == (200, 2)


@pytest.mark.parametrize(
    ("body", "encoding", "status", "reason"),
    [
        (b"{}", "gzip", 400, "encoding_broken"),
        (gzip.compress(b"{}")[:-4], "gzip", 400, "encoding_broken"),
        (b"", "gzip", 400, "encoding_broken"),
        (b"{}", "br", 415, "encoding_unknown"),
        (gzip.compress(b" " * 100_000), "gzip", 413, "body_too_large"),
        (b"{}", "identity", 422, "no_usable_event"),
    ],
)
def test_encodings_that_are_wrong(body: bytes, encoding: str, status: int, reason: str) -> None:
    """A small body that unpacks into a large one is refused like a large one."""
    answer = ask(EVENTS, body, {**BEARER, "content-encoding": encoding}, body_bytes_max=50_000)
    assert (answer.status, answer.reason) == (status, reason)


def pieces_of(*pieces: bytes) -> list[dict[str, Any]]:
    """Return the messages of ASGI for a body that comes in pieces."""
    last = len(pieces) - 1
    return [{"type": "http.request", "body": piece, "more_body": index < last} for index, piece in enumerate(pieces)]


def test_a_body_may_come_in_pieces() -> None:
    """The pieces are put together; more of them than allowed is 413 before the last one has come."""
    body = body_of(1, 2)
    assert ask(EVENTS, request={"pieces": pieces_of(body[:5], body[5:])}).document == {"accepted": 2}
    endless = [{"type": "http.request", "body": b" " * 1_000, "more_body": True}] * 3
    answer = ask(EVENTS, request={"pieces": endless}, body_bytes_max=2_500)
    assert (answer.status, answer.reason) == (413, "body_too_large")


def test_a_body_that_is_announced_too_large_is_not_read() -> None:
    """Content-Length alone is enough, also with more digits than any number has."""
    for length in ("2000", "9" * 5_000):
        answer = ask(EVENTS, b"", {**BEARER, "content-length": length}, body_bytes_max=1_024)
        assert (answer.status, answer.reason) == (413, "body_too_large")
    answer = ask(EVENTS, b" " * 1_025, body_bytes_max=1_024)
    assert answer.status == 413


def test_a_sender_that_goes_away_has_sent_nothing() -> None:
    """Half a body is no body."""
    pieces = [*pieces_of(b"[", b"")[:1], {"type": "http.disconnect"}]
    answer = ask(EVENTS, request={"pieces": pieces})
    assert (answer.status, answer.reason) == (400, "body_incomplete")


@pytest.mark.parametrize("path", ["/v1/ingest/nobody", "/v1/ingest/", "/v1/ingest/label-studio/x", "/v1/ingest/events"])
def test_an_unknown_tool_is_404(path: str) -> None:
    """Whatever is sent to it."""
    answer = ask(path, b"{}")
    assert (answer.status, answer.reason) == (404, "unknown_source")


def test_an_unknown_path_is_404() -> None:
    """In the same form as every other refusal."""
    answer = ask("/v2/events", b"{}")
    assert (answer.status, answer.reason) == (404, "unknown_path")


@pytest.mark.parametrize("path", [INGEST, EVENTS])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_405(path: str, method: str) -> None:
    """Events are sent by POST."""
    answer = ask(path, request={"method": method})
    assert (answer.status, answer.reason, answer.headers["allow"]) == (405, "method_not_allowed", "POST")


def test_too_many_requests_are_429() -> None:
    """Beyond what two seconds allow a sender is told when to come back."""
    answers, memory = ask_all(EVENTS, [body_of(number) for number in range(4)], requests_per_second=1.0)
    assert [answer.status for answer in answers] == [200, 200, 429, 429]
    assert answers[2].reason == "too_many_requests"
    assert int(answers[2].headers["retry-after"]) >= 1
    assert len(memory.events) == 2


def test_the_rate_limit_fills_again_and_is_each_senders_own() -> None:
    """A sender that waits may send again; one that is forgotten begins anew."""
    now = [0.0]
    limit = RateLimit(2, clock=lambda: now[0], senders_max=2)
    assert [limit.wait_seconds("a") for _ in range(5)] == [0, 0, 0, 0, 0.5]
    assert limit.wait_seconds("b") == 0
    now[0] = 0.5
    assert [limit.wait_seconds("a") for _ in range(2)] == [0, 0.5]
    limit.wait_seconds("b")
    limit.wait_seconds("c")
    assert limit.wait_seconds("a") == 0
    assert RateLimit(0).wait_seconds("a") == 0


def test_work_is_bounded_in_bytes() -> None:
    """One body may always be in work; beyond the limit others are asked to come back, until it is done."""
    work = WorkLimit(10)
    held = work.grown(0, 20)
    assert work.grown(held, 15) == 20
    assert work.grown(held, 30) == 30
    with pytest.raises(RequestError) as caught:
        work.grown(0, 1)
    assert (caught.value.status, caught.value.retry_after_seconds) == (503, 1)
    work.give_back(30)
    assert [work.grown(0, 5), work.grown(0, 5)] == [5, 5]
    with pytest.raises(RequestError):
        work.grown(0, 1)


def test_a_refused_request_leaves_no_work_behind() -> None:
    """Whatever ends a request, its bytes are given back."""
    memory, work = Memory(), WorkLimit()
    app = make_app(memory, work=work)

    async def send() -> None:
        memory.refusal = not_durable("the spool is full")
        packed = {**BEARER, "content-encoding": "gzip"}
        await call(app, EVENTS, body_of(1))
        await call(app, EVENTS, gzip.compress(body_of(1)), packed)
        await call(app, EVENTS, b"{", {**BEARER, "content-length": "1000"})
        await call(app, EVENTS, b"", {**BEARER, "content-length": "9" * 20})
        await call(app, INGEST, b"{}")

    asyncio.run(send())
    assert work.bytes == 0


def test_a_slow_body_is_408() -> None:
    """Who never ends a body is not waited for for ever."""

    async def read() -> bytes:
        pieces = [{"type": "http.request", "body": b"{", "more_body": True}]

        async def receive() -> Any:
            if not pieces:
                await asyncio.Event().wait()
            return pieces.pop()

        return await read_body(receive, bytes_max=100, read_seconds=0.01)

    with pytest.raises(RequestError) as caught:
        asyncio.run(read())
    assert (caught.value.status, str(caught.value.reason_code)) == (408, "body_too_slow")


def test_what_cannot_be_made_durable_is_503() -> None:
    """The sender is told when to try again; readiness says the same, and liveness does not."""
    memory = Memory()
    memory.refusal = not_durable("the spool is full")
    (answer,), _ = ask_all(EVENTS, [body_of(1)], memory=memory)
    assert (answer.status, answer.reason) == (503, "not_durable")
    assert int(answer.headers["retry-after"]) >= 1
    assert ask("/readyz", request={"method": "GET"}, memory=memory).status == 503
    assert ask("/readyz", request={"method": "GET"}).status == 200
    assert ask("/healthz", request={"method": "GET"}, memory=memory).status == 200


def test_a_fault_of_the_gateway_is_500_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What nobody expected is answered, logged, and does not end the process."""
    memory = Memory()
    memory.refusal = ValueError("a secret detail")  # type: ignore[assignment]
    (answer, again), _ = ask_all(EVENTS, [body_of(1), b"["], memory=memory)
    assert (answer.status, answer.reason) == (500, "internal_error")
    assert b"secret" not in answer.body
    assert "a secret detail" in caplog.text
    assert again.status == 400


def test_all_is_counted() -> None:
    """Requests by source and status, events, refusals by reason, and times are there for Prometheus."""
    memory, app_answers = Memory(), []
    app = make_app(memory)

    async def send() -> None:
        await call(app, EVENTS, encoded([event(1), event(2), 3]))
        await call(app, INGEST, b"{", BEARER)
        await call(app, "/v1/ingest/nobody", b"{}")
        app_answers.append(await call(app, "/metrics", method="GET"))

    asyncio.run(send())
    lines = app_answers[0].body.decode().splitlines()
    assert 'labelpulse_gateway_requests_total{source="events",status="207"} 1.0' in lines
    assert 'labelpulse_gateway_requests_total{source="unknown",status="404"} 1.0' in lines
    assert 'labelpulse_gateway_events_total{source="events"} 2.0' in lines
    assert 'labelpulse_gateway_refused_total{reason="not_an_object",source="events"} 1.0' in lines
    assert 'labelpulse_gateway_refused_total{reason="not_json",source="label-studio"} 1.0' in lines
    assert "labelpulse_gateway_request_seconds_count 3.0" in lines
    assert 'labelpulse_gateway_request_seconds_bucket{le="+Inf"} 3.0' in lines
    assert app_answers[0].headers["content-type"].startswith("text/plain; version=")


def test_every_metric_and_reason_is_in_the_documentation() -> None:
    """The page has each metric that is shown, and no other; and each reason for which a request is refused."""
    page = (Path(__file__).resolve().parent.parent / "docs/gateway.md").read_text()
    shown = ask("/metrics", request={"method": "GET"}).body.decode()
    names = {line.split()[2] for line in shown.splitlines() if line.startswith("# TYPE")}
    of_deliveries = {"labelpulse_gateway_mode", "labelpulse_gateway_spool_bytes"}
    assert set(re.findall(r"^\| `(labelpulse_gateway_\w+)` \|", page, flags=re.MULTILINE)) == names | of_deliveries
    reasons = [*RequestReason, *SignatureFailure]
    assert [reason for reason in reasons if f"`{reason}`" not in page] == []


def test_the_openapi_document_names_every_address_and_status() -> None:
    """It is OpenAPI 3.1, its references lead somewhere, and it has the statuses that the gateway answers with."""
    document = ask("/openapi.json", request={"method": "GET"}).document
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {
        "/v1/ingest/{source}", "/v1/events", "/healthz", "/readyz", "/metrics", "/openapi.json",
    }  # fmt: skip
    for path in ("/v1/ingest/{source}", "/v1/events"):
        responses = document["paths"][path]["post"]["responses"]
        assert {"200", "207", "400", "401", "403", "404", "413", "422", "429", "503"} <= set(responses)
    (source,) = document["paths"]["/v1/ingest/{source}"]["post"]["parameters"]
    assert "label-studio" in source["schema"]["enum"]
    schemas = document["components"]["schemas"]
    assert {"AnnotationSubmitted", "Event", "Taken", "Error"} <= set(schemas)
    for reference in references_in(document):
        assert reference.removeprefix("#/components/schemas/") in schemas


def references_in(part: Any) -> list[str]:
    """Return all references of a JSON document."""
    if isinstance(part, list):
        return [reference for value in part for reference in references_in(value)]
    if not isinstance(part, dict):
        return []
    own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
    return own + [reference for value in part.values() for reference in references_in(value)]
