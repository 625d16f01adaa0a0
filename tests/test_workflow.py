"""A small workflow from events to the figures that people ask for: annotate, review, rework, adjudicate."""

import pytest

from tests.support.command import call, query
from tests.support.events import label, line

pytestmark = pytest.mark.slow
MINUTE = 60


def review(event_id, at, annotation, decision, reviewer="r1", **fields):
    """Return a review of a label under question q."""
    return line(event_id, at, type="review.decided", annotation_id=annotation, question_id="q", reviewer_id=reviewer,
                decision=decision, **fields)  # fmt: skip


def adjudication(event_id, at, item, value):
    """Return an expert's decision."""
    answer = {"kind": "categorical", "value": value}
    return line(event_id, at, type="item.adjudicated", item_id=item, question_id="q", adjudicator_id="x1", label=answer,
                duration_ms=30_000)  # fmt: skip


WORK = [
    label("e1", 0, "a1", "yes", item_id="i1", annotator_id="ann", duration_ms=4_000),
    label("e2", 60, "a2", "no", item_id="i2", annotator_id="ann", duration_ms=6_000),
    label("e3", 120, "a3", "yes", item_id="i3", annotator_id="bob"),
    label("e4", 180, "a4", "yes", item_id="i4", annotator_id="bob"),
    line("s1", 200, type="annotation.skipped", question_id="q", item_id="i5", annotator_id="bob"),
    review("v1", 10 * MINUTE, "a1", "accept", duration_ms=2_000),
    review("v2", 11 * MINUTE, "a2", "reject"),
    review("v3", 12 * MINUTE, "a3", "fix", correction={"kind": "categorical", "value": "no"}),
    label("e5", 13 * MINUTE, "a2", "yes", item_id="i2", annotator_id="ann", revision=1),
    review("v4", 14 * MINUTE, "a2", "accept", reviewer="r2"),
    adjudication("x1", 40 * MINUTE, "i1", "no"),
    adjudication("x2", 41 * MINUTE, "i2", "yes"),
]


@pytest.fixture(scope="module")
def dsn(tmp_path_factory):
    """The database of a flow that has read the work above."""
    folder = tmp_path_factory.mktemp("workflow")
    (folder / "events.jsonl").write_bytes(b"\n".join(WORK) + b"\n")
    dsn = f"chdb://{folder}/db"
    call("run", "--source", f"file:{folder / 'events.jsonl'}", "--clickhouse", dsn, "--until-eof")
    return dsn


def test_each_step_is_measured_in_its_windows(dsn):
    """Throughput, time spent, waiting, rework and first-pass acceptance, by step and window."""
    steps = {(row["step"], row["window_start"][11:16]): row for row in query("step-windows", dsn, "--project", "p")}
    annotate = steps["annotate", "08:00"]
    assert (annotate["done"], annotate["skips"], annotate["reworked"], annotate["rework_rate"]) == (4, 1, 1, 0.25)
    assert annotate["duration_ms_mean"] == 4_000, "a revision replaces the label's time as well: the first's stays"
    reviews = steps["review", "08:00"]
    assert (reviews["done"], reviews["first_reviews"], reviews["first_accepted"]) == (4, 3, 1)
    assert reviews["waiting_ms_mean"] == (600 + 600 + 600 + 60) * 1000 / 4
    assert reviews["waiting_ms_p50"] == pytest.approx(600_000, rel=0.04)
    decided = steps["adjudicate", "08:30"]
    assert (decided["done"], decided["duration_ms_mean"]) == (2, 30_000)
    assert decided["waiting_ms_mean"] == (2400 + 28 * 60) * 1000 / 2


def test_items_are_followed_from_their_first_label_to_their_end(dsn):
    """Items begun, finished and in flight, and how long they took."""
    rows = {row["bucket_start"][11:16]: row for row in query("cycle-times", dsn, "--bucket-seconds", "900")}
    names = ("items_started", "items_finished", "items_in_flight")
    assert [rows["08:00"][name] for name in names] == [4, 1, 3]
    last = rows["08:30"]
    assert [last[name] for name in names] == [0, 2, 1]
    assert last["cycle_seconds_p50"] in (2400, 2400.0) and last["cycle_seconds_p90"] == 2400
    [workflow] = query("workflow", dsn)
    assert [workflow[name] for name in ("items_labelled", "items_reviewed", "items_adjudicated")] == [4, 3, 2]


def test_reviewers_are_held_against_the_experts(dsn):
    """r1 accepted what the expert held to be wrong and rejected what was later made right; r2 was right."""
    reviewers = {row["reviewer_id"]: row for row in query("reviewers", dsn)}
    assert (reviewers["r1"]["reviews"], reviewers["r1"]["judged_reviews"], reviewers["r1"]["agreement"]) == (3, 2, 0.0)
    assert (reviewers["r1"]["wrongly_accepted"], reviewers["r1"]["leniency"]) == (1, 1.0)
    assert (reviewers["r2"]["agreement"], reviewers["r2"]["leniency"]) == (1.0, None)


def test_a_correction_is_a_truth_of_lower_standing(dsn):
    """The fixed label is held against its correction, which is no evidence for accuracy; adjudication is."""
    labels = {row["annotation_id"]: row for row in query("label-facts", dsn)}
    shown = {name: (row["truth"], row["score"], row["truth_standing"]) for name, row in labels.items()}
    assert shown["a3"] == ("no", 0.0, "correction") and shown["a1"] == ("no", 0.0, "adjudication")
    annotators = {row["annotator_id"]: row for row in query("annotators", dsn)}
    assert (annotators["ann"]["gold_labels"], annotators["ann"]["accuracy"]) == (2, 0.5)
    assert (annotators["bob"]["gold_labels"], annotators["bob"]["accuracy"]) == (0, None)
