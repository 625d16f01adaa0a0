"""Who may send: for each source a scheme and its secrets."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from flows.gateway.refusals import RequestError, RequestReason
from flows.gateway.signatures import (
    CVAT_SIGNATURE,
    LABELBOX_SIGNATURE,
    REPLAY_SECONDS_MAX,
    TOLOKA_SIGNATURE,
    SignatureError,
    verify_hmac,
    verify_shared_header,
    verify_standard_webhook,
    verify_toloka,
)

AUTHORIZATION = "authorization"
TOKEN_HEADER = "x-labelpulse-token"


class Scheme(StrEnum):
    """How a request shows that it comes from whom it says."""

    SHARED_SECRET = "shared-secret"
    """A header holds the secret: a bearer token, or a header of one's own."""
    STANDARD_WEBHOOKS = "standard-webhooks"
    """The signature of Standard Webhooks, over the body and a time."""
    HMAC_SHA256 = "hmac-sha256"
    HMAC_SHA1 = "hmac-sha1"
    TOLOKA = "toloka"
    """Toloka's signature over the body and a time; or, from a script that sends its records, a header as above."""
    OPEN = "open"
    """Anybody may send."""


SIGNATURE_HEADERS = {Scheme.HMAC_SHA256: CVAT_SIGNATURE, Scheme.HMAC_SHA1: LABELBOX_SIGNATURE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """What a source's requests must show.

    Parameters
    ----------
    scheme
        How.
    secrets
        The secrets that are good now: two while one is being changed; none closes the source.
    header
        Name of the header, in lower case; empty for the scheme's own.
    replay_seconds_max
        How far a signed time may lie from now, in seconds.
    clock
        Unix time in seconds.
    """

    scheme: Scheme
    secrets: tuple[str, ...] = ()
    header: str = ""
    replay_seconds_max: float = REPLAY_SECONDS_MAX
    clock: Callable[[], float] = time.time

    @property
    def is_open(self) -> bool:
        """Whether anybody may send."""
        return self.scheme is Scheme.OPEN

    @property
    def is_of_headers(self) -> bool:
        """Whether the headers alone show who sends, so that nothing else need be read first."""
        return self.scheme in (Scheme.OPEN, Scheme.SHARED_SECRET)

    def verify(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Raise `RequestError` unless a request shows what it must: 401, or 403 where no secret is set at all.

        Parameters
        ----------
        body
            The exact bytes that were sent.
        headers
            The request's headers, names in lower case.
        """
        if self.scheme is Scheme.OPEN:
            return
        if not self.secrets:
            raise RequestError(403, RequestReason.SOURCE_CLOSED, "no secret is set for this source at the gateway")
        try:
            self._verify(body, headers)
        except SignatureError as error:
            raise RequestError(401, error.reason_code, error.message) from None

    def check(self) -> None:
        """Raise `ConfigurationError` if a secret cannot be one of the scheme."""
        if self.secrets and self.scheme is not Scheme.OPEN:
            try:
                self._verify(b"", {})
            except SignatureError:
                return

    def _verify(self, body: bytes, headers: Mapping[str, str]) -> None:
        if self._is_shared_secret(headers):
            verify_shared_header(headers, self.secrets, header=self.header or _secret_header(headers))
        elif self.scheme is Scheme.STANDARD_WEBHOOKS:
            now = self.clock()
            verify_standard_webhook(body, headers, self.secrets, now=now, replay_seconds_max=self.replay_seconds_max)
        elif self.scheme is Scheme.TOLOKA:
            now = self.clock()
            verify_toloka(body, headers, self.secrets, now=now, replay_seconds_max=self.replay_seconds_max)
        else:
            header = self.header or SIGNATURE_HEADERS[self.scheme]
            algorithm = self.scheme.removeprefix("hmac-")
            verify_hmac(body, headers, self.secrets, header=header, algorithm=algorithm)

    def _is_shared_secret(self, headers: Mapping[str, str]) -> bool:
        if self.scheme is not Scheme.TOLOKA:
            return self.scheme is Scheme.SHARED_SECRET
        shown = self.header or _secret_header(headers)
        return TOLOKA_SIGNATURE not in headers and shown in headers


def _secret_header(headers: Mapping[str, str]) -> str:
    return TOKEN_HEADER if TOKEN_HEADER in headers else AUTHORIZATION
