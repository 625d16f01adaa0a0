"""A real Argilla without its search engine, a real gateway and the flow: responses are what the database says."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.argilla.server import Argilla, running_argilla
from tests.support.kafka.node import HOST, free_port
from tests.support.label_studio.environment import EnvironmentUnavailableError
from tests.support.live_gateway import LiveGateway
from tests.support.processes import ServerUnavailableError

pytestmark = pytest.mark.label_studio

EVENTS = ["record.created", "response.created", "response.updated", "response.deleted"]
SENTIMENT = {
    "type": "label_selection",
    "options": [{"value": "positive", "text": "P"}, {"value": "negative", "text": "N"}],
}
QUALITY = {"type": "rating", "options": [{"value": value} for value in range(1, 8)]}


@pytest.fixture(scope="module")
def argilla(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Argilla]:
    """One Argilla for the module; where it cannot be had, the tests are skipped with the reason."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(running_argilla(tmp_path_factory.mktemp("argilla")))
        except (EnvironmentUnavailableError, ServerUnavailableError) as error:
            pytest.skip(f"NO REAL ARGILLA, nothing of this is proven here: {error}")
        yield running


@pytest.fixture
def gateway(argilla: Argilla, tmp_path: Path) -> Iterator[LiveGateway]:
    """A gateway that knows the secret which Argilla made up for its webhook."""
    listen = f"{HOST}:{free_port()}"
    url = f"http://{listen}/v1/ingest/argilla"
    webhook = argilla.call("POST", "/webhooks", {"url": url, "events": EVENTS})
    running = LiveGateway(tmp_path, listen=listen, gateway_secret_argilla=webhook["secret"])
    yield running
    running.end()
    argilla.call("DELETE", f"/webhooks/{webhook['id']}")


def published(argilla: Argilla) -> str:
    """Make and publish a data set with two questions; return its id."""
    [workspace] = argilla.call("GET", "/me/workspaces")["items"]
    made = argilla.call("POST", "/datasets", {"name": "sentiment", "workspace_id": workspace["id"]})["id"]
    field = {"name": "text", "title": "Text", "required": True, "settings": {"type": "text", "use_markdown": False}}
    argilla.call("POST", f"/datasets/{made}/fields", field)
    for name, settings in (("sentiment", SENTIMENT), ("quality", QUALITY)):
        question = {"name": name, "title": name, "required": name == "sentiment", "settings": settings}
        argilla.call("POST", f"/datasets/{made}/questions", question)
    argilla.call("PUT", f"/datasets/{made}/publish")
    return made


def answer(sentiment: str, quality: int) -> dict[str, Any]:
    """Return a submitted response."""
    values = {"sentiment": {"value": sentiment}, "quality": {"value": quality}}
    return {"values": values, "status": "submitted"}


def test_figures_follow_what_annotators_do(argilla: Argilla, gateway: LiveGateway) -> None:
    """Submitted, changed, discarded and deleted responses: after each step labels and accuracy are right."""
    project = published(argilla)
    item = {"fields": {"text": "fine"}, "external_id": "t-1", "metadata": {"gold": "positive"}}
    [record] = argilla.call("POST", f"/datasets/{project}/records/bulk", {"items": [item]})["items"]
    gateway.wait_for(1)
    response = argilla.call("POST", f"/records/{record['id']}/responses", answer("positive", 6))
    gateway.wait_for(4)
    found = gateway.labels(project)
    assert {key: row["label"] for key, row in found.items()} == {
        ("t-1", "sentiment"): "positive",
        ("t-1", "quality"): "6",
    }
    assert (found["t-1", "sentiment"]["truth"], found["t-1", "sentiment"]["score"]) == ("positive", 1.0)
    assert found["t-1", "sentiment"]["annotator_id"] == response["user_id"]

    argilla.call("PUT", f"/responses/{response['id']}", answer("negative", 6))
    gateway.wait_for(7)
    changed = gateway.labels(project)
    assert (changed["t-1", "sentiment"]["label"], changed["t-1", "sentiment"]["score"]) == ("negative", 0.0)
    assert set(changed) == set(found)

    argilla.call("PUT", f"/responses/{response['id']}", {"values": None, "status": "discarded"})
    gateway.wait_for(10)
    assert gateway.labels(project) == {}

    argilla.call("PUT", f"/responses/{response['id']}", answer("positive", 5))
    gateway.wait_for(13)
    assert gateway.labels(project)["t-1", "sentiment"]["score"] == 1.0

    argilla.call("DELETE", f"/responses/{response['id']}")
    gateway.wait_for(14)
    assert gateway.labels(project) == {}
