"""Named queries that put the figures of several views side by side."""

from monitor.queries.intervals import share, wilson_high, wilson_low
from monitor.queries.named import (
    ANNOTATOR,
    DATABASE,
    HOURS,
    IN_SCOPE,
    PROJECT,
    QUESTION,
    NamedQuery,
    where,
    written_query,
)

TREND_POINTS = 24
"""Points of a small trend beside a row."""
JUDGED_MIN = 20
"""With fewer labels against known answers, nothing is said of an annotator's accuracy."""
TIMED_MIN = 30
MARGIN = 0.05
"""Who is surely less accurate than the others by less than this is in the table, but nothing to look at at once."""
HURRIED_SHARE = 1 / 3
"""An annotator hurries whose median time is below this share of the median annotator's."""

_NO_CLOCK = "toDateTime64(0, 6, 'UTC')"
_CLOCKS = f"""(
        SELECT (groupArray(project_id), groupArray(clock_at), groupArray(last_at)) FROM {DATABASE}.projects
        {where((PROJECT,))}
    ) AS projects_now"""
"""The clocks of the projects in question, read once a query."""
_CLOCK = f"transform(project_id, projects_now.1, projects_now.2, {_NO_CLOCK})"
_LAST = f"transform(project_id, projects_now.1, projects_now.3, {_NO_CLOCK})"
_NOW = f"w.window_start >= {_CLOCK} - toIntervalHour({HOURS.placeholder})"
_BEFORE = f"NOT ({_NOW})"
_POINT = (
    f"greatest(0, {TREND_POINTS - 1} - intDiv(dateDiff('second', w.window_start, {_LAST}) * {TREND_POINTS}, "
    f"{HOURS.placeholder} * 3600 + 1))"
)
_EMPTY = f"arrayWithConstant({TREND_POINTS}, toUInt64(0))"


def _sum(what: str, when: str) -> str:
    return f"sumIf(w.{what}, {when})"


_RIGHT_NOW, _JUDGED_NOW = _sum("gold_correct", "is_now"), _sum("gold_labels", "is_now")
_RIGHT_BEFORE, _JUDGED_BEFORE = _sum("gold_correct", "NOT is_now"), _sum("gold_labels", "NOT is_now")
_WINDOWS = f"""WITH {_CLOCKS}
        SELECT project_id, labels, gold_labels, gold_correct, {_NOW} AS is_now, {_POINT} AS point
        FROM {DATABASE}.project_windows AS w
        {where((PROJECT,))}
            AND window_start >= arrayMin(projects_now.2) - toIntervalHour(2 * {HOURS.placeholder})
            AND window_start >= {_CLOCK} - toIntervalHour(2 * {HOURS.placeholder})"""


def _at_points(what: str, nothing: str) -> str:
    return f"sumForEachIf(arrayMap(i -> if(i = point, w.{what}, {nothing}), range({TREND_POINTS})), is_now)"


_OVERVIEW = written_query(
    "overview",
    "each project now and before: throughput, accuracy, changes",
    sql=f"""SELECT
    p.project_id AS project_id, p.clock_at AS clock_at, p.last_at AS last_at, p.labels AS labels, p.items AS items,
    p.annotators AS annotators, p.truth_items AS truth_items,
    ifNull(r.labels_now, 0) AS labels_now, ifNull(r.labels_before, 0) AS labels_before,
    ifNull(r.gold_labels_now, 0) AS gold_labels_now,
    r.accuracy_now AS accuracy_now, r.accuracy_now_low AS accuracy_now_low, r.accuracy_now_high AS accuracy_now_high,
    r.accuracy_before AS accuracy_before,
    if(empty(r.trend_labels), {_EMPTY}, r.trend_labels) AS trend_labels, r.trend_accuracy AS trend_accuracy,
    ifNull(d.worse, 0) AS worse_now, ifNull(d.better, 0) AS better_now
FROM (SELECT * FROM {DATABASE}.projects {where((PROJECT,))}) AS p
LEFT JOIN
(
    SELECT
        project_id,
        {_sum("labels", "is_now")} AS labels_now, {_sum("labels", "NOT is_now")} AS labels_before,
        {_JUDGED_NOW} AS gold_labels_now,
        {share(_RIGHT_NOW, _JUDGED_NOW)} AS accuracy_now,
        {wilson_low(_RIGHT_NOW, _JUDGED_NOW)} AS accuracy_now_low,
        {wilson_high(_RIGHT_NOW, _JUDGED_NOW)} AS accuracy_now_high,
        {share(_RIGHT_BEFORE, _JUDGED_BEFORE)} AS accuracy_before,
        {_at_points("labels", "0")} AS trend_labels,
        arrayMap((right, judged) -> if(judged = 0, NULL, right / judged),
            {_at_points("gold_correct", "0.")},
            {_at_points("gold_labels", "0")}
        ) AS trend_accuracy
    FROM
    (
        {_WINDOWS}
    ) AS w
    GROUP BY project_id
) AS r ON p.project_id = r.project_id
LEFT JOIN
(
    WITH {_CLOCKS}
    SELECT project_id, countIf(direction = 'worse') AS worse, countIf(direction = 'better') AS better
    FROM {DATABASE}.drift
    {where((PROJECT,))} AND detected_at >= {_CLOCK} - toIntervalHour({HOURS.placeholder})
    GROUP BY project_id
) AS d ON p.project_id = d.project_id""",
    order=("project_id",),
    columns=(
        "project_id", "clock_at", "last_at", "labels", "items", "annotators", "truth_items", "labels_now",
        "labels_before", "gold_labels_now", "accuracy_now", "accuracy_now_low", "accuracy_now_high", "accuracy_before",
        "trend_labels", "trend_accuracy", "worse_now", "better_now",
    ),
    parameters=(PROJECT, HOURS),
)  # fmt: skip

_LAST_CHANGE = f"""SELECT
        project_id, question_id, annotator_id, argMax(direction, (detected_at, sequence)) AS changed_to,
        max(detected_at) AS changed_at
    FROM {DATABASE}.drift
    {where((PROJECT, QUESTION, ANNOTATOR))}
    GROUP BY project_id, question_id, annotator_id"""
_WITH_PEERS = f"""SELECT
        *, sum(gold_correct) OVER of_question / greatest(sum(gold_labels) OVER of_question, 1) AS peers_accuracy,
        quantileExactIf(0.5)(duration_ms_p50, timed_labels >= {TIMED_MIN}) OVER of_question AS peers_duration_ms
    FROM {DATABASE}.annotators
    {where((PROJECT, QUESTION))}
    WINDOW of_question AS (PARTITION BY project_id, question_id)"""
_SPARKS = f"""SELECT
        project_id, question_id, annotator_id, arraySlice(groupArray(day_labels), -{TREND_POINTS}) AS trend_labels,
        arraySlice(groupArray(day_accuracy), -{TREND_POINTS}) AS trend_accuracy
    FROM
    (
        SELECT
            project_id, question_id, annotator_id, toStartOfInterval(window_start, toIntervalHour(1)) AS hour,
            sum(w.labels) AS day_labels, {share("sum(w.gold_correct)", "sum(w.gold_labels)")} AS day_accuracy
        FROM {DATABASE}.annotator_windows AS w
        {where((PROJECT, QUESTION, ANNOTATOR))}
            AND window_start >= (SELECT max(clock_at) FROM {DATABASE}.projects {where((PROJECT,))})
                - toIntervalHour({HOURS.placeholder})
        GROUP BY project_id, question_id, annotator_id, hour
        ORDER BY project_id, question_id, annotator_id, hour
    )
    GROUP BY project_id, question_id, annotator_id"""
FLAGS = {
    "worse": "the latest change detected was for the worse",
    "below": "surely less accurate than the question's annotators together",
    "hurried": "a median time below a third of the median annotator's",
    "unproven": "too few known answers to tell",
}
"""What may be said of an annotator beside the figures."""
_FLAGS = f"""arrayFilter(flag -> flag != '', [
        if(l.changed_to = 'worse', 'worse', ''),
        if(a.gold_labels >= {JUDGED_MIN} AND ifNull(a.accuracy_high, 1) < a.peers_accuracy, 'below', ''),
        if(a.timed_labels >= {TIMED_MIN}
            AND ifNull(a.duration_ms_p50, 1e9) < a.peers_duration_ms * {HURRIED_SHARE}, 'hurried', ''),
        if(a.gold_labels < {JUDGED_MIN}, 'unproven', '')])"""

_ANNOTATOR_BOARD = written_query(
    "annotator-board",
    "each annotator with flags and small trends, for a table",
    sql=f"""SELECT
    a.project_id AS project_id, a.question_id AS question_id, a.annotator_id AS annotator_id, a.labels AS labels,
    a.gold_labels AS gold_labels, a.accuracy AS accuracy, a.accuracy_low AS accuracy_low,
    a.accuracy_high AS accuracy_high, a.accuracy_adaptive AS accuracy_adaptive, a.adaptive_low AS adaptive_low,
    a.adaptive_high AS adaptive_high, a.peers_accuracy AS peers_accuracy, a.duration_ms_p50 AS duration_ms_p50,
    a.duration_ms_p90 AS duration_ms_p90, a.drifts AS drifts, a.first_at AS first_at, a.last_at AS last_at,
    {_FLAGS} AS flags, s.trend_labels AS trend_labels, s.trend_accuracy AS trend_accuracy
FROM ({_WITH_PEERS}) AS a
LEFT JOIN ({_LAST_CHANGE}) AS l
    ON a.project_id = l.project_id AND a.question_id = l.question_id AND a.annotator_id = l.annotator_id
LEFT JOIN ({_SPARKS}) AS s
    ON a.project_id = s.project_id AND a.question_id = s.question_id AND a.annotator_id = s.annotator_id
{where((ANNOTATOR,)).replace(" annotator_id", " a.annotator_id")}""",
    order=("project_id", "question_id", "annotator_id"),
    columns=(
        "project_id", "question_id", "annotator_id", "labels", "gold_labels", "accuracy", "accuracy_low",
        "accuracy_high", "accuracy_adaptive", "adaptive_low", "adaptive_high", "peers_accuracy", "duration_ms_p50",
        "duration_ms_p90", "drifts", "first_at", "last_at", "flags", "trend_labels", "trend_accuracy",
    ),
    parameters=(PROJECT, QUESTION, ANNOTATOR, HOURS),
)  # fmt: skip

_ATTENTION = written_query(
    "attention",
    "what somebody should look at, the most urgent first",
    sql=f"""SELECT severity, kind, project_id, question_id, annotator_id, seen_at, value, reference, evidence
FROM
(
    WITH {_CLOCKS}
    SELECT
        if(after < before - 0.15, 'critical', 'warning') AS severity, 'worse' AS kind, project_id,
        question_id, annotator_id, detected_at AS seen_at, after AS value, before AS reference,
        judgements_after AS evidence
    FROM {DATABASE}.drift
    {where((PROJECT, QUESTION))} AND signal = 'accuracy' AND direction = 'worse'
        AND detected_at >= {_CLOCK} - toIntervalHour({HOURS.placeholder})
    ORDER BY seen_at DESC
    LIMIT 1 BY project_id, question_id, annotator_id
    UNION ALL
    WITH {_CLOCKS}
    SELECT
        if(accuracy_adaptive < peers_accuracy - 0.2, 'critical', 'warning'), 'below', project_id, question_id,
        annotator_id, ifNull(last_at, {_NO_CLOCK}), accuracy_adaptive, peers_accuracy, adaptive_judgements
    FROM ({_WITH_PEERS})
    WHERE adaptive_judgements >= {JUDGED_MIN} AND adaptive_high < peers_accuracy - {MARGIN}
        AND last_at >= {_CLOCK} - toIntervalHour({HOURS.placeholder})
    UNION ALL
    SELECT 'warning', kind, project_id, '', '', last_at, if(kind = 'no_gold', 0, NULL), NULL, labels
    FROM {DATABASE}.projects
    ARRAY JOIN arrayConcat(if(is_unordered, ['unordered'], []), if(gold_labels = 0 AND labels > 0, ['no_gold'], []))
        AS kind
    UNION ALL
    SELECT
        'info', 'dead_letters', ifNull(project_id, ''), '', '', toDateTime64(0, 6, 'UTC'), NULL, NULL, count()
    FROM {DATABASE}.dead_letters GROUP BY project_id
)
{where((PROJECT, QUESTION))}""",
    order=(
        "indexOf(['critical', 'warning', 'info'], severity)", "seen_at DESC", "project_id", "question_id",
        "annotator_id", "kind",
    ),
    columns=(
        "severity", "kind", "project_id", "question_id", "annotator_id", "seen_at", "value", "reference", "evidence",
    ),
    parameters=(PROJECT, QUESTION, HOURS),
)  # fmt: skip

_CHANGES = written_query(
    "changes",
    "how recent the rows of each project are",
    sql=f"""SELECT project_id, toString(version) AS row_version, clock_at, last_at
FROM {DATABASE}.projects
WHERE {IN_SCOPE}""",
    order=("project_id",),
    columns=("project_id", "row_version", "clock_at", "last_at"),
)

QUERIES_OF_OVERVIEWS: tuple[NamedQuery, ...] = (_ATTENTION, _OVERVIEW, _ANNOTATOR_BOARD, _CHANGES)
