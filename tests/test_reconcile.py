"""Reconciling with Label Studio: pages, tokens, failures that pass, and ids that are those of the webhooks."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from flows.cli.failures import ExitCode
from flows.cli.main import run_arguments
from flows.reconcile.gateway import EVENTS_MAX, post_events
from flows.reconcile.http import TRIES_MAX, Server
from flows.reconcile.label_studio import TokenAuth, read_events
from schemas.adapters import label_studio
from schemas.adapters.common import DEFAULTS
from schemas.errors import ConfigurationError, SourceError, UnavailableError
from tests.support.tool_events import PAYLOADS

CREATED = json.loads((PAYLOADS / "label-studio/002_ANNOTATION_CREATED__choices_single.json").read_text())["body"]
PERSONAL_TOKEN = "eyJ.personal"

Handler = Callable[[httpx.Request], httpx.Response]


def tasks(count: int) -> list[dict[str, Any]]:
    """Return tasks as the API lists them, each with the annotation of the captured webhook."""
    return [{**CREATED["task"], "id": number, "annotations": [{**CREATED["annotation"], "id": 100 + number}],
             "predictions": [], "drafts": []} for number in range(1, count + 1)]  # fmt: skip


def filters_of(request: httpx.Request) -> dict[str, Any]:
    """Return the values that tasks are asked for by, by column."""
    told = json.loads(request.url.params["query"])
    assert told["ordering"] == ["tasks:id"]
    return {item["filter"].rpartition(":")[2]: item["value"] for item in told["filters"]["items"]}


class Api:
    """A Label Studio that lists tasks in pages."""

    def __init__(self, listed: list[dict[str, Any]]) -> None:
        self.listed = listed
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        self.requests.append(request)
        if request.url.path == "/api/projects/7/":
            return httpx.Response(200, json=CREATED["project"])
        assert request.url.path == "/api/tasks"
        behind, size = filters_of(request)["id"], int(request.url.params["page_size"])
        found = [task for task in self.listed if task["id"] > behind]
        return httpx.Response(200, json={"total": len(found), "tasks": found[:size]})


def server_of(handler: Handler, auth: httpx.Auth | None = None) -> Server:
    """Return a server that a function answers for, and that is asked again without waiting."""
    client = httpx.Client(base_url="http://tool.test", transport=httpx.MockTransport(handler), auth=auth)
    return Server(client, "Label Studio", sleep=lambda seconds: None)


def events_of(handler: Handler, **options: Any) -> list[Any]:
    """Return what reconciling yields."""
    return list(read_events(server_of(handler), "7", settings=DEFAULTS, **options))


def test_events_are_those_of_the_webhook() -> None:
    """The same annotation by webhook and by API is the same events, ids and all."""
    listed = [{**CREATED["task"], "annotations": [CREATED["annotation"]]}]
    assert events_of(Api(listed)) == label_studio.webhook_events(CREATED)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_every_page_is_read_once(count: int) -> None:
    """All tasks come, whether or not the last page is full."""
    api = Api(tasks(count))
    found = [event["item_id"] for event in events_of(api, page_tasks=2) if event["type"] == "annotation.submitted"]
    assert found == [str(task["id"]) for task in tasks(count)]
    assert len(api.requests) == 1 + 1 + count // 2


def test_tasks_that_go_meanwhile_hide_none() -> None:
    """A task that is deleted while pages are read shifts the others, and none of them is left out."""
    api = Api(tasks(6))
    found = []
    for event in read_events(server_of(api), "7", settings=DEFAULTS, page_tasks=2):
        found.append(event["item_id"])
        if event["item_id"] == "1":
            del api.listed[0]
    assert list(dict.fromkeys(found)) == ["1", "2", "3", "4", "5", "6"]


def test_only_what_changed_since_is_asked_for() -> None:
    """With a time, Label Studio is asked for the tasks that changed since; the order stays that of the ids."""
    api = Api([])
    events_of(api, since=datetime(2026, 1, 5, 9, tzinfo=UTC))
    assert filters_of(api.requests[-1]) == {"updated_at": "2026-01-05T09:00:00.000Z", "id": -1}


def test_what_cannot_be_said_is_told_and_the_rest_goes_on() -> None:
    """A task with a broken annotation is told of by its id; those around it become events."""
    listed = tasks(3)
    listed[1]["annotations"][0]["result"] = "broken"
    found = events_of(Api(listed))
    assert [one for one in found if isinstance(one, str)] == [
        "task 2: wrong_type: annotation.result: expected an array, not str"
    ]
    assert {one["item_id"] for one in found if isinstance(one, dict)} == {"1", "3"}


def test_passing_failures_are_waited_for() -> None:
    """A server that is busy or gone for a while is asked again, and nothing is read twice."""
    api, failures = Api(tasks(3)), [httpx.Response(503), httpx.Response(429, headers={"Retry-After": "7"}), None]

    def flaky(request: httpx.Request) -> httpx.Response:
        if not failures:
            return api(request)
        failure = failures.pop(0)
        if failure is None:
            raise httpx.ConnectError("refused")
        return failure

    waits: list[float] = []
    client = httpx.Client(base_url="http://tool.test", transport=httpx.MockTransport(flaky))
    server = Server(client, "Label Studio", sleep=waits.append)
    found = list(read_events(server, "7", settings=DEFAULTS))
    assert len({event["event_id"] for event in found}) == len(found) == 6
    assert len(waits) == 3
    assert waits[1] >= 7


def test_a_server_that_stays_away_is_an_error_in_words() -> None:
    """After so many tries the error names the server, and what it last did."""
    asked = []

    def gone(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(502)

    with pytest.raises(UnavailableError, match=r"http://tool\.test failed 6 times: status 502"):
        events_of(gone)
    assert len(asked) == TRIES_MAX


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_is_not_asked_again(status: int) -> None:
    """A wrong token or project is told at once, with the server's own words."""
    asked = []

    def refusing(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(status, json={"detail": "No Project matches"})

    with pytest.raises(ConfigurationError, match="No Project matches"):
        events_of(refusing)
    assert len(asked) == 1


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"tasks": 3}', b'{"tasks": [3]}', b'{"tasks": [{}]}'])
def test_what_is_no_answer_of_label_studio_is_an_error(answer: bytes) -> None:
    """An address of something else ends with an error, never with silence."""

    def other(request: httpx.Request) -> httpx.Response:
        is_project = request.url.path.startswith("/api/projects")
        return httpx.Response(200, content=b"{}" if is_project and answer != b"<html>" else answer)

    with pytest.raises(SourceError):
        events_of(other)


def test_a_legacy_token_is_sent_as_it_is() -> None:
    """The header is that of Label Studio's legacy tokens."""
    api = Api([])
    list(read_events(server_of(api, TokenAuth("0123abcd")), "7", settings=DEFAULTS))
    assert {request.headers["authorization"] for request in api.requests} == {"Token 0123abcd"}


def test_a_personal_token_is_exchanged_and_renewed() -> None:
    """An access token is asked for at the first request, and again when it is refused; the request is not lost."""
    api, issued = Api(tasks(4)), []

    def guarded(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/token/refresh/":
            assert json.loads(request.content) == {"refresh": PERSONAL_TOKEN}
            issued.append(f"access-{len(issued)}")
            return httpx.Response(200, json={"access": issued[-1]})
        is_stale = len(issued) == 1 and "query" in request.url.params and filters_of(request)["id"] == 2
        if is_stale or request.headers["authorization"] != f"Bearer {issued[-1]}":
            return httpx.Response(401, json={"detail": "expired"})
        return api(request)

    found = list(read_events(server_of(guarded, TokenAuth(PERSONAL_TOKEN)), "7", settings=DEFAULTS, page_tasks=2))
    assert len({event["item_id"] for event in found}) == 4
    assert issued == ["access-0", "access-1"]


def test_a_personal_token_that_is_refused_is_told() -> None:
    """A token that is not in force any more is an error that says so."""
    server = server_of(lambda request: httpx.Response(401, json={}), TokenAuth(PERSONAL_TOKEN))
    with pytest.raises(ConfigurationError, match="personal access token"):
        list(read_events(server, "7", settings=DEFAULTS))


def test_events_go_to_the_gateway_in_batches() -> None:
    """Every event is sent once, in order, in requests of bounded size, with the token; refusals are passed on."""
    bodies = []

    def gateway(request: httpx.Request) -> httpx.Response:
        assert (request.url.path, request.headers["authorization"]) == ("/v1/events", "Bearer secret")
        bodies.append([json.loads(line) for line in request.content.splitlines()])
        rejected = [{"reason": "missing_field", "detail": "item_id"}] if len(bodies) == 2 else []
        return httpx.Response(200, json={"accepted": len(bodies[-1]) - len(rejected), "rejected": rejected})

    events = [{"event_id": str(number)} for number in range(EVENTS_MAX + 3)]
    delivered = list(post_events(server_of(gateway), events, "secret"))
    assert [event for body in bodies for event in body] == events
    assert [(batch.accepted, batch.rejected) for batch in delivered] == [(EVENTS_MAX, 0), (2, 1)]
    assert delivered[1].details == ("missing_field: item_id",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--token-env or --token-file"),
        (["--token-env", "NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE is not set"),
        (["--token-file", "{folder}/none"], "cannot read"),
        (["--token-env", "A", "--token-file", "B"], "either"),
        (["--token-file", "{folder}/token", "--since", "yesterday"], "no time with a zone"),
        (["--token-file", "{folder}/token", "--url", "tool"], "is no address"),
    ],
)
def test_what_is_missing_is_told_before_anything_is_asked(
    arguments: list[str], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A wrong option is an error in one line, and nothing is written."""
    (tmp_path / "token").write_text("0123abcd")
    given = [argument.format(folder=tmp_path) for argument in arguments]
    url = [] if "--url" in given else ["--url", "http://127.0.0.1:9"]
    code = run_arguments(["reconcile", "label-studio", "--project", "7", *url, *given])
    out, err = capfd.readouterr()
    assert code in (ExitCode.USAGE, ExitCode.REFUSED)
    assert out == ""
    assert message in err
