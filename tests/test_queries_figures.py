"""Named queries that put figures together: each against what is counted from the labels in plain Python."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import krippendorff
import numpy as np
import pytest
from clickhouse_connect.driver.client import Client

from monitor.queries.overviews import FLAGS
from monitor.queries.run import run_query
from schemas.rows import CONSENSUS, REVIEWS, Table
from schemas.rows import LABELS as LABELS_TABLE
from schemas.timestamps import moment_of
from tests.support.clickhouse_rows import MINUTE, migrated, row, write
from tests.support.monitored import CLASSES, CLOCK, Label, world_labels, world_rows

LABELS = world_labels()
OF_SENTIMENT = [one for one in LABELS if one.project_id == "sentiment"]
HOUR = 60 * MINUTE
SENTIMENT = {"project": "sentiment", "question": "label"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A connection to a database with the small world in it."""
    with migrated(tmp_path_factory.mktemp("figures")) as (dsn, client):
        write(dsn, world_rows(LABELS))
        write(dsn, reviewed_rows())
        yield client


def reviewed_rows() -> dict[Table, list[tuple[Any, ...]]]:
    """Return three labels by two teams on two items of a project p, their reviews and consensus."""
    labels = [
        row(LABELS_TABLE, item_id=f"i{number % 2}", annotation_id=f"a{number}", attributes={"team": team})
        for number, team in enumerate(["red", "red", "blue"])
    ]
    reviews = [
        row(REVIEWS, annotation_id=f"a{number}", decision=decision, is_first=is_first, review_id=f"v{place}")
        for place, (number, decision, is_first) in enumerate([(0, "fix", 1), (0, "accept", 0), (2, "accept", 1)])
    ]
    found = [row(CONSENSUS, item_id=item, confidence=0.8) for item in ("i0", "i1")]
    return {LABELS_TABLE: labels, REVIEWS: reviews, CONSENSUS: found}


def asked(client: Client, name: str, **parameters: Any) -> list[dict[str, Any]]:
    """Return the rows of a named query."""
    return json.loads(run_query(client, name, format="json", parameters=parameters))


def wilson(right: float, judged: int) -> tuple[float, float]:
    """Return the 95 % interval of a share by Wilson's formula as it is usually written."""
    z, share = 1.959963984540054, right / judged
    centre = (share + z * z / (2 * judged)) / (1 + z * z / judged)
    half = z / (1 + z * z / judged) * math.sqrt(share * (1 - share) / judged + z * z / (4 * judged * judged))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def right_and_judged(labels: list[Label]) -> tuple[float, int]:
    """Return how many labels are right, of how many."""
    scores = [one.score for one in labels if one.score is not None]
    return sum(scores), len(scores)


@pytest.mark.parametrize("hours", [1, 2, 24])
def test_trends_add_windows_up(client: Client, hours: int) -> None:
    """Each bucket holds the labels of its windows, their accuracy with Wilson's interval, and their mean time."""
    found = asked(client, "trend", **SENTIMENT, bucket_seconds=3600 * hours)
    length = hours * HOUR
    buckets = sorted({one.window_start - one.window_start % length for one in OF_SENTIMENT})
    assert [held["bucket_start"] for held in found] == [f"{moment_of(at):%Y-%m-%dT%H:%M:%SZ}" for at in buckets]
    for held, start in zip(found, buckets, strict=True):
        of = [one for one in OF_SENTIMENT if start <= one.window_start < start + length]
        right, judged = right_and_judged(of)
        assert (held["labels"], held["gold_labels"], held["gold_correct"]) == (len(of), judged, right)
        assert held["accuracy"] == pytest.approx(right / judged)
        assert (held["accuracy_low"], held["accuracy_high"]) == pytest.approx(wilson(right, judged))
        assert held["duration_ms_mean"] == pytest.approx(sum(one.duration_ms for one in of) / len(of))


def test_class_shares_add_up_to_one(client: Client) -> None:
    """In each bucket the shares of the classes are those of the labels."""
    found = asked(client, "class-trend", **SENTIMENT)
    counts = Counter((one.window_start - one.window_start % HOUR, one.label) for one in OF_SENTIMENT)
    assert sum(held["labels"] for held in found) == len(OF_SENTIMENT) == counts.total()
    sums: Counter[str] = Counter()
    for held in found:
        sums[held["bucket_start"]] += held["class_share"]
    assert all(total == pytest.approx(1.0) for total in sums.values())


def test_the_overview_puts_now_beside_before(client: Client) -> None:
    """Labels and accuracy of the last hours of the project's own clock, of as many before, and a small trend."""
    for hours in (2, 4):
        [held] = asked(client, "overview", project="sentiment", hours=hours)
        clock = max(one.at for one in OF_SENTIMENT) - 2 * MINUTE
        now = [one for one in OF_SENTIMENT if one.window_start >= clock - hours * HOUR]
        before = [one for one in OF_SENTIMENT if clock - 2 * hours * HOUR <= one.window_start < clock - hours * HOUR]
        assert (held["labels_now"], held["labels_before"]) == (len(now), len(before))
        right, judged = right_and_judged(now)
        assert (held["accuracy_now"], held["gold_labels_now"]) == (pytest.approx(right / judged), judged)
        assert (held["accuracy_now_low"], held["accuracy_now_high"]) == pytest.approx(wilson(right, judged))
        right, judged = right_and_judged(before)
        assert held["accuracy_before"] == pytest.approx(right / judged)
        assert len(held["trend_labels"]) == len(held["trend_accuracy"]) == 24
        assert sum(held["trend_labels"]) == len(now)
        assert held["worse_now"] == 1


def test_a_project_without_known_answers_has_no_accuracy(client: Client) -> None:
    """Null where nothing is known, and a note that this is so."""
    [held] = asked(client, "overview", project="toxicity")
    assert (held["labels_now"], held["accuracy_now"], held["accuracy_before"]) == (20, None, None)
    kinds = {(one["kind"], one["severity"]) for one in asked(client, "attention", project="toxicity")}
    assert kinds == {("no_gold", "warning")}


def test_what_needs_attention_comes_most_urgent_first(client: Client) -> None:
    """Who got much worse or is far below is critical, a lack of known answers a warning, refused records a remark."""
    found = asked(client, "attention")
    critical = {(one["kind"], one["annotator_id"]) for one in found if one["severity"] == "critical"}
    assert critical >= {("worse", "bob"), ("below", "bob")}
    ranks = [("critical", "warning", "info").index(one["severity"]) for one in found]
    assert ranks == sorted(ranks)
    [worse] = [one for one in found if one["kind"] == "worse"]
    assert (worse["annotator_id"], worse["value"], worse["reference"], worse["evidence"]) == ("bob", 0.4, 0.95, 20)
    assert {one["annotator_id"] for one in found if one["kind"] == "below"} <= {"bob", "cat"}
    [dead] = [one for one in found if one["kind"] == "dead_letters"]
    assert (dead["severity"], dead["evidence"]) == ("info", 2)


def test_flags_say_what_figures_say(client: Client) -> None:
    """bob got worse and is below, cat hurries and is below, dan has hardly begun; ann and eve have none."""
    board = {one["annotator_id"]: one for one in asked(client, "annotator-board", **SENTIMENT)}
    flags = {who: set(one["flags"]) for who, one in board.items()}
    assert flags["ann"] == flags["eve"] == set()
    assert "worse" in flags["bob"] and flags["cat"] >= {"hurried", "below"} and flags["dan"] == {"unproven"}
    assert {flag for held in flags.values() for flag in held} <= set(FLAGS)
    assert sum(board["ann"]["trend_labels"]) == 120


def test_slices_are_computed_from_the_labels(client: Client) -> None:
    """By team: labels, accuracy, people; and the same parts by annotator, who belong to one team each."""
    assert [one["slice"] for one in asked(client, "slice-names", project="sentiment")] == ["team"]
    for held in asked(client, "slice-board", **SENTIMENT, slice="team"):
        of = [one for one in OF_SENTIMENT if one.team == held["slice_value"]]
        right, judged = right_and_judged(of)
        assert (held["labels"], held["gold_labels"]) == (len(of), judged)
        assert held["accuracy"] == pytest.approx(right / judged)
        assert held["annotators"] == len({one.annotator_id for one in of})
    people = asked(client, "slice-annotators", **SENTIMENT, slice="team")
    assert {(one["annotator_id"], one["slice_value"]) for one in people} == {
        (one.annotator_id, one.team) for one in OF_SENTIMENT
    }
    [whole] = asked(client, "slice-board", **SENTIMENT, slice="nothing")
    assert (whole["slice_value"], whole["labels"]) == ("", len(OF_SENTIMENT))


def test_agreement_of_a_slice_is_that_of_its_labels(client: Client) -> None:
    """Nominal alpha of the labels of one team, as another library has it, and the share of pairs that agree."""
    for held in asked(client, "slice-agreement", **SENTIMENT, slice="team"):
        of = [one for one in OF_SENTIMENT if one.team == held["slice_value"]]
        items = [[one for one in of if one.item_id == item] for item in sorted({one.item_id for one in of})]
        repeated = [labels for labels in items if len({one.annotator_id for one in labels}) > 1]
        counts = [[sum(one.label == name for one in labels) for name in CLASSES] for labels in repeated]
        assert (held["items_repeated"], held["labels"]) == (len(repeated), sum(map(sum, counts)))
        expected = krippendorff.alpha(value_counts=np.array(counts), level_of_measurement="nominal")
        assert held["alpha"] == pytest.approx(expected)
        pairs = [sum(n * (n - 1) for n in of_item) / (sum(of_item) * (sum(of_item) - 1)) for of_item in counts]
        assert held["percent_agreement"] == pytest.approx(np.mean(pairs))


def test_classes_and_confusion_of_slices_add_up_to_those_of_the_project(client: Client) -> None:
    """Every label is in one slice; shares are of the slice."""
    classes = asked(client, "slice-classes", **SENTIMENT, slice="team", bucket_seconds=10_000_000)
    confusion = asked(client, "slice-confusion", **SENTIMENT, slice="team")
    for team in ("north", "south"):
        of = [one for one in OF_SENTIMENT if one.team == team]
        given = Counter(one.label for one in of)
        assert {one["label"]: one["labels"] for one in classes if one["slice_value"] == team} == given
        assert sum(one["class_share"] for one in classes if one["slice_value"] == team) == pytest.approx(1)
        judged = Counter((one.truth, one.label) for one in of if one.truth)
        cells = [one for one in confusion if one["slice_value"] == team]
        assert {(one["truth"], one["label"]): one["labels"] for one in cells} == judged


def test_reviews_and_settled_items_of_slices(client: Client) -> None:
    """A review belongs to the slice of its label; an item to each slice that labelled it."""
    of_reviews = {one["slice_value"]: one for one in asked(client, "slice-reviews", project="p", slice="team")}
    settled = {one["slice_value"]: one for one in asked(client, "slice-settled", project="p", slice="team")}
    names = ("reviews", "accepted", "fixed", "first_reviews", "acceptance")
    assert [of_reviews["red"][name] for name in names] == [2, 1, 1, 1, 0]
    assert [of_reviews["blue"][name] for name in names] == [1, 1, 0, 1, 1]
    assert (settled["red"]["items"], settled["blue"]["items"]) == (2, 1)
    assert settled["blue"]["confidence"] == pytest.approx(0.8)


def test_evidence_begins_with_the_latest_mistake(client: Client) -> None:
    """All labels with a known answer, mistakes before right ones, the latest first."""
    found = asked(client, "evidence", **SENTIMENT, annotator="cat")
    judged = [one for one in OF_SENTIMENT if one.annotator_id == "cat" and one.truth]
    expected = sorted(judged, key=lambda one: (one.score, -one.at))
    assert [one["annotation_id"] for one in found] == [one.annotation_id for one in expected]


def test_items_are_counted_by_how_far_they_have_come(client: Client) -> None:
    """Labelled, by several people, agreed on, with a known answer."""
    [held] = asked(client, "coverage", project="toxicity")
    names = ("items_labelled", "items_repeated", "items_agreed", "items_unanimous", "items_known")
    assert [held[name] for name in names] == [20, 0, 0, 0, 0]
    [held] = asked(client, "coverage", **SENTIMENT)
    assert (held["items_labelled"], held["items_repeated"], held["items_known"]) == (120, 120, 60)
    assert held["items_unanimous"] <= held["items_agreed"] < 120


def test_steps_of_the_workflow_are_added_up(client: Client) -> None:
    """What was done, accepted at once and waited for, by step."""
    steps = {one["step"]: one for one in asked(client, "step-trend", **SENTIMENT)}
    assert (steps["review"]["done"], steps["review"]["acceptance"]) == (10, 0.8)
    assert (steps["review"]["acceptance_low"], steps["review"]["acceptance_high"]) == pytest.approx(wilson(8, 10))
    assert steps["review"]["waiting_ms_mean"] == 1_800_000
    assert steps["annotate"]["done"] == len(OF_SENTIMENT)


def test_a_change_is_shown_for_the_hours_that_were_asked_for(client: Client) -> None:
    """A change that lies further back than the hours is nothing to look at now."""
    detected = CLOCK - 100 * MINUTE
    clock = max(one.at for one in OF_SENTIMENT) - 2 * MINUTE
    hours_since = math.ceil((clock - detected) / HOUR)
    assert hours_since == 2
    for hours, expected in ((1, 0), (2, 1)):
        found = asked(client, "attention", project="sentiment", hours=hours)
        assert sum(one["kind"] == "worse" for one in found) == expected
