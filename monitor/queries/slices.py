"""Named queries by a slice: an attribute that events carry, such as team, vendor, language or guideline version.

They are computed from the labels themselves, so they follow corrections like everything else. Where the attribute is
not given, all labels are one slice without a name.
"""

from monitor.queries.intervals import share, wilson_high, wilson_low
from monitor.queries.named import (
    ANNOTATOR,
    BUCKET_SECONDS,
    DATABASE,
    PROJECT,
    QUESTION,
    SINCE,
    SLICE,
    UNTIL,
    NamedQuery,
    period_of,
    where,
    written_query,
)

_IDENTIFIERS = (PROJECT, QUESTION, ANNOTATOR)
_FIGURES = (
    "labels", "gold_labels", "gold_correct", "accuracy", "accuracy_low", "accuracy_high", "duration_ms_mean",
)  # fmt: skip
_RIGHT, _JUDGED = "sum(ifNull(score, 0))", "count(score)"
_FIGURES_SQL = f"""count() AS labels, {_JUDGED} AS gold_labels, {_RIGHT} AS gold_correct,
    {share(_RIGHT, _JUDGED)} AS accuracy,
    {wilson_low(_RIGHT, _JUDGED)} AS accuracy_low,
    {wilson_high(_RIGHT, _JUDGED)} AS accuracy_high,
    if(count(duration_ms) = 0, NULL, avg(duration_ms)) AS duration_ms_mean"""
_VALUE = f"attributes[{SLICE.placeholder}]"


def _by_slice(name: str, title: str, *, keys: dict[str, str], more: dict[str, str] | None = None) -> NamedQuery:
    """Return a query of the labels' figures by keys (name → SQL), with further columns."""
    key_sql = ", ".join(f"{sql} AS {key}" if sql != key else key for key, sql in keys.items())
    more_sql = "".join(f",\n    {sql} AS {column}" for column, sql in (more or {}).items())
    has_buckets = "bucket_start" in keys
    return written_query(
        name,
        title,
        sql=f"""SELECT
    {key_sql},
    {_FIGURES_SQL}{more_sql}
FROM {DATABASE}.labels
{where(_IDENTIFIERS, time="first_at")}
GROUP BY {", ".join(keys)}""",
        order=tuple(keys),
        columns=(*keys, *_FIGURES, *(more or {})),
        parameters=(*_IDENTIFIERS, SLICE, SINCE, UNTIL, *((BUCKET_SECONDS,) if has_buckets else ())),
        period=_PERIOD,
    )


_PERIOD = period_of("labels", _IDENTIFIERS, time="first_at")
_BUCKET = f"toStartOfInterval(first_at, toIntervalSecond({BUCKET_SECONDS.placeholder}))"
_ACCEPTED, _REVIEWED = "countIf(is_first AND decision = 'accept')", "countIf(is_first)"
_OF_QUESTION = {"project_id": "project_id", "question_id": "question_id"}
QUERIES_OF_SLICES: tuple[NamedQuery, ...] = (
    written_query(
        "slice-names",
        "by which attributes the labels of a project can be split",
        sql=f"""SELECT project_id, arrayJoin(mapKeys(attributes)) AS slice, count() AS labels
FROM {DATABASE}.labels
{where((PROJECT,), time="first_at")}
GROUP BY project_id, slice""",
        order=("project_id", "slice"),
        columns=("project_id", "slice", "labels"),
        parameters=(PROJECT, SINCE, UNTIL),
        period=period_of("labels", (PROJECT,), time="first_at"),
    ),
    _by_slice(
        "slice-board",
        "each slice: throughput, accuracy, speed",
        keys={**_OF_QUESTION, "slice_value": _VALUE},
        more={"annotators": "uniqExact(annotator_id)", "items": "uniqExact(item_id)"},
    ),
    _by_slice(
        "slice-trend",
        "each slice over time",
        keys={
            **_OF_QUESTION,
            "slice_value": _VALUE,
            "bucket_start": _BUCKET,
        },
    ),
    _by_slice(
        "slice-annotators",
        "each annotator in each slice",
        keys={**_OF_QUESTION, "annotator_id": "annotator_id", "slice_value": _VALUE},
    ),
    written_query(
        "slice-classes",
        "how often each class was given in each slice over time",
        sql=f"""SELECT
    project_id, question_id, {_VALUE} AS slice_value, {_BUCKET} AS bucket_start, label, count() AS labels,
    labels / sum(labels) OVER (PARTITION BY project_id, question_id, slice_value, bucket_start) AS class_share
FROM {DATABASE}.labels
{where(_IDENTIFIERS, time="first_at")}
GROUP BY project_id, question_id, slice_value, bucket_start, label""",
        order=("project_id", "question_id", "slice_value", "bucket_start", "label"),
        columns=("project_id", "question_id", "slice_value", "bucket_start", "label", "labels", "class_share"),
        parameters=(*_IDENTIFIERS, SLICE, SINCE, UNTIL, BUCKET_SECONDS),
        period=_PERIOD,
    ),
    written_query(
        "slice-confusion",
        "which class is taken for which in each slice",
        sql=f"""SELECT
    project_id, question_id, {_VALUE} AS slice_value, assumeNotNull(labels.truth) AS truth, label, count() AS labels,
    labels / sum(labels) OVER (PARTITION BY project_id, question_id, slice_value, truth) AS share
FROM {DATABASE}.labels AS labels
{where(_IDENTIFIERS, time="first_at")} AND labels.truth IS NOT NULL
GROUP BY project_id, question_id, slice_value, truth, label""",
        order=("project_id", "question_id", "slice_value", "truth", "label"),
        columns=("project_id", "question_id", "slice_value", "truth", "label", "labels", "share"),
        parameters=(*_IDENTIFIERS, SLICE, SINCE, UNTIL),
        period=_PERIOD,
    ),
    written_query(
        "slice-agreement",
        "how far the annotators of each slice agree: nominal alpha, of everybody the latest label of an item",
        sql=f"""SELECT
    project_id, question_id, slice_value, count() AS items_repeated, sum(people) AS labels,
    1 - (labels - 1) * sum((people * people - equal) / (people - 1)) / nullIf(
        labels * labels - arraySum(count -> count * count, sumMap(answers, counts).2), 0
    ) AS alpha,
    avg((equal - people) / (people * (people - 1))) AS percent_agreement
FROM
(
    SELECT
        project_id, question_id, slice_value, item_id, count() AS people, sumMap([answer], [1]) AS counted,
        counted.1 AS answers, counted.2 AS counts, arraySum(count -> count * count, counts) AS equal
    FROM
    (
        SELECT
            project_id, question_id, {_VALUE} AS slice_value, item_id, annotator_id,
            argMax(toString(label), (first_at, annotation_id)) AS answer
        FROM {DATABASE}.labels
        {where((PROJECT, QUESTION), time="first_at")}
        GROUP BY project_id, question_id, slice_value, item_id, annotator_id
    )
    GROUP BY project_id, question_id, slice_value, item_id
    HAVING people > 1
)
GROUP BY project_id, question_id, slice_value""",
        order=("project_id", "question_id", "slice_value"),
        columns=("project_id", "question_id", "slice_value", "items_repeated", "labels", "alpha", "percent_agreement"),
        parameters=(PROJECT, QUESTION, SLICE, SINCE, UNTIL),
        period=period_of("labels", (PROJECT, QUESTION), time="first_at"),
    ),
    written_query(
        "slice-reviews",
        "what reviewers made of the labels of each slice",
        sql=f"""SELECT
    project_id, question_id, slice_value, count() AS reviews, countIf(decision = 'accept') AS accepted,
    countIf(decision = 'fix') AS fixed, countIf(decision = 'reject') AS rejected, {_REVIEWED} AS first_reviews,
    {_ACCEPTED} AS first_accepted, {share(_ACCEPTED, _REVIEWED)} AS acceptance,
    {wilson_low(_ACCEPTED, _REVIEWED)} AS acceptance_low, {wilson_high(_ACCEPTED, _REVIEWED)} AS acceptance_high
FROM (SELECT * FROM {DATABASE}.reviews {where((PROJECT, QUESTION))}) AS reviews
INNER JOIN
(
    SELECT project_id, question_id, annotation_id, {_VALUE} AS slice_value FROM {DATABASE}.labels
    {where(_IDENTIFIERS, time="first_at")}
) AS labels USING (project_id, question_id, annotation_id)
GROUP BY project_id, question_id, slice_value""",
        order=("project_id", "question_id", "slice_value"),
        columns=(
            "project_id", "question_id", "slice_value", "reviews", "accepted", "fixed", "rejected", "first_reviews",
            "first_accepted", "acceptance", "acceptance_low", "acceptance_high",
        ),
        parameters=(*_IDENTIFIERS, SLICE, SINCE, UNTIL),
        period=_PERIOD,
    ),
    written_query(
        "slice-settled",
        "how many items with a label of each slice the consensus has settled, and how sure it is of them",
        sql=f"""SELECT project_id, question_id, slice_value, status, count() AS items, avg(confidence) AS confidence
FROM (SELECT * FROM {DATABASE}.consensus {where((PROJECT, QUESTION))}) AS consensus
INNER JOIN
(
    SELECT DISTINCT project_id, question_id, item_id, {_VALUE} AS slice_value FROM {DATABASE}.labels
    {where(_IDENTIFIERS, time="first_at")}
) AS labels USING (project_id, question_id, item_id)
GROUP BY project_id, question_id, slice_value, status""",
        order=("project_id", "question_id", "slice_value", "status"),
        columns=("project_id", "question_id", "slice_value", "status", "items", "confidence"),
        parameters=(*_IDENTIFIERS, SLICE, SINCE, UNTIL),
        period=_PERIOD,
    ),
)  # fmt: skip
