"""Label Studio's adapter: reviews of the enterprise edition, and ground truth that is switched off."""

from schemas.adapters.common import AdapterSettings
from schemas.adapters.label_studio import export_events, webhook_events
from tests.support.tool_events import payload, refusals_of, require_sound
from tests.test_adapters_label_studio import CHANGED, SEVERAL, result, task


def test_ground_truth_that_is_switched_off_can_withdraw_the_known_answer() -> None:
    """On request, a change after which no ground truth can be left withdraws; nothing does that might be another's."""
    body = payload(CHANGED)
    body["task"]["meta"] = {}
    settings = AdapterSettings(withdraws_gold=True)

    def withdrawn(chosen: AdapterSettings = settings) -> list[tuple[str, str]]:
        outcomes = webhook_events(body, settings=chosen)
        require_sound(outcomes)
        return [(event["item_id"], event["question_id"]) for event in outcomes if event["type"] == "gold.withdrawn"]

    assert withdrawn() == [("10", "sentiment")]
    assert withdrawn(AdapterSettings()) == []
    body["task"]["total_annotations"] = 2
    assert withdrawn() == [("10", "sentiment")]
    body["project"]["ground_truth_number"] = 1
    assert withdrawn() == []
    body["task"]["total_annotations"] = 1
    assert withdrawn() == [("10", "sentiment")]
    body["annotation"]["ground_truth"] = True
    assert withdrawn() == []


def test_a_known_answer_in_the_metadata_is_not_withdrawn() -> None:
    """What the item's own metadata know stays known."""
    outcomes = webhook_events(payload(CHANGED), settings=AdapterSettings(withdraws_gold=True))
    assert [event["type"] for event in outcomes] == ["annotation.submitted", "gold.set"]


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
