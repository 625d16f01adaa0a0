"""Named queries on how work flows through the steps: items in flight, cycle times, waiting."""

from monitor.queries.intervals import share
from monitor.queries.named import (
    ANNOTATOR,
    BUCKET_SECONDS,
    DATABASE,
    ITEM,
    PROJECT,
    QUESTION,
    SINCE,
    UNTIL,
    NamedQuery,
    named_query,
    where,
    written_query,
)

_BY_QUESTION = (PROJECT, QUESTION)
_SECONDS = "seconds, is_finish"

QUERIES_OF_CYCLES: tuple[NamedQuery, ...] = (
    named_query(
        "label-facts",
        "each label in force with what is held against it, of which standing, and its attributes",
        view="labels",
        columns=(
            "project_id", "question_id", "item_id", "annotation_id", "annotator_id", "step", "revision", "label",
            "truth", "truth_standing", "score", "duration_ms", "occurred_at", "first_at", "attributes",
        ),
        identifiers=(PROJECT, QUESTION, ITEM, ANNOTATOR),
        time="occurred_at",
        order=("project_id", "question_id", "item_id", "annotation_id"),
    ),
    named_query(
        "annotator-reviews",
        "what reviewers made of each annotator's labels: accepted, fixed, rejected, reworked; and skips",
        view="annotators",
        columns=(
            "project_id", "question_id", "annotator_id", "labels", "reviews", "accepted", "fixed", "rejected",
            "first_reviews", "first_accepted", "acceptance", "reworked", "rework_rate", "corrected_labels",
            "corrected_score", "skips", "skips_in_a_row",
        ),
        expressions={
            "acceptance": share("first_accepted", "first_reviews"),
            "rework_rate": share("reworked", "labels"),
        },
        identifiers=(PROJECT, QUESTION, ANNOTATOR),
        order=("project_id", "question_id", "annotator_id"),
    ),
    named_query(
        "item-stages",
        "how far each item has come in the workflow",
        view="items",
        columns=(
            "project_id", "question_id", "item_id", "kind", "stage", "labels", "skips", "truth", "truth_standing",
            "started_at", "finished_at",
        ),
        identifiers=(PROJECT, QUESTION, ITEM),
        order=("project_id", "question_id", "item_id"),
    ),
    named_query(
        "step-windows",
        "each step of the workflow in each window: done, time spent, waiting, rework, first-pass acceptance",
        view="step_windows",
        columns=(
            "project_id", "question_id", "window_start", "window_end", "is_final", "step", "done", "skips", "reworked",
            "rework_rate", "first_reviews", "first_accepted", "acceptance", "duration_ms_mean", "waiting_ms_mean",
            "waiting_ms_p50", "waiting_ms_p90",
        ),
        expressions={
            "rework_rate": share("reworked", "done"),
            "acceptance": share("first_accepted", "first_reviews"),
            "duration_ms_mean": "if(timed = 0, NULL, duration_ms_sum / timed)",
            "waiting_ms_mean": "if(waited = 0, NULL, waiting_ms_sum / waited)",
        },
        identifiers=_BY_QUESTION,
        time="window_start",
        order=("project_id", "question_id", "window_start", "step"),
    ),
    written_query(
        "cycle-times",
        "items begun, finished and in flight over time, and how long the finished ones took from their first label",
        sql=f"""SELECT project_id, question_id, bucket_start, items_started, items_finished, items_in_flight,
    cycle_seconds_p50, cycle_seconds_p90, cycle_seconds_p99
FROM
(
    SELECT
        project_id, question_id, bucket_start, countIf(NOT is_finish) AS items_started,
        countIf(is_finish) AS items_finished,
        sum(toInt64(items_started) - toInt64(items_finished)) OVER (
            PARTITION BY project_id, question_id ORDER BY bucket_start
        ) AS items_in_flight,
        if(items_finished = 0, NULL, quantileExactIf(0.5)({_SECONDS})) AS cycle_seconds_p50,
        if(items_finished = 0, NULL, quantileExactIf(0.9)({_SECONDS})) AS cycle_seconds_p90,
        if(items_finished = 0, NULL, quantileExactIf(0.99)({_SECONDS})) AS cycle_seconds_p99
    FROM
    (
        SELECT
            project_id, question_id, turn.2 AS is_finish,
            toStartOfInterval(assumeNotNull(turn.1), toIntervalSecond({BUCKET_SECONDS.placeholder})) AS bucket_start,
            if(started_at IS NULL OR finished_at IS NULL, 0., dateDiff('millisecond', started_at, finished_at) / 1000)
                AS seconds
        FROM {DATABASE}.items
        ARRAY JOIN [(started_at, 0), (finished_at, 1)] AS turn
        {where(_BY_QUESTION)} AND turn.1 IS NOT NULL AND started_at IS NOT NULL
    )
    GROUP BY project_id, question_id, bucket_start
)
WHERE bucket_start >= {SINCE.placeholder} AND bucket_start < {UNTIL.placeholder}""",
        order=("project_id", "question_id", "bucket_start"),
        columns=(
            "project_id", "question_id", "bucket_start", "items_started", "items_finished", "items_in_flight",
            "cycle_seconds_p50", "cycle_seconds_p90", "cycle_seconds_p99",
        ),
        parameters=(*_BY_QUESTION, SINCE, UNTIL, BUCKET_SECONDS),
    ),
)  # fmt: skip
