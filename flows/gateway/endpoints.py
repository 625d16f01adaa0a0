"""The addresses that events are sent to: from a request to an answer.

They are plain ASGI, without the layers of a framework: a request costs little more than the work that it asks for.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from flows.gateway.bodies import announced_bytes, read_body, unpacked
from flows.gateway.delivery import Delivery
from flows.gateway.events import Converted, convert_events, convert_webhook
from flows.gateway.limits import RateLimit, WorkLimit
from flows.gateway.metrics import UNKNOWN, Metrics
from flows.gateway.refusals import RequestError, RequestReason
from flows.gateway.sources import NATIVE, Source

INGEST_PREFIX = "/v1/ingest/"

JSON = (b"content-type", b"application/json")
NANOSECONDS_PER_SECOND = 1_000_000_000

_log = logging.getLogger("labelpulse.gateway")
_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What all endpoints work with.

    Parameters
    ----------
    sources
        By name.
    delivery
        Where events go.
    metrics
        Where all is counted.
    rate, work
        Limits.
    body_bytes_max
        Most bytes of a body, packed or unpacked.
    events_max
        Most native events of one request.
    """

    sources: Mapping[str, Source]
    delivery: Delivery
    metrics: Metrics
    rate: RateLimit
    body_bytes_max: int
    events_max: int
    work: WorkLimit = field(default_factory=WorkLimit)


class Endpoint:
    """An address that takes events by POST.

    Parameters
    ----------
    desk
        What it works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong is an answer, too."""
        began = time.perf_counter()
        source: Source | None = None
        headers: list[tuple[bytes, bytes]] = []
        try:
            source = self._source(scope)
            status, document = await self._taken(source, scope, receive)
        except RequestError as error:
            status, document, headers = refusal(error)
            self._desk.metrics.refused(UNKNOWN if source is None else source.name, str(error.reason_code))
        except Exception:
            _log.exception("a request could not be worked through")
            error = RequestError(500, RequestReason.INTERNAL_ERROR, "the gateway's log says more")
            status, document, headers = refusal(error)
        await answer(send, status, document, headers)
        name = UNKNOWN if source is None else source.name
        self._desk.metrics.answered(name, status, time.perf_counter() - began)

    def _source(self, scope: Scope) -> Source:
        raise NotImplementedError

    async def _converted(self, source: Source, body: bytes, headers: Mapping[str, str]) -> Converted:
        raise NotImplementedError

    async def _taken(self, source: Source, scope: Scope, receive: Receive) -> tuple[int, dict[str, Any]]:
        desk, authentication = self._desk, source.authentication
        client = scope.get("client")
        desk.rate.require_token(client[0] if client else "")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        is_of_headers = authentication.is_of_headers
        if is_of_headers:
            authentication.verify(b"", headers)
        held = desk.work.grown(0, announced_bytes(headers, bytes_max=desk.body_bytes_max))
        try:
            body = await read_body(receive, bytes_max=desk.body_bytes_max)
            held = desk.work.grown(held, len(body))
            if not is_of_headers:
                authentication.verify(body, headers)
            source.rate.require_token(source.name)
            if "content-encoding" in headers:
                body = unpacked(body, headers["content-encoding"], bytes_max=desk.body_bytes_max)
                held = desk.work.grown(held, len(body))
            converted = await self._converted(source, body, headers)
            if converted.events:
                await desk.delivery.deliver(converted.events)
        finally:
            desk.work.give_back(held)
        return self._told(source, converted)

    def _told(self, source: Source, converted: Converted) -> tuple[int, dict[str, Any]]:
        self._desk.metrics.accepted(source.name, len(converted.events))
        if not converted.ignored and not converted.rejected:
            return 200, {"accepted": len(converted.events)}
        for reason in converted.refusals():
            self._desk.metrics.refused(source.name, reason)
        document = converted.document()
        if not converted.rejected:
            return 200, document
        if converted.events:
            return 207, document
        first = converted.rejected[0]
        error = {"reason": str(RequestReason.NO_USABLE_EVENT), "detail": f"{first['reason']}: {first['detail']}"}
        return 422, {"error": error, **document}


class ToolEndpoint(Endpoint):
    """``/v1/ingest/{source}``: webhooks of annotation tools."""

    def _source(self, scope: Scope) -> Source:
        name = scope["path"].removeprefix(INGEST_PREFIX)
        source = self._desk.sources.get(name)
        if source is None or source.adapter is None:
            known = ", ".join(sorted(set(self._desk.sources) - {NATIVE}))
            raise RequestError(404, RequestReason.UNKNOWN_SOURCE, f"no tool or source has this name; there are {known}")
        return source

    async def _converted(self, source: Source, body: bytes, headers: Mapping[str, str]) -> Converted:
        assert source.adapter is not None
        return convert_webhook(
            source.adapter, body, headers=headers, received_at=received_at(), settings=source.settings
        )


class EventsEndpoint(Endpoint):
    """``/v1/events``: events of the contract."""

    def _source(self, scope: Scope) -> Source:
        return self._desk.sources[NATIVE]

    async def _converted(self, source: Source, body: bytes, headers: Mapping[str, str]) -> Converted:
        return await convert_events(
            body,
            content_type=headers.get("content-type", ""),
            received_at=received_at(),
            events_max=self._desk.events_max,
        )


def received_at() -> str:
    """Return the time now, RFC 3339 in UTC, to the microsecond."""
    seconds, nanoseconds = divmod(time.time_ns(), NANOSECONDS_PER_SECOND)
    return f"{_second_text(seconds)}.{nanoseconds // 1_000:06d}Z"


@lru_cache(maxsize=2)
def _second_text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:-6]


def refusal(error: RequestError) -> tuple[int, dict[str, Any], list[tuple[bytes, bytes]]]:
    """Return status, document and further headers of a request that is refused."""
    headers: list[tuple[bytes, bytes]] = []
    if error.retry_after_seconds is not None:
        headers.append((b"retry-after", str(error.retry_after_seconds).encode()))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return error.status, {"error": {"reason": str(error.reason_code), "detail": error.message}}, headers


async def answer(send: Send, status: int, document: Any, headers: list[tuple[bytes, bytes]]) -> None:
    """Send a JSON document as the answer."""
    body = _encode(document)
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [JSON, length, *headers]})
    await send({"type": "http.response.body", "body": body})
