"""The rows that the flow writes: tables, their columns in order, and their keys.

Each table holds versions of rows: of the rows that share a key, the one with the highest ``version`` counts, and if
that one ``is_deleted`` the key has ceased. ``version = generation · 2⁴⁸ + offset + 1`` of the record that changed the
row, so writing a row again is harmless. Timestamps are whole microseconds since 1970-01-01T00:00:00Z, shares are in
[0, 1].
"""

from dataclasses import dataclass

from schemas.alerts import ALERT_KEY, ALERT_VALUES, ALERTS_NAME, DELIVERIES_NAME, DELIVERY_KEY, DELIVERY_VALUES

OFFSET_BITS = 48
LAST_COLUMNS = ("generation", "version", "is_deleted")


def row_version(*, generation: int, offset: int) -> int:
    """Return the version of a row that the record at `offset` changed.

    >>> row_version(generation=1, offset=0) - 2**48
    1
    """
    assert 0 <= offset < 2**OFFSET_BITS - 1
    return (generation << OFFSET_BITS) + offset + 1


@dataclass(frozen=True, slots=True)
class Table:
    """A table of versions.

    Parameters
    ----------
    name
        Table in the database; the view of the rows in force has the name without ``_versions``.
    key
        Columns that say which rows are versions of one another (``generation`` belongs to the key as well).
    values
        The other columns.
    """

    name: str
    key: tuple[str, ...]
    values: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns in the order of a row's tuple."""
        return (*self.key, *self.values, *LAST_COLUMNS)


_ACCURACY = ("gold_labels", "gold_correct", "accuracy", "accuracy_low", "accuracy_high")

LABELS = Table(
    "labels_versions",
    key=("project_id", "question_id", "item_id", "annotation_id"),
    values=(
        "annotator_id", "step", "revision", "label", "occurred_at", "first_at", "duration_ms", "truth", "score",
        "truth_standing", "attributes",
    ),
)  # fmt: skip
ITEMS = Table(
    "items_versions",
    key=("project_id", "question_id", "item_id"),
    values=(
        "labels", "annotators", "top_label", "top_share", "truth", "truth_standing", "kind", "stage", "skips",
        "adjudicator_id", "started_at", "finished_at", "first_at", "last_at",
    ),
)  # fmt: skip
SKIPS = Table(
    "skips_versions",
    key=("project_id", "question_id", "item_id", "annotation_id"),
    values=("annotator_id", "step", "revision", "occurred_at", "first_at", "duration_ms", "attributes"),
)
REVIEWS = Table(
    "reviews_versions",
    key=("project_id", "question_id", "annotation_id", "review_id"),
    values=(
        "item_id", "annotator_id", "reviewer_id", "step", "decision", "correction", "is_first", "agreement",
        "occurred_at", "duration_ms", "waiting_ms",
    ),
)  # fmt: skip
REVIEWERS = Table(
    "reviewers_versions",
    key=("project_id", "question_id", "reviewer_id"),
    values=(
        "reviews", "accepted", "fixed", "rejected", "judged_reviews", "agreeing", "agreement", "agreement_low",
        "agreement_high", "wrong_labels", "wrongly_accepted", "leniency", "leniency_low", "leniency_high",
        "wrongly_refused", "first_at", "last_at",
    ),
)  # fmt: skip
STEP_WINDOWS = Table(
    "step_windows_versions",
    key=("project_id", "question_id", "window_start", "step"),
    values=(
        "window_end", "done", "skips", "timed", "duration_ms_sum", "reworked", "first_reviews", "first_accepted",
        "waited", "waiting_ms_sum", "waiting_ms_p50", "waiting_ms_p90",
    ),
)  # fmt: skip
ANNOTATORS = Table(
    "annotators_versions",
    key=("project_id", "question_id", "annotator_id"),
    values=(
        "labels", *_ACCURACY,
        "judgements", "accuracy_decayed", "decayed_low", "decayed_high",
        "accuracy_adaptive", "adaptive_low", "adaptive_high", "adaptive_judgements",
        "timed_labels", "duration_ms_p50", "duration_ms_p90", "drifts", "reviews", "accepted", "fixed",
        "rejected", "first_reviews", "first_accepted", "reworked", "corrected_labels", "corrected_score", "skips",
        "skips_in_a_row", "accuracy_estimate", "estimate_low", "estimate_high", "fast_share", "fast_low", "fast_high",
        "longest_run", "longest_run_label", "longest_run_chance", "consensus_labels", "consensus_accuracy",
        "consensus_low", "consensus_high", "first_at", "last_at",
    ),
)  # fmt: skip
ANNOTATOR_WINDOWS = Table(
    "annotator_windows_versions",
    key=("project_id", "question_id", "window_start", "annotator_id"),
    values=("window_end", "labels", *_ACCURACY, "timed_labels", "duration_ms_sum", "skips"),
)
PROJECT_WINDOWS = Table(
    "project_windows_versions",
    key=("project_id", "question_id", "window_start"),
    values=("window_end", "labels", *_ACCURACY, "timed_labels", "duration_ms_sum", "annotators", "skips"),
)
CLASS_WINDOWS = Table(
    "class_windows_versions",
    key=("project_id", "question_id", "window_start", "label"),
    values=("window_end", "labels"),
)
_AGREEMENT = (
    "level", "items", "labels", "alpha", "alpha_low", "alpha_high", "ac1", "ac1_low", "ac1_high", "percent_agreement",
    "percent_low", "percent_high",
)  # fmt: skip
AGREEMENT = Table("agreement_versions", key=("project_id", "question_id"), values=_AGREEMENT)
AGREEMENT_WINDOWS = Table(
    "agreement_windows_versions",
    key=("project_id", "question_id", "window_start"),
    values=("window_end", *_AGREEMENT),
)
PAIRS = Table(
    "pairs_versions",
    key=("project_id", "question_id", "annotator_id", "other_annotator_id"),
    values=("shared_items", "percent_agreement", "kappa"),
)
CONSENSUS = Table(
    "consensus_versions",
    key=("project_id", "question_id", "item_id"),
    values=("consensus", "confidence", "deviation", "labels", "status", "posterior"),
)
OPTIONS = Table(
    "options_versions",
    key=("project_id", "question_id", "option"),
    values=("strength", "deviation", "comparisons"),
)
CONFUSION = Table(
    "confusion_versions",
    key=("project_id", "question_id", "annotator_id", "truth", "label"),
    values=("labels",),
)
DRIFT = Table(
    "drift_versions",
    key=("project_id", "question_id", "annotator_id", "signal", "detector", "sequence"),
    values=("direction", "detected_at", "changed_at", "before", "after", "judgements_after"),
)
ALERTS = Table(ALERTS_NAME, key=ALERT_KEY, values=ALERT_VALUES)
ALERT_DELIVERIES = Table(DELIVERIES_NAME, key=DELIVERY_KEY, values=DELIVERY_VALUES)
PROJECTS = Table(
    "projects_versions",
    key=("project_id",),
    values=(
        "stream", "partition", "clock_at", "last_at", "labels", "items", "annotators", "truth_items",
        "gold_labels", "gold_correct", "unmatched_retractions", "unmatched_reviews", "is_unordered",
    ),
)  # fmt: skip
DEAD_LETTERS = Table(
    "dead_letters_versions",
    key=("stream", "partition", "offset"),
    values=("stage", "error_code", "error", "project_id", "payload", "payload_bytes"),
)
PROGRESS = Table(
    "progress_versions",
    key=("stream", "partition", "part"),
    values=("offset", "events_in", "folded", "duplicate", "late", "dead"),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        LABELS, SKIPS, REVIEWS, ITEMS, ANNOTATORS, REVIEWERS, STEP_WINDOWS, ANNOTATOR_WINDOWS, PROJECT_WINDOWS,
        CLASS_WINDOWS, CONFUSION, CONSENSUS, OPTIONS, AGREEMENT, AGREEMENT_WINDOWS, PAIRS, DRIFT, ALERTS,
        ALERT_DELIVERIES, PROJECTS,
        DEAD_LETTERS, PROGRESS,
    )
}  # fmt: skip
