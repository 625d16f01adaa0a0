"""Payloads of the tools: all that carry a label are converted, and what is refused is refused by name."""

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.adapters.common import AdapterSettings
from schemas.adapters.registry import ADAPTERS, adapter_of, convert
from tests.support.tool_events import PAYLOADS, SHARED_PAYLOADS, documents, events_of, refusals_of, require_sound

RECEIVED_AT = "2026-11-23T15:30:00.000Z"
SETTINGS = AdapterSettings(occurred_at="2024-01-01T00:00:00Z", item_id="object-1")

CAPTURED = {
    "label-studio/001_TASKS_CREATED.json": ["gold.set sentiment"],
    "label-studio/002_ANNOTATION_CREATED__choices_single.json": [
        "annotation.submitted sentiment", "gold.set sentiment",
    ],
    "label-studio/003_ANNOTATION_UPDATED__choices_single_changed_label.json": [
        "annotation.submitted sentiment", "gold.withdrawn sentiment", "gold.set sentiment",
    ],
    "label-studio/004_ANNOTATION_CREATED__ground_truth_true.json": [
        "annotation.submitted sentiment", "gold.set sentiment", "gold.set sentiment",
    ],
    "label-studio/005_TASKS_CREATED.json": ["no_label"],
    "label-studio/006_ANNOTATION_CREATED__skipped_was_cancelled.json": ["annotation.skipped sentiment"],
    "label-studio/007_TASKS_CREATED.json": ["no_label"],
    "label-studio/008_ANNOTATION_CREATED__multilabel_rating_textarea.json": [
        "annotation.submitted topics", "annotation.submitted quality", "annotation.submitted comment",
    ],
    "label-studio/009_TASKS_CREATED.json": ["no_label"],
    "label-studio/010_ANNOTATION_CREATED__ner_span.json": ["annotation.submitted label"],
    "label-studio/011_TASKS_CREATED.json": ["no_label"],
    "label-studio/012_ANNOTATION_CREATED__bbox.json": ["annotation.submitted box"],
    "label-studio/013_TASKS_CREATED.json": ["no_label"],
    "label-studio/014_ANNOTATION_CREATED__pairwise_rlhf.json": ["annotation.submitted pref"],
    "label-studio/015_TASKS_CREATED.json": ["no_label"],
    "label-studio/017_TASKS_CREATED.json": ["no_label"],
    "label-studio/019_TASKS_CREATED__import_with_annotations_NO_annotation_event.json": ["no_label"],
    "label-studio/020_ANNOTATIONS_DELETED__ids_only.json": ["annotation.retracted"],
    "label-studio/021_TASKS_DELETED__ids_only.json": ["item_deleted"],
    "argilla/001_ping.json": ["no_label"],
    "argilla/002_dataset.created.json": ["no_label"],
    "argilla/003_dataset.published.json": ["no_label"],
    "argilla/004_record.created.json": ["gold.set label"],
    "argilla/005_record.updated.json": ["gold.set label"],
    "argilla/006_response.created.json": [
        "annotation.submitted label", "annotation.submitted topics", "annotation.submitted score",
        "annotation.submitted rank", "annotation.submitted spans", "annotation.submitted why", "gold.set label",
    ],
    "argilla/007_record.updated.json": ["gold.set label"],
    "argilla/008_response.created.json": ["draft", "gold.set label"],
    "argilla/009_record.updated.json": ["gold.set label"],
    "argilla/010_record.completed.json": ["gold.set label"],
    "argilla/011_response.updated.json": ["annotation.submitted label", "gold.set label"],
    "argilla/012_record.updated.json": ["gold.set label"],
    "argilla/014_record.updated.json": ["gold.set label"],
    "argilla/015_response.deleted.json": ["annotation.retracted"],
    "argilla/016_record.updated.json": ["gold.set label"],
}  # fmt: skip
"""What each captured payload says: the type and question of each event, or the reason of a refusal."""

REFUSED_WHOLLY = {
    "argilla/001_ping.json": "no_label",
    "argilla/002_dataset.created.json": "no_label",
    "argilla/003_dataset.published.json": "no_label",
    "cvat/docs_create_task.json": "label_elsewhere",
    "cvat/docs_delete_task.json": "label_elsewhere",
    "cvat/docs_update_task.json": "label_elsewhere",
    "label-studio/005_TASKS_CREATED.json": "no_label",
    "label-studio/007_TASKS_CREATED.json": "no_label",
    "label-studio/009_TASKS_CREATED.json": "no_label",
    "label-studio/011_TASKS_CREATED.json": "no_label",
    "label-studio/013_TASKS_CREATED.json": "no_label",
    "label-studio/015_TASKS_CREATED.json": "no_label",
    "label-studio/017_TASKS_CREATED.json": "no_label",
    "label-studio/019_TASKS_CREATED__import_with_annotations_NO_annotation_event.json": "no_label",
    "label-studio/021_TASKS_DELETED__ids_only.json": "item_deleted",
    "labelbox/v2_export_docs_excerpt.json": "no_label",
    "sagemaker-ground-truth/output_02_worker.json": "no_label",
    "sagemaker-ground-truth/output_03_worker.json": "no_label",
    "sagemaker-ground-truth/output_04_other.json": "no_label",
    "sagemaker-ground-truth/output_13_video-object-detection.json": "label_elsewhere",
    "sagemaker-ground-truth/output_14_video-object-tracking.json": "label_elsewhere",
    "sagemaker-ground-truth/output_15_x.json": "label_elsewhere",
    "sagemaker-ground-truth/output_16_other.json": "no_annotator",
    "toloka/pool-id.json": "no_label",
    "toloka/qc_ASSIGNMENT_SUBMIT_TIME.json": "no_label",
    "toloka/qc_GOLDEN_SET.json": "no_label",
    "toloka/qc_MAJORITY_VOTE.json": "no_label",
    "toloka/qc_SKIPPED_IN_ROW.json": "no_label",
    "toloka/skill-id.json": "no_label",
    "toloka/user-restriction-id.json": "no_label",
    "toloka/user-skill-id.json": "no_label",
    "toloka/webhook-id.json": "no_label",
    "toloka/webhook_ASSIGNMENT_CREATED.json": "label_elsewhere",
    "toloka/webhook_POOL_CLOSED.json": "no_label",
}
"""The payloads of the shared folder from which no event can be had, and why. All others give events."""


def outcomes_of(path: Path, *, received_at: str | None = RECEIVED_AT) -> list[Any]:
    """Return the outcomes of all documents of a payload file, whose folder names the tool."""
    return [
        outcome
        for document in documents(path)
        for outcome in convert(path.parent.name, document, received_at=received_at, settings=SETTINGS)
    ]


def said(outcomes: list[Any]) -> list[str]:
    """Return what outcomes say in short: type and question of events, reasons of refusals."""
    return [
        f"{outcome['type']} {outcome.get('question_id', '')}".strip()
        if isinstance(outcome, dict)
        else str(outcome.reason_code)
        for outcome in outcomes
    ]


def payload_files(folder: Path) -> list[Path]:
    """Return the payload files of the tools that have an adapter, in order."""
    return sorted(path for path in folder.glob("*/*.json*") if path.parent.name != "alertmanager")


def test_every_captured_payload_is_expected() -> None:
    """The table of this test names each captured payload, and no other."""
    folders = [PAYLOADS / tool for tool in ("label-studio", "argilla")]
    files = {str(path.relative_to(PAYLOADS)) for folder in folders for path in folder.glob("0*.json")}
    assert files == set(CAPTURED)


@pytest.mark.parametrize("name", CAPTURED)
def test_captured_payloads_say_what_was_done(name: str) -> None:
    """A request of the running software becomes the events of what a person did, one for each control."""
    outcomes = outcomes_of(PAYLOADS / name)
    require_sound(outcomes)
    assert said(outcomes) == CAPTURED[name]


@pytest.mark.parametrize("path", payload_files(PAYLOADS), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_converting_again_gives_the_same_ids(path: Path) -> None:
    """A payload that is sent again, at another time, adds nothing: its events have the ids they had."""
    first, again = outcomes_of(path), outcomes_of(path, received_at="2027-01-01T00:00:00Z")
    require_sound(first)
    ids = [event["event_id"] for event in events_of(first)]
    assert ids == [event["event_id"] for event in events_of(again)]
    for event, same in zip(events_of(first), events_of(again), strict=True):
        assert event["occurred_at"] in (same["occurred_at"], RECEIVED_AT)


@pytest.mark.parametrize("path", payload_files(PAYLOADS), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_different_events_have_different_ids(path: Path) -> None:
    """No two events of a payload share an id, unless they are the same event."""
    events = events_of(outcomes_of(path))
    by_id = {event["event_id"]: event for event in events}
    assert all(by_id[event["event_id"]] == event for event in events)
    assert len({json.dumps(event, sort_keys=True) for event in events}) == len(by_id)


@pytest.mark.skipif(not SHARED_PAYLOADS.is_dir(), reason="the shared folder of payloads is not there")
def test_only_payloads_without_a_label_are_refused() -> None:
    """Of the shared payloads each gives events with annotator, item, question, value and time, or is named here."""
    refused = {}
    for path in payload_files(SHARED_PAYLOADS):
        outcomes = outcomes_of(path)
        require_sound(outcomes)
        if not events_of(outcomes):
            name = str(path.relative_to(SHARED_PAYLOADS))
            assert len(set(refusals_of(outcomes))) == 1, name
            refused[name] = refusals_of(outcomes)[0]
    assert refused == REFUSED_WHOLLY


def test_every_tool_has_examples() -> None:
    """For each adapter there is a payload from which it makes events."""
    tools = {path.parent.name for path in payload_files(PAYLOADS) if events_of(outcomes_of(path))}
    assert tools == set(ADAPTERS)


def test_a_tool_goes_by_its_folder_name_too() -> None:
    """The longer name of SageMaker Ground Truth means the same adapter."""
    assert adapter_of("sagemaker-ground-truth") is ADAPTERS["sagemaker"]
