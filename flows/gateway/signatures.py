"""Signatures of webhooks: who sent a request, told from its headers and its exact bytes.

Each function returns nothing where the request is authentic, and raises `SignatureError` where it is not. Secrets are
compared in constant time, and none is ever part of a message. The time of day is an argument.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from enum import StrEnum

from schemas.errors import ConfigurationError, LabelpulseError

REPLAY_SECONDS_MAX = 300
"""How far the time that a sender signed may lie from now, before or after."""
SIGNATURES_MAX = 16
"""Signatures that one request may carry: a sender that changes its secret signs with the old and the new one."""

STANDARD_VERSION = "v1"
STANDARD_SECRET_PREFIX = "whsec_"
STANDARD_ID, STANDARD_TIMESTAMP, STANDARD_SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
CVAT_SIGNATURE = "x-signature-256"
LABELBOX_SIGNATURE = "x-hub-signature"
TOLOKA_SIGNATURE = "toloka-signature"

_TIMESTAMP_DIGITS_MAX = 15


class SignatureFailure(StrEnum):
    """Why a request is not known to be authentic."""

    MISSING = "signature_missing"
    MALFORMED = "signature_malformed"
    WRONG = "signature_wrong"
    TOO_OLD = "timestamp_too_old"
    TOO_NEW = "timestamp_too_new"


class SignatureError(LabelpulseError):
    """A request is not known to come from whom it says.

    Parameters
    ----------
    reason_code
        Why.
    detail
        What is wrong, in one line; tells nothing of any secret.
    """

    def __init__(self, reason_code: SignatureFailure, detail: str) -> None:
        super().__init__(detail, remedy="give the tool and the gateway the same secret, and both the right time")
        self.reason_code = reason_code


def verify_standard_webhook(
    body: bytes,
    headers: Mapping[str, str],
    secrets: Sequence[str],
    *,
    now: float,
    replay_seconds_max: float = REPLAY_SECONDS_MAX,
) -> None:
    """Verify the signature of Standard Webhooks, as Argilla sends it.

    Parameters
    ----------
    body
        The exact bytes of the request's body.
    headers
        The request's headers; their names in any case.
    secrets
        The secrets that may have signed: base64, with or without ``whsec_`` before it.
    now
        The time, unix seconds.
    replay_seconds_max
        How far the signed time may lie from now, in seconds.

    Raises
    ------
    SignatureError
        If a header is missing, no signature fits, or the signed time is too far from now.
    ConfigurationError
        If a secret is no base64, or there is none.

    References
    ----------
    The Standard Webhooks specification 1.0, sections "Webhook headers" and "Signature scheme".
    """
    keys = [_standard_key(secret) for secret in _required(secrets)]
    message_id, timestamp = _header(headers, STANDARD_ID), _header(headers, STANDARD_TIMESTAMP)
    candidates = _header(headers, STANDARD_SIGNATURE).split(" ")
    if len(candidates) > SIGNATURES_MAX:
        raise SignatureError(SignatureFailure.MALFORMED, f"{STANDARD_SIGNATURE}: more than {SIGNATURES_MAX} signatures")
    given = [signature for version, _, signature in (part.partition(",") for part in candidates) if
             version == STANDARD_VERSION and signature]  # fmt: skip
    if not given:
        raise SignatureError(SignatureFailure.MALFORMED, f"{STANDARD_SIGNATURE}: no signature of version 1")
    signed = _bytes_of(f"{message_id}.{timestamp}.") + body
    expected = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in keys]
    _require_equal(given, expected)
    # Last, so that what is said of the time is said to the sender only.
    _require_recent(timestamp, now, replay_seconds_max)


def verify_hmac(
    body: bytes,
    headers: Mapping[str, str],
    secrets: Sequence[str],
    *,
    header: str = CVAT_SIGNATURE,
    algorithm: str = "sha256",
) -> None:
    """Verify a keyed hash of the body, ``ALGORITHM=HEX`` in a header, as CVAT sends it.

    It signs no time, so a request sent again cannot be told from the first one by it: event ids are what makes that
    harmless.

    Parameters
    ----------
    body
        The exact bytes of the request's body.
    headers
        The request's headers; their names in any case.
    secrets
        The secrets that may have signed.
    header
        Name of the header, in lower case.
    algorithm
        ``sha256`` or ``sha1``.

    Raises
    ------
    SignatureError
        If the header is missing or does not fit.
    ConfigurationError
        If there is no secret.
    """
    keys = [_bytes_of(secret) for secret in _required(secrets)]
    name, _, given = _header(headers, header).partition("=")
    if name.lower() != algorithm or not given:
        raise SignatureError(SignatureFailure.MALFORMED, f"{header}: expected {algorithm}= and a hash")
    _require_equal([given.lower()], [hmac.new(key, body, algorithm).hexdigest() for key in keys])


def verify_labelbox(body: bytes, headers: Mapping[str, str], secrets: Sequence[str]) -> None:
    """Verify Labelbox's signature: HMAC with SHA-1, in ``X-Hub-Signature``. See `verify_hmac`."""
    verify_hmac(body, headers, secrets, header=LABELBOX_SIGNATURE, algorithm="sha1")


def verify_toloka(
    body: bytes,
    headers: Mapping[str, str],
    secrets: Sequence[str],
    *,
    now: float,
    replay_seconds_max: float = REPLAY_SECONDS_MAX,
) -> None:
    """Verify Toloka's signature: ``{v=1, ts=MILLISECONDS, sign=HEX}`` in ``Toloka-Signature``.

    Parameters
    ----------
    body, headers, now, replay_seconds_max
        See `verify_standard_webhook`.
    secrets
        The secrets that may have signed: the ``secret_key`` of the subscription.

    Raises
    ------
    SignatureError
        If the header is missing or malformed, does not fit, or the signed time is too far from now.
    ConfigurationError
        If there is no secret.

    References
    ----------
    Toloka API, "Event authentication".
    """
    keys = [_bytes_of(secret) for secret in _required(secrets)]
    pairs = (part.partition("=") for part in _header(headers, TOLOKA_SIGNATURE).strip(" {}").split(","))
    parts = {name.strip(): value.strip() for name, _, value in pairs}
    version, timestamp, given = (parts.get(name, "") for name in ("v", "ts", "sign"))
    if not (version and timestamp and given):
        raise SignatureError(SignatureFailure.MALFORMED, f"{TOLOKA_SIGNATURE}: expected v=, ts= and sign=")
    signed = _bytes_of(f"{timestamp}.{version}.") + body
    _require_equal([given.lower()], [hmac.new(key, signed, hashlib.sha256).hexdigest() for key in keys])
    _require_recent(timestamp, now, replay_seconds_max, header=TOLOKA_SIGNATURE, per_second=1_000)


def verify_shared_header(headers: Mapping[str, str], secrets: Sequence[str], *, header: str) -> None:
    """Verify that a header holds a secret: as Label Studio sends it, which signs nothing.

    A bearer token is the same with ``authorization`` for a header: the word ``Bearer`` before the secret is left out.

    Parameters
    ----------
    headers
        The request's headers; their names in any case.
    secrets
        The secrets that may be in it.
    header
        Name of the header, in any case.

    Raises
    ------
    SignatureError
        If the header is missing or holds something else.
    ConfigurationError
        If there is no secret.
    """
    expected = _required(secrets)
    given = _header(headers, header.lower())
    scheme, _, token = given.partition(" ")
    _require_equal([token.strip() if scheme.lower() == "bearer" else given], expected)


def _require_equal(given: Sequence[str], expected: Sequence[str]) -> None:
    """Require that one of the given is one of the expected; all are looked at, whichever fits."""
    fits = False
    for one in given:
        for other in expected:
            fits |= hmac.compare_digest(_bytes_of(one), _bytes_of(other))
    if not fits:
        raise SignatureError(SignatureFailure.WRONG, "the signature does not fit")


def _require_recent(
    timestamp: str, now: float, replay_seconds_max: float, *, header: str = STANDARD_TIMESTAMP, per_second: int = 1
) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _TIMESTAMP_DIGITS_MAX):
        raise SignatureError(SignatureFailure.MALFORMED, f"{header}: no unix time")
    age = now - int(timestamp) / per_second
    if age > replay_seconds_max:
        raise SignatureError(SignatureFailure.TOO_OLD, f"{header}: signed {age:.0f} s ago")
    if age < -replay_seconds_max:
        raise SignatureError(SignatureFailure.TOO_NEW, f"{header}: signed {-age:.0f} s in the future")


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if value is None:
        value = next((value for key, value in headers.items() if key.lower() == name), None)
    if not value:
        raise SignatureError(SignatureFailure.MISSING, f"{name}: missing")
    return value


def _bytes_of(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def _required(secrets: Sequence[str]) -> Sequence[str]:
    if not secrets or not all(secrets):
        raise ConfigurationError("a webhook's secret is empty", remedy="set the secret that the tool signs with")
    return secrets


def _standard_key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(STANDARD_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError(
            "a Standard Webhooks secret is no base64", remedy="copy it as the tool shows it, whsec_ included"
        ) from None
