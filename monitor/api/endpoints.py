"""One address for each named query."""

import csv
import io
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import pyarrow as pa
import pyarrow.parquet as parquet
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from monitor.api.access import Grant
from monitor.api.answers import Answer
from monitor.api.context import Context
from monitor.api.problems import PROBLEM_RESPONSES, Problem
from monitor.api.schemas import MEDIA_TYPES, OFFSET_MAX, parameters_model, rows_schema
from monitor.queries.catalogue import QUERIES
from monitor.queries.named import NamedQuery

PREFIX = "/api/v1/queries"
AS_OF, STALE = "Labelpulse-As-Of", "Labelpulse-Stale"


class QueryDescription(BaseModel):
    """A named query, as listed."""

    name: str
    title: str
    parameters: dict[str, str]
    columns: dict[str, str]


def query_router(context: Context) -> APIRouter:
    """Return the addresses of all named queries."""
    router = APIRouter(prefix=PREFIX, tags=["queries"], responses=PROBLEM_RESPONSES)

    @router.get("", summary="all named queries")
    async def list_queries(request: Request) -> list[QueryDescription]:
        await context.grant(request)
        return [
            QueryDescription(
                name=query.name,
                title=query.title,
                parameters={name: parameter.meaning for name, parameter in query.parameters.items()},
                columns=dict(query.columns),
            )
            for query in QUERIES.values()
        ]

    for query in QUERIES.values():
        router.add_api_route(
            f"/{query.name}",
            _endpoint(query, context),
            methods=["GET"],
            name=query.name,
            summary=query.title,
            operation_id=query.name.replace("-", "_"),
            response_class=Response,
            responses={200: _answer_description(query), 304: {"description": "Not changed since If-None-Match"}},
        )
    return router


def _endpoint(query: NamedQuery, context: Context) -> Callable[..., Awaitable[Response]]:
    model = parameters_model(query)

    async def answer(request: Request, asked: Annotated[model, Query()]) -> Response:  # type: ignore[valid-type]
        grant = await context.grant(request)
        given = asked.model_dump()
        form = given.pop("format")
        parameters = _checked(query, given)
        scope = await _scope(query, parameters, grant, context)
        found = await context.answers.ask(query.name, form=form, parameters=parameters, scope=scope)
        return _response(query, found, form=form, request=request, page=(given["offset"], given["limit"]))

    return answer


def _checked(query: NamedQuery, given: dict[str, Any]) -> dict[str, Any]:
    """Return what was given, without what was not; raises ConfigurationError where it does not fit."""
    asked = {name: value for name, value in given.items() if value is not None and value != ""}
    bound = {name: query.parameters[name].bound(value) for name, value in asked.items()}
    if "since" in bound and "until" in bound and bound["since"] >= bound["until"]:
        raise Problem(422, "since is not before until", remedy="give a range of time that is not empty")
    return asked


async def _scope(query: NamedQuery, parameters: dict[str, Any], grant: Grant, context: Context) -> frozenset[str]:
    if "project" in parameters:
        await context.require_project(parameters["project"], grant)
    if not query.is_scoped and grant.projects:
        raise Problem(403, f"{query.name} is about all projects, and this token opens some only")
    return grant.projects


def _response(query: NamedQuery, answer: Answer, *, form: str, request: Request, page: tuple[int, int]) -> Response:
    offset, limit = page
    count = _rows_in(answer.body, form)
    following = offset + count
    next_offset = following if count == limit and following <= OFFSET_MAX else None
    headers = {
        "ETag": f'W/"{answer.tag}{"-stale" if answer.is_stale else ""}"',
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Cookie",
        AS_OF: _iso(answer.asked_at),
        STALE: "true" if answer.is_stale else "false",
    }
    if next_offset is not None:
        parameters = {**dict(request.query_params), "offset": str(next_offset)}
        headers["Link"] = f'<{request.url.path}?{urlencode(parameters)}>; rel="next"'
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    body = _enveloped(query, answer.body, next_offset) if form == "json" else answer.body
    return Response(body, media_type=MEDIA_TYPES[form], headers=headers)


def _enveloped(query: NamedQuery, rows: bytes, next_offset: int | None) -> bytes:
    following = b"null" if next_offset is None else str(next_offset).encode()
    return b'{"query":"%s","next_offset":%s,"rows":%s}\n' % (query.name.encode(), following, rows.strip())


def _rows_in(body: bytes, form: str) -> int:
    if form == "json":
        return body.count(b"\n{")
    if form == "csv":
        return max(sum(1 for _ in csv.reader(io.StringIO(body.decode(), newline=""))) - 1, 0)
    if form == "parquet":
        return parquet.ParquetFile(io.BytesIO(body)).metadata.num_rows
    return pa.ipc.open_stream(body).read_all().num_rows if body else 0


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _answer_description(query: NamedQuery) -> dict[str, Any]:
    text = {"schema": {"type": "string"}}
    content = {media.partition(";")[0]: text for media in MEDIA_TYPES.values()}
    return {
        "description": query.title,
        "content": {**content, "application/json": {"schema": rows_schema(query)}},
        "headers": {
            AS_OF: {"description": "When the database gave the answer", "schema": {"type": "string"}},
            STALE: {"description": "true while the database does not answer", "schema": {"enum": ["true", "false"]}},
            "Link": {"description": 'The next page, rel="next"', "schema": {"type": "string"}},
        },
    }
