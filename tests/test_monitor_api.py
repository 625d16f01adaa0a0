"""The HTTP API on real rows: answers, pages, tokens, live updates, actions, and a database that is down."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from clickhouse_connect.driver.client import Client

from monitor.api.access import TokenBook, read_tokens
from monitor.api.headers import SECURITY_HEADERS
from monitor.queries.catalogue import QUERIES
from schemas.control import AlertAcknowledged, AlertsSilenced, parse_control_event
from schemas.rows import PROJECTS, row_version
from sinks.clickhouse.client import connect
from tests.support.clickhouse_front import ClickHouseFront, Fault, FaultKind
from tests.support.clickhouse_rows import migrated, row, write
from tests.support.monitored import CLOCK, world_labels, world_rows
from tests.support.monitoring import Caller, served

VIEWER, LEAD = "viewer-token-0123456789", "lead-token-0123456789"
pytestmark = pytest.mark.slow

SCOPED = [name for name, query in QUERIES.items() if query.is_scoped]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A database with the small world in it: its DSN and folder."""
    path = tmp_path_factory.mktemp("monitor")
    with migrated(path) as (dsn, _):
        write(dsn, world_rows(world_labels()))
        yield dsn, path


@pytest.fixture(scope="module")
def control() -> list[bytes]:
    """Control events that were written."""
    return []


@pytest.fixture(scope="module")
def monitor(database: tuple[str, Path], control: list[bytes]) -> Iterator[Caller]:
    """A monitor without tokens."""
    with served(lambda: connect(database[0]), write_control=control.append) as caller:
        yield caller


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> TokenBook:
    """A token for one project, and one for all that may act."""
    path = tmp_path_factory.mktemp("tokens") / "tokens"
    path.write_text(f"viewer {VIEWER} toxicity\nlead {LEAD} * act\n")
    return read_tokens(path)


@pytest.fixture(scope="module")
def guarded(database: tuple[str, Path], tokens: TokenBook, control: list[bytes]) -> Iterator[Caller]:
    """A monitor that asks for tokens."""
    with served(lambda: connect(database[0]), tokens=tokens, write_control=control.append, hosts=()) as caller:
        yield caller


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_answers_in_every_format(monitor: Caller, name: str) -> None:
    """JSON, CSV, Arrow and Parquet hold as many rows, with the columns of the query."""
    columns = list(QUERIES[name].columns)
    answer = monitor.query(name).json()
    assert answer["query"] == name
    rows = answer["rows"]
    assert all(list(held) == columns for held in rows)
    header, *lines = csv.reader(io.StringIO(monitor.query(name, format="csv").data.decode(), newline=""))
    assert (header, len(lines)) == (columns, len(rows))
    arrow = pa.ipc.open_stream(monitor.query(name, format="arrow").data).read_all()
    parquet = pyarrow.parquet.read_table(io.BytesIO(monitor.query(name, format="parquet").data))
    assert [table.column_names for table in (arrow, parquet)] == [columns, columns]
    assert [table.num_rows for table in (arrow, parquet)] == [len(rows), len(rows)]


@pytest.mark.parametrize("form", ["json", "csv", "arrow"])
def test_pages_give_every_row_once(monitor: Caller, form: str) -> None:
    """Following the Link header gives the rows of the whole answer, in order, each once."""
    whole = [held["item_id"] for held in monitor.rows("items")]
    path, found = f"/api/v1/queries/items?limit=50&format={form}", []
    while path:
        response = monitor.ask(path)
        found += item_ids(response.data, form)
        path = response.headers.get("link", "").partition("<")[2].partition(">")[0]
    assert found == whole
    assert len(whole) > 100


def item_ids(body: bytes, form: str) -> list[str]:
    """Return the items of an answer."""
    if form == "json":
        return [held["item_id"] for held in json.loads(body)["rows"]]
    if form == "csv":
        return [held["item_id"] for held in csv.DictReader(io.StringIO(body.decode()))]
    return pa.ipc.open_stream(body).read_all().column("item_id").to_pylist()


def test_the_offset_of_the_next_page_is_told(monitor: Caller) -> None:
    """A full page names the next one, the last page names none."""
    assert monitor.query("projects", limit=1).json()["next_offset"] == 1
    assert monitor.query("projects", limit=3).json()["next_offset"] is None


def test_an_unchanged_answer_is_not_sent_again(monitor: Caller) -> None:
    """With the tag of the last answer, 304 without a body; another question has another tag."""
    first = monitor.query("projects")
    again = monitor.ask("/api/v1/queries/projects", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status, again.data) == (304, b"")
    assert monitor.query("annotators").headers["etag"] != first.headers["etag"]


def test_a_range_of_time_is_kept(monitor: Caller) -> None:
    """since is inclusive, until exclusive; both may be dates or moments with a zone."""
    every = monitor.rows("trend", project="sentiment", bucket_seconds=3600)
    starts = [held["bucket_start"] for held in every]
    middle = starts[len(starts) // 2]
    assert [x["bucket_start"] for x in monitor.rows("trend", project="sentiment", until=middle)] == starts[:4]
    assert [x["bucket_start"] for x in monitor.rows("trend", project="sentiment", since=middle)] == starts[4:]
    assert monitor.rows("trend", project="sentiment", since="2026-01-05", until="2026-01-06") == every


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("trend?project=nobody", 404, "nobody"), ("trend?since=2026-01-06&until=2026-01-05", 422, "since"),
        ("trend?since=2026-01-06&until=2026-01-06", 422, "since"), ("trend?since=yesterday", 422, "yesterday"),
        ("trend?since=2026-01-05T09:00:00", 422, "zone"), ("trend?bucket_seconds=0", 422, "bucket_seconds"),
        ("trend?limit=0", 422, "limit"), ("trend?limit=10001", 422, "limit"), ("trend?offset=-1", 422, "offset"),
        ("trend?format=xml", 422, "format"), ("trend?annotator=ann", 422, "annotator"), ("nothing", 404, "nothing"),
        ("overview?hours=99999999999", 422, "hours"),
    ],
)  # fmt: skip
def test_a_wrong_question_is_told_plainly(monitor: Caller, path: str, status: int, told: str) -> None:
    """Problem details say what is wrong; nothing is answered as if it had been another question."""
    response = monitor.ask(f"/api/v1/queries/{path}")
    assert response.status == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status and told in problem["detail"] and problem["title"]


@pytest.mark.parametrize("path", ["/", "/api/v1/queries/projects", "/nothing", "/api/v1/queries/trend?limit=0"])
def test_every_response_has_security_headers(monitor: Caller, path: str) -> None:
    """The page may load nothing from elsewhere, sits in no frame, and no other site may read an answer."""
    headers = monitor.ask(path, headers={"Origin": "https://elsewhere.example"}).headers
    assert {name: headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert "access-control-allow-origin" not in headers
    assert "unsafe" not in headers["content-security-policy"]


def test_another_host_name_is_refused_where_no_token_is_asked_for(monitor: Caller) -> None:
    """A page elsewhere that lets its own name lead to this machine cannot read anything."""
    assert monitor.ask("/api/v1/queries/projects", headers={"Host": "elsewhere.example"}).status == 421
    assert monitor.ask("/api/v1/queries/projects", headers={"Host": "localhost:8321"}).status == 200


@pytest.mark.parametrize("path", ["/api/v1/queries/projects", "/api/v1/queries", "/api/v1/session", "/api/v1/actions",
                                  "/api/v1/live"])  # fmt: skip
def test_without_a_token_nothing_is_shown(guarded: Caller, path: str) -> None:
    """No token and a wrong one are 401, with the way to send one."""
    for token in ("", "wrong-token-0123456789"):
        response = guarded.ask(path, token=token)
        assert (response.status, response.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("name", SCOPED)
def test_a_token_shows_its_projects_only(guarded: Caller, name: str) -> None:
    """Without naming a project, a token for one gets that one's rows: those that it would get by naming it."""
    shown = guarded.query(name, token=VIEWER).json()["rows"]
    assert {held["project_id"] for held in shown if "project_id" in held} <= {"toxicity"}
    if "project" in QUERIES[name].parameters:
        assert shown == guarded.query(name, token=LEAD, project="toxicity").json()["rows"]


def test_a_token_does_not_open_other_projects(guarded: Caller) -> None:
    """Another project is 403 whether or not it is there; what is about all projects is 403 too."""
    assert guarded.query("trend", token=VIEWER, project="sentiment").status == 403
    assert guarded.query("trend", token=VIEWER, project="nobody").status == 403
    assert guarded.query("progress", token=VIEWER).status == 403
    assert guarded.query("progress", token=LEAD).status == 200


def test_a_browser_signs_in_with_a_cookie(guarded: Caller) -> None:
    """A token is exchanged for a cookie that scripts cannot read and other sites cannot send."""
    assert guarded.ask("/api/v1/session", method="POST", json={"token": "wrong"}).status == 401
    response = guarded.ask("/api/v1/session", method="POST", json={"token": VIEWER})
    cookie = response.headers["set-cookie"]
    assert response.status == 204 and "HttpOnly" in cookie and "SameSite=strict" in cookie
    session = guarded.ask("/api/v1/session", headers={"Cookie": cookie.partition(";")[0]}).json()
    assert session == {
        "name": "viewer", "projects": ["toxicity"], "may_act": False, "may_replay": False, "is_open": False,
    }  # fmt: skip


def test_who_asks_too_often_is_told_when_to_come_again(database: tuple[str, Path]) -> None:
    """Beyond the burst requests are 429, with the seconds to wait."""
    with served(lambda: connect(database[0]), requests_per_second=0.25) as caller:
        assert caller.ask("/api/v1/session").status == 200
        refused = caller.ask("/api/v1/session")
        assert refused.status == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 5
        assert caller.ask("/healthz").status == 200


def test_while_the_database_is_down_the_last_figures_are_shown_as_stale(database: tuple[str, Path]) -> None:
    """What was asked before is answered again, marked; what was not is 503; when it is back, figures are fresh."""
    with ClickHouseFront(database[1]) as front, served(lambda: connect(front.dsn)) as caller:
        before = caller.query("projects")
        assert before.headers["labelpulse-stale"] == "false"
        front.inject(Fault(FaultKind.STATUS, status=503, times=10_000))
        during = caller.query("projects")
        assert (during.status, during.headers["labelpulse-stale"]) == (200, "true")
        assert during.data == before.data
        assert during.headers["labelpulse-as-of"] == before.headers["labelpulse-as-of"]
        assert during.headers["etag"] != before.headers["etag"]
        assert caller.query("annotators").status == 503
        assert caller.ask("/healthz").json() == {"status": "ok", "is_database_down": True, "trouble": ""}
        front.clear()
        assert caller.query("projects").headers["labelpulse-stale"] == "false"


def test_live_updates_tell_which_project_has_new_rows(database: tuple[str, Path], monitor: Caller) -> None:
    """At first all projects are told, then the one whose rows have changed."""
    with monitor.events() as events:
        assert next(events) == ("hello", {"is_stale": False})
        assert next(events) == ("changed", {"projects": ["sentiment", "toxicity"]})
        newer = row(PROJECTS, project_id="toxicity", clock_at=CLOCK, last_at=CLOCK, labels=21,
                    version=row_version(generation=0, offset=9_999))  # fmt: skip
        write(database[0], {PROJECTS: [newer]})
        assert next(events) == ("changed", {"projects": ["toxicity"]})


def test_actions_become_control_events(monitor: Caller, control: list[bytes]) -> None:
    """Acknowledging and silencing are written as events of the contract, with who and why, and are listed."""
    control.clear()
    taken = monitor.ask("/api/v1/actions/acknowledge", method="POST", json={"alert_id": "a1", "reason": "looking"})
    silent = {"project_id": "sentiment", "annotator_id": "bob", "hours": 8, "reason": "on leave"}
    silenced = monitor.ask("/api/v1/actions/silence", method="POST", json=silent)
    assert (taken.status, silenced.status) == (201, 201)
    first, second = (parse_control_event(event) for event in control)
    assert isinstance(first, AlertAcknowledged) and (first.alert_id, first.comment) == ("a1", "looking")
    assert isinstance(second, AlertsSilenced)
    assert second.matchers == {"project_id": "sentiment", "annotator_id": "bob"}
    listed = [one["event"] for one in monitor.ask("/api/v1/actions").json()]
    assert [event["type"] for event in listed][:2] == ["alerts.silenced", "alert.acknowledged"]


@pytest.mark.parametrize(
    ("token", "body", "headers", "status"),
    [
        (VIEWER, {"project_id": "toxicity"}, {}, 403), (LEAD, {"project_id": "nobody"}, {}, 404),
        (LEAD, {}, {"Sec-Fetch-Site": "cross-site"}, 403), ("", {}, {}, 401), (LEAD, {"reason": ""}, {}, 422),
        (LEAD, {"hours": 0}, {}, 422), (LEAD, {"more": 1}, {}, 422),
    ],
)  # fmt: skip
def test_who_may_not_act_does_not(
    guarded: Caller, control: list[bytes], token: str, body: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    """A token to look, another site, an unknown project or a missing reason: refused, and nothing is written."""
    control.clear()
    asked = {"project_id": "toxicity", "hours": 1, "reason": "r", **body}
    response = guarded.ask("/api/v1/actions/silence", method="POST", token=token, json=asked, headers=headers)
    assert response.status == status
    assert control == []


def test_without_a_place_for_them_actions_are_refused(database: tuple[str, Path]) -> None:
    """Where nobody takes control events, an action is an error, and the session says so beforehand."""
    with served(lambda: connect(database[0])) as caller:
        assert caller.ask("/api/v1/session").json()["may_act"] is False
        body = {"alert_id": "a", "reason": "r"}
        assert caller.ask("/api/v1/actions/acknowledge", method="POST", json=body).status == 501


def test_the_openapi_document_names_every_query(monitor: Caller) -> None:
    """Each query has an address with its parameters and the columns of its rows."""
    document = monitor.ask("/openapi.json").json()
    for name, query in QUERIES.items():
        operation = document["paths"][f"/api/v1/queries/{name}"]["get"]
        assert {one["name"] for one in operation["parameters"]} == {*query.parameters, "format"}
        schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert list(schema["properties"]["rows"]["items"]["properties"]) == list(query.columns)


def test_many_viewers_cost_one_question(database: tuple[str, Path]) -> None:
    """The same question within the moment that answers are kept is put to the database once."""
    asked: list[str] = []

    def counting() -> Client:
        client = connect(database[0])
        run, client.raw_query = (
            client.raw_query,
            lambda *args, **kwargs: (asked.append(args[0]), run(*args, **kwargs))[1],
        )
        return client

    with served(counting, fresh_seconds=600.0) as caller:
        for _ in range(5):
            assert caller.query("annotators").status == 200
    assert len(asked) == 1
