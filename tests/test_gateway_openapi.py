"""The gateway's OpenAPI document describes what the gateway does: requests made of it are answered as it says."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.gateway import BEARER, running_gateway

schemathesis = pytest.importorskip("schemathesis")

pytestmark = pytest.mark.slow
EXAMPLES = 40
PATHS = [
    ("POST", "/v1/ingest/{source}"), ("POST", "/v1/events"), ("GET", "/healthz"), ("GET", "/readyz"),
    ("GET", "/metrics"), ("GET", "/openapi.json"),
]  # fmt: skip


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The document of a running gateway, whose tools take from anybody, or by a token."""
    spool = tmp_path_factory.mktemp("spool")
    with running_gateway("--spool-only", "--open", "--spool", spool, requests_per_second=0) as gateway:
        yield schemathesis.openapi.from_url(f"http://127.0.0.1:{gateway.port}/openapi.json")


@pytest.mark.parametrize(("method", "path"), PATHS, ids=[" ".join(one) for one in PATHS])
def test_the_gateway_does_as_its_document_says(api: Any, method: str, path: str) -> None:
    """Status, media type and body are those of the document, whatever is sent; never 500."""
    from schemathesis import checks
    from schemathesis.specs.openapi import checks as of_document

    expected = [
        checks.not_a_server_error,
        of_document.status_code_conformance,
        of_document.content_type_conformance,
        of_document.response_schema_conformance,
    ]

    @given(case=api[path][method].as_strategy())
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    def holds(case: Any) -> None:
        case.call_and_validate(headers=BEARER, checks=expected)

    holds()


def test_every_address_is_fuzzed(api: Any) -> None:
    """The document has no operation that is not tested here; itself is none to who reads it."""
    assert {(one.ok().method.upper(), one.ok().path) for one in api.get_all_operations()} | {PATHS[-1]} == set(PATHS)
