"""Named queries over time, in buckets of any length: windows put together, so that a year can be drawn like an hour.

A bucket is at least as long as a window of the flow. Intervals of several windows together are Wilson's.
"""

from monitor.queries.intervals import share, wilson_high, wilson_low
from monitor.queries.named import (
    ANNOTATOR,
    BUCKET_SECONDS,
    DATABASE,
    PROJECT,
    QUESTION,
    SINCE,
    UNTIL,
    NamedQuery,
    Parameter,
    where,
    written_query,
)

BUCKET_START = f"toStartOfInterval(window_start, toIntervalSecond({BUCKET_SECONDS.placeholder}))"
_RIGHT, _JUDGED = "sum(w.gold_correct)", "sum(w.gold_labels)"
FIGURES = (
    "bucket_start", "is_final", "labels", "gold_labels", "gold_correct", "accuracy", "accuracy_low", "accuracy_high",
    "duration_ms_mean",
)  # fmt: skip
_FIGURES_SQL = f"""{BUCKET_START} AS bucket_start,
    min(w.is_final) AS is_final,
    sum(w.labels) AS labels,
    {_JUDGED} AS gold_labels,
    {_RIGHT} AS gold_correct,
    {share(_RIGHT, _JUDGED)} AS accuracy,
    {wilson_low(_RIGHT, _JUDGED)} AS accuracy_low,
    {wilson_high(_RIGHT, _JUDGED)} AS accuracy_high,
    if(sum(w.timed_labels) = 0, NULL, sum(w.duration_ms_sum) / sum(w.timed_labels)) AS duration_ms_mean"""


def _trend(
    name: str, title: str, *, view: str, keys: tuple[str, ...], identifiers: tuple[Parameter, ...]
) -> NamedQuery:
    key_list = ", ".join(keys)
    return written_query(
        name,
        title,
        sql=f"""SELECT
    {key_list},
    {_FIGURES_SQL}
FROM {DATABASE}.{view} AS w
{where(identifiers, time="window_start")}
GROUP BY {key_list}, bucket_start""",
        order=(*keys, "bucket_start"),
        columns=(*keys, *FIGURES),
        parameters=(*identifiers, SINCE, UNTIL, BUCKET_SECONDS),
    )


QUERIES_OF_TRENDS: tuple[NamedQuery, ...] = (
    _trend(
        "trend",
        "labels, accuracy and speed of each project over time",
        view="project_windows",
        keys=("project_id", "question_id"),
        identifiers=(PROJECT, QUESTION),
    ),
    _trend(
        "annotator-trend",
        "labels, accuracy and speed of each annotator over time",
        view="annotator_windows",
        keys=("project_id", "question_id", "annotator_id"),
        identifiers=(PROJECT, QUESTION, ANNOTATOR),
    ),
    written_query(
        "class-trend",
        "how often each class was given over time",
        sql=f"""SELECT
    project_id, question_id, label, {BUCKET_START} AS bucket_start, min(w.is_final) AS is_final,
    sum(w.labels) AS labels,
    labels / sum(labels) OVER (PARTITION BY project_id, question_id, bucket_start) AS class_share
FROM {DATABASE}.class_windows AS w
{where((PROJECT, QUESTION), time="window_start")}
GROUP BY project_id, question_id, label, bucket_start""",
        order=("project_id", "question_id", "bucket_start", "label"),
        columns=("project_id", "question_id", "label", "bucket_start", "is_final", "labels", "class_share"),
        parameters=(PROJECT, QUESTION, SINCE, UNTIL, BUCKET_SECONDS),
    ),
)
