"""Requests that are tried again while that may help, and errors in words where it does not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2 as httpx
import tenacity
from tenacity.wait import wait_base

from schemas.errors import ConfigurationError, SourceError, UnavailableError

TRIES_MAX = 6
TIMEOUT_SECONDS = 60.0
RETRY_AFTER_SECONDS_MAX = 60.0
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
TEXT_CHARACTERS_MAX = 200

BACK_OFF = tenacity.wait_random_exponential(multiplier=0.5, max=20)


class _TransientError(Exception):
    def __init__(self, detail: str, retry_after: float = 0.0) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class _WaitAsTold(wait_base):
    """Waits as long as the server asked for, or longer and longer where it did not say."""

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome is not None else None
        told = error.retry_after if isinstance(error, _TransientError) else 0.0
        return max(min(told, RETRY_AFTER_SECONDS_MAX), BACK_OFF(retry_state))


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is asked.

    Parameters
    ----------
    client
        Has the server's address, and its own way to authenticate.
    name
        What it is called in errors.
    sleep
        Waits between two tries, for so many seconds.
    """

    client: httpx.Client
    name: str
    sleep: Callable[[float], None] = tenacity.nap.sleep

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """Return the answer to a request, whatever its status, unless that is one of a passing failure.

        Raises
        ------
        UnavailableError
            If it fails again and again.
        """
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(TRIES_MAX),
            wait=_WaitAsTold(),
            retry=tenacity.retry_if_exception_type(_TransientError),
            sleep=self.sleep,
            reraise=True,
        )
        try:
            return retrying(self._ask_once, method, path, **request)
        except _TransientError as error:
            raise UnavailableError(
                f"{self.name} at {self.client.base_url} failed {TRIES_MAX} times: {error}",
                remedy="check the address, and whether it is up",
            ) from error

    def _ask_once(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            response = self.client.request(method, path, **request)
        except httpx.TransportError as error:
            raise _TransientError(f"{type(error).__name__}: {error}") from error
        if response.status_code in TRANSIENT:
            raise _TransientError(f"status {response.status_code}", _seconds(response.headers.get("retry-after")))
        return response

    def document(self, method: str, path: str, **request: Any) -> Any:
        """Return the JSON that answers a request.

        Raises
        ------
        UnavailableError
            If it fails again and again.
        ConfigurationError
            If the server refuses it: a wrong token, address or id.
        SourceError
            If the answer is not JSON.
        """
        response = self.ask(method, path, **request)
        if response.status_code in (401, 403):
            raise ConfigurationError(
                f"{self.name} refuses the token ({response.status_code}): {_text(response)}",
                remedy="use a token that is in force and may read the project",
            )
        if not response.is_success:
            raise ConfigurationError(
                f"{self.name} answers {response.status_code} to {path}: {_text(response)}",
                remedy="check the address and the project",
            )
        try:
            return response.json()
        except ValueError as error:
            raise SourceError(f"{self.name} answers no JSON to {path}", remedy="check the address") from error


def _seconds(value: str | None) -> float:
    return float(value) if value is not None and value.isdecimal() else 0.0


def _text(response: httpx.Response) -> str:
    try:
        document = response.json()
    except ValueError:
        return response.reason_phrase
    told = document.get("detail") or document.get("message") if type(document) is dict else None
    return " ".join(str(told or response.reason_phrase).split())[:TEXT_CHARACTERS_MAX]
