"""Whether the monitor works, and what the flow in the same process tells about itself."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from monitor.api.context import Context
from monitor.api.problems import PROBLEM_RESPONSES, Problem

METRICS_TYPE = "text/plain; version=0.0.4"


class Health(BaseModel):
    """Whether the monitor works."""

    status: Annotated[str, Field(description="ok, or stalled if the flow in this process does not go on.")]
    is_database_down: bool
    trouble: Annotated[str, Field(description="Why that flow has not gone on for a minute.")]


def health_router(
    context: Context, *, metrics: Callable[[], bytes] | None, trouble: Callable[[], str] | None
) -> APIRouter:
    """Return the addresses of health, and of the flow's metrics where there is one."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz", summary="whether the monitor works, also while the database is down")
    async def health() -> Health:
        told = trouble() if trouble is not None else ""
        return Health(status="stalled" if told else "ok", is_database_down=context.answers.is_down, trouble=told)

    if metrics is None:
        return router

    @router.get(
        "/metrics",
        summary="figures about the flow in this process, for Prometheus",
        response_class=PlainTextResponse,
        responses=PROBLEM_RESPONSES,
    )
    async def show(request: Request) -> PlainTextResponse:
        grant = await context.grant(request)
        if grant.projects:
            raise Problem(403, "this token opens some projects only")
        return PlainTextResponse(await run_in_threadpool(metrics), media_type=METRICS_TYPE)

    return router
