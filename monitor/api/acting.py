"""Who may act, and how what they say is written down."""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Request
from pydantic import Field

from monitor.api.access import Grant
from monitor.api.context import Context
from monitor.api.problems import Problem

Reason = Annotated[str, Field(min_length=1, max_length=2_000, description="Why, for whoever comes after.")]


async def acting(request: Request, context: Context, *, project_id: str | None, is_of_all: bool = True) -> Grant:
    """Return who acts.

    Parameters
    ----------
    project_id
        The project that it is about; None if it is about none in particular.
    is_of_all
        Whether what is about no project in particular needs a token for all of them.

    Raises
    ------
    Problem
        If they may not, or if another site made their browser ask.
    """
    grant = await context.grant(request)
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Problem(403, "another site asked for this")
    if not grant.may_act:
        raise Problem(403, "this token may look, not act")
    if project_id is not None:
        await context.require_project(project_id, grant)
    elif grant.projects and is_of_all:
        raise Problem(403, "this token opens some projects only", remedy="name the project")
    return grant


def said(grant: Grant, reason: str) -> dict[str, Any]:
    """Return what all control events of a person have in common."""
    return {"event_id": uuid.uuid4().hex, "occurred_at": datetime.now(UTC), "by": grant.name, "comment": reason}
