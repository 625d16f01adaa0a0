"""Standard Webhooks: signed requests to any receiver that speaks it.

References
----------
The Standard Webhooks specification 1.0: https://www.standardwebhooks.com/
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from schemas.errors import ConfigurationError
from sinks.hooks.content import message_content
from sinks.hooks.http_client import HttpClient, json_body
from sinks.hooks.notification import Answer, Notification

SECRET_PREFIX = "whsec_"
KEY_BYTES_MIN, KEY_BYTES_MAX = 16, 128


class Webhook:
    """Posts alerts with a signature.

    Parameters
    ----------
    client
        Sends the requests.
    url
        Where to.
    secrets
        What signs: the one in use first, then one that receivers are changing over from.
    link
        Template of the address of a page about an alert.

    Raises
    ------
    ConfigurationError
        If a secret is none.
    """

    def __init__(self, client: HttpClient, *, url: str, secrets: Sequence[str], link: str | None = None) -> None:
        assert secrets
        self._client = client
        self._url = url
        self._keys = [key_of(secret) for secret in secrets]
        self._link = link

    def deliver(self, notifications: Sequence[Notification], *, message_id: str, now: float) -> Answer:
        """Post alerts; the id is the same in each attempt, time and signature are those of the attempt."""
        body = json_body(message_content(notifications, link=self._link))
        headers = {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": signatures_of(self._keys, message_id, int(now), body),
        }
        return self._client.post(self._url, body=body, headers=headers)

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()


def signatures_of(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of the header ``webhook-signature``, one signature a key.

    >>> signatures_of([b"0123456789abcdef"], "m_1", 1_700_000_000, b"{}")
    'v1,3kjOecYNc43wKWu9gU7tOenI4pTWeynoMqj5w2+d2xA='
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    digests = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def key_of(secret: str) -> bytes:
    """Return the key that a secret stands for.

    Raises
    ------
    ConfigurationError
        If it is no base64, or too short to be a secret.
    """
    try:
        key = base64.b64decode(secret.strip().removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise ConfigurationError(
            f"a webhook's secret is not base64 of {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes",
            remedy="make one, for example with: openssl rand -base64 32",
        )
    return key
