"""Named queries for whoever looks into single labels: evidence, doubt, confusion."""

from monitor.queries.named import (
    ANNOTATOR,
    DATABASE,
    PROJECT,
    QUESTION,
    SINCE,
    UNTIL,
    NamedQuery,
    period_of,
    where,
    written_query,
)

_ITEM_COLUMNS = (
    "project_id", "question_id", "item_id", "labels", "annotators", "top_label", "top_share", "doubt", "truth",
    "last_at",
)  # fmt: skip
_LAST_AT = "ifNull(last_at, toDateTime64(0, 6, 'UTC'))"
_DOUBT = "1 - (ifNull(top_share, 0) * i.annotators + 1) / (i.annotators + 2)"
"""Share of the votes against the top label, with one vote added for it and one against: few votes are much doubt."""


def _items(name: str, title: str, *, condition: str, order: str) -> NamedQuery:
    return written_query(
        name,
        title,
        sql=f"""SELECT
    project_id, question_id, item_id, labels, annotators, top_label, top_share, {_DOUBT} AS doubt, truth, last_at
FROM {DATABASE}.items AS i
{where((PROJECT, QUESTION), time=_LAST_AT)} AND {condition}""",
        order=(order, "project_id", "question_id", "item_id"),
        columns=_ITEM_COLUMNS,
        parameters=(PROJECT, QUESTION, SINCE, UNTIL),
        period=period_of("items", (PROJECT, QUESTION), time=_LAST_AT),
    )


QUERIES_OF_REVIEWING: tuple[NamedQuery, ...] = (
    _items(
        "uncertain-items",
        "items without a known answer on which another label would tell most",
        condition="i.labels > 0 AND truth IS NULL",
        order="doubt DESC",
    ),
    _items(
        "disputed-items",
        "items on which several annotators contradict one another",
        condition="i.annotators >= 2 AND top_share < 1",
        order="(1 - top_share) * i.annotators DESC",
    ),
    written_query(
        "undecided-items",
        "items that the consensus has not settled: those to escalate first, then the least certain",
        sql=f"""SELECT project_id, question_id, item_id, consensus, confidence, labels, status
FROM {DATABASE}.consensus
{where((PROJECT, QUESTION))} AND status IN ('escalate', 'needs_label')""",
        order=("status", "ifNull(confidence, 0)", "project_id", "question_id", "item_id"),
        columns=("project_id", "question_id", "item_id", "consensus", "confidence", "labels", "status"),
        parameters=(PROJECT, QUESTION),
    ),
    written_query(
        "settled",
        "how many items the consensus has settled, and how sure it is of them",
        sql=f"""SELECT
    project_id, question_id, status, count() AS items, avg(confidence) AS confidence
FROM {DATABASE}.consensus
{where((PROJECT, QUESTION))}
GROUP BY project_id, question_id, status""",
        order=("project_id", "question_id", "status"),
        columns=("project_id", "question_id", "status", "items", "confidence"),
        parameters=(PROJECT, QUESTION),
    ),
    written_query(
        "evidence",
        "labels against known answers, the latest mistakes first",
        sql=f"""SELECT
    project_id, question_id, annotator_id, item_id, annotation_id, label, truth, score, duration_ms, occurred_at
FROM {DATABASE}.labels
{where((PROJECT, QUESTION, ANNOTATOR), time="occurred_at")} AND score IS NOT NULL""",
        order=("score >= 1", "occurred_at DESC", "project_id", "question_id", "annotation_id"),
        columns=(
            "project_id", "question_id", "annotator_id", "item_id", "annotation_id", "label", "truth", "score",
            "duration_ms", "occurred_at",
        ),
        parameters=(PROJECT, QUESTION, ANNOTATOR, SINCE, UNTIL),
        period=period_of("labels", (PROJECT, QUESTION, ANNOTATOR), time="occurred_at"),
    ),
    written_query(
        "project-confusion",
        "which class is taken for which, over all annotators of a project",
        sql=f"""SELECT
    project_id, question_id, truth, label, sum(c.labels) AS labels,
    labels / sum(labels) OVER (PARTITION BY project_id, question_id, truth) AS share
FROM {DATABASE}.confusion AS c
{where((PROJECT, QUESTION))}
GROUP BY project_id, question_id, truth, label""",
        order=("project_id", "question_id", "truth", "label"),
        columns=("project_id", "question_id", "truth", "label", "labels", "share"),
        parameters=(PROJECT, QUESTION),
    ),
    written_query(
        "coverage",
        "how far the items of each project have come: labelled, by several people, agreed on, with a known answer",
        sql=f"""SELECT
    project_id, question_id, countIf(i.labels > 0) AS items_labelled, countIf(i.annotators >= 2) AS items_repeated,
    countIf(i.annotators >= 2 AND top_share > 0.5) AS items_agreed,
    countIf(i.annotators >= 2 AND top_share = 1) AS items_unanimous,
    countIf(truth IS NOT NULL) AS items_known
FROM {DATABASE}.items AS i
{where((PROJECT, QUESTION))}
GROUP BY project_id, question_id""",
        order=("project_id", "question_id"),
        columns=(
            "project_id", "question_id", "items_labelled", "items_repeated", "items_agreed", "items_unanimous",
            "items_known",
        ),
        parameters=(PROJECT, QUESTION),
    ),
    written_query(
        "dead-letter-reasons",
        "why records were refused, and how often",
        sql=f"""SELECT stage, error_code, count() AS records, max(`offset`) AS last_offset
FROM {DATABASE}.dead_letters
{where((PROJECT,))}
GROUP BY stage, error_code""",
        order=("records DESC", "stage", "error_code"),
        columns=("stage", "error_code", "records", "last_offset"),
        parameters=(PROJECT,),
    ),
)  # fmt: skip
