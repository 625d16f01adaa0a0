"""Named queries on the steps of the workflow: where work is, where it waits, and how it is judged."""

from monitor.queries.intervals import share, wilson_high, wilson_low
from monitor.queries.named import (
    BUCKET_SECONDS,
    DATABASE,
    PROJECT,
    QUESTION,
    SINCE,
    UNTIL,
    NamedQuery,
    named_query,
    where,
    written_query,
)
from monitor.queries.trends import BUCKET_START

_BY_QUESTION = (PROJECT, QUESTION)
_LAST_AT = "ifNull(last_at, toDateTime64(0, 6, 'UTC'))"
_ACCEPTED, _REVIEWED = "sum(w.first_accepted)", "sum(w.first_reviews)"

QUERIES_OF_WORKFLOW: tuple[NamedQuery, ...] = (
    written_query(
        "workflow",
        "how many items are at which stage of the workflow, and how long they took",
        sql=f"""SELECT
    project_id, question_id, countIf(i.labels > 0) AS items_labelled,
    countIf(stage IN ('reviewed', 'adjudicated')) AS items_reviewed,
    countIf(stage = 'adjudicated') AS items_adjudicated,
    countIf(finished_at IS NOT NULL) AS items_finished, countIf(i.skips > 0) AS items_skipped,
    if(items_finished = 0, NULL,
        quantileExactIf(0.5)(dateDiff('second', started_at, finished_at), finished_at IS NOT NULL)
    ) AS finished_seconds_p50
FROM {DATABASE}.items AS i
{where(_BY_QUESTION)}
GROUP BY project_id, question_id""",
        order=("project_id", "question_id"),
        columns=(
            "project_id", "question_id", "items_labelled", "items_reviewed", "items_adjudicated", "items_finished",
            "items_skipped", "finished_seconds_p50",
        ),
        parameters=_BY_QUESTION,
    ),
    written_query(
        "step-trend",
        "each step of the workflow over time: done, skipped, waiting, accepted at once",
        sql=f"""SELECT
    project_id, question_id, step, {BUCKET_START} AS bucket_start, min(w.is_final) AS is_final, sum(w.done) AS done,
    sum(w.skips) AS skips, sum(w.reworked) AS reworked, {_REVIEWED} AS first_reviews, {_ACCEPTED} AS first_accepted,
    {share(_ACCEPTED, _REVIEWED)} AS acceptance,
    {wilson_low(_ACCEPTED, _REVIEWED)} AS acceptance_low,
    {wilson_high(_ACCEPTED, _REVIEWED)} AS acceptance_high,
    if(sum(w.timed) = 0, NULL, sum(w.duration_ms_sum) / sum(w.timed)) AS duration_ms_mean,
    if(sum(w.waited) = 0, NULL, sum(w.waiting_ms_sum) / sum(w.waited)) AS waiting_ms_mean
FROM {DATABASE}.step_windows AS w
{where(_BY_QUESTION, time="window_start")}
GROUP BY project_id, question_id, step, bucket_start""",
        order=("project_id", "question_id", "step", "bucket_start"),
        columns=(
            "project_id", "question_id", "step", "bucket_start", "is_final", "done", "skips", "reworked",
            "first_reviews", "first_accepted", "acceptance", "acceptance_low", "acceptance_high", "duration_ms_mean",
            "waiting_ms_mean",
        ),
        parameters=(*_BY_QUESTION, SINCE, UNTIL, BUCKET_SECONDS),
    ),
    named_query(
        "reviewers",
        "each reviewer over all time: agreement with known answers, leniency",
        view="reviewers",
        columns=(
            "project_id", "question_id", "reviewer_id", "reviews", "accepted", "fixed", "rejected", "judged_reviews",
            "agreement", "agreement_low", "agreement_high", "wrong_labels", "wrongly_accepted", "leniency",
            "leniency_low", "leniency_high", "wrongly_refused", "first_at", "last_at",
        ),
        identifiers=_BY_QUESTION,
        time=_LAST_AT,
        order=("project_id", "question_id", "reviewer_id"),
    ),
    named_query(
        "reviews",
        "each review of a label in force",
        view="reviews",
        columns=(
            "project_id", "question_id", "item_id", "annotation_id", "annotator_id", "reviewer_id", "step", "decision",
            "correction", "agreement", "waiting_ms", "duration_ms", "occurred_at",
        ),
        identifiers=_BY_QUESTION,
        time="occurred_at",
        order=("project_id", "question_id", "annotation_id", "occurred_at", "reviewer_id"),
    ),
)  # fmt: skip
