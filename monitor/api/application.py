"""The application: API and dashboard behind one address."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

from clickhouse_connect.driver.client import Client
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.middleware.gzip import GZipMiddleware

from monitor.api.access import TokenBook
from monitor.api.actions import Actions, ControlWriter, actions_router
from monitor.api.answers import Answers
from monitor.api.context import Context
from monitor.api.endpoints import query_router
from monitor.api.headers import Guard
from monitor.api.live import Live, live_router
from monitor.api.problems import PROBLEM_RESPONSES, Problem, install_problem_handlers
from monitor.api.rates import RateLimit
from monitor.api.session import session_router
from monitor.dashboard.pages import pages_router

DESCRIPTION = (
    "Quality signals of annotation projects. Each named query has an address of its own; JSON is an envelope with the "
    "rows and the offset of the next page, the other formats are the rows alone, with the next page in the Link "
    "header. Timestamps are ISO 8601 in UTC."
)


class Health(BaseModel):
    """Whether the monitor works."""

    status: str
    is_database_down: bool
    trouble: Annotated[str, Field(description="Why the flow in this process has not gone on for a minute.")] = ""


def create_app(
    connect: Callable[[], Client],
    *,
    tokens: TokenBook,
    hosts: Sequence[str] = (),
    write_control: ControlWriter | None = None,
    requests_per_second: float = 50.0,
    fresh_seconds: float = 0.5,
    threads: int = 2,
    metrics: Callable[[], bytes] | None = None,
    trouble: Callable[[], str] | None = None,
) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    connect
        Opens a connection to the database.
    tokens
        Who may see what; without tokens everybody who can reach it sees everything.
    hosts
        Names in the Host header that are answered; empty for all.
    write_control
        Takes control events; None if nobody does.
    requests_per_second
        How many requests a caller may make, over time; a burst may be four times as many.
    fresh_seconds
        An answer of the database is given again for so long.
    threads
        How many questions are put to the database at once.
    metrics
        Figures about the flow in this process, for Prometheus; None if there is no flow.
    trouble
        Why that flow does not go on; empty while it does.
    """
    answers = Answers(connect, fresh_seconds=fresh_seconds, threads=threads)
    rate = RateLimit(per_second=requests_per_second, burst=int(4 * requests_per_second) or 1)
    context = Context(answers, tokens, rate)
    actions, live = Actions(write_control), Live(context)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        live.close()
        answers.close()

    app = FastAPI(
        title="labelpulse", description=DESCRIPTION, version=_version(), docs_url=None, redoc_url=None,
        lifespan=lifespan,
    )  # fmt: skip
    app.state.live = live
    install_problem_handlers(app)
    for router in (
        query_router(context), live_router(context, live), actions_router(context, actions),
        session_router(context, actions),
    ):  # fmt: skip
        app.include_router(router)

    @app.get("/healthz", summary="whether the monitor works, also while the database is down", tags=["health"])
    async def health() -> Health:
        told = trouble() if trouble is not None else ""
        return Health(status="stalled" if told else "ok", is_database_down=answers.is_down, trouble=told)

    if metrics is not None:
        app.include_router(metrics_router(context, metrics))
    app.include_router(pages_router())
    app.add_middleware(GZipMiddleware, minimum_size=2_000, compresslevel=1)
    app.add_middleware(Guard, hosts=hosts)
    return app


def metrics_router(context: Context, metrics: Callable[[], bytes]) -> APIRouter:
    """Return the address of the flow's own figures."""
    router = APIRouter(tags=["health"], responses=PROBLEM_RESPONSES)

    @router.get(
        "/metrics",
        summary="figures about the flow in this process, for Prometheus",
        response_class=PlainTextResponse,
    )
    async def show(request: Request) -> PlainTextResponse:
        grant = await context.grant(request)
        if grant.projects:
            raise Problem(403, "this token opens some projects only")
        return PlainTextResponse(await run_in_threadpool(metrics), media_type="text/plain; version=0.0.4")

    return router


def _version() -> str:
    try:
        return version("labelpulse")
    except PackageNotFoundError:  # run from its sources, without having been installed
        return "0"
