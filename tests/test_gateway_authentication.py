"""Who may send to the gateway: each tool's own scheme, and nobody without the secret."""

import base64
import hashlib
import hmac
import time

import pytest

from tests.support.gateway import BEARER, EVENTS, INGEST, TOKEN, Memory, ask, ask_all, body_of, encoded
from tests.support.tool_events import payload

SIGNING_SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four b").decode()
CREATED = "label-studio/002_ANNOTATION_CREATED__choices_single.json"


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer wrong"}, {"authorization": TOKEN + "x"}, {"x-labelpulse-token": "wrong", **BEARER}],
)
@pytest.mark.parametrize("path", [INGEST, EVENTS])
def test_a_wrong_secret_is_401(path: str, headers: dict[str, str]) -> None:
    """Without the secret nothing is read, nothing delivered, and the secret is not told."""
    (answer,), memory = ask_all(path, [body_of(1)], headers)
    assert answer.status == 401
    assert answer.reason in ("signature_missing", "signature_wrong")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert TOKEN.encode() not in answer.body
    assert not memory.events


@pytest.mark.parametrize("headers", [BEARER, {"authorization": TOKEN}, {"X-Labelpulse-Token": TOKEN}])
def test_a_secret_may_come_in_either_header(headers: dict[str, str]) -> None:
    """Label Studio can be told to send any header."""
    assert ask(INGEST, encoded(payload(CREATED)), headers).status == 200


def standard_headers(body: bytes, *, at: float, message_id: str = "msg_1") -> dict[str, str]:
    """Sign a body as Argilla does."""
    key = base64.b64decode(SIGNING_SECRET.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{int(at)}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def test_argilla_signs_its_webhooks() -> None:
    """A signed body is taken, packed or not; a changed one is not, nor one that was signed too long ago."""
    body = encoded(payload("argilla/006_response.created.json"))
    now = time.time()
    cases = [
        (body, standard_headers(body, at=now), 200, None),
        (body + b" ", standard_headers(body, at=now), 401, "signature_wrong"),
        (body, standard_headers(body, at=now - 400), 401, "timestamp_too_old"),
        (body, standard_headers(body, at=now + 400), 401, "timestamp_too_new"),
        (body, BEARER, 401, "signature_missing"),
    ]
    for sent, headers, status, reason in cases:
        answer = ask("/v1/ingest/argilla", sent, headers, secret_argilla=SIGNING_SECRET)
        assert (answer.status, answer.document.get("error", {}).get("reason")) == (status, reason)
    late = ask("/v1/ingest/argilla", body, standard_headers(body, at=now - 400), secret_argilla=SIGNING_SECRET,
               replay_seconds=500)  # fmt: skip
    assert late.status == 200


def test_a_retry_of_argilla_adds_nothing() -> None:
    """Each retry has another id and another signature; its events have the same ids."""
    body = encoded(payload("argilla/006_response.created.json"))
    memory = Memory()
    for message_id in ("msg_1", "msg_2"):
        headers = standard_headers(body, at=time.time(), message_id=message_id)
        ask_all("/v1/ingest/argilla", [body], headers, memory=memory, secret_argilla=SIGNING_SECRET)
    ids = [document["event_id"] for document in memory.documents()]
    assert ids
    assert ids[: len(ids) // 2] == ids[len(ids) // 2 :]


@pytest.mark.parametrize(
    ("tool", "header", "algorithm", "body", "reasons"),
    [
        ("cvat", "X-Signature-256", "sha256", b'{"event": "update:job", "job": {"id": 1}}', ["label_elsewhere"]),
        ("labelbox", "X-Hub-Signature", "sha1", b'{"id": "l1", "project": {"id": "p"}}', ["no_label"]),
    ],
)
def test_cvat_and_labelbox_sign_the_body(
    tool: str, header: str, algorithm: str, body: bytes, reasons: list[str]
) -> None:
    """A keyed hash of the body is what lets it in."""
    secret = "a shared secret"
    digest = hmac.new(secret.encode(), body, algorithm).hexdigest()
    settings = {f"secret_{tool}": secret}
    taken = ask(f"/v1/ingest/{tool}", body, {header: f"{algorithm}={digest}"}, **settings)
    assert taken.status == 200
    assert [entry["reason"] for entry in taken.document["ignored"]] == reasons
    changed = ask(f"/v1/ingest/{tool}", body + b" ", {header: f"{algorithm}={digest}"}, **settings)
    assert (changed.status, changed.reason) == (401, "signature_wrong")


def test_toloka_signs_body_and_time() -> None:
    """Notifications are taken by Toloka's signature, unless signed long ago; a script shows the secret itself."""
    settled, submitted = (
        payload(f"toloka/webhook_{name}.json") for name in ("dynamic_overlap", "assignment_submitted")
    )
    body = encoded({"events": [settled, submitted]})

    def header(at: float) -> dict[str, str]:
        sign = hmac.new(b"secret", f"{int(at * 1000)}.1.".encode() + body, "sha256").hexdigest()
        return {"Toloka-Signature": f"{{v=1, ts={int(at * 1000)}, sign={sign}}}"}

    def sent(sent_body: bytes, headers: dict[str, str]) -> tuple[int, str | None]:
        answer = ask("/v1/ingest/toloka", sent_body, headers, secret_toloka="secret")
        return answer.status, answer.document.get("error", {}).get("reason")

    taken = ask("/v1/ingest/toloka", body, header(time.time()), secret_toloka="secret")
    assert (taken.document["accepted"], [entry["reason"] for entry in taken.document["ignored"]]) == (
        1,
        ["label_elsewhere"],
    )
    assert sent(body + b" ", header(time.time())) == (401, "signature_wrong")
    assert sent(body, header(time.time() - 400)) == (401, "timestamp_too_old")
    assert sent(body, {"Authorization": "Bearer secret"})[0] == 200
    assert sent(body, {"Authorization": "Bearer wrong", **header(time.time())})[0] == 200
    assert sent(body, {"Authorization": "Bearer secret", "Toloka-Signature": "{}"}) == (401, "signature_malformed")
    assert sent(body, {}) == (401, "signature_missing")


def test_labelbox_tells_a_deletion_in_a_header() -> None:
    """The headers of a request reach the adapter."""
    body = b'{"id": "l1", "project": {"id": "p"}}'
    digest = hmac.new(b"secret", body, "sha1").hexdigest()
    headers = {"X-Hub-Signature": f"sha1={digest}", "X-Labelbox-Event": "LABEL_DELETED"}
    (answer,), memory = ask_all("/v1/ingest/labelbox", [body], headers, secret_labelbox="secret")
    assert answer.document == {"accepted": 1}
    assert [document["type"] for document in memory.documents()] == ["annotation.retracted"]


def test_a_source_without_a_secret_is_closed() -> None:
    """Nobody may send in the name of a tool that was not set up."""
    answer = ask("/v1/ingest/toloka", b"{}", {})
    assert (answer.status, answer.reason) == (403, "source_closed")
    assert ask("/v1/ingest/toloka", b"{}", {}, open=True).status != 403
