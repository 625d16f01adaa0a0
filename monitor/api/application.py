"""The application: API and dashboard behind one address."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from clickhouse_connect.driver.client import Client
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from monitor.api.access import TokenBook
from monitor.api.actions import Actions, ControlWriter, actions_router
from monitor.api.answers import Answers
from monitor.api.context import Context
from monitor.api.endpoints import query_router
from monitor.api.headers import Guard
from monitor.api.health import health_router
from monitor.api.live import Live, live_router
from monitor.api.problems import install_problem_handlers
from monitor.api.rates import RateLimit
from monitor.api.replays import Replays, replays_router
from monitor.api.session import session_router
from monitor.dashboard.pages import pages_router

DESCRIPTION = (
    "Quality signals of annotation projects. Each named query has an address of its own; JSON is an envelope with the "
    "rows and the offset of the next page, the other formats are the rows alone, with the next page in the Link "
    "header. Timestamps are ISO 8601 in UTC."
)


def create_app(
    connect: Callable[[], Client],
    *,
    tokens: TokenBook,
    hosts: Sequence[str] = (),
    write_control: ControlWriter | None = None,
    replays: Replays | None = None,
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
    replays
        Appends refused records to the log again; None if nobody does.
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
        replays_router(context, actions, replays), session_router(context, actions, may_replay=replays is not None),
        health_router(context, metrics=metrics, trouble=trouble),
    ):  # fmt: skip
        app.include_router(router)

    app.include_router(pages_router())
    app.add_middleware(GZipMiddleware, minimum_size=2_000, compresslevel=1)
    app.add_middleware(Guard, hosts=hosts)
    return app


def _version() -> str:
    try:
        return version("labelpulse")
    except PackageNotFoundError:  # run from its sources, without having been installed
        return "0"
