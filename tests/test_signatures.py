"""Signatures of webhooks: what the tools send is accepted, and nothing else is."""

import base64
import binascii
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.gateway.signatures import (
    SignatureError,
    verify_hmac,
    verify_labelbox,
    verify_shared_header,
    verify_standard_webhook,
    verify_toloka,
)
from schemas.errors import ConfigurationError
from tests.support.tool_events import PAYLOADS

# The example of the Standard Webhooks reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
NOW = 1614265330
HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
OTHER_SECRET = "whsec_" + base64.b64encode(b"another secret of some length").decode()

CAPTURED = sorted((PAYLOADS / "argilla").glob("0*.json"))


def signed(body: bytes, *, secret: str = SECRET, message_id: str = "msg_1", timestamp: int = NOW) -> dict[str, str]:
    """Return the headers with which Argilla signs a body."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "Webhook-Id": message_id,
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def reason(error: pytest.ExceptionInfo[SignatureError]) -> str:
    """Return the reason code of an error, having looked that it tells no secret."""
    assert SECRET.removeprefix("whsec_") not in str(error.value)
    return str(error.value.reason_code)


def test_the_published_example_verifies() -> None:
    """The signature that the scheme's own libraries give for their example is accepted."""
    verify_standard_webhook(BODY, HEADERS, [SECRET], now=NOW)
    verify_standard_webhook(BODY, HEADERS, [SECRET.removeprefix("whsec_")], now=NOW)


@pytest.mark.parametrize("path", CAPTURED, ids=lambda path: path.name)
def test_captured_requests_follow_the_scheme(path: object) -> None:
    """Argilla's requests have the scheme's headers, and verify over their exact bytes when signed with a known secret.

    The secret of the captured server was not kept, so the captured signatures themselves cannot be recomputed.
    """
    request = json.loads(path.read_text())  # type: ignore[attr-defined]
    headers, body = request["headers"], request["raw_body"].encode()
    version, _, signature = headers["webhook-signature"].partition(",")
    assert version == "v1"
    assert len(base64.b64decode(signature, validate=True)) == hashlib.sha256().digest_size
    timestamp = int(headers["webhook-timestamp"])
    with pytest.raises(SignatureError) as caught:
        verify_standard_webhook(body, headers, [SECRET], now=timestamp)
    assert reason(caught) == "signature_wrong"
    again = signed(body, message_id=headers["webhook-id"], timestamp=timestamp)
    verify_standard_webhook(body, again, [SECRET], now=timestamp)


# The example of Toloka's documentation.
TOLOKA_BODY = (
    b'{"events":[{"event_time":"2000-01-01T12:00:00","project_id":"project-1","pool_id":"pool-1",'
    b'"uuid":"00000000-0000-0000-0000-000000000000","task_suite_id":"task-suite-1","assignment_id":"assignment-1",'
    b'"webhook_subscription_id":"subscription-1","type":"ASSIGNMENT_APPROVED"}]}'
)
TOLOKA_SIGN = "609af3eefd4c12b6afad30ab456efcd21fe82f4247d3340151a3ca0c97a6cbcb"
TOLOKA_NOW = 946728000


def toloka(header: str = f"{{v=1, ts={TOLOKA_NOW}000, sign={TOLOKA_SIGN}}}") -> dict[str, str]:
    """Return the header that Toloka sends."""
    return {"Toloka-Signature": header}


def test_toloka_s_published_example_verifies() -> None:
    """The signature of Toloka's own example is accepted, with or without braces, near its time alone."""
    verify_toloka(TOLOKA_BODY, toloka(), ["12345"], now=TOLOKA_NOW + 299)
    verify_toloka(
        TOLOKA_BODY, toloka(f"sign={TOLOKA_SIGN.upper()},ts={TOLOKA_NOW}000,v=1"), ["x", "12345"], now=TOLOKA_NOW
    )
    for now, code in ((TOLOKA_NOW + 301, "timestamp_too_old"), (TOLOKA_NOW - 301, "timestamp_too_new")):
        with pytest.raises(SignatureError) as caught:
            verify_toloka(TOLOKA_BODY, toloka(), ["12345"], now=now)
        assert reason(caught) == code


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (TOLOKA_BODY + b" ", toloka(), "signature_wrong"),
        (TOLOKA_BODY, toloka(f"{{v=1, ts={TOLOKA_NOW}001, sign={TOLOKA_SIGN}}}"), "signature_wrong"),
        (TOLOKA_BODY, toloka(f"{{v=2, ts={TOLOKA_NOW}000, sign={TOLOKA_SIGN}}}"), "signature_wrong"),
        (TOLOKA_BODY, toloka(f"{{v=1, sign={TOLOKA_SIGN}}}"), "signature_malformed"),
        (TOLOKA_BODY, toloka("{}"), "signature_malformed"),
        (TOLOKA_BODY, {}, "signature_missing"),
    ],
)
def test_what_toloka_did_not_sign_is_refused(body: bytes, headers: dict[str, str], code: str) -> None:
    """Another body, time or version, a part left out, no header at all: each is refused by name."""
    with pytest.raises(SignatureError) as caught:
        verify_toloka(body, headers, ["12345"], now=TOLOKA_NOW)
    assert reason(caught) == code


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_a_body_with_one_byte_changed_is_refused(place: int, change: int) -> None:
    """Any change of the body is noticed."""
    forged = bytes(byte ^ change if index == place else byte for index, byte in enumerate(BODY))
    with pytest.raises(SignatureError) as caught:
        verify_standard_webhook(forged, HEADERS, [SECRET], now=NOW)
    assert reason(caught) == "signature_wrong"


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp"])
def test_id_and_time_are_signed_too(name: str) -> None:
    """A request cannot be given another id or another time."""
    with pytest.raises(SignatureError) as caught:
        verify_standard_webhook(BODY, {**HEADERS, name: "1614265331"}, [SECRET], now=NOW)
    assert reason(caught) == "signature_wrong"


@pytest.mark.parametrize(("age", "code"), [(301, "timestamp_too_old"), (-301, "timestamp_too_new")])
def test_a_request_outside_the_window_is_refused(age: int, code: str) -> None:
    """What was signed too long ago may be a replay; what was signed in the future is no honest clock."""
    verify_standard_webhook(BODY, HEADERS, [SECRET], now=NOW + (300 if age > 0 else -300))
    with pytest.raises(SignatureError) as caught:
        verify_standard_webhook(BODY, HEADERS, [SECRET], now=NOW + age)
    assert reason(caught) == code
    verify_standard_webhook(BODY, HEADERS, [SECRET], now=NOW + age, replay_seconds_max=600)


def test_secrets_can_be_changed_without_a_gap() -> None:
    """Either side may hold two secrets for a while: one fitting pair is enough."""
    verify_standard_webhook(BODY, HEADERS, [OTHER_SECRET, SECRET], now=NOW)
    both = " ".join((signed(BODY, secret=OTHER_SECRET)["Webhook-Signature"], signed(BODY)["Webhook-Signature"]))
    verify_standard_webhook(BODY, {**signed(BODY), "Webhook-Signature": both}, [SECRET], now=NOW)


@pytest.mark.parametrize("name", HEADERS)
def test_a_missing_header_is_named(name: str) -> None:
    """Each of the three headers must be there."""
    with pytest.raises(SignatureError, match=name) as caught:
        verify_standard_webhook(BODY, {key: HEADERS[key] for key in HEADERS if key != name}, [SECRET], now=NOW)
    assert reason(caught) == "signature_missing"


@pytest.mark.parametrize("value", ["v2,abc", "abc", "v1,", " ".join(["v1,YQ=="] * 17)])
def test_signatures_that_are_none_are_refused(value: str) -> None:
    """Another version, no version, no signature or far too many: malformed."""
    with pytest.raises(SignatureError) as caught:
        verify_standard_webhook(BODY, {**HEADERS, "webhook-signature": value}, [SECRET], now=NOW)
    assert reason(caught) == "signature_malformed"


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=40))
def test_any_headers_are_refused_in_good_order(message_id: str, timestamp: str, signature: str) -> None:
    """Headers of any content raise the error for signatures, and no other."""
    headers = {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": f"v1,{signature}"}
    with pytest.raises(SignatureError):
        verify_standard_webhook(BODY, headers, [SECRET], now=NOW)
    with pytest.raises(SignatureError):
        verify_hmac(BODY, {"x-signature-256": signature}, ["secret"])


def test_a_signed_time_that_is_none_is_malformed() -> None:
    """A sender that signs something else than a unix time is told so."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = base64.b64encode(hmac.new(key, b"msg_1.soon." + BODY, hashlib.sha256).digest()).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": "soon", "webhook-signature": f"v1,{digest}"}
    with pytest.raises(SignatureError) as caught:
        verify_standard_webhook(BODY, headers, [SECRET], now=NOW)
    assert reason(caught) == "signature_malformed"


def test_cvat_s_signature() -> None:
    """The published HMAC-SHA256 example verifies in CVAT's header (RFC 4231, test case 2); a changed one does not."""
    digest = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    body, headers = b"what do ya want for nothing?", {"X-Signature-256": f"sha256={digest}"}
    verify_hmac(body, headers, ["Jefe"])
    verify_hmac(body, {"x-signature-256": f"sha256={digest.upper()}"}, ["Other", "Jefe"])
    for wrong in ({"x-signature-256": f"sha256={digest[:-1]}4"}, headers):
        with pytest.raises(SignatureError) as caught:
            verify_hmac(body, wrong, ["Jefe" if wrong is not headers else "jefe"])
        assert reason(caught) == "signature_wrong"
    with pytest.raises(SignatureError) as caught:
        verify_hmac(body, {"x-signature-256": f"sha1={digest}"}, ["Jefe"])
    assert reason(caught) == "signature_malformed"


def test_labelbox_s_signature() -> None:
    """The published HMAC-SHA1 example verifies in Labelbox's header (RFC 2202, test case 2)."""
    headers = {"X-Hub-Signature": "sha1=effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"}
    verify_labelbox(b"what do ya want for nothing?", headers, ["Jefe"])
    with pytest.raises(SignatureError):
        verify_labelbox(b"what do ya want for nothing!", headers, ["Jefe"])


def test_a_shared_header() -> None:
    """Label Studio signs nothing: a header holds the secret itself, or a bearer token."""
    verify_shared_header({"X-Token": "s3cret"}, ["old", "s3cret"], header="X-Token")
    verify_shared_header({"Authorization": "Bearer s3cret"}, ["s3cret"], header="authorization")
    for headers in ({"X-Token": "s3cre"}, {"X-Token": "S3cret"}, {"X-Token": ""}, {}):
        with pytest.raises(SignatureError):
            verify_shared_header(headers, ["s3cret"], header="X-Token")


def test_no_secret_is_a_wrong_setting_never_an_open_door() -> None:
    """An empty or broken secret stops the gateway; it does not let everybody in."""
    for secrets in ([], [""]):
        with pytest.raises(ConfigurationError):
            verify_hmac(BODY, {"x-signature-256": "sha256=00"}, secrets)
        with pytest.raises(ConfigurationError):
            verify_shared_header({"x-token": ""}, secrets, header="x-token")
        with pytest.raises(ConfigurationError):
            verify_standard_webhook(BODY, HEADERS, secrets, now=NOW)
    with pytest.raises(ConfigurationError):
        verify_standard_webhook(BODY, HEADERS, ["whsec_not base64!"], now=NOW)
    with pytest.raises(binascii.Error):
        base64.b64decode("not base64!", validate=True)
