"""The API against its own OpenAPI document: whatever is asked, it answers as the document says, never with a 5xx."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from flows.replays import LogReplays
from monitor.queries.catalogue import QUERIES
from sinks.clickhouse.client import connect
from tests.support.clickhouse_rows import migrated, write
from tests.support.monitored import world_labels, world_rows
from tests.support.monitoring import served

schemathesis = pytest.importorskip("schemathesis")

pytestmark = pytest.mark.slow
EXAMPLES = 15


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The document of an application over the small world."""
    with migrated(tmp_path_factory.mktemp("fuzzed")) as (dsn, _):
        write(dsn, world_rows(world_labels()))
        replays = LogReplays(lambda: connect(dsn), log=f"file:{tmp_path_factory.mktemp('log')}/log.jsonl", options={})
        with served(lambda: connect(dsn), write_control=lambda _: None, replays=replays, fresh_seconds=0.5) as caller:
            yield schemathesis.openapi.from_url(f"{caller.url}openapi.json")


PATHS = [
    *(("GET", f"/api/v1/queries/{name}") for name in QUERIES), ("GET", "/api/v1/queries"), ("GET", "/healthz"),
    ("GET", "/api/v1/session"), ("POST", "/api/v1/session"), ("DELETE", "/api/v1/session"), ("GET", "/api/v1/actions"),
    ("POST", "/api/v1/actions/acknowledge"), ("POST", "/api/v1/actions/silence"),
    ("POST", "/api/v1/actions/replay"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), PATHS, ids=[" ".join(one) for one in PATHS])
def test_the_api_does_as_its_document_says(api: Any, method: str, path: str) -> None:
    """Status, media type, headers and body are those of the document; wrong requests are refused, right ones not."""

    @given(case=api[path][method].as_strategy())
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    def holds(case: Any) -> None:
        if case.query and "since" in case.query:
            case.query.pop("until", None)  # that since comes before until cannot be said in the document
        case.call_and_validate()

    holds()


def test_every_address_is_fuzzed(api: Any) -> None:
    """The document has no operation that is not tested here, but the one that never ends."""
    operations = {(one.ok().method.upper(), one.ok().path) for one in api.get_all_operations()}
    assert operations == {*PATHS, ("GET", "/api/v1/live")}
