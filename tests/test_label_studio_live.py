"""A real Label Studio, a real gateway and the flow: what annotators do is what the database says, at each step."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import call
from tests.support.label_studio.environment import EnvironmentUnavailableError, environment_of
from tests.support.label_studio.server import LabelStudio, running_label_studio
from tests.support.live_gateway import LiveGateway

pytestmark = pytest.mark.label_studio

SECRET = "of-the-webhook"
NATIVE_SECRET = "of-native-events"
CONFIG = """<View>
  <Text name="text" value="$text"/>
  <Choices name="sentiment" toName="text"><Choice value="Positive"/><Choice value="Negative"/></Choices>
  <Rating name="quality" toName="text" maxRating="7"/>
</View>"""


@pytest.fixture(scope="module")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudio]:
    """One Label Studio for the module; where it cannot be had, the tests are skipped with the reason."""
    try:
        environment_of("label-studio")
    except EnvironmentUnavailableError as error:
        pytest.skip(f"NO REAL LABEL STUDIO, nothing of this is proven here: {error}")
    with running_label_studio(tmp_path_factory.mktemp("label-studio")) as server:
        yield server


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[LiveGateway]:
    """A gateway of the test's own."""
    running = LiveGateway(tmp_path, gateway_secret_label_studio=SECRET, gateway_secret_events=NATIVE_SECRET)
    yield running
    running.end()


@pytest.fixture
def project(label_studio: LabelStudio, gateway: LiveGateway) -> str:
    """A project of Label Studio whose webhook points at the gateway."""
    made = label_studio.call("POST", "/api/projects/", {"title": "Sentiment", "label_config": CONFIG})
    webhook = {
        "url": f"{gateway.url}/v1/ingest/label-studio",
        "project": made["id"],
        "headers": {"X-Labelpulse-Token": SECRET},
        "send_payload": True,
        "send_for_all_actions": True,
    }
    label_studio.call("POST", "/api/webhooks/", webhook)
    return str(made["id"])


def choice(value: str) -> dict[str, Any]:
    """Return the result of a choice."""
    return {"from_name": "sentiment", "to_name": "text", "type": "choices", "value": {"choices": [value]}}


def stars(count: int) -> dict[str, Any]:
    """Return the result of a rating."""
    return {"from_name": "quality", "to_name": "text", "type": "rating", "value": {"rating": count}}


def imported(label_studio: LabelStudio, project: str, tasks: list[dict[str, Any]]) -> list[str]:
    """Import tasks; return their ids."""
    path = f"/api/projects/{project}/import?return_task_ids=true"
    return [str(task) for task in label_studio.call("POST", path, tasks)["task_ids"]]


def figures(gateway: LiveGateway, project: str) -> dict[str, tuple[int, int, float]]:
    """Return, of the one annotator by question: labels, those with a known answer, and how many of them are right."""
    return {
        row["question_id"]: (row["labels"], row["gold_labels"], row["gold_correct"])
        for row in gateway.ask("annotators", project)
    }


def test_figures_follow_what_annotators_do(label_studio: LabelStudio, gateway: LiveGateway, project: str) -> None:
    """Created, changed, skipped and deleted annotations: after each step labels, items and accuracy are right."""
    known, other = imported(
        label_studio, project, [{"data": {"text": "fine"}, "meta": {"gold": "Positive"}}, {"data": {"text": "dull"}}]
    )
    body = {"result": [choice("Positive"), stars(6)], "lead_time": 4.5}
    first = label_studio.call("POST", f"/api/tasks/{known}/annotations/", body)
    label_studio.call("POST", f"/api/tasks/{other}/annotations/", {"result": [choice("Negative")], "lead_time": 2.0})
    found = gateway.labels(project)
    assert {key: row["label"] for key, row in found.items()} == {
        (known, "sentiment"): "Positive", (known, "quality"): "6", (other, "sentiment"): "Negative",
    }  # fmt: skip
    assert (found[known, "sentiment"]["truth"], found[known, "sentiment"]["score"]) == ("Positive", 1.0)
    assert found[known, "sentiment"]["duration_ms"] == 4500
    assert figures(gateway, project) == {"sentiment": (2, 1, 1.0), "quality": (1, 0, 0.0)}

    label_studio.call("PATCH", f"/api/annotations/{first['id']}/", {"result": [choice("Negative"), stars(6)]})
    changed = gateway.labels(project)
    assert set(changed) == set(found)
    assert (changed[known, "sentiment"]["label"], changed[known, "sentiment"]["score"]) == ("Negative", 0.0)
    assert changed[known, "sentiment"]["revision"] > found[known, "sentiment"]["revision"]
    assert figures(gateway, project) == {"sentiment": (2, 1, 0.0), "quality": (1, 0, 0.0)}

    label_studio.call("PATCH", f"/api/annotations/{first['id']}/", {"result": [], "was_cancelled": True})
    assert set(gateway.labels(project)) == {(other, "sentiment")}

    again = label_studio.call("POST", f"/api/tasks/{known}/annotations/", body)
    assert set(gateway.labels(project)) == set(found)
    assert figures(gateway, project) == {"sentiment": (2, 1, 1.0), "quality": (1, 0, 0.0)}

    label_studio.call("DELETE", f"/api/annotations/{again['id']}/")
    assert set(gateway.labels(project)) == {(other, "sentiment")}
    assert figures(gateway, project)["sentiment"] == (1, 0, 0.0)


def test_ground_truth_is_known_until_it_is_switched_off(
    label_studio: LabelStudio, gateway: LiveGateway, project: str
) -> None:
    """A marked annotation is held against the others; without the mark, what the task's metadata know counts again."""
    meta = {"data": {"text": "fine"}, "meta": {"gold": "Positive"}}
    known, plain = imported(label_studio, project, [meta, {"data": {"text": "dull"}}])
    marked = {
        task: label_studio.call("POST", f"/api/tasks/{task}/annotations/", {"result": [choice("Negative")]})["id"]
        for task in (known, plain)
    }

    def truths() -> dict[str, str | None]:
        return {task: gateway.labels(project)[task, "sentiment"]["truth"] for task in (known, plain)}

    assert truths() == {known: "Positive", plain: None}
    for annotation in marked.values():
        label_studio.call("PATCH", f"/api/annotations/{annotation}/", {"ground_truth": True})
    assert truths() == {known: "Negative", plain: "Negative"}
    for annotation in marked.values():
        label_studio.call("PATCH", f"/api/annotations/{annotation}/", {"ground_truth": False})
    assert truths() == {known: "Positive", plain: None}


def test_reconciling_adds_what_an_import_did_not_tell(
    label_studio: LabelStudio, gateway: LiveGateway, project: str, tmp_path: Path
) -> None:
    """Imported annotations fire no event of theirs; reconciling adds them, once, and nothing that was told before."""
    [told] = imported(label_studio, project, [{"data": {"text": "told"}}])
    label_studio.call("POST", f"/api/tasks/{told}/annotations/", {"result": [choice("Positive")], "lead_time": 1.0})
    done = {"result": [choice("Negative")], "ground_truth": False, "lead_time": 3.0, "completed_by": 1}
    [silent] = imported(label_studio, project, [{"data": {"text": "silent"}, "annotations": [done]}])
    assert set(gateway.labels(project)) == {(told, "sentiment")}

    (tmp_path / "token").write_text(label_studio.token)
    (tmp_path / "gateway-token").write_text(NATIVE_SECRET)
    command = (
        "reconcile", "label-studio", "--url", label_studio.url, "--project", project,
        "--token-file", tmp_path / "token",
        "--gateway", gateway.url, "--gateway-token-file", tmp_path / "gateway-token",
    )  # fmt: skip
    assert b"2 events, 2 taken by the gateway" in call(*command).stderr
    once = gateway.labels(project)
    assert set(once) == {(told, "sentiment"), (silent, "sentiment")}
    call(*command)
    assert gateway.labels(project) == once
