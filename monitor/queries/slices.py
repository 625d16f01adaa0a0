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
        period=period_of("labels", _IDENTIFIERS, time="first_at"),
    )


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
            "bucket_start": f"toStartOfInterval(first_at, toIntervalSecond({BUCKET_SECONDS.placeholder}))",
        },
    ),
    _by_slice(
        "slice-annotators",
        "each annotator in each slice",
        keys={**_OF_QUESTION, "annotator_id": "annotator_id", "slice_value": _VALUE},
    ),
)
