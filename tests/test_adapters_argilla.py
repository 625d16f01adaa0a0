"""Argilla's adapter: each kind of question, the status of a response, and what webhooks and exports have in common."""

from copy import deepcopy
from typing import Any

import pytest

from schemas.adapters.argilla import export_events, webhook_events
from schemas.adapters.common import AdapterError, AdapterSettings, Question
from schemas.adapters.registry import convert
from tests.support.tool_events import events_of, payload, refusals_of, require_sound

CREATED = "argilla/006_response.created.json"
DRAFT = "argilla/008_response.created.json"
UPDATED = "argilla/011_response.updated.json"
DELETED = "argilla/015_response.deleted.json"


def answered(**values: Any) -> list[Any]:
    """Return the outcomes of the captured response with other answers."""
    body = payload(CREATED)
    body["data"]["values"] = {name: {"value": value} for name, value in values.items()}
    body["data"]["record"]["metadata"] = {}
    outcomes = webhook_events(body)
    require_sound(outcomes)
    return outcomes


def as_record(body: dict[str, Any]) -> dict[str, Any]:
    """Return the record of the API that holds the response of a webhook."""
    response = {name: value for name, value in body["data"].items() if name not in ("record", "user")}
    response["user_id"] = body["data"]["user"]["id"]
    record = {name: value for name, value in body["data"]["record"].items()}
    return {**record, "dataset_id": record["dataset"]["id"], "responses": [response]}


def test_every_kind_of_question() -> None:
    """One response answers six questions: six labels of one annotation, each of the kind its settings say."""
    events = [event for event in webhook_events(payload(CREATED)) if event["type"] == "annotation.submitted"]
    assert {event["annotation_id"] for event in events} == {"0b14c303-92ef-4791-817d-a432b3ab3539"}
    assert {event["annotator_id"] for event in events} == {"a5203d77-8886-4557-bf23-a3e029a3f7e4"}
    assert {event["item_id"] for event in events} == {"item-1"}
    assert {event["question_id"]: event["label"] for event in events} == {
        "label": {"kind": "categorical", "value": "pos"},
        "topics": {"kind": "multi_label", "values": ["a", "c"]},
        "score": {"kind": "rating", "value": 4.0, "scale": "ordinal", "low": 1.0, "high": 5.0},
        "rank": {"kind": "ranking", "order": ["r1", "r2"]},
        "spans": {"kind": "spans", "spans": [{"label": "PER", "start": 0, "end": 3}]},
        "why": {"kind": "text", "value": "clear"},
    }


def test_times_without_a_zone_are_in_utc() -> None:
    """Argilla writes UTC without saying so."""
    assert webhook_events(payload(CREATED))[0]["occurred_at"] == "2026-11-23T15:22:59.737170Z"


def test_tied_ranks_share_a_place_and_missing_ones_are_left_out() -> None:
    """Argilla lets items share a rank, and has ranks that were not given."""
    ranks = [("r1", 2), ("r2", 1), ("r3", 2), ("r4", None)]
    (event,) = answered(rank=[{"value": name, "rank": rank} for name, rank in ranks])
    assert event["label"] == {"kind": "ranking", "order": ["r2", ["r1", "r3"]]}


def test_drafts_are_no_answers() -> None:
    """A draft fires response.created as well; it is refused by name."""
    assert refusals_of(webhook_events(payload(DRAFT))) == ["draft"]


def test_a_discarded_response_is_a_skip_of_each_question() -> None:
    """Discarding leaves no values: the person declined the item, all of its questions."""
    body = payload(UPDATED)
    body["data"] |= {"status": "discarded", "values": None}
    skips = [event for event in webhook_events(body) if event["type"] == "annotation.skipped"]
    assert [event["question_id"] for event in skips] == ["label", "topics", "score", "rank", "spans", "why"]
    assert {event["annotation_id"] for event in skips} == {body["data"]["id"]}


def test_a_skip_that_follows_a_submission_is_its_later_revision() -> None:
    """Discarding what was submitted changes the same response: its skip says which annotation, and comes after it."""
    body = payload(UPDATED)
    submitted = webhook_events(body)[0]
    body["data"] |= {"status": "discarded", "values": None, "updated_at": "2026-11-23T15:23:59.887260"}
    skipped = webhook_events(body)[0]
    assert skipped["annotation_id"] == submitted["annotation_id"]
    assert skipped["revision"] > submitted["revision"]


def test_a_deleted_response_is_taken_back() -> None:
    """The deletion carries the time it happened, so needs none from outside."""
    (event,) = webhook_events(payload(DELETED))
    assert event["type"] == "annotation.retracted"
    assert event["annotation_id"] == payload(DELETED)["data"]["id"]
    assert event["occurred_at"] == "2026-11-23T15:23:00.006078Z"


def test_retries_add_nothing() -> None:
    """A retry has a new webhook-id and may have a new timestamp; the events keep their ids."""
    body = payload(CREATED)
    again = {**deepcopy(body), "timestamp": "2026-11-23T15:26:59.810543Z"}
    first = webhook_events(body, headers={"webhook-id": "msg_1"})
    assert first == webhook_events(again, headers={"webhook-id": "msg_2"})


@pytest.mark.parametrize("name", [CREATED, UPDATED])
def test_the_records_of_the_api_say_what_webhooks_say(name: str) -> None:
    """The API's record, with its dataset beside it, gives the events of the response's last webhook."""
    body = payload(name)
    assert export_events(as_record(body)) == webhook_events(body)


def test_a_page_of_records_with_their_dataset() -> None:
    """A page of the API, with the dataset put beside its items, is converted record by record."""
    record = as_record(payload(CREATED))
    page = {
        "items": [{name: value for name, value in record.items() if name != "dataset"}],
        "dataset": record["dataset"],
    }
    assert list(convert("argilla", page)) == export_events(record)


def test_records_without_their_dataset() -> None:
    """Without the dataset answers are told apart by their look; a rating has no scale, unless settings tell it."""
    record = as_record(payload(CREATED))
    del record["dataset"]
    outcomes = export_events(record)
    require_sound(outcomes)
    assert refusals_of(outcomes) == ["scale_unknown"]
    scale = {"score": Question(kind="rating", low=1, high=5)}
    assert not refusals_of(export_events(record, settings=AdapterSettings(questions=scale)))


def test_records_of_the_python_client() -> None:
    """The client's export tells no times and no ids of responses: a time must be given, ids come of record and user."""
    record = {
        "id": "item-1", "fields": {"text": "a"}, "metadata": {}, "suggestions": {}, "vectors": {},
        "responses": {"label": [{"value": "pos", "user_id": "u-1"}, {"value": "neg", "user_id": "u-2"}],
                      "topics": [{"value": ["a"], "user_id": "u-1"}]},
        "_server_id": "0afb7b37-0d94-4193-9fc6-7ade2865f3c0",
    }  # fmt: skip
    assert refusals_of(export_events(record)) == ["no_time"]
    events = export_events(record, settings=AdapterSettings(occurred_at="2026-01-05T09:00:00Z"))
    require_sound(events)
    assert [(event["annotator_id"], event["question_id"]) for event in events] == [
        ("u-1", "label"), ("u-1", "topics"), ("u-2", "label"),
    ]  # fmt: skip
    assert events[0]["annotation_id"] == events[1]["annotation_id"] != events[2]["annotation_id"]


def test_responses_of_deleted_users_are_refused() -> None:
    """Argilla keeps the response of a user who is gone, without saying whose it was."""
    record = as_record(payload(CREATED))
    record["responses"][0]["user_id"] = None
    record["metadata"] = {}
    assert refusals_of(export_events(record)) == ["no_annotator"]


def test_records_without_external_id_go_by_their_own() -> None:
    """People's own id of an item comes first; the server's stands in where there is none."""
    body = payload(CREATED)
    body["data"]["record"]["external_id"] = None
    assert events_of(webhook_events(body))[0]["item_id"] == "0afb7b37-0d94-4193-9fc6-7ade2865f3c0"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"type": None}, "missing_field"),
        ({"data": []}, "wrong_type"),
        ({"data": {"status": "submitted"}}, "missing_field"),
    ],
)
def test_what_is_no_payload_is_an_error_with_a_reason(change: dict[str, Any], reason: str) -> None:
    """A member that is missing or of the wrong type is named, with a reason code."""
    with pytest.raises(AdapterError) as caught:
        webhook_events({**payload(CREATED), **change})
    assert str(caught.value.reason_code) == reason


def test_an_unknown_status_is_an_error() -> None:
    """A response that is neither submitted, draft nor discarded is none that this version knows."""
    body = payload(CREATED)
    body["data"]["status"] = "half-done"
    with pytest.raises(AdapterError, match=r"response\.status"):
        webhook_events(body)
