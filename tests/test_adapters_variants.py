"""Shapes of payloads that the tools document and that no captured file holds: converted, or refused by name."""

from typing import Any

import pytest

from schemas.adapters.common import AdapterSettings, Refusal
from schemas.adapters.registry import convert
from tests.support.tool_events import events_of, require_sound

SETTINGS = AdapterSettings(occurred_at="2026-01-05T09:00:00Z")
PRODIGY = {"_input_hash": 1, "_task_hash": 2, "_annotator_id": "ann", "_timestamp": 1_700_000_000, "answer": "accept"}
LABELBOX = {"id": "l1", "label_details": {"created_at": "2023-01-01T00:00:00.000+00:00", "created_by": "a@b.c"}}


def label_studio(kind: str, value: dict[str, Any]) -> dict[str, Any]:
    """Return a webhook about one region."""
    stamps = dict.fromkeys(("created_at", "updated_at"), "2026-01-05T09:00:00Z")
    result = {"id": "r", "from_name": "q", "to_name": "x", "type": kind, "value": value}
    annotation = {"id": 1, "task": 10, "completed_by": 3, "result": [result], "was_cancelled": False, **stamps}
    return {"action": "ANNOTATION_CREATED", "annotation": annotation, "task": {"id": 10}, "project": {"id": 7}}


def said(tool: str, document: object, settings: AdapterSettings = SETTINGS) -> list[Any]:
    """Return what a document says, in short: answers by question, and the reasons of refusals."""
    outcomes = list(convert(tool, document, settings=settings))
    require_sound(outcomes)
    return [
        str(one.reason_code) if type(one) is Refusal else (one["question_id"], *list(one["label"].values())[1:2])
        for one in outcomes
    ]


@pytest.mark.parametrize(
    ("tool", "document", "expected"),
    [
        (
            "label-studio",
            label_studio("keypointlabels", {"x": 10, "y": 10, "width": 0.5, "keypointlabels": ["Nose"]}),
            [("q/classes", ["Nose"]), "unsupported_label"],
        ),
        (
            "label-studio",
            label_studio(
                "timeserieslabels",
                {"start": "1970-01-01 00:01", "end": "1970-01-02", "instant": False, "timeserieslabels": ["Run"]},
            ),
            [("q", [{"label": "Run", "start": 60_000, "end": 86_400_000}])],
        ),
        (
            "label-studio",
            label_studio("timeserieslabels", {"start": "noon", "end": "1", "instant": True, "timeserieslabels": ["R"]}),
            ["label_invalid"],
        ),
        (
            "argilla",
            {
                "fields": {"text": "x"}, "external_id": "r1",
                "responses": [
                    {"user_id": "u1", "status": "submitted", "values": {"sentiment": {"value": "pos"}}},
                    {"user_id": "u2", "status": "draft", "values": {"sentiment": {"value": "neg"}}},
                ],
            },
            [("sentiment", "pos")],
        ),
        (
            "argilla",
            {"fields": {}, "external_id": "r", "responses": [{"values": {"q": {"value": "a"}}}]},
            ["no_annotator"],
        ),
        ("prodigy", {**PRODIGY, "_view_id": "compare", "accept": {"text": "B"}, "reject": {}}, [("answer", "accept")]),
        (
            "sagemaker",
            {
                "flowDefinitionArn": "arn:aws:sagemaker:eu:1:flow-definition/claims", "humanLoopName": "loop-1",
                "humanAnswers": [
                    {
                        "answerContent": {"document": {"label": "Good"}}, "workerId": "w1",
                        "submissionTime": "2020-09-01T00:00:10.000Z", "timeSpentInSeconds": 9.1,
                    }
                ],
            },
            [("document", "Good")],
        ),
        (
            "toloka",
            {"pool_id": "p", "task_id": "t", "confidence": 0.9, "output_values": {"result": "cat"}},
            [("result", "cat")],
        ),
        (
            "labelbox",
            {
                "data_row": {"id": "d"},
                "projects": {"p": {"labels": [{**LABELBOX, "annotations": {"frames": {"1": {}}, "segments": {}}}]}},
            },
            ["unsupported_label"],
        ),
        ("cvat", {"info": {}, "categories": {}, "items": [{"id": "f1", "annotations": []}]}, ["no_annotator"]),
    ],
)  # fmt: skip
def test_a_documented_shape_is_converted_or_refused_by_name(tool: str, document: object, expected: list[Any]) -> None:
    """Each says what a person answered, or why it cannot be said."""
    assert said(tool, document) == expected


def test_feedback_without_ids_is_the_same_when_it_is_read_again() -> None:
    """Responses of version 1 have no ids: record and person stand for them; someone who is not named can be."""
    record = {
        "fields": {},
        "external_id": "r1",
        "responses": [{"status": "discarded"}, {"user_id": "u", "values": None}],
    }
    settings = AdapterSettings(occurred_at="2026-01-05T09:00:00Z", annotator_id="me", project_id="p")
    outcomes = list(convert("argilla", record, settings=settings))
    require_sound(outcomes)
    assert [(event["type"], event["annotator_id"]) for event in events_of(outcomes)] == [("annotation.skipped", "me")]
    assert outcomes == list(convert("argilla", record, settings=settings))


def test_a_human_loop_names_item_and_project() -> None:
    """The loop is the item, the flow definition the project."""
    answer = {"answerContent": {"q": {"label": "a"}}, "workerId": "w", "submissionTime": "2020-09-01T00:00:10.000Z"}
    document = {"flowDefinitionArn": "arn:x:flow-definition/claims", "humanLoopName": "loop", "humanAnswers": [answer]}
    (event,) = convert("sagemaker", document)
    assert (event["project_id"], event["item_id"], event["annotator_id"]) == ("claims", "loop", "w")
