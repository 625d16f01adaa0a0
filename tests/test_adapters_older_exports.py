"""Exports in older or other forms: Labelbox version 1, Argilla's flat records and version 1, CVAT's XML and COCO."""

from io import BytesIO
from typing import Any
from xml.etree.ElementTree import ParseError

import pytest

from schemas.adapters import argilla, cvat
from schemas.adapters.common import AdapterError, AdapterSettings
from schemas.adapters.cvat_xml import read_images
from schemas.adapters.registry import convert
from tests.support.tool_events import PAYLOADS, documents, events_of, refusals_of, require_sound

XML = b"""<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>12</id><name>street</name><size>2</size>
      <created>2025-03-04 10:00:00.000000+00:00</created><updated>2025-03-04 10:12:30.600000+00:00</updated>
      <owner><username>boss</username></owner><assignee><username>ann</username></assignee>
    </task>
    <dumped>2025-03-05 00:00:00+00:00</dumped>
  </meta>
  <image id="0" name="a.png" width="640" height="480">
    <box label="car" occluded="0" xtl="64.0" ytl="48.0" xbr="320.0" ybr="240.0" z_order="0"/>
    <polygon label="lane" points="0,0;1,1;2,0"/>
    <tag label="night"/>
  </image>
  <image id="1" name="b.png" width="640" height="480"/>
</annotations>"""

PROJECT_XML = b"""<annotations><meta><project><id>5</id><tasks>
  <task><id>12</id><updated>2025-03-04 10:00:00+00:00</updated><assignee><username>ann</username></assignee></task>
  <task><id>13</id><updated>2025-03-04 11:00:00+00:00</updated><assignee><username>bob</username></assignee></task>
</tasks></project></meta>
<image id="0" name="a.png" task_id="12" width="10" height="10"><tag label="x"/></image>
<image id="0" name="b.png" task_id="13" width="10" height="10"><tag label="y"/></image>
<track id="0" label="car"><box frame="0" outside="0" xtl="1" ytl="1" xbr="2" ybr="2"/></track></annotations>"""


def converted(tool: str, name: str, settings: AdapterSettings | None = None) -> list[Any]:
    """Return the outcomes of a payload file, all of them sound."""
    chosen = settings or AdapterSettings(occurred_at="2026-01-05T09:00:00Z", annotator_id="ann")
    outcomes = [
        one for document in documents(PAYLOADS / tool / name) for one in convert(tool, document, settings=chosen)
    ]
    require_sound(outcomes)
    return outcomes


def labels(outcomes: list[Any]) -> dict[tuple[str, str, str], Any]:
    """Return the labels submitted, by annotator, item and question."""
    return {
        (event["annotator_id"], event["item_id"], event["question_id"]): event["label"]
        for event in events_of(outcomes)
        if event["type"] == "annotation.submitted"
    }


def kinds(outcomes: list[Any]) -> list[str]:
    """Return the types of the events in order."""
    return [event["type"] for event in events_of(outcomes)]


def test_labelbox_version_1() -> None:
    """A label with its reviews, time spent and benchmark; boxes without the image's size answer with their classes."""
    outcomes = converted("labelbox", "v1_label.json")
    assert labels(outcomes) == {
        ("ann@example.org", "row-1", "weather"): {"kind": "categorical", "value": "Rain"},
        ("ann@example.org", "row-1", "issues"): {"kind": "multi_label", "values": ["Blur"]},
        ("ann@example.org", "row-1", "bounding_boxes/classes"): {"kind": "multi_label", "values": ["car"]},
    }
    assert refusals_of(outcomes) == ["image_size_unknown"]
    reviews = {(event["reviewer_id"], event["decision"]) for event in events_of(outcomes) if "decision" in event}
    assert reviews == {("lead@example.org", "accept"), ("boss@example.org", "reject")}
    assert kinds(outcomes)[3:6] == ["gold.set"] * 3
    assert kinds(outcomes)[-1] == "annotation.skipped"
    event = events_of(outcomes)[0]
    assert (event["project_id"], event["duration_ms"], event["annotation_id"]) == ("Street", 23_500, "lab-1")
    assert event["occurred_at"] == "2022-10-04T11:16:20.126Z"


def test_argilla_records_of_the_python_client_that_are_flat() -> None:
    """Answers, users and states stand in lists beside one another; a discarded one is a skip of its question."""
    outcomes = converted("argilla", "client_flat_record.json")
    assert labels(outcomes) == {
        ("u1", "text-1", "sentiment"): {"kind": "categorical", "value": "positive"},
        ("u2", "text-1", "sentiment"): {"kind": "categorical", "value": "negative"},
        ("u1", "text-1", "topics"): {"kind": "multi_label", "values": ["film"]},
    }
    (skip,) = [event for event in events_of(outcomes) if event["type"] == "annotation.skipped"]
    assert (skip["annotator_id"], skip["question_id"]) == ("u2", "topics")
    uneven = {"id": "t", "q.responses": ["a"], "q.responses.users": []}
    with pytest.raises(AdapterError, match="not one user"):
        argilla.export_events(uneven)


def test_argilla_version_1() -> None:
    """One annotation a record, by its agent: a class, a set of classes, or spans; discarded ones are skips."""
    outcomes = converted("argilla", "version_1_records.json")
    assert labels(outcomes) == {
        ("ann", "t1", "label"): {"kind": "categorical", "value": "positive"},
        ("bob", "t2", "label"): {"kind": "multi_label", "values": ["film", "music"]},
        ("ann", "t3", "label"): {"kind": "spans", "spans": [{"label": "PER", "start": 0, "end": 3}]},
    }
    assert kinds(outcomes)[-1] == "annotation.skipped"
    assert refusals_of(outcomes) == ["no_label"]
    assert events_of(outcomes)[0]["occurred_at"] == "2022-03-01T10:00:00.000Z"


def test_the_images_of_cvat_xml() -> None:
    """Boxes become shares of the image and tags a set of classes, by the task's assignee, at its last change."""
    outcomes = [one for image in read_images(BytesIO(XML)) for one in cvat.export_events(image)]
    require_sound(outcomes)
    box = {"label": "car", "x": 0.1, "y": 0.1, "width": 0.4, "height": 0.4}
    assert labels(outcomes) == {
        ("ann", "12:0", "boxes"): {"kind": "boxes", "boxes": [box]},
        ("ann", "12:0", "shapes/classes"): {"kind": "multi_label", "values": ["lane"]},
        ("ann", "12:0", "tags"): {"kind": "multi_label", "values": ["night"]},
    }
    assert refusals_of(outcomes) == ["unsupported_label", "no_label"]
    assert {event["occurred_at"] for event in events_of(outcomes)} == {"2025-03-04T10:12:30.600Z"}


def test_cvat_xml_of_a_project_tells_each_task_s_assignee() -> None:
    """An image belongs to its task: the assignee and the time are that task's; tracks are refused once."""
    outcomes = [one for image in read_images(BytesIO(PROJECT_XML)) for one in cvat.export_events(image)]
    require_sound(outcomes)
    assert set(labels(outcomes)) == {("ann", "12:0", "tags"), ("bob", "13:0", "tags")}
    assert {event["project_id"] for event in events_of(outcomes)} == {"5"}
    assert refusals_of(outcomes) == ["unsupported_label"]


@pytest.mark.parametrize(
    "text", [XML.replace(b"<assignee><username>ann</username></assignee>", b""), b"<annotations/>"]
)
def test_cvat_xml_without_an_assignee_needs_one(text: bytes) -> None:
    """Nobody is made up: without an assignee the annotator is the one that people name, or the image is refused."""
    images = list(read_images(BytesIO(text)))
    assert all(refusals_of(cvat.export_events(image)) == ["no_annotator"] for image in images)
    named = [one for image in images for one in cvat.export_events(image, settings=AdapterSettings(annotator_id="zoe"))]
    assert {event["annotator_id"] for event in events_of(named)} == ({"zoe"} if images else set())


@pytest.mark.parametrize("text", [b"<annotations><image>", b"no XML", XML[:-20]])
def test_broken_xml_is_an_error(text: bytes) -> None:
    """A file that breaks off is never taken for whole."""
    with pytest.raises(ParseError):
        list(read_images(BytesIO(text)))


def test_coco() -> None:
    """Boxes in pixels become shares of their image; an image without boxes answers that there are none."""
    outcomes = converted("cvat", "coco.json")
    box = {"label": "car", "x": 0.1, "y": 0.1, "width": 0.2, "height": 0.3}
    assert labels(outcomes) == {
        ("ann", "a.jpg", "boxes"): {"kind": "boxes", "boxes": [box]},
        ("ann", "b.jpg", "boxes"): {"kind": "boxes", "boxes": []},
    }
    assert refusals_of(converted("cvat", "coco.json", AdapterSettings())) == ["no_annotator"]


def test_relations_of_prodigy_are_refused_and_its_spans_are_not() -> None:
    """The spans of a relations task are an answer; the relations are refused by name."""
    line = {
        "text": "Ada met Bob.", "_input_hash": 1, "_task_hash": 2, "_annotator_id": "ann", "_timestamp": 1_700_000_000,
        "_view_id": "relations", "answer": "accept", "spans": [{"start": 0, "end": 3, "label": "PER"}],
        "relations": [{"head": 1, "child": 0, "label": "MET"}],
    }  # fmt: skip
    outcomes = list(convert("prodigy", line))
    require_sound(outcomes)
    assert labels(outcomes) == {
        ("ann", "1", "spans"): {"kind": "spans", "spans": [{"label": "PER", "start": 0, "end": 3}]}
    }
    assert refusals_of(outcomes) == ["unsupported_label"]
