"""Bodies and headers of any content: the gateway answers with a status of its own, never with a fault."""

import asyncio
import gzip
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flows.gateway.app import GatewayApp
from schemas.adapters.registry import ADAPTERS
from schemas.events import parse_event
from tests.support.gateway import BEARER, Memory, call, event, make_app
from tests.support.tool_events import PAYLOADS, documents

EXPECTED = {200, 207, 400, 413, 415, 422}

NAMES = (
    "action type event annotation annotations task tasks project id result data label job record user values status "
    "event_id occurred_at project_id kind value headers body items spans answer _timestamp received_at"
)
keys = st.sampled_from(NAMES.split()) | st.text(max_size=6)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=25,
)


def to_bytes(document: Any) -> bytes:
    """Return a document as JSON, with what JSON does not know and lone surrogates as Python writes them."""
    return json.dumps(document).encode()


bodies = st.binary(max_size=200) | trees.map(to_bytes) | st.lists(trees, max_size=3).map(
    lambda parts: b"\n".join(map(to_bytes, parts))
)  # fmt: skip


@pytest.fixture(scope="module")
def app_and_memory() -> tuple[GatewayApp, Memory]:
    """An application that anybody may send to, for all tools."""
    memory = Memory()
    return make_app(memory, open=True, requests_per_second=0), memory


@pytest.fixture(scope="module")
def closed_app() -> tuple[GatewayApp, Memory]:
    """An application that asks for secrets."""
    memory = Memory()
    secrets = {"secret_argilla": "whsec_c2VjcmV0", "secret_cvat": "another", "secret_labelbox": "third"}
    return make_app(memory, requests_per_second=0, **secrets), memory


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(ADAPTERS)), bodies, st.booleans())
@example("label-studio", b'{"action":"ANNOTATION_CREATED","annotation":{"id":' + b"9" * 400 + b"}}", False)
@example("prodigy", b'{"_timestamp":' + b"9" * 5_000 + b"}", False)
@example("cvat", b'{"headers":{},"body":{"event":"x"}}', True)
def test_any_body_of_a_webhook_is_answered(
    app_and_memory: tuple[GatewayApp, Memory], tool: str, body: bytes, is_packed: bool
) -> None:
    """No body makes the gateway fail, and what it takes are events of the contract, one line each."""
    app, memory = app_and_memory
    memory.events.clear()
    headers = {**BEARER, "content-encoding": "gzip"} if is_packed else BEARER
    answer = asyncio.run(call(app, f"/v1/ingest/{tool}", gzip.compress(body) if is_packed else body, headers))
    assert answer.status in EXPECTED
    assert answer.document.get("accepted", 0) == len(memory.events)
    for key, line in memory.events:
        assert b"\n" not in line
        assert parse_event(line).project_id.encode() == key


def members_of(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all members of a document."""
    members = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    return [path, *(inner for key, value in members for inner in members_of(value, (*path, key)))]


WEBHOOKS = [
    (path.parent.name, document.get("body", document))
    for tool in ("label-studio", "argilla", "labelbox", "cvat", "toloka")
    for path in sorted((PAYLOADS / tool).glob("*.json"))
    for document in documents(path)
    if isinstance(document, dict)
]


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_a_payload_with_one_member_changed_is_answered(
    app_and_memory: tuple[GatewayApp, Memory], data: st.DataObject
) -> None:
    """Payloads that are nearly right reach deep into the adapters; what comes out is still of the contract."""
    app, memory = app_and_memory
    memory.events.clear()
    tool, document = data.draw(st.sampled_from(WEBHOOKS))
    *above, last = ("document", *data.draw(st.sampled_from(members_of(document))))
    owner = changed = {"document": json.loads(json.dumps(document))}
    for key in above:
        owner = owner[key]
    owner[last] = data.draw(trees)
    answer = asyncio.run(call(app, f"/v1/ingest/{tool}", to_bytes(changed["document"])))
    assert answer.status in EXPECTED
    for key, line in memory.events:
        assert parse_event(line).project_id.encode() == key


@settings(deadline=None, max_examples=150)
@given(bodies, st.sampled_from(["", "application/json", "application/x-ndjson", "ü"]))
@example(b'{"a":1}{"a":2}', "")
@example(b'[{"event_id":"\\ud800"}]', "")
@example(b"\xef\xbb\xbf{}", "")
@example(b"[" + b"{}," * 20_000 + b"{}]", "")
def test_any_body_of_native_events_is_answered(
    app_and_memory: tuple[GatewayApp, Memory], body: bytes, content_type: str
) -> None:
    """The same for native events; each event is accepted or rejected, and none of both."""
    app, memory = app_and_memory
    memory.events.clear()
    answer = asyncio.run(call(app, "/v1/events", body, {**BEARER, "content-type": content_type}))
    assert answer.status in EXPECTED
    assert answer.document.get("accepted", 0) == len(memory.events)
    for key, line in memory.events:
        assert parse_event(line).project_id.encode() == key


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(sorted(event(1))), trees)
def test_one_wrong_member_of_an_event_is_accepted_or_named(
    app_and_memory: tuple[GatewayApp, Memory], name: str, value: Any
) -> None:
    """Whatever stands in a member, the event is taken exactly if the contract takes it."""
    app, memory = app_and_memory
    memory.events.clear()
    answer = asyncio.run(call(app, "/v1/events", to_bytes({**event(1), name: value})))
    assert (answer.status == 200) == bool(memory.events)
    if answer.status == 422:
        (entry,) = answer.document["rejected"]
        assert entry["reason"]
        assert entry["detail"]


@settings(deadline=None, max_examples=100)
@given(
    st.dictionaries(
        st.sampled_from(
            ["authorization", "x-labelpulse-token", "webhook-id", "webhook-timestamp", "webhook-signature",
             "x-signature-256", "x-hub-signature", "content-length", "content-encoding"]
        ),
        st.text(st.characters(max_codepoint=255), max_size=30),
    ),
    st.sampled_from(["/v1/events", "/v1/ingest/argilla", "/v1/ingest/cvat", "/v1/ingest/labelbox"]),
)  # fmt: skip
def test_no_headers_let_anybody_in(closed_app: tuple[GatewayApp, Memory], headers: dict[str, str], path: str) -> None:
    """Without the secret no combination of headers is let in, and none makes the gateway fail."""
    app, memory = closed_app
    answer = asyncio.run(call(app, path, b"{}", headers))
    assert answer.status in {400, 401, 413}
    assert not memory.events


@pytest.mark.parametrize("tool", sorted({path.parent.name for path in PAYLOADS.glob("*/*")}))
def test_every_payload_that_we_know_is_answered(app_and_memory: tuple[GatewayApp, Memory], tool: str) -> None:
    """Captured webhooks and records of exports of all tools are taken, ignored, or refused as 422."""
    app, memory = app_and_memory
    for path in sorted((PAYLOADS / tool).glob("*.json*")):
        for document in documents(path):
            memory.events.clear()
            answer = asyncio.run(call(app, f"/v1/ingest/{tool}", to_bytes(document)))
            assert answer.status in {200, 207, 422}, path
            for key, line in memory.events:
                assert parse_event(line).project_id.encode() == key
