"""Who is asking: a browser exchanges its token for a cookie that scripts cannot read."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from monitor.api.access import COOKIE
from monitor.api.actions import Actions
from monitor.api.context import Context
from monitor.api.problems import PROBLEM_RESPONSES, Problem

COOKIE_SECONDS = 30 * 86_400


class Session(BaseModel):
    """Who is asking, and what they may see and do."""

    name: str
    projects: Annotated[list[str] | None, Field(description="Projects that may be seen; null for all.")]
    may_act: bool
    may_replay: Annotated[bool, Field(description="Whether refused records may be appended to the log again.")]
    is_open: Annotated[bool, Field(description="Whether no token is asked for.")]


class SignIn(BaseModel):
    """A token."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, Field(min_length=1, max_length=1_000)]


def session_router(context: Context, actions: Actions, *, may_replay: bool) -> APIRouter:
    """Return the addresses of the session."""
    router = APIRouter(prefix="/api/v1/session", tags=["session"], responses=PROBLEM_RESPONSES)

    @router.get("", summary="who is asking")
    async def show(request: Request) -> Session:
        grant = await context.grant(request)
        projects = sorted(grant.projects) or None
        may_act = grant.may_act and actions.are_possible
        return Session(
            name=grant.name, projects=projects, may_act=may_act, may_replay=may_act and may_replay,
            is_open=context.tokens.is_open,
        )  # fmt: skip

    @router.post("", summary="exchange a token for a cookie", status_code=204)
    async def sign_in(request: Request, asked: SignIn) -> Response:
        context.count(f"sign-in {request.client.host if request.client else ''}")
        if not context.tokens.is_open and context.tokens.find(asked.token) is None:
            raise Problem(401, "the token is unknown", headers={"WWW-Authenticate": "Bearer"})
        response = Response(status_code=204)
        if not context.tokens.is_open:
            response.set_cookie(
                COOKIE, asked.token, max_age=COOKIE_SECONDS, httponly=True, samesite="strict",
                secure=request.url.scheme == "https",
            )  # fmt: skip
        return response

    @router.delete("", summary="forget the cookie", status_code=204)
    async def sign_out(request: Request) -> Response:
        context.count(f"sign-in {request.client.host if request.client else ''}")
        response = Response(status_code=204)
        response.delete_cookie(COOKIE)
        return response

    return router
