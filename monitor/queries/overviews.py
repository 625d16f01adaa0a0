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

_NOW = f"w.window_start >= c.clock_at - toIntervalHour({HOURS.placeholder})"
_BEFORE = f"NOT ({_NOW})"
_POINT = (
    f"greatest(0, {TREND_POINTS - 1} - intDiv(dateDiff('second', w.window_start, c.last_at) * {TREND_POINTS}, "
    f"{HOURS.placeholder} * 3600 + 1))"
)
_EMPTY = f"arrayWithConstant({TREND_POINTS}, toUInt64(0))"


def _sum(what: str, when: str) -> str:
    return f"sumIf(w.{what}, {when})"


_RIGHT_NOW, _JUDGED_NOW = _sum("gold_correct", _NOW), _sum("gold_labels", _NOW)
_RIGHT_BEFORE, _JUDGED_BEFORE = _sum("gold_correct", _BEFORE), _sum("gold_labels", _BEFORE)

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
FROM {DATABASE}.projects AS p
LEFT JOIN
(
    SELECT
        w.project_id AS project_id,
        {_sum("labels", _NOW)} AS labels_now, {_sum("labels", _BEFORE)} AS labels_before,
        {_JUDGED_NOW} AS gold_labels_now,
        {share(_RIGHT_NOW, _JUDGED_NOW)} AS accuracy_now,
        {wilson_low(_RIGHT_NOW, _JUDGED_NOW)} AS accuracy_now_low,
        {wilson_high(_RIGHT_NOW, _JUDGED_NOW)} AS accuracy_now_high,
        {share(_RIGHT_BEFORE, _JUDGED_BEFORE)} AS accuracy_before,
        sumForEachIf(arrayMap(i -> if(i = {_POINT}, w.labels, 0), range({TREND_POINTS})), {_NOW}) AS trend_labels,
        arrayMap((right, judged) -> if(judged = 0, NULL, right / judged),
            sumForEachIf(arrayMap(i -> if(i = {_POINT}, w.gold_correct, 0.), range({TREND_POINTS})), {_NOW}),
            sumForEachIf(arrayMap(i -> if(i = {_POINT}, w.gold_labels, 0), range({TREND_POINTS})), {_NOW})
        ) AS trend_accuracy
    FROM {DATABASE}.project_windows AS w
    INNER JOIN {DATABASE}.projects AS c ON w.project_id = c.project_id
    WHERE w.window_start >= c.clock_at - toIntervalHour(2 * {HOURS.placeholder})
        AND w.window_start >= (SELECT min(clock_at) FROM {DATABASE}.projects {where((PROJECT,))})
            - toIntervalHour(2 * {HOURS.placeholder})
        AND ({PROJECT.placeholder} = '' OR w.project_id = {PROJECT.placeholder})
    GROUP BY w.project_id
) AS r ON p.project_id = r.project_id
LEFT JOIN
(
    SELECT w.project_id AS project_id, countIf(direction = 'worse') AS worse, countIf(direction = 'better') AS better
    FROM (SELECT project_id, direction, detected_at AS window_start FROM {DATABASE}.drift) AS w
    INNER JOIN {DATABASE}.projects AS c ON w.project_id = c.project_id
    WHERE {_NOW}
    GROUP BY w.project_id
) AS d ON p.project_id = d.project_id
{where((PROJECT,)).replace(" project_id", " p.project_id").replace(", project_id", ", p.project_id")}""",
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
_PEERS = f"""SELECT
        project_id, question_id, sum(gold_correct) / greatest(sum(gold_labels), 1) AS accuracy,
        quantileExactIf(0.5)(duration_ms_p50, timed_labels >= {TIMED_MIN}) AS duration_ms
    FROM {DATABASE}.annotators
    {where((PROJECT, QUESTION))}
    GROUP BY project_id, question_id"""
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
        if(a.gold_labels >= {JUDGED_MIN} AND ifNull(a.accuracy_high, 1) < q.accuracy, 'below', ''),
        if(a.timed_labels >= {TIMED_MIN}
            AND ifNull(a.duration_ms_p50, 1e9) < q.duration_ms * {HURRIED_SHARE}, 'hurried', ''),
        if(a.gold_labels < {JUDGED_MIN}, 'unproven', '')])"""

_ANNOTATOR_BOARD = written_query(
    "annotator-board",
    "each annotator with flags and small trends, for a table",
    sql=f"""SELECT
    a.project_id AS project_id, a.question_id AS question_id, a.annotator_id AS annotator_id, a.labels AS labels,
    a.gold_labels AS gold_labels, a.accuracy AS accuracy, a.accuracy_low AS accuracy_low,
    a.accuracy_high AS accuracy_high, a.accuracy_adaptive AS accuracy_adaptive, a.adaptive_low AS adaptive_low,
    a.adaptive_high AS adaptive_high, q.accuracy AS peers_accuracy, a.duration_ms_p50 AS duration_ms_p50,
    a.duration_ms_p90 AS duration_ms_p90, a.drifts AS drifts, a.first_at AS first_at, a.last_at AS last_at,
    {_FLAGS} AS flags, s.trend_labels AS trend_labels, s.trend_accuracy AS trend_accuracy
FROM (SELECT * FROM {DATABASE}.annotators {where((PROJECT, QUESTION, ANNOTATOR))}) AS a
LEFT JOIN ({_LAST_CHANGE}) AS l
    ON a.project_id = l.project_id AND a.question_id = l.question_id AND a.annotator_id = l.annotator_id
LEFT JOIN ({_PEERS}) AS q ON a.project_id = q.project_id AND a.question_id = q.question_id
LEFT JOIN ({_SPARKS}) AS s
    ON a.project_id = s.project_id AND a.question_id = s.question_id AND a.annotator_id = s.annotator_id""",
    order=("project_id", "question_id", "annotator_id"),
    columns=(
        "project_id", "question_id", "annotator_id", "labels", "gold_labels", "accuracy", "accuracy_low",
        "accuracy_high", "accuracy_adaptive", "adaptive_low", "adaptive_high", "peers_accuracy", "duration_ms_p50",
        "duration_ms_p90", "drifts", "first_at", "last_at", "flags", "trend_labels", "trend_accuracy",
    ),
    parameters=(PROJECT, QUESTION, ANNOTATOR, HOURS),
)  # fmt: skip

_CLOCK = "c.clock_at"
_ATTENTION = written_query(
    "attention",
    "what somebody should look at, the most urgent first",
    sql=f"""SELECT severity, kind, project_id, question_id, annotator_id, seen_at, value, reference, evidence
FROM
(
    SELECT
        if(after < before - 0.15, 'critical', 'warning') AS severity, 'worse' AS kind, d.project_id AS project_id,
        question_id, annotator_id, detected_at AS seen_at, after AS value, before AS reference,
        judgements_after AS evidence
    FROM {DATABASE}.drift AS d
    INNER JOIN (SELECT project_id, clock_at FROM {DATABASE}.projects) AS c ON d.project_id = c.project_id
    WHERE signal = 'accuracy' AND direction = 'worse'
        AND detected_at >= {_CLOCK} - toIntervalHour({HOURS.placeholder})
    ORDER BY seen_at DESC
    LIMIT 1 BY project_id, question_id, annotator_id
    UNION ALL
    SELECT
        if(a.accuracy_adaptive < q.accuracy - 0.2, 'critical', 'warning'), 'below', a.project_id, a.question_id,
        a.annotator_id, ifNull(a.last_at, toDateTime64(0, 6, 'UTC')), a.accuracy_adaptive, q.accuracy,
        a.adaptive_judgements
    FROM {DATABASE}.annotators AS a
    INNER JOIN ({_PEERS}) AS q ON a.project_id = q.project_id AND a.question_id = q.question_id
    INNER JOIN (SELECT project_id, clock_at FROM {DATABASE}.projects) AS c ON a.project_id = c.project_id
    WHERE a.adaptive_judgements >= {JUDGED_MIN} AND a.adaptive_high < q.accuracy - {MARGIN}
        AND a.last_at >= {_CLOCK} - toIntervalHour({HOURS.placeholder})
    UNION ALL
    SELECT
        'warning', 'unordered', project_id, '', '', last_at, NULL, NULL, labels
    FROM {DATABASE}.projects WHERE is_unordered
    UNION ALL
    SELECT
        'warning', 'no_gold', project_id, '', '', last_at, 0, NULL, labels
    FROM {DATABASE}.projects WHERE gold_labels = 0 AND labels > 0
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
