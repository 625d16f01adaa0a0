"""Label Studio's adapter: each control, the webhook and the export of one annotation, and what becomes of it."""

from copy import deepcopy
from typing import Any

import pytest

from schemas.adapters.common import AdapterError, AdapterSettings, Question
from schemas.adapters.label_studio import export_events, webhook_events
from tests.support.tool_events import events_of, payload, refusals_of, require_sound

CHOICES = "label-studio/002_ANNOTATION_CREATED__choices_single.json"
CHANGED = "label-studio/003_ANNOTATION_UPDATED__choices_single_changed_label.json"
GROUND_TRUTH = "label-studio/004_ANNOTATION_CREATED__ground_truth_true.json"
SKIPPED = "label-studio/006_ANNOTATION_CREATED__skipped_was_cancelled.json"
SEVERAL = "label-studio/008_ANNOTATION_CREATED__multilabel_rating_textarea.json"
DELETED = "label-studio/020_ANNOTATIONS_DELETED__ids_only.json"

RECEIVED_AT = "2026-11-23T15:30:00Z"


def result(kind: str, value: dict[str, Any], *, name: str = "q", **more: Any) -> dict[str, Any]:
    """Return one result of an annotation."""
    return {"id": "r1", "from_name": name, "to_name": "t", "type": kind, "value": value, **more}


def task(*results: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a task of an export with one annotation."""
    annotation = {
        "id": 5, "completed_by": 3, "result": list(results), "was_cancelled": False, "ground_truth": False,
        "created_at": "2026-01-05T09:00:00.000000Z", "updated_at": "2026-01-05T09:00:00.000040Z", "lead_time": 2.5,
        **more,
    }  # fmt: skip
    return {"id": 8, "project": 2, "data": {"text": "Hello there."}, "meta": {}, "annotations": [annotation]}


def label_of(*results: dict[str, Any], config: str = "") -> Any:
    """Return the one label that an annotation with these results gives, or the reason why there is none."""
    outcomes = export_events(task(*results), settings=AdapterSettings(label_config=config))
    require_sound(outcomes)
    assert len(outcomes) == 1
    return outcomes[0]["label"] if isinstance(outcomes[0], dict) else str(outcomes[0].reason_code)


def config(control: str, objects: str = '<Text name="t" value="$text"/>') -> str:
    """Return a labeling configuration with one control."""
    return f"<View>{objects}{control}</View>"


def test_an_annotation_has_all_that_the_contract_asks_for() -> None:
    """Annotator, item, question, value, time, time spent and the ids of the captured annotation stand in its event."""
    event = events_of(webhook_events(payload(CHOICES), received_at=RECEIVED_AT))[0]
    assert event == {
        "schema_version": 1, "type": "annotation.submitted", "event_id": event["event_id"], "source": "label-studio:7",
        "project_id": "7", "occurred_at": "2026-11-23T15:18:26.225942Z", "received_at": RECEIVED_AT, "item_id": "10",
        "question_id": "sentiment", "annotator_id": "1", "annotation_id": "11", "revision": 0, "step": "annotate",
        "label": {"kind": "categorical", "value": "Positive"}, "duration_ms": 4200,
    }  # fmt: skip


def test_controls_of_one_submission_share_the_annotation() -> None:
    """Three controls are three questions of one annotation, each with its own kind of label."""
    events = events_of(webhook_events(payload(SEVERAL)))
    assert {event["annotation_id"] for event in events} == {"14"}
    assert len({event["event_id"] for event in events}) == 3
    assert [event["label"] for event in events] == [
        {"kind": "multi_label", "values": ["Politics", "Tech"]},
        {"kind": "rating", "value": 4.0, "scale": "ordinal", "low": 1.0, "high": 5.0},
        {"kind": "text", "value": "fine"},
    ]


def test_an_update_is_a_higher_revision_of_the_same_label() -> None:
    """The captured change, 71 ms after the first answer, replaces it; both keep the ids of annotation and question."""
    first, second = (events_of(webhook_events(payload(name)))[0] for name in (CHOICES, CHANGED))
    assert second["revision"] > first["revision"]
    assert second["event_id"] != first["event_id"]
    assert second["label"]["value"] == "Negative"
    for name in ("annotation_id", "question_id", "item_id", "project_id"):
        assert first[name] == second[name]


@pytest.mark.parametrize("name", [CHOICES, CHANGED, SEVERAL])
def test_the_export_of_an_annotation_is_the_event_of_its_webhook(name: str) -> None:
    """What the export says of an annotation is, to the event id, what its last webhook said."""
    body = payload(name)
    exported = {**body["task"], "annotations": [body["annotation"]], "project": body["project"]["id"]}
    settings = AdapterSettings(label_config=body["project"]["label_config"])
    assert export_events(exported, settings=settings) == webhook_events(body)


def test_annotation_files_of_a_target_storage_are_exports_too() -> None:
    """An annotation with its task inside gives the events of the task with its annotation inside."""
    body = payload(CHOICES)
    nested = {**body["annotation"], "task": body["task"], "completed_by": {"id": 1, "email": "ann@example.com"}}
    settings = AdapterSettings(label_config=body["project"]["label_config"])
    assert export_events(nested, settings=settings) == webhook_events(body)


def test_a_ground_truth_is_a_known_answer() -> None:
    """An annotation marked as ground truth stays an annotation, and says the known answer of its item."""
    submitted, gold, _ = events_of(webhook_events(payload(GROUND_TRUTH)))
    assert submitted["type"] == "annotation.submitted"
    assert (gold["type"], gold["item_id"], gold["question_id"]) == ("gold.set", "10", "sentiment")
    assert gold["answers"] == [{"label": {"kind": "categorical", "value": "Positive"}, "weight": 1.0}]
    assert gold["origin"] == "ground_truth:12"


def test_a_skip_is_a_skip_of_each_question() -> None:
    """A cancelled annotation is a skip, with the time it took; it gives no label."""
    (event,) = webhook_events(payload(SKIPPED))
    assert (event["type"], event["item_id"], event["question_id"]) == ("annotation.skipped", "11", "sentiment")
    assert (event["annotator_id"], event["duration_ms"], event["annotation_id"]) == ("1", 1100, "13")
    body = payload(SEVERAL)
    body["annotation"] = {**body["annotation"], "was_cancelled": True, "result": []}
    assert [event["question_id"] for event in webhook_events(body)] == ["topics", "quality", "comment"]


def test_a_submission_that_is_skipped_later_is_replaced_by_the_skip() -> None:
    """An annotation that was submitted and then cancelled is a skip of the same annotation, of a higher revision."""
    submitted, skipped = payload(CHOICES), payload(CHANGED)
    skipped["annotation"]["was_cancelled"] = True
    before, after = (events_of(webhook_events(body))[0] for body in (submitted, skipped))
    assert (before["type"], after["type"]) == ("annotation.submitted", "annotation.skipped")
    assert after["annotation_id"] == before["annotation_id"]
    assert after["revision"] > before["revision"]
    assert "annotation.retracted" not in {event["type"] for event in events_of(webhook_events(skipped))}


def test_an_annotation_that_is_emptied_is_replaced_by_a_skip() -> None:
    """What is changed to answer nothing no longer counts; what never answered anything is refused."""
    created, changed = payload(CHOICES), payload(CHANGED)
    for body in (created, changed):
        body["annotation"]["result"] = []
    assert events_of(webhook_events(changed))[0]["type"] == "annotation.skipped"
    assert refusals_of(webhook_events(created)) == ["no_label"]


def test_tasks_created_with_their_annotations_are_answers() -> None:
    """Where a task comes with annotations, they are what their own webhook says."""
    body = payload(CHOICES)
    task_with_annotations = {**body["task"], "annotations": [body["annotation"]]}
    created = {"action": "TASKS_CREATED", "tasks": [task_with_annotations], "project": body["project"]}
    assert webhook_events(created) == webhook_events(body)


def test_a_deletion_takes_back_by_id_alone() -> None:
    """Label Studio tells the ids of what was deleted, and no time: that of its arrival is taken, or it is refused."""
    (event,) = webhook_events(payload(DELETED), received_at=RECEIVED_AT)
    assert (event["type"], event["annotation_id"]) == ("annotation.retracted", "11")
    assert event["occurred_at"] == "2026-11-23T15:30:00.000Z"
    assert refusals_of(webhook_events(payload(DELETED))) == ["no_time"]


def test_several_annotations_created_at_once() -> None:
    """A bulk action holds lists of annotations and tasks: each annotation finds its own task."""
    body = payload(CHOICES)
    other = {**deepcopy(body["annotation"]), "id": 99, "task": 77, "completed_by": 2}
    many = {**body, "action": "ANNOTATIONS_CREATED", "annotation": [body["annotation"], other], "task": [
        body["task"], {"id": 77, "data": {}, "meta": {}},
    ]}  # fmt: skip
    events = [event for event in events_of(webhook_events(many)) if event["type"] == "annotation.submitted"]
    assert [(event["annotation_id"], event["item_id"]) for event in events] == [("11", "10"), ("99", "77")]


def test_an_annotation_webhook_without_task_names_it_by_number() -> None:
    """Older versions send no task beside the annotation, which still says whose answer it is."""
    body = payload(CHOICES)
    del body["task"]
    assert events_of(webhook_events(body))[0]["item_id"] == "10"


def test_an_annotator_can_be_named_for_annotations_without_one() -> None:
    """An annotation imported without its author is that of the annotator that people name."""
    exported = task(result("choices", {"choices": ["a"]}), completed_by=None)
    (event,) = export_events(exported, settings=AdapterSettings(annotator_id="importer"))
    assert event["annotator_id"] == "importer"


def test_a_known_answer_in_the_metadata() -> None:
    """The item's own key holds the answer to the question that has such a class, or answers by question."""
    body = payload(SEVERAL)
    body["task"]["meta"] = {"gold": {"topics": ["Tech"], "quality": 5, "unheard": "x"}}
    gold = [event for event in events_of(webhook_events(body)) if event["type"] == "gold.set"]
    assert {event["question_id"]: event["answers"][0]["label"] for event in gold} == {
        "topics": {"kind": "multi_label", "values": ["Tech"]},
        "quality": {"kind": "rating", "value": 5.0, "scale": "ordinal", "low": 1.0, "high": 5.0},
    }
    body["task"]["meta"] = {"gold": "Sports"}
    gold = [event for event in events_of(webhook_events(body)) if event["type"] == "gold.set"]
    assert [(event["question_id"], event["origin"]) for event in gold] == [("topics", "metadata")]
    body["task"]["meta"] = {"gold": "no such class"}
    assert not [event for event in events_of(webhook_events(body)) if event["type"] == "gold.set"]


def test_a_known_answer_without_classes_is_the_only_question_s() -> None:
    """Where no class tells which question is meant, the only one there is; with two of them it is nobody's."""
    stars = {**task(result("rating", {"rating": 3})), "meta": {"gold": 5}, "created_at": "2026-01-01T00:00:00Z"}
    one = config('<Rating name="q" toName="t"/>')
    (gold,) = export_events(stars, settings=AdapterSettings(label_config=one))[1:]
    assert (gold["question_id"], gold["answers"][0]["label"]["value"]) == ("q", 5.0)
    two = config('<Rating name="q" toName="t"/><Rating name="other" toName="t"/>')
    assert len(export_events(stars, settings=AdapterSettings(label_config=two))) == 1


def test_metadata_becomes_attributes_where_it_is_asked_for() -> None:
    """Slices named in the settings travel with every event of an annotation; nothing else of the metadata does."""
    settings = AdapterSettings(attribute_keys=("source", "missing"))
    assert events_of(webhook_events(payload(CHOICES), settings=settings))[0]["attributes"] == {"source": "imdb"}
    assert "attributes" not in events_of(webhook_events(payload(CHOICES)))[0]


def test_project_source_and_step_can_be_set() -> None:
    """Two servers with a project 7 each can be told apart."""
    settings = AdapterSettings(project_id="sentiment", source="studio-a:7", step="relabel")
    event = events_of(webhook_events(payload(CHOICES), settings=settings))[0]
    assert (event["project_id"], event["source"], event["step"]) == ("sentiment", "studio-a:7", "relabel")


@pytest.mark.parametrize(
    ("kind", "value", "label"),
    [
        ("choices", {"choices": ["a"]}, {"kind": "categorical", "value": "a"}),
        ("choices", {"choices": ["b", "a"]}, {"kind": "multi_label", "values": ["a", "b"]}),
        ("choices", {"choices": [["Tech", "Chips"]]}, {"kind": "categorical", "value": "Tech / Chips"}),
        ("taxonomy", {"taxonomy": [["A", "B"]]}, {"kind": "multi_label", "values": ["A / B"]}),
        ("rating", {"rating": 3}, {"kind": "rating", "value": 3.0, "scale": "ordinal", "low": 1.0, "high": 5.0}),
        ("rating", {"rating": 8}, "scale_unknown"),
        ("number", {"number": 42}, {"kind": "text", "value": "42"}),
        ("datetime", {"datetime": "2026-01-05"}, {"kind": "text", "value": "2026-01-05"}),
        ("textarea", {"text": ["one", "two"]}, {"kind": "text", "value": "one\ntwo"}),
        ("textarea", {"text": "one"}, {"kind": "text", "value": "one"}),
        ("textarea", {"text": ["  "]}, "no_label"),
        ("pairwise", {"selected": "right"}, {"kind": "preference", "chosen": "right", "options": ["left", "right"]}),
        ("pairwise", {"selected": "both"}, "label_invalid"),
        ("ranker", {"ranker": ["b", "a"]}, {"kind": "ranking", "order": ["b", "a"]}),
        ("ranker", {"ranker": {"rank": ["b", "a"]}}, {"kind": "ranking", "order": ["b", "a"]}),
        (
            "ranker", {"ranker": {"best": ["b"], "rest": ["a", "c"]}},
            {"kind": "multi_label", "values": ["best / b", "rest / a", "rest / c"]},
        ),
        (
            "labels", {"start": 0, "end": 5, "text": "Hello", "labels": ["PER", "ORG"]},
            {"kind": "spans", "spans": [
                {"label": "ORG", "start": 0, "end": 5}, {"label": "PER", "start": 0, "end": 5},
            ]},
        ),
        (
            "hypertextlabels",
            {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "startOffset": 1, "endOffset": 3,
             "globalOffsets": {"start": 11, "end": 13}, "hypertextlabels": ["X"]},
            {"kind": "spans", "spans": [{"label": "X", "start": 11, "end": 13}]},
        ),
        (
            "hypertextlabels",
            {"start": "/p[1]", "end": "/p[2]", "startOffset": 1, "endOffset": 3, "hypertextlabels": ["X"]},
            "unsupported_label",
        ),
        (
            "timeserieslabels",
            {"start": "2026-01-05T09:00:00", "end": "2026-01-05T09:00:02.5Z", "instant": False,
             "timeserieslabels": ["X"]},
            {"kind": "spans", "spans": [{"label": "X", "start": 1_767_603_600_000, "end": 1_767_603_602_500}]},
        ),
        (
            "timeserieslabels", {"start": "noon", "end": "one", "instant": False, "timeserieslabels": ["X"]},
            "label_invalid",
        ),
        (
            "paragraphlabels",
            {"start": "2", "end": "2", "startOffset": 4, "endOffset": 9, "paragraphlabels": ["Joy"]},
            {"kind": "spans", "spans": [{"label": "Joy", "start": 2_000_004, "end": 2_000_009}]},
        ),
        (
            "timelinelabels", {"ranges": [{"start": 3, "end": 5}], "timelinelabels": ["Moving"]},
            {"kind": "spans", "spans": [{"label": "Moving", "start": 3, "end": 5}]},
        ),
        (
            "timeserieslabels", {"start": 1592250751951, "end": 1592250761951, "timeserieslabels": ["Run"]},
            {"kind": "spans", "spans": [{"label": "Run", "start": 1592250751951, "end": 1592250761951}]},
        ),
        (
            "rectanglelabels",
            {"x": 12.5, "y": 50, "width": 100, "height": 25, "rotation": 0, "rectanglelabels": ["Car"]},
            {"kind": "boxes", "boxes": [{"label": "Car", "x": 0.125, "y": 0.5, "width": 0.875, "height": 0.25}]},
        ),
        (
            "rectangle", {"x": 10, "y": 10, "width": 10, "height": 10, "rotation": 0},
            {"kind": "boxes", "boxes": [{"label": "q", "x": 0.1, "y": 0.1, "width": 0.1, "height": 0.1}]},
        ),
    ],
)  # fmt: skip
def test_what_each_control_says(kind: str, value: dict[str, Any], label: Any) -> None:
    """Each control's value, as documented, becomes a label of the kind that it is, without any configuration."""
    assert label_of(result(kind, value)) == label


def test_offsets_of_recordings_are_milliseconds() -> None:
    """A recording's regions are in seconds, whole ones too; the contract's spans are in whole milliseconds."""
    regions = [
        result("labels", {"start": 1, "end": 2, "channel": 0, "labels": ["Speech"]}, original_length=9.5),
        result("labels", {"start": 2.25, "end": 3.5, "channel": 0, "labels": ["Noise"]}, original_length=9.5),
    ]
    assert label_of(*regions)["spans"] == [
        {"label": "Speech", "start": 1000, "end": 2000}, {"label": "Noise", "start": 2250, "end": 3500},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("control", "kind", "value", "label"),
    [
        ('<Choices name="q" toName="t" choice="multiple"/>', "choices", {"choices": ["a"]},
         {"kind": "multi_label", "values": ["a"]}),
        ('<Choices name="q" toName="t"/>', "choices", {"choices": ["a", "b"]}, "label_invalid"),
        ('<Rating name="q" toName="t" maxRating="10"/>', "rating", {"rating": 8},
         {"kind": "rating", "value": 8.0, "scale": "ordinal", "low": 1.0, "high": 10.0}),
        ('<Number name="q" toName="t" min="0" max="50"/>', "number", {"number": 42},
         {"kind": "rating", "value": 42.0, "scale": "interval", "low": 0.0, "high": 50.0}),
        ('<Taxonomy name="q" toName="t" maxUsages="1"/>', "taxonomy", {"taxonomy": [["A", "B"]]},
         {"kind": "categorical", "value": "A / B"}),
        ('<Ranker name="q" toName="t"/>', "ranker", {"ranker": {"anything": ["b", "a"]}},
         {"kind": "ranking", "order": ["b", "a"]}),
        ('<Ranker name="q" toName="t"><Bucket name="best"/></Ranker>', "ranker", {"ranker": {"best": ["b"]}},
         {"kind": "multi_label", "values": ["best / b"]}),
        ('<Choices name="q" toName="t" perRegion="true"/>', "choices", {"choices": ["a"]}, "per_region"),
    ],
)  # fmt: skip
def test_the_configuration_says_what_results_leave_open(
    control: str, kind: str, value: dict[str, Any], label: Any
) -> None:
    """One answer or several, the ends of scales, order or buckets: the labeling configuration tells."""
    assert label_of(result(kind, value), config=config(control)) == label


def test_nothing_drawn_is_an_answer_where_drawing_was_asked() -> None:
    """An image without boxes and a text without spans were looked at; a choice not made is no answer."""
    controls = config(
        '<Labels name="ner" toName="t"/><Choices name="c" toName="t"/><RectangleLabels name="box" toName="i"/>',
        '<Text name="t" value="$t"/><Image name="i" value="$i"/>',
    )
    outcomes = export_events(task(), settings=AdapterSettings(label_config=controls))
    assert {event["question_id"]: event["label"] for event in outcomes} == {
        "ner": {"kind": "spans", "spans": []}, "box": {"kind": "boxes", "boxes": []},
    }  # fmt: skip
    assert refusals_of(export_events(task())) == ["no_label"]


def test_a_rectangle_with_its_label_beside_it_is_one_box() -> None:
    """With separate tools for shape and class a region is told twice under one id; it is one answer."""
    shape = {"x": 10, "y": 10, "width": 10, "height": 10, "rotation": 0}
    results = [result("rectangle", shape, name="shape"), result("labels", {**shape, "labels": ["Car"]}, name="class")]
    (event,) = export_events(task(*results))
    assert event["question_id"] == "class"
    assert event["label"]["boxes"][0]["label"] == "Car"


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("polygonlabels", {"points": [[1, 1], [2, 2], [3, 1]], "polygonlabels": ["Lane"]}, "unsupported_label"),
        ("brushlabels", {"format": "rle", "rle": [0, 1], "brushlabels": ["Lane"]}, "unsupported_label"),
        ("ellipselabels", {"x": 5, "y": 5, "radiusX": 1, "radiusY": 2, "ellipselabels": ["Lane"]}, "unsupported_label"),
        ("videorectangle", {"sequence": [{"frame": 1}], "labels": ["Lane"]}, "unsupported_label"),
        (
            "rectanglelabels",
            {"x": 5, "y": 5, "width": 9, "height": 9, "rotation": 30, "rectanglelabels": ["Lane"]}, "rotated_box",
        ),
    ],
)  # fmt: skip
def test_shapes_that_no_kind_holds_answer_with_their_classes(kind: str, value: dict[str, Any], reason: str) -> None:
    """The geometry is refused by name; which classes were drawn is an answer to a question of its own."""
    outcomes = export_events(task(result(kind, value)))
    require_sound(outcomes)
    assert refusals_of(outcomes) == [reason]
    if kind != "videorectangle":
        assert outcomes[0]["question_id"] == "q/classes"
        assert outcomes[0]["label"] == {"kind": "multi_label", "values": ["Lane"]}


def test_what_is_refused_leaves_the_other_answers_alone() -> None:
    """Relations, answers about regions and broken boxes are refused one by one; the choice beside them is converted."""
    results = [
        result("choices", {"choices": ["a"]}, name="fine"),
        result("textarea", {"x": 1, "y": 1, "width": 2, "height": 2, "text": ["sign"]}, name="transcription"),
        result("rectanglelabels", {"x": 1, "y": 1, "width": 0, "height": 2, "rectanglelabels": ["Car"]}, name="box"),
        {"from_id": "r1", "to_id": "r2", "type": "relation", "direction": "right"},
    ]
    outcomes = export_events(task(*results))
    assert [event["question_id"] for event in events_of(outcomes)] == ["fine"]
    assert refusals_of(outcomes) == ["per_region", "label_invalid", "unsupported_label"]


def test_flat_exports_with_the_configuration() -> None:
    """JSON_MIN holds data and answers side by side; the configuration tells them apart, ids are the webhook's."""
    body = payload(SEVERAL)
    annotation = body["annotation"]
    flat = {
        "id": 12, "text": "AI chips and politics", "topics": {"choices": ["Politics", "Tech"]}, "quality": 4,
        "comment": "fine", "annotator": 1, "annotation_id": 14, "created_at": annotation["created_at"],
        "updated_at": annotation["updated_at"], "lead_time": 12.345,
    }  # fmt: skip
    settings = AdapterSettings(project_id="8", source="s", label_config=body["project"]["label_config"])
    assert export_events(flat, settings=settings) == webhook_events(body, settings=settings)


def test_flat_exports_without_the_configuration() -> None:
    """Regions can be nothing but answers; where nothing is certain, JSON_MIN is refused rather than guessed at."""
    flat = {"id": 1, "text": "Ada", "annotator": 1, "annotation_id": 4, "created_at": "2026-01-05T09:00:00Z"}
    (event,) = export_events({**flat, "ner": [{"start": 0, "end": 3, "text": "Ada", "labels": ["PER"]}]})
    assert (event["question_id"], event["label"]["spans"][0]["label"]) == ("ner", "PER")
    assert refusals_of(export_events({**flat, "sentiment": "Positive"})) == ["no_question"]


def test_annotations_made_for_import_are_refused() -> None:
    """A file of answers to be imported tells neither who answered nor when: there is nothing to measure."""
    made = {"data": {"text": "a"}, "annotations": [{"result": [result("choices", {"choices": ["a"]})]}]}
    assert refusals_of(export_events(made)) == ["no_annotator"]


def test_questions_can_be_told_by_settings() -> None:
    """What people say of a question comes before its look and its configuration."""
    settings = AdapterSettings(questions={"q": Question(kind="multi_label")})
    (event,) = export_events(task(result("choices", {"choices": ["a"]})), settings=settings)
    assert event["label"] == {"kind": "multi_label", "values": ["a"]}


def test_only_the_action_was_sent() -> None:
    """A webhook without payload is refused by name, with what to do about it."""
    (refusal,) = webhook_events({"action": "ANNOTATION_CREATED"})
    assert (str(refusal.reason_code), "payload" in refusal.detail) == ("no_payload", True)


@pytest.mark.parametrize("action", ["PROJECT_CREATED", "LABEL_LINK_CREATED", "SOMETHING_NEW"])
def test_other_actions_tell_of_no_label(action: str) -> None:
    """Actions about projects, and those unheard of, are refused by name, never errors."""
    assert refusals_of(webhook_events({"action": action, "project": {"id": 1}})) == ["no_label"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"annotation": None}, "missing_field"),
        ({"annotation": {"id": 1, "task": 2, "completed_by": 1, "result": {}, "created_at": "2026-01-05T09:00:00Z"}},
         "wrong_type"),
        ({"annotation": {"id": 1, "task": 2, "completed_by": 1, "result": [], "created_at": "yesterday"}},
         "timestamp_invalid"),
        ({"annotation": {"id": 1, "task": 2, "completed_by": [1], "result": [], "created_at": "2026-01-05T09:00:00Z"}},
         "wrong_type"),
        ({"annotation": {"id": "", "task": 2, "completed_by": 1, "result": [], "created_at": "2026-01-05T09:00:00Z"}},
         "invalid_value"),
        ({"annotation": {"id": 1, "task": 2, "completed_by": 1, "result": [{"type": "choices", "from_name": "q",
          "value": {"choices": "a"}}], "created_at": "2026-01-05T09:00:00Z"}}, "wrong_type"),
        ({"action": 7}, "wrong_type"),
    ],
)  # fmt: skip
def test_what_is_no_payload_is_an_error_with_a_reason(change: dict[str, Any], reason: str) -> None:
    """A member that is missing or of the wrong type is named, with a reason code."""
    with pytest.raises(AdapterError) as caught:
        webhook_events({**payload(CHOICES), **change, "task": None})
    assert str(caught.value.reason_code) == reason
    assert caught.value.message and caught.value.remedy


def test_a_configuration_that_could_explode_is_not_read() -> None:
    """Entities that grow are never expanded: such a configuration counts as none."""
    bomb = '<!DOCTYPE a [<!ENTITY b "bbbb">]><View><Choices name="q" toName="t" choice="multiple"/>&b;</View>'
    assert label_of(result("choices", {"choices": ["a"]}), config=bomb)["kind"] == "categorical"
    assert label_of(result("choices", {"choices": ["a"]}), config="<View>")["kind"] == "categorical"
