"""What goes wrong, told as RFC 9457 problem details."""

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from schemas.errors import ConfigurationError, LabelpulseError

MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "This cannot be answered",
    401: "A token is needed",
    403: "This is not for this token",
    404: "There is no such thing",
    405: "This method is not allowed here",
    413: "Too large",
    409: "It would only be refused again",
    415: "Send JSON",
    421: "This is not the address of this monitor",
    422: "The request is wrong",
    429: "Too many requests",
    500: "Unexpected error",
    501: "Not set up here",
    503: "The database does not answer",
}
_log = structlog.get_logger("labelpulse.monitor")


class ProblemDetails(BaseModel):
    """What went wrong, and what to do about it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    remedy: str = ""


class Problem(Exception):
    """Ends a request with problem details.

    Parameters
    ----------
    status
        HTTP status.
    detail
        What went wrong, in one line.
    remedy
        What to do about it.
    headers
        Further headers of the response.
    """

    def __init__(self, status: int, detail: str, *, remedy: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.remedy = remedy
        self.headers = headers or {}


def problem_response(problem: Problem) -> JSONResponse:
    """Return a problem as a response."""
    details = ProblemDetails(
        title=TITLES.get(problem.status, "Error"), status=problem.status, detail=problem.detail, remedy=problem.remedy
    )
    headers = {"Cache-Control": "no-store", **problem.headers}
    return JSONResponse(details.model_dump(), problem.status, media_type=MEDIA_TYPE, headers=headers)


def install_problem_handlers(app: FastAPI) -> None:
    """Let every error of an application become a problem."""

    @app.exception_handler(Problem)
    async def _problem(_: Request, error: Problem) -> JSONResponse:
        return problem_response(error)

    @app.exception_handler(LabelpulseError)
    async def _ours(_: Request, error: LabelpulseError) -> JSONResponse:
        status = 422 if isinstance(error, ConfigurationError) else 503
        return problem_response(Problem(status, error.message, remedy=error.remedy))

    @app.exception_handler(RequestValidationError)
    async def _validation(_: Request, error: RequestValidationError) -> JSONResponse:
        details = "; ".join(f"{'.'.join(map(str, one['loc'][1:]))}: {one['msg']}" for one in error.errors())
        return problem_response(Problem(422, details, remedy="/openapi.json says what may be asked"))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        detail = f"{request.method} {request.url.path}: {error.detail}"
        return problem_response(Problem(error.status_code, detail, headers=headers))

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        _log.error("request failed", path=request.url.path, error=f"{type(error).__name__}: {error}")
        return problem_response(Problem(500, "this is a bug", remedy="see the log, and report it"))


PROBLEM_RESPONSES = {
    status: {"description": TITLES[status], "content": {MEDIA_TYPE: {"schema": ProblemDetails.model_json_schema()}}}
    for status in (401, 403, 404, 422, 429, 503)
}
"""What every operation may answer, for the OpenAPI document."""
