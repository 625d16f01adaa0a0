"""The gateway as an ASGI application: its addresses, and what they lead to."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from flows.gateway.endpoints import INGEST_PREFIX, Desk, Endpoint, EventsEndpoint, ToolEndpoint, answer, refusal
from flows.gateway.metrics import CONTENT_TYPE
from flows.gateway.openapi import openapi_bytes
from flows.gateway.refusals import RequestError, RequestReason

EVENTS_PATH = "/v1/events"


class GatewayApp:
    """The application. What events are sent to is found without the framework's router, which the rest goes through.

    Parameters
    ----------
    desk
        Sources, delivery, metrics and limits.
    """

    def __init__(self, desk: Desk) -> None:
        self._events = EventsEndpoint(desk)
        self._tools = ToolEndpoint(desk)
        pages = _Pages(desk)
        self._rest = Router(
            [
                Route("/healthz", pages.healthz),
                Route("/readyz", pages.readyz),
                Route("/metrics", pages.metrics),
                Route("/openapi.json", pages.openapi),
            ],
            redirect_slashes=False,
            default=_not_found,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        endpoint = self._endpoint(scope) if scope["type"] == "http" else None
        if endpoint is None:
            await self._rest(scope, receive, send)
        elif scope["method"] == "POST":
            await endpoint(scope, receive, send)
        else:
            await _not_allowed(send)

    def _endpoint(self, scope: Scope) -> Endpoint | None:
        path = scope["path"]
        if path.startswith(INGEST_PREFIX):
            return self._tools
        return self._events if path == EVENTS_PATH else None


async def _not_allowed(send: Send) -> None:
    error = RequestError(405, RequestReason.METHOD_NOT_ALLOWED, "events are sent by POST")
    status, document, headers = refusal(error)
    await answer(send, status, document, [*headers, (b"allow", b"POST")])


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    detail = f"there is nothing here; events go to {EVENTS_PATH} and {INGEST_PREFIX}TOOL"
    await answer(send, *refusal(RequestError(404, RequestReason.UNKNOWN_PATH, detail)))


class _Pages:
    """What machines ask about the gateway."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._openapi = b""

    async def healthz(self, request: Request) -> Response:
        """The process answers."""
        return _json(200, b'{"status":"ok"}')

    async def readyz(self, request: Request) -> Response:
        """Events can be made durable."""
        obstacle = self._desk.delivery.obstacle()
        if not obstacle:
            return _json(200, b'{"status":"ready"}')
        return _json(503, msgspec.json.encode({"status": "not ready", "detail": obstacle}))

    async def metrics(self, request: Request) -> Response:
        """Figures for Prometheus."""
        return Response(self._desk.metrics.page(), headers={"content-type": CONTENT_TYPE})

    async def openapi(self, request: Request) -> Response:
        """What this gateway takes, for programs."""
        if not self._openapi:
            names = (name for name, source in self._desk.sources.items() if source.adapter)
            self._openapi = openapi_bytes(sorted(names))
        return _json(200, self._openapi)


def _json(status: int, body: bytes) -> Response:
    return Response(body, status, media_type="application/json")
