"""Every replaceable figure equals its batch definition at every prefix of the log."""

import pytest
from scipy.stats import beta

from schemas.rows import TABLES
from tests.support.folding import column, cuts_of, fold_log
from tests.support.logs import LogShape, random_log
from tests.support.oracle import figures_of

COUNTS = ("labels", "gold_labels", "gold_correct", "timed_labels")


def columns(tables, table, *names):
    """Return several columns by key."""
    indices = [TABLES[table].columns.index(name) for name in names]
    return {key: tuple(row[index] for index in indices) for key, row in tables[table].items()}


def check(lines, tables):
    """Compare all tables with the batch definition."""
    expected = figures_of(lines)
    assert columns(tables, "labels_versions", "annotator_id", "step", "revision", "label", "occurred_at", "first_at",
                   "duration_ms", "truth", "score", "truth_standing", "attributes") == expected.labels  # fmt: skip
    assert columns(tables, "skips_versions", "annotator_id", "step", "revision", "occurred_at", "first_at",
                   "duration_ms") == expected.skips  # fmt: skip
    assert columns(tables, "reviews_versions", "item_id", "annotator_id", "reviewer_id", "decision", "correction",
                   "is_first", "agreement", "occurred_at", "duration_ms") == expected.reviews  # fmt: skip
    assert columns(tables, "reviewers_versions", "reviews", "accepted", "fixed", "rejected", "judged_reviews",
                   "agreeing", "wrong_labels", "wrongly_accepted", "wrongly_refused") == expected.reviewers  # fmt: skip
    annotators = {key: (*row[:4], row[-1]) for key, row in expected.annotators.items()}
    assert columns(tables, "annotators_versions", *COUNTS, "skips") == annotators
    assert columns(tables, "annotators_versions", "reviews", "accepted", "fixed", "rejected", "first_reviews",
                   "first_accepted", "reworked", "corrected_labels") == expected.annotator_reviews  # fmt: skip
    assert columns(tables, "annotator_windows_versions", *COUNTS, "duration_ms_sum", "skips") == {
        key: (*value[:5], value[-1]) for key, value in expected.annotator_windows.items()
    }
    assert columns(tables, "project_windows_versions", *COUNTS, "duration_ms_sum", "annotators", "skips") == (
        expected.project_windows
    )
    assert columns(tables, "step_windows_versions", "done", "skips", "timed", "duration_ms_sum", "reworked",
                   "first_reviews", "first_accepted") == expected.step_windows  # fmt: skip
    assert column(tables, "class_windows_versions", "labels") == expected.class_windows
    assert column(tables, "confusion_versions", "labels") == expected.confusion
    items = columns(tables, "items_versions", "labels", "annotators", "top_label", "top_share", "truth_standing",
                    "skips", "stage", "adjudicator_id")  # fmt: skip
    assert items.keys() == expected.items.keys()
    for key, row in items.items():
        wanted = expected.items[key]
        assert (*row[:3], *row[4:]) == (*wanted[:3], *wanted[4:])
        assert row[3] == pytest.approx(wanted[3], abs=1e-9)


@pytest.mark.parametrize("is_workflow", [False, True], ids=["labels", "workflow"])
@pytest.mark.parametrize("seed", range(4))
def test_figures_equal_their_batch_definition_at_every_prefix(seed, is_workflow):
    """After each event of a small log all replaceable figures are those of the log so far."""
    lines = random_log(seed, LogShape(events=120, is_workflow=is_workflow))
    for length in range(1, len(lines) + 1):
        check(lines[:length], fold_log(lines[:length], cuts=cuts_of(length, 11)))


@pytest.mark.parametrize("seed", range(10, 22))
def test_figures_equal_their_batch_definition_at_the_end(seed):
    """At the end of a longer log all replaceable figures are those of the log."""
    lines = random_log(seed, LogShape(events=600, is_workflow=bool(seed % 2)))
    check(lines, fold_log(lines, cuts=cuts_of(len(lines), 50)))


def test_accuracy_and_interval_follow_from_the_counts():
    """Accuracy is the raw ratio on gold, null without evidence; its interval is Jeffreys'."""
    tables = fold_log(random_log(3, LogShape(events=600)))
    rows = columns(tables, "annotators_versions", "gold_labels", "gold_correct", "accuracy", "accuracy_low",
                   "accuracy_high")  # fmt: skip
    assert any(row[0] for row in rows.values())
    for judged, correct, accuracy, low, high in rows.values():
        if judged == 0:
            assert (accuracy, low, high) == (None, None, None)
            continue
        assert accuracy == correct / judged
        assert (low, high) == pytest.approx(beta.ppf([0.025, 0.975], correct + 0.5, judged - correct + 0.5), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_accounts_balance(seed):
    """Events in are folded, duplicate, late or dead, at every prefix and whatever the cut."""
    lines = random_log(seed, LogShape(events=400, bad_share=0.1))
    for length in (1, 17, 200, 400):
        rows = columns(fold_log(lines[:length], cuts=cuts_of(length, 13)), "progress_versions", "events_in", "folded",
                       "duplicate", "late", "dead").values()  # fmt: skip
        events_in, *parts = (sum(counts) for counts in zip(*rows, strict=True))
        assert events_in == length == sum(parts)
        assert parts[-1] == figures_of(lines[:length]).dead
