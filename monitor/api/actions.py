"""What people do about alerts: written as control events through a writer that the application is given."""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from monitor.api.access import Grant
from monitor.api.acting import Reason, acting, said
from monitor.api.context import Context
from monitor.api.problems import PROBLEM_RESPONSES, Problem
from schemas.control import AlertAcknowledged, AlertsSilenced, ControlEvent

ACTIONS_KEPT = 1_000
HOURS_MAX = 24 * 30
Text = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
ControlWriter = Callable[[bytes], None]
"""Takes a control event as JSON bytes, and returns once it is kept."""


class Acknowledge(BaseModel):
    """Somebody takes an alert on."""

    model_config = ConfigDict(extra="forbid")

    alert_id: Text
    reason: Reason
    project_id: Annotated[Text | None, Field(description="Project of the alert, where it has one.")] = None


class Silence(BaseModel):
    """Alerts that agree in all that is given are not delivered for a while."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason
    hours: Annotated[int, Field(ge=1, le=HOURS_MAX)]
    project_id: Text
    question_id: Text | None = None
    annotator_id: Text | None = None
    rule: Text | None = None
    alert_id: Text | None = None


class Action(BaseModel):
    """An action that was taken here."""

    event: dict[str, Any]


class Actions:
    """Takes actions, and remembers the latest of them while the monitor runs.

    Parameters
    ----------
    write
        Where control events go; None if nobody takes them.
    """

    def __init__(self, write: ControlWriter | None) -> None:
        self._write = write
        self._taken: deque[tuple[str | None, dict[str, Any]]] = deque(maxlen=ACTIONS_KEPT)

    @property
    def are_possible(self) -> bool:
        """Whether somebody takes control events."""
        return self._write is not None

    async def take(self, event: ControlEvent, *, project_id: str | None) -> Action:
        """Write an action down."""
        if self._write is None:
            raise Problem(501, "nobody takes actions here", remedy="start the monitor with a place for control events")
        await run_in_threadpool(self._write, event.model_dump_json(exclude_none=True).encode())
        shown = event.model_dump(mode="json", exclude_none=True)
        self._taken.append((project_id, shown))
        return Action(event=shown)

    def taken(self, grant: Grant) -> list[Action]:
        """Return the latest actions, the last first."""
        seen = [event for project, event in self._taken if not grant.projects or (project and grant.allows(project))]
        return [Action(event=event) for event in reversed(seen)]


def actions_router(context: Context, actions: Actions) -> APIRouter:
    """Return the addresses of actions."""
    router = APIRouter(prefix="/api/v1/actions", tags=["actions"], responses=PROBLEM_RESPONSES)

    @router.get("", summary="what was done here, the latest first")
    async def list_actions(request: Request) -> list[Action]:
        return actions.taken(await context.grant(request))

    @router.post("/acknowledge", summary="take an alert on", status_code=201)
    async def acknowledge(request: Request, asked: Acknowledge) -> Action:
        grant = await acting(request, context, project_id=asked.project_id)
        event = AlertAcknowledged(**said(grant, asked.reason), type="alert.acknowledged", alert_id=asked.alert_id)
        return await actions.take(event, project_id=asked.project_id)

    @router.post("/silence", summary="do not deliver some alerts for a while", status_code=201)
    async def silence(request: Request, asked: Silence) -> Action:
        grant = await acting(request, context, project_id=asked.project_id)
        matchers = asked.model_dump(exclude={"reason", "hours"}, exclude_none=True)
        until = datetime.now(UTC) + timedelta(hours=asked.hours)
        event = AlertsSilenced(**said(grant, asked.reason), type="alerts.silenced", until=until, **matchers)
        return await actions.take(event, project_id=asked.project_id)

    return router
