"""The adapters of CVAT, Toloka, SageMaker Ground Truth, Labelbox and Prodigy, on examples in the tools' own shapes."""

import json
from typing import Any

import pytest

from schemas.adapters import cvat, labelbox, prodigy, sagemaker, toloka
from schemas.adapters.common import AdapterError, AdapterSettings, Question
from tests.support.tool_events import PAYLOADS, documents, events_of, payload, refusals_of, require_sound


def labels(outcomes: list[Any]) -> dict[tuple[str, str], Any]:
    """Return the labels submitted, by item and question."""
    require_sound(outcomes)
    return {
        (event["item_id"], event["question_id"]): event["label"]
        for event in events_of(outcomes)
        if event["type"] == "annotation.submitted"
    }


# CVAT


@pytest.mark.parametrize("name", ["webhook_update_job", "webhook_ping"])
def test_cvat_webhooks_are_refused_by_name(name: str) -> None:
    """A CVAT webhook holds no labels; the refusal says so, and which event it was."""
    body = payload(f"cvat/{name}.json")
    (refusal,) = cvat.webhook_events(body)
    assert refusal.detail.startswith(body["event"])


def test_a_cvat_job_is_a_label_for_each_frame() -> None:
    """Boxes in pixels become shares of the frame, tags a set of classes; a frame without boxes says there are none."""
    outcomes = cvat.export_events(payload("cvat/job_with_annotations.json"))
    found = labels(outcomes)
    assert found[("12:0", "boxes")]["boxes"] == [{"label": "car", "x": 0.1, "y": 0.1, "width": 0.4, "height": 0.4}]
    assert found[("12:1", "tags")] == {"kind": "multi_label", "values": ["night"]}
    assert found[("12:1", "shapes/classes")] == {"kind": "multi_label", "values": ["lane"]}
    assert found[("12:2", "boxes")] == {"kind": "boxes", "boxes": []}
    assert refusals_of(outcomes) == ["unsupported_label"]
    event = events_of(outcomes)[0]
    assert (event["annotator_id"], event["project_id"], event["step"]) == ("4", "5", "annotate")
    assert event["occurred_at"] == "2025-03-04T10:12:30.600Z"


def test_a_cvat_ground_truth_job_is_known_answers() -> None:
    """The frames of a ground truth job are the same items, and their labels the known answers."""
    events = events_of(cvat.export_events(payload("cvat/job_ground_truth.json")))
    assert {event["type"] for event in events} == {"gold.set"}
    assert {event["item_id"] for event in events} == {"12:0", "12:1", "12:2"}


def test_cvat_jobs_that_do_not_say_enough_are_refused() -> None:
    """Nobody assigned, frames of unknown size, tracks and other formats: each is a refusal by name."""
    document = payload("cvat/job_with_annotations.json")
    nobody = {**document, "job": {**document["job"], "assignee": None}}
    assert refusals_of(cvat.export_events(nobody)) == ["no_annotator"]
    assert "image_size_unknown" in refusals_of(cvat.export_events({**document, "meta": {}}))
    tracks = {**document, "annotations": {"tracks": [{"frame": 0, "label_id": 71, "shapes": []}]}}
    assert "unsupported_label" in refusals_of(cvat.export_events(tracks))
    assert refusals_of(cvat.export_events({"images": [], "annotations": []})) == ["no_annotator"]


def test_a_cvat_job_that_was_changed_is_a_higher_revision() -> None:
    """Annotations of a job keep their ids; a job saved later has the higher revision."""
    document = payload("cvat/job_with_annotations.json")
    later = {**document, "job": {**document["job"], "updated_date": "2025-03-05T10:12:30.600000Z"}}
    first, second = (events_of(cvat.export_events(one))[0] for one in (document, later))
    assert first["annotation_id"] == second["annotation_id"]
    assert first["revision"] < second["revision"]


# Toloka


def test_a_toloka_assignment_is_a_label_for_each_task_and_field() -> None:
    """Each output field is a question; the time between creation and submission is shared by the tasks."""
    outcomes = toloka.export_events(payload("toloka/assignment_rejected_two_tasks.json"))
    found = labels(outcomes)
    first, second = "0001b2c3d4--65aa0001", "0001b2c3d4--65aa0002"
    assert found[(first, "animal")] == {"kind": "categorical", "value": "cat"}
    assert found[(first, "tags")] == {"kind": "multi_label", "values": ["indoor", "pet"]}
    assert found[(first, "is_clear")] == {"kind": "categorical", "value": "true"}
    assert found[(first, "comment")] == {"kind": "text", "value": "two of them\none asleep"}
    assert found[(first, "boxes")]["boxes"] == [{"label": "cat", "x": 0.1, "y": 0.2, "width": 0.3, "height": 0.25}]
    assert found[(second, "animal")] == {"kind": "categorical", "value": "dog"}
    submitted = [event for event in events_of(outcomes) if event["type"] == "annotation.submitted"]
    assert {event["duration_ms"] for event in submitted} == {15_500}
    assert {event["occurred_at"] for event in submitted} == {"2024-05-06T08:00:31.000Z"}


def test_a_rejected_toloka_assignment_is_a_review() -> None:
    """The requester's rejection is a decision on each answer; an acceptance by the pool itself is nobody's."""
    body = payload("toloka/assignment_rejected_two_tasks.json")
    reviews = [event for event in events_of(toloka.export_events(body)) if event["type"] == "review.decided"]
    assert {(event["decision"], event["reviewer_id"]) for event in reviews} == {("reject", "ac2f")}
    assert len(reviews) == 6
    accepted = {**body, "status": "ACCEPTED", "accepted": body["submitted"]}
    assert "review.decided" not in {event["type"] for event in events_of(toloka.export_events(accepted))}
    accepted["accepted"] = "2024-05-08T08:00:00"
    reviews = [event for event in events_of(toloka.export_events(accepted)) if event["type"] == "review.decided"]
    assert {event["decision"] for event in reviews} == {"accept"}


def test_known_solutions_are_known_answers_with_their_weights() -> None:
    """Several known solutions are several accepted answers; of equal ones the highest weight counts."""
    (gold,) = toloka.export_events(payload("toloka/task_with_known_solutions.json"))
    assert [(answer["label"]["value"], answer["weight"]) for answer in gold["answers"]] == [("dog", 1.0), ("wolf", 0.5)]
    body = payload("toloka/task_with_known_solutions.json")
    body["known_solutions"].append({"output_values": {"animal": "wolf"}, "correctness_weight": 0.7})
    assert toloka.export_events(body)[0]["answers"][1]["weight"] == 0.7


def test_the_known_solutions_inside_an_assignment_are_the_task_s_own() -> None:
    """The same known answer met in an assignment and in the list of tasks is one event."""
    (alone,) = toloka.export_events(payload("toloka/task_with_known_solutions.json"))
    inside = toloka.export_events(payload("toloka/assignment_rejected_two_tasks.json"))
    assert alone in inside


def test_a_skipped_toloka_assignment_is_a_skip_of_each_task() -> None:
    """Skipping a page declines its tasks; expired and running assignments are refused as unfinished."""
    outcomes = toloka.export_events(payload("toloka/assignment_skipped.json"))
    assert [event["item_id"] for event in outcomes if event["type"] == "annotation.skipped"] == [
        "0001b2c3d4--65aa0001", "0001b2c3d4--65aa0002",
    ]  # fmt: skip
    assert refusals_of(toloka.export_events(payload("toloka/assignment_expired.json"))) == ["unfinished"]


def test_the_table_of_results_says_what_the_api_says() -> None:
    """A row of the table has the annotation and the answer that the assignment of the API has."""
    body = payload("toloka/assignment_rejected_two_tasks.json")
    settings = AdapterSettings(project_id="4400123")
    row = events_of(toloka.export_events(payload("toloka/results_table_row.json"), settings=settings))[0]
    api = next(event for event in events_of(toloka.export_events(body)) if event["question_id"] == "animal")
    for name in ("annotation_id", "event_id", "item_id", "annotator_id", "label", "occurred_at"):
        assert row[name] == api[name]


def test_rows_of_the_same_task_tell_its_known_answer_once() -> None:
    """Each row of the table repeats the task's known answer beside its own times; it is one event."""
    row = payload("toloka/results_table_row.json")
    other = {**row, "ASSIGNMENT:assignment_id": "another", "ASSIGNMENT:started": "2024-05-06T09:00:00.000"}
    first, second = (toloka.export_events(one)[-1] for one in (row, other))
    assert first["type"] == second["type"] == "gold.set"
    assert first["event_id"] == second["event_id"]


def test_toloka_webhooks() -> None:
    """Only the answer on which dynamic overlap settled is in a webhook, by an annotator and in a step of its own."""
    (event,) = toloka.webhook_events([payload("toloka/webhook_dynamic_overlap.json")])
    assert (event["annotator_id"], event["step"]) == ("toloka:dynamic-overlap", "consolidate")
    assert event["label"] == {"kind": "categorical", "value": "cat"}
    assert refusals_of(toloka.webhook_events(payload("toloka/webhook_assignment_submitted.json"))) == [
        "label_elsewhere"
    ]


def test_kinds_of_fields_can_be_told() -> None:
    """A short text is taken for a class, unless settings say that the field is free text or a rating."""
    body = payload("toloka/assignment_rejected_two_tasks.json")
    body["solutions"][0]["output_values"] = {"name": "Rex", "stars": 4}
    told = {"name": Question(kind="text"), "stars": Question(kind="rating", low=1, high=5)}
    found = labels(toloka.export_events(body, settings=AdapterSettings(questions=told)))
    assert [found[("0001b2c3d4--65aa0001", name)]["kind"] for name in ("name", "stars")] == ["text", "rating"]


# SageMaker Ground Truth


@pytest.mark.parametrize(
    ("name", "question", "label"),
    [
        ("image_classification", "leaf", {"kind": "categorical", "value": "oak"}),
        ("multilabel", "weather", {"kind": "multi_label", "values": ["rain", "wind"]}),
        ("object_detection", "boxes",
         {"kind": "boxes", "boxes": [{"label": "leaf", "x": 0.1, "y": 0.1, "width": 0.5, "height": 0.5}]}),
        ("text_span", "people", {"kind": "spans", "spans": [
            {"label": "PER", "start": 0, "end": 3}, {"label": "PER", "start": 8, "end": 15}]}),
    ],
)  # fmt: skip
def test_lines_of_output_manifests(name: str, question: str, label: Any) -> None:
    """Each label attribute is a question, answered by the job's own annotator in a step of its own."""
    (event,) = sagemaker.export_events(payload(f"sagemaker/manifest_{name}.json"))
    require_sound([event])
    assert (event["question_id"], event["label"], event["step"]) == (question, label, "consolidate")
    assert event["annotator_id"] == f"consolidated:{event['project_id']}"
    assert event["occurred_at"] == "2024-02-03T04:05:06.070809Z"


def test_labels_of_a_model_are_not_those_of_people() -> None:
    """Where a model labelled, the annotator says so."""
    body = payload("sagemaker/manifest_image_classification.json")
    body["leaf-metadata"]["human-annotated"] = "no"
    assert sagemaker.export_events(body)[0]["annotator_id"] == "model:leaves"


def test_a_label_in_another_file_is_refused() -> None:
    """A mask lies behind a reference, which an adapter does not follow."""
    body = payload("sagemaker/manifest_segmentation_elsewhere.json")
    assert refusals_of(sagemaker.export_events(body)) == ["label_elsewhere"]


def test_workers_annotations() -> None:
    """Each element of a worker's form is a question; a mask answers which classes it shows."""
    outcomes = sagemaker.export_events(payload("sagemaker/consolidation_request.json"))
    require_sound(outcomes)
    by_worker = {(event["annotator_id"][-2:], event["question_id"]): event["label"] for event in events_of(outcomes)}
    assert by_worker == {
        ("w1", "annotatedResult"): {
            "kind": "boxes", "boxes": [{"label": "leaf", "x": 0.1, "y": 0.1, "width": 0.3, "height": 0.2}],
        },
        ("w1", "is_blurred"): {"kind": "categorical", "value": "true"},
        ("w1", "season"): {"kind": "multi_label", "values": ["autumn"]},
        ("w1", "note"): {"kind": "categorical", "value": "a dry one"},
        ("w2", "annotatedResult/classes"): {"kind": "multi_label", "values": ["leaf"]},
    }  # fmt: skip
    assert refusals_of(outcomes) == ["unsupported_label"]
    assert {event["duration_ms"] for event in events_of(outcomes)} == {41_250, 12_000}


def test_all_workers_in_a_custom_job_s_output() -> None:
    """The output of the default custom function holds every worker's answer, at the time of the line."""
    events = sagemaker.export_events(payload("sagemaker/manifest_custom_all_workers.json"))
    assert [(event["annotator_id"][-2:], event["label"]["value"]) for event in events] == [("w1", "yes"), ("w2", "no")]
    assert {event["project_id"] for event in events} == {"verdicts"}


def test_files_of_workers_responses_need_their_item() -> None:
    """Such a file does not say what was labelled: it is refused, or takes the item that settings name."""
    body = payload("sagemaker/worker_response.json")
    assert refusals_of(sagemaker.export_events(body)) == ["no_item"]
    (event,) = sagemaker.export_events(body, settings=AdapterSettings(item_id="object-7"))
    assert (event["item_id"], event["label"]["value"], event["duration_ms"]) == ("object-7", "oak", 8_500)


def test_annotations_without_a_time_need_one() -> None:
    """Consolidation requests may tell no time: it is refused by name, or taken from the settings."""
    body = payload("sagemaker/consolidation_request.json")
    for annotation in body[0]["annotations"]:
        del annotation["submissionTime"]
    assert refusals_of(sagemaker.export_events(body)) == ["no_time", "no_time"]
    settings = AdapterSettings(occurred_at="2024-02-03T05:00:00Z")
    assert {event["occurred_at"] for event in events_of(sagemaker.export_events(body, settings=settings))} == {
        "2024-02-03T05:00:00.000Z"
    }


def test_content_that_is_no_json_is_an_error() -> None:
    """The answer is JSON inside a string; a string that is none is named as such."""
    body = payload("sagemaker/consolidation_request.json")
    body[0]["annotations"][0]["annotationData"]["content"] = "{"
    with pytest.raises(AdapterError) as caught:
        sagemaker.export_events(body)
    assert str(caught.value.reason_code) == "not_json"


def test_tools_without_webhooks_say_so() -> None:
    """Ground Truth and Prodigy have no webhooks: whatever comes is refused by name."""
    for tool in (sagemaker, prodigy):
        assert refusals_of(tool.webhook_events({"anything": 1})) == ["no_webhook"]


# Labelbox


def test_a_labelbox_data_row_with_three_labels() -> None:
    """Classifications, boxes and shapes are questions; the benchmark is a known answer, the skipped label a skip."""
    outcomes = labelbox.export_events(
        payload("labelbox/data_row_image.json"), settings=AdapterSettings(attribute_keys=("team",))
    )
    require_sound(outcomes)
    mine = [event for event in events_of(outcomes) if event.get("annotator_id") == "ann@example.com"]
    assert {event["question_id"]: event["label"] for event in mine} == {
        "Weather": {"kind": "categorical", "value": "Rain"},
        "Hazards": {"kind": "multi_label", "values": ["Fog", "Ice"]},
        "Remark": {"kind": "text", "value": "hard to see"},
        "bounding_boxes": {
            "kind": "boxes", "boxes": [{"label": "Car", "x": 0.1, "y": 0.1, "width": 0.2, "height": 0.2}],
        },
        "objects/classes": {"kind": "multi_label", "values": ["Road"]},
    }  # fmt: skip
    assert {event["attributes"]["team"] for event in mine} == {"north"}
    assert {event["duration_ms"] for event in mine} == {61_000}
    gold = [event for event in events_of(outcomes) if event["type"] == "gold.set"]
    assert [(event["question_id"], event["origin"]) for event in gold] == [("Weather", "benchmark:cllabel2")]
    skipped = [event for event in events_of(outcomes) if event["type"] == "annotation.skipped"]
    assert [event["annotator_id"] for event in skipped] == ["bob@example.com"]


def test_a_labelbox_entity_ends_behind_its_last_character() -> None:
    """Labelbox tells the last position inside a span, the contract the first behind it."""
    outcomes = labelbox.export_events(payload("labelbox/data_row_text.json"))
    require_sound(outcomes)
    assert outcomes[0]["label"]["spans"] == [{"label": "Person", "start": 0, "end": 12}]


def test_a_labelbox_workflow_s_verdict_is_a_review() -> None:
    """Approvals and rejections in the workflow of a data row with one label are decisions about it."""
    outcomes = labelbox.export_events(payload("labelbox/data_row_text.json"))
    review = outcomes[-1]
    assert (review["type"], review["decision"], review["reviewer_id"]) == (
        "review.decided",
        "accept",
        "lead@example.com",
    )


def test_labelbox_rows_that_do_not_say_enough_are_refused() -> None:
    """Exported without details, without annotations or without the image's size: refused by name."""
    body = payload("labelbox/data_row_image.json")
    (first, *_) = body["projects"]["clproj1"]["labels"]
    body["projects"]["clproj1"]["labels"] = [first]
    body["media_attributes"] = {}
    assert "image_size_unknown" in refusals_of(labelbox.export_events(body))
    del first["annotations"]
    assert refusals_of(labelbox.export_events(body)) == ["no_label"]
    del first["label_details"]
    assert refusals_of(labelbox.export_events(body)) == ["no_annotator"]


def test_labelbox_webhooks() -> None:
    """A label's webhook holds its classifications as JSON inside a string; a deletion is told by a header."""
    body = payload("labelbox/webhook_label_created.json")
    outcomes = labelbox.webhook_events(body)
    assert {event["question_id"]: event["label"] for event in outcomes} == {
        "Weather": {"kind": "categorical", "value": "Rain"},
        "Hazards": {"kind": "multi_label", "values": ["Ice"]},
        "Remark": {"kind": "text", "value": "hard to see"},
    }
    exported = labelbox.export_events(payload("labelbox/data_row_image.json"))
    assert outcomes[0]["annotation_id"] == exported[0]["annotation_id"]
    assert outcomes[0]["revision"] < exported[0]["revision"]
    (gone,) = labelbox.webhook_events(
        body, received_at="2024-04-09T00:00:00Z", headers={"X-Labelbox-Event": "LABEL_DELETED"}
    )
    assert (gone["type"], gone["annotation_id"]) == ("annotation.retracted", "cllabel1")


# Prodigy


def test_lines_of_prodigy() -> None:
    """Manual interfaces answer with what was made, binary ones with accept or reject; ignored tasks are skips."""
    outcomes = [
        outcome
        for line in documents(PAYLOADS / "prodigy" / "db_out.jsonl")
        for outcome in prodigy.export_events(line, settings=AdapterSettings(project_id="names"))
    ]
    assert labels(outcomes) == {
        ("101", "spans"): {"kind": "spans", "spans": [{"label": "PERSON", "start": 0, "end": 3}]},
        ("102", "spans"): {"kind": "spans", "spans": []},
        ("103", "answer"): {"kind": "categorical", "value": "reject"},
        ("104", "SPORT"): {"kind": "categorical", "value": "reject"},
        ("105", "answer"): {"kind": "categorical", "value": "reject"},
        ("106", "choice"): {"kind": "categorical", "value": "B"},
        ("107", "choice"): {"kind": "multi_label", "values": ["B"]},
        ("109", "boxes"): {"kind": "boxes", "boxes": [
            {"label": "CAR", "x": 0.1, "y": 0.1, "width": 0.5, "height": 0.5}]},
        ("110", "boxes/classes"): {"kind": "multi_label", "values": ["CAR"]},
        ("111", "user_input"): {"kind": "text", "value": "Say it well"},
        ("112", "spans"): {"kind": "spans", "spans": [{"label": "SPEECH", "start": 500, "end": 2250}]},
    }  # fmt: skip
    others = {event["type"]: event for event in events_of(outcomes) if event["type"] != "annotation.submitted"}
    assert others["annotation.skipped"]["item_id"] == "108"
    assert others["item.adjudicated"]["adjudicator_id"] == "names-chief"
    assert refusals_of(outcomes) == ["unsupported_label"]


def test_answering_a_prodigy_task_again_is_a_revision() -> None:
    """The same person's later answer to the same task replaces the earlier one; another person's stands beside it."""
    line = payload("prodigy/db_out.jsonl")
    (first,) = prodigy.export_events(line)
    (again,) = prodigy.export_events({**line, "_timestamp": line["_timestamp"] + 60, "spans": []})
    (other,) = prodigy.export_events({**line, "_annotator_id": "names-bob"})
    assert first["annotation_id"] == again["annotation_id"] != other["annotation_id"]
    assert first["revision"] < again["revision"]


def test_prodigy_lines_without_annotator_or_answer() -> None:
    """Old versions name no annotator: refused. A line without an answer is no line of db-out."""
    line = payload("prodigy/db_out.jsonl")
    nameless = {name: value for name, value in line.items() if name not in ("_annotator_id", "_session_id")}
    assert refusals_of(prodigy.export_events(nameless)) == ["no_annotator"]
    with pytest.raises(AdapterError):
        prodigy.export_events({"text": "a"})


def test_long_texts_and_names_are_named_by_a_digest() -> None:
    """What is too long for an id, or holds a whole text, is named by a digest, which is the same each time."""
    body = payload("sagemaker/manifest_image_classification.json")
    body["source-ref"] = "s3://bucket.example/" + "a" * 400
    first, again = (sagemaker.export_events(json.loads(json.dumps(body)))[0] for _ in range(2))
    assert first["item_id"] == again["item_id"]
    assert len(first["item_id"]) < 64
