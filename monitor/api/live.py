"""Live updates: which projects have new rows, sent to everybody who listens."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from monitor.api.access import Grant
from monitor.api.context import Context
from monitor.api.problems import PROBLEM_RESPONSES, Problem
from schemas.errors import IncompatibleStateError, UnavailableError

LISTENERS_MAX = 500
QUEUE_MAX = 100
KEEP_ALIVE_SECONDS = 15.0


@dataclass(slots=True, eq=False)
class _Listener:
    grant: Grant
    queue: asyncio.Queue[tuple[str, dict[str, object]]] = field(default_factory=lambda: asyncio.Queue(QUEUE_MAX))

    def tell(self, event: str, data: dict[str, object]) -> None:
        if not self.queue.full():  # whoever is that far behind reads everything anew anyway
            self.queue.put_nowait((event, data))


class Live:
    """Looks at the projects' rows now and then, as long as somebody listens.

    Parameters
    ----------
    context
        What requests share.
    seconds
        Between two looks.
    """

    def __init__(self, context: Context, *, seconds: float = 0.5) -> None:
        self._context = context
        self._seconds = seconds
        self._listeners: list[_Listener] = []
        self._versions: dict[str, str] = {}
        self._is_down = False
        self._task: asyncio.Task[None] | None = None
        self.is_closed = False

    def close(self) -> None:
        """End all streams; called from the event loop."""
        self.is_closed = True
        if self._task is not None:
            self._task.cancel()
        for listener in self._listeners:
            listener.tell("end", {})

    async def stream(self, grant: Grant, is_gone: Callable[[], object]) -> AsyncIterator[str]:
        """Yield what happens, in the form of server-sent events."""
        listener = _Listener(grant)
        self._listeners.append(listener)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())
        try:
            yield "retry: 2000\n\n" + _event("hello", {"is_stale": self._is_down})
            while not self.is_closed and not await is_gone():
                try:
                    event, data = await asyncio.wait_for(listener.queue.get(), KEEP_ALIVE_SECONDS)
                    yield _event(event, data)
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self._listeners.remove(listener)

    @property
    def is_full(self) -> bool:
        """Whether nobody else may listen."""
        return len(self._listeners) >= LISTENERS_MAX

    async def _watch(self) -> None:
        while self._listeners and not self.is_closed:
            await self._look()
            await asyncio.sleep(self._seconds)

    async def _look(self) -> None:
        try:
            answer = await self._context.answers.ask("changes", form="json", parameters={})
            is_down = answer.is_stale
            rows = {row["project_id"]: row["row_version"] for row in json.loads(answer.body)}
        except (UnavailableError, IncompatibleStateError):
            is_down, rows = True, {}
        if is_down != self._is_down:
            self._is_down = is_down
            for listener in self._listeners:
                listener.tell("stale" if is_down else "fresh", {})
        if not is_down:
            changed = sorted(name for name, version in rows.items() if self._versions.get(name) != version)
            self._versions = rows
            if changed:
                self._context.answers.outdate()
            self._tell_changed(changed)

    def _tell_changed(self, changed: list[str]) -> None:
        for listener in self._listeners:
            seen = [name for name in changed if listener.grant.allows(name)]
            if seen:
                listener.tell("changed", {"projects": seen})


def _event(name: str, data: dict[str, object]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


def live_router(context: Context, live: Live) -> APIRouter:
    """Return the address of live updates."""
    router = APIRouter(prefix="/api/v1", tags=["live"], responses=PROBLEM_RESPONSES)

    @router.get(
        "/live",
        summary="which projects have new rows, as server-sent events",
        response_class=StreamingResponse,
        responses={200: {"description": "events", "content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    )
    async def listen(request: Request) -> StreamingResponse:
        grant = await context.grant(request)
        if live.is_full or live.is_closed:
            raise Problem(503, "too many listen already", headers={"Retry-After": "30"})
        return StreamingResponse(
            live.stream(grant, request.is_disconnected),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    return router
