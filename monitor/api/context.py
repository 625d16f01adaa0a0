"""What requests share: answers, who is asking, and the projects that there are."""

import json
import time
from dataclasses import dataclass, field

from fastapi import Request

from monitor.api.access import COOKIE, OPEN, Grant, TokenBook
from monitor.api.answers import Answers
from monitor.api.problems import Problem
from monitor.api.rates import RateLimit


@dataclass(slots=True)
class Context:
    """What requests share.

    Parameters
    ----------
    answers
        Asks the database.
    tokens
        Who may see what.
    rate
        How often somebody may ask.
    """

    answers: Answers
    tokens: TokenBook
    rate: RateLimit
    known_projects: frozenset[str] = field(default=frozenset())

    async def grant(self, request: Request) -> Grant:
        """Return what the caller may do, and count the request.

        Raises
        ------
        Problem
            If the token is missing or unknown, or the caller asks too often.
        """
        token = _token_of(request)
        grant = OPEN if self.tokens.is_open else self.tokens.find(token) if token else None
        address = request.client.host if request.client else ""
        self.count(f"{grant.name if grant else '-'} {address}")
        if grant is None:
            reason = "the token is unknown" if token else "no token was sent"
            raise Problem(
                401, reason, remedy="send Authorization: Bearer TOKEN", headers={"WWW-Authenticate": "Bearer"}
            )
        return grant

    def count(self, caller: str) -> None:
        """Count a request; raises a `Problem` if the caller asks too often."""
        wait = self.rate.wait_seconds(caller, now=time.monotonic())
        if wait:
            headers = {"Retry-After": str(int(wait) + 1)}
            raise Problem(429, f"more than {self.rate.per_second:g} requests a second", headers=headers)

    async def require_project(self, project_id: str, grant: Grant) -> None:
        """Raise a `Problem` if a project may not be seen or is not there."""
        if not grant.allows(project_id):
            raise Problem(403, f"this token does not open the project {project_id!r}")
        if project_id in self.known_projects:
            return
        answer = await self.answers.ask("changes", form="json", parameters={})
        self.known_projects = frozenset(row["project_id"] for row in json.loads(answer.body))
        if project_id not in self.known_projects:
            raise Problem(404, f"there is no project {project_id!r}", remedy="/api/v1/queries/projects lists them")


def _token_of(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else request.cookies.get(COOKIE, "")
