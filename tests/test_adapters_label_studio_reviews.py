"""Label Studio's adapter: reviews of the enterprise edition, and ground truth that is switched off."""

from schemas.adapters.label_studio import export_events, webhook_events
from tests.support.tool_events import payload, refusals_of, require_sound
from tests.test_adapters_label_studio import CHANGED, SEVERAL, result, task


def test_ground_truth_that_is_switched_off_withdraws_what_it_made_known() -> None:
    """An update without the mark withdraws the answers of this annotation's origin, and of no other."""
    body = payload(CHANGED)
    body["annotation"]["ground_truth"] = True
    known = [event for event in webhook_events(body) if event["type"] == "gold.set" and event["origin"] != "metadata"]
    body["annotation"] |= {"ground_truth": False, "updated_at": "2027-01-05T09:00:00Z"}
    outcomes = webhook_events(body)
    require_sound(outcomes)
    gone = [event for event in outcomes if event["type"] == "gold.withdrawn"]
    assert [(event["item_id"], event["question_id"]) for event in gone] == [("10", "sentiment")]
    assert [event["origin"] for event in gone] == [event["origin"] for event in known]
    assert gone[0]["occurred_at"] > known[0]["occurred_at"]
    assert webhook_events(body) == outcomes


def test_a_skip_withdraws_too_and_a_new_annotation_nothing() -> None:
    """Someone who skips after all leaves nothing known; what is new, or does not say, has nothing to withdraw."""
    body = payload(CHANGED)
    body["annotation"] |= {"was_cancelled": True, "result": []}
    assert [event["type"] for event in webhook_events(body)] == ["annotation.skipped", "gold.withdrawn", "gold.set"]
    body["annotation"]["updated_at"] = body["annotation"]["created_at"]
    assert [event["type"] for event in webhook_events(body)] == ["annotation.skipped", "gold.set"]
    body = payload(CHANGED)
    del body["annotation"]["ground_truth"]
    assert [event["type"] for event in webhook_events(body)] == ["annotation.submitted", "gold.set"]


def test_an_answer_left_out_of_ground_truth_is_no_longer_known() -> None:
    """A marked annotation that now answers fewer questions withdraws its known answers to the others."""
    body = payload(SEVERAL)
    body["annotation"]["updated_at"] = "2027-01-05T09:00:00Z"
    body["annotation"] |= {"ground_truth": True, "result": body["annotation"]["result"][:1]}
    outcomes = webhook_events(body)
    require_sound(outcomes)
    assert [event["question_id"] for event in outcomes if event["type"] == "gold.set"] == ["topics"]
    gone = [event for event in outcomes if event["type"] == "gold.withdrawn"]
    assert [event["question_id"] for event in gone] == ["quality", "comment"]
    assert {event["origin"] for event in gone} == {f"ground_truth:{body['annotation']['id']}"}


def test_reviews_of_the_enterprise_edition() -> None:
    """Accepted, rejected and mended: each is a decision on each question, a mended one with the corrected label."""
    reviews = [
        {"id": 1, "created_by": {"id": 9}, "accepted": True, "created_at": "2026-01-06T09:00:00Z"},
        {"id": 2, "created_by": 8, "accepted": False, "created_at": "2026-01-07T09:00:00Z"},
        {
            "id": 3,
            "created_by": 8,
            "accepted": True,
            "fixed_annotation_history": 4,
            "created_at": "2026-01-08T09:00:00Z",
        },
    ]
    outcomes = export_events(task(result("choices", {"choices": ["a"]}), reviews=reviews))
    require_sound(outcomes)
    decisions = [(event["reviewer_id"], event["decision"]) for event in outcomes if event["type"] == "review.decided"]
    assert decisions == [("9", "accept"), ("8", "reject"), ("8", "fix")]
    assert outcomes[-1]["correction"] == {"kind": "categorical", "value": "a"}


def test_a_review_webhook_says_what_the_export_says() -> None:
    """A review arrives live with its annotation; the decision has the id that the export's has."""
    review = {"id": 1, "created_by": {"id": 9}, "accepted": False, "created_at": "2026-01-06T09:00:00Z"}
    exported = task(result("choices", {"choices": ["a"]}), reviews=[review])
    body = {
        "action": "REVIEW_CREATED",
        "review": review,
        "annotation": exported["annotations"][0],
        "project": {"id": 2},
    }
    assert webhook_events(body) == [event for event in export_events(exported) if event["type"] == "review.decided"]


def test_a_review_without_the_result_is_of_every_question() -> None:
    """Where only the project tells the questions, accepting or rejecting is of them all; a mending needs the label."""
    review = {"id": 1, "created_by": 9, "accepted": False, "annotation": 5, "created_at": "2026-01-06T09:00:00Z"}
    body = {"action": "REVIEW_CREATED", "review": review, "project": payload(SEVERAL)["project"]}
    outcomes = webhook_events(body)
    require_sound(outcomes)
    assert [event["question_id"] for event in outcomes] == ["topics", "quality", "comment"]
    assert {(event["annotation_id"], event["decision"]) for event in outcomes} == {("5", "reject")}
    review |= {"accepted": True, "fixed_annotation_history": 4}
    assert refusals_of(webhook_events(body)) == ["no_question"]
