"""Label Studio's API: a project's tasks with their annotations, page by page."""

import json
from collections.abc import Generator, Iterator
from datetime import datetime
from typing import Any

import httpx2 as httpx

from flows.reconcile.http import Server
from schemas.adapters import label_studio
from schemas.adapters.common import AdapterError, AdapterSettings, Refusal, RefusalReason
from schemas.errors import ConfigurationError, SourceError

PAGE_TASKS = 100
PERSONAL_TOKEN_START = "eyJ"
"""A personal access token is a JSON web token; a legacy token is forty hexadecimal digits."""
SAYS_NOTHING = frozenset({RefusalReason.NO_LABEL, RefusalReason.DRAFT})
"""What is no label at all need not be told of: most tasks have no annotation yet."""

Json = dict[str, Any]


class TokenAuth(httpx.Auth):
    """Authenticates with either kind of Label Studio's tokens.

    A personal access token is exchanged for one that is good for minutes, which is renewed when it is refused.

    Parameters
    ----------
    token
        As Label Studio shows it.
    """

    requires_response_body = True

    def __init__(self, token: str) -> None:
        self._token = token
        self._access = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the token to a request, and ask for a new one where that is needed."""
        if not self._token.startswith(PERSONAL_TOKEN_START):
            request.headers["Authorization"] = f"Token {self._token}"
            yield request
            return
        if self._access:
            request.headers["Authorization"] = f"Bearer {self._access}"
            response = yield request
            if response.status_code != httpx.codes.UNAUTHORIZED:
                return
        base = str(request.url).partition("/api/")[0]
        answer = yield httpx.Request("POST", f"{base}/api/token/refresh/", json={"refresh": self._token})
        self._access = _access_of(answer)
        if not self._access:
            raise ConfigurationError(
                f"Label Studio does not take the personal access token ({answer.status_code})",
                remedy="use a token that is in force and may read the project",
            )
        request.headers["Authorization"] = f"Bearer {self._access}"
        yield request


def _access_of(answer: httpx.Response) -> str:
    try:
        access = answer.json().get("access") if answer.is_success else ""
    except (ValueError, AttributeError):
        access = ""
    return access if type(access) is str else ""


def read_events(
    server: Server,
    project: str,
    *,
    settings: AdapterSettings,
    since: datetime | None = None,
    page_tasks: int = PAGE_TASKS,
) -> Iterator[Json | str]:
    """Yield the events of all annotations of a project, as its webhooks would tell them; in lines what cannot be told.

    Each task goes through the adapter of webhooks and exports, with the project's labeling configuration. So what was
    told before has the ids it had, and adds nothing.

    Parameters
    ----------
    server
        Label Studio.
    project
        Id of the project.
    settings
        What people set about the conversion: the same as at the gateway, or ids would differ.
    since
        Leaves out tasks that were not changed since then.
    page_tasks
        Tasks that are asked for at once.

    Raises
    ------
    LabelpulseError
        If Label Studio cannot be read.
    """
    described = _object(server.document("GET", f"/api/projects/{project}/"), "project")
    about = {"id": described.get("id"), "label_config": described.get("label_config")}
    for task in _tasks(server, project, since, page_tasks):
        try:
            outcomes = label_studio.export_events({**task, "project": about}, settings=settings)
        except AdapterError as error:
            yield f"task {task.get('id')}: {error.reason_code}: {error.detail}"
            continue
        for outcome in outcomes:
            if not isinstance(outcome, Refusal):
                yield outcome
            elif outcome.reason_code not in SAYS_NOTHING:
                yield f"task {task.get('id')}: {outcome.reason_code}: {outcome.detail}"


def _tasks(server: Server, project: str, since: datetime | None, page_tasks: int) -> Iterator[Json]:
    """Yield the tasks of a project in the order of their ids.

    Each page begins behind the last id that was read, so tasks that come or go meanwhile shift nothing.
    """
    filters: list[Json] = []
    if since is not None:
        value = since.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        filters.append(_filter("updated_at", "greater_or_equal", "Datetime", value))
    last_id = -1
    while True:
        told = {
            "ordering": ["tasks:id"],
            "filters": {"conjunction": "and", "items": [*filters, _filter("id", "greater", "Number", last_id)]},
        }
        query = {"project": project, "fields": "all", "page": 1, "page_size": page_tasks, "query": json.dumps(told)}
        tasks = _object(server.document("GET", "/api/tasks", params=query), "tasks").get("tasks")
        if type(tasks) is not list:
            raise SourceError("Label Studio answers without tasks", remedy="check the address and its version")
        for task in tasks:
            task_id = _object(task, "task").get("id")
            if type(task_id) is not int or task_id <= last_id:
                raise SourceError("Label Studio does not list tasks by their ids", remedy="check its version")
            last_id = task_id
            yield task
        if len(tasks) < page_tasks:
            return


def _filter(column: str, operator: str, kind: str, value: str | int) -> Json:
    return {"filter": f"filter:tasks:{column}", "operator": operator, "type": kind, "value": value}


def _object(document: object, name: str) -> Json:
    if type(document) is dict:
        return document
    raise SourceError(f"Label Studio answers no object for {name}", remedy="check the address and its version")
