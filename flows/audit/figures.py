"""The figures by their definitions, as queries over what is in force.

Each query gives the rows of one view: its key and the columns that are compared. Times are microseconds since the
epoch. Sums are of whole numbers, hence exact.
"""

import duckdb
import numpy as np
import pyarrow as pa
from scipy.stats import beta

from flows.audit import agreement

LEVEL = 0.95

_JUDGED = """
    count(credit) AS gold_labels, coalesce(sum(credit), 0)::BIGINT AS credit,
    count(duration_ms) AS timed_labels"""
_CORRECT = "gold_labels, credit / 1e6 AS gold_correct, credit / 1e6 / nullif(gold_labels, 0) AS accuracy"
_OF_WINDOW = f"""
        WITH work AS (
            SELECT *, 0 AS skips FROM (
                SELECT project_id, question_id, window_start, annotator_id, credit, duration_ms, 1 AS labels
                FROM label_facts)
            UNION ALL
            SELECT project_id, question_id, window_start, annotator_id, NULL, NULL, 0, 1 FROM skip_facts),
        sums AS (
            SELECT %s, sum(labels)::BIGINT AS labels, {_JUDGED},
                coalesce(sum(duration_ms), 0)::BIGINT AS duration_ms_sum, sum(skips)::BIGINT AS skips,
                count(DISTINCT annotator_id) FILTER (labels > 0) AS annotators
            FROM work GROUP BY %s)
        SELECT %s, window_start + $window AS window_end, labels, {_CORRECT}, low AS accuracy_low,
            high AS accuracy_high, timed_labels, duration_ms_sum, skips%s
        FROM sums LEFT JOIN intervals USING (credit, gold_labels)"""
_OF_ANNOTATOR = ", ".join(("project_id", "question_id", "window_start", "annotator_id"))
_OF_PROJECT = ", ".join(("project_id", "question_id", "window_start"))
_DECISIONS = """count(*) AS reviews, count(*) FILTER (decision = 'accept') AS accepted,
                count(*) FILTER (decision = 'fix') AS fixed, count(*) FILTER (decision = 'reject') AS rejected"""

FIGURES: dict[str, str] = {
    "labels": """
        SELECT project_id, question_id, item_id, annotation_id, annotator_id, step, revision, label, occurred_at,
            first_at, duration_ms, coalesce(truth, corrected) AS truth,
            coalesce(credit, corrected_credit) / 1e6 AS score,
            coalesce(standing, CASE WHEN corrected IS NOT NULL THEN 'correction' END) AS truth_standing,
            attributes_text
        FROM label_facts WHERE is_row""",
    "skips": """
        SELECT project_id, question_id, item_id, annotation_id, annotator_id, step, revision, occurred_at, first_at,
            duration_ms, attributes_text
        FROM skip_facts WHERE is_row""",
    "reviews": """
        SELECT project_id, question_id, annotation_id, review_id, item_id, annotator_id, reviewer_id, step, decision,
            correction, is_first, agreement / 1e6 AS agreement, occurred_at, duration_ms, waiting_ms
        FROM review_facts""",
    "items": """
        WITH each_vote AS (
            SELECT project_id, question_id, item_id, annotator_id, label,
                1.0 / count(*) OVER (PARTITION BY project_id, question_id, item_id, annotator_id) AS vote
            FROM vote_facts),
        answers AS (
            SELECT project_id, question_id, item_id, label, sum(vote) AS votes, count(*) AS labels
            FROM each_vote GROUP BY ALL),
        people AS (
            SELECT project_id, question_id, item_id, count(DISTINCT annotator_id) AS annotators
            FROM vote_facts GROUP BY ALL),
        best AS (
            SELECT project_id, question_id, item_id, max(votes) AS votes, sum(labels)::BIGINT AS labels
            FROM answers GROUP BY ALL),
        top AS (
            SELECT project_id, question_id, item_id, min(answers.label) AS top_label
            FROM answers JOIN best USING (project_id, question_id, item_id)
            WHERE answers.votes > best.votes - 1e-9 GROUP BY ALL)
        SELECT project_id, question_id, item_id, coalesce(labels, 0) AS labels, coalesce(annotators, 0) AS annotators,
            top_label, votes / annotators AS top_share, truth, truth_standing, stage, skips, adjudicator_id,
            started_at, finished_at, first_at, last_at
        FROM item_facts
        LEFT JOIN people USING (project_id, question_id, item_id)
        LEFT JOIN best USING (project_id, question_id, item_id)
        LEFT JOIN top USING (project_id, question_id, item_id)""",
    "annotators": f"""
        WITH sums AS (
            SELECT project_id, question_id, annotator_id, count(*) AS labels, {_JUDGED},
                count(*) FILTER (is_reworked) AS reworked, count(corrected) AS corrected_labels,
                coalesce(sum(corrected_credit), 0)::BIGINT AS corrected_credit
            FROM label_facts WHERE is_of_present_person GROUP BY ALL),
        skipped AS (
            SELECT project_id, question_id, annotator_id, count(*) AS skips
            FROM skip_facts WHERE is_of_present_person GROUP BY ALL),
        reviewed AS (
            SELECT project_id, question_id, annotator_id, {_DECISIONS}, count(*) FILTER (is_first) AS first_reviews,
                count(*) FILTER (is_first AND decision = 'accept') AS first_accepted
            FROM review_facts WHERE is_of_present_person GROUP BY ALL),
        counts AS (
            SELECT * REPLACE (coalesce(gold_labels, 0) AS gold_labels, coalesce(credit, 0) AS credit)
            FROM person_facts
            LEFT JOIN sums USING (project_id, question_id, annotator_id)
            LEFT JOIN skipped USING (project_id, question_id, annotator_id)
            LEFT JOIN reviewed USING (project_id, question_id, annotator_id)
            WHERE labels > 0 OR skips > 0)
        SELECT project_id, question_id, annotator_id, coalesce(labels, 0) AS labels, {_CORRECT}, low AS accuracy_low,
            high AS accuracy_high, first_at, last_at, coalesce(corrected_credit, 0) / 1e6 AS corrected_score,
            {
        ", ".join(
            f"coalesce({name}, 0) AS {name}"
            for name in (
                "timed_labels",
                "reviews",
                "accepted",
                "fixed",
                "rejected",
                "first_reviews",
                "first_accepted",
                "reworked",
                "corrected_labels",
                "skips",
            )
        )
    }
        FROM counts LEFT JOIN intervals USING (credit, gold_labels)""",
    "reviewers": f"""
        WITH sums AS (
            SELECT project_id, question_id, reviewer_id, {_DECISIONS}, count(agreement) AS judged_reviews,
                coalesce(sum(agreement), 0)::BIGINT AS agreeing,
                count(*) FILTER (agreement IS NOT NULL AND label_credit < 500000) AS wrong_labels,
                count(*) FILTER (agreement IS NOT NULL AND label_credit < 500000 AND decision = 'accept')
                    AS wrongly_accepted,
                count(*) FILTER (agreement IS NOT NULL AND label_credit >= 500000 AND decision != 'accept')
                    AS wrongly_refused
            FROM review_facts GROUP BY ALL)
        SELECT project_id, question_id, reviewer_id, reviews, accepted, fixed, rejected, judged_reviews,
            sums.agreeing / 1e6 AS agreeing, sums.agreeing / 1e6 / nullif(judged_reviews, 0) AS agreement,
            a.low AS agreement_low, a.high AS agreement_high, wrong_labels, wrongly_accepted,
            wrongly_accepted / nullif(wrong_labels, 0)::DOUBLE AS leniency, l.low AS leniency_low,
            l.high AS leniency_high, wrongly_refused
        FROM sums
        LEFT JOIN intervals AS a ON a.credit = sums.agreeing AND a.gold_labels = judged_reviews
        LEFT JOIN intervals AS l ON l.credit = wrongly_accepted * 1000000 AND l.gold_labels = wrong_labels""",
    "step_windows": """
        SELECT project_id, question_id, window_start, step, window_start + $window AS window_end,
            sum(done)::BIGINT AS done, sum(skips)::BIGINT AS skips, count(duration_ms) AS timed,
            coalesce(sum(duration_ms), 0)::BIGINT AS duration_ms_sum, sum(reworked)::BIGINT AS reworked,
            sum(first_reviews)::BIGINT AS first_reviews, sum(first_accepted)::BIGINT AS first_accepted,
            count(waiting_ms) AS waited, coalesce(sum(waiting_ms), 0)::BIGINT AS waiting_ms_sum
        FROM step_facts GROUP BY ALL""",
    "annotator_windows": _OF_WINDOW % (_OF_ANNOTATOR, _OF_ANNOTATOR, _OF_ANNOTATOR, ""),
    "project_windows": _OF_WINDOW % (_OF_PROJECT, _OF_PROJECT, _OF_PROJECT, ", annotators"),
    "class_windows": """
        SELECT project_id, question_id, window_start, label, window_start + $window AS window_end, count(*) AS labels
        FROM class_facts GROUP BY ALL""",
    "confusion": """
        SELECT project_id, question_id, annotator_id, truth, label, count(*) AS labels
        FROM label_facts WHERE credit IS NOT NULL AND is_in_cell GROUP BY ALL""",
    "projects": f"""
        WITH sums AS (SELECT project_id, count(*) AS labels, {_JUDGED} FROM label_facts GROUP BY ALL)
        SELECT project_id, $stream AS stream, partition, clock_at, last_at, coalesce(labels, 0) AS labels,
            coalesce(gold_labels, 0) AS gold_labels, coalesce(credit, 0) / 1e6 AS gold_correct,
            unmatched_retractions, unmatched_reviews
        FROM project_facts LEFT JOIN sums USING (project_id)""",
    "dead_letters": """
        SELECT $stream AS stream, partition, "offset", is_late, md5(payload) AS payload_md5, payload_bytes
        FROM refused_facts""",
    "progress": """
        SELECT $stream AS stream, partition, events_in, folded, duplicate, late, dead FROM account_facts""",
}

_PAIRS = f"""
    SELECT DISTINCT credit, gold_labels FROM (
        SELECT {_JUDGED} FROM label_facts GROUP BY project_id, question_id, annotator_id, is_of_present_person
        UNION ALL SELECT {_JUDGED} FROM label_facts GROUP BY project_id, question_id, annotator_id, window_start
        UNION ALL SELECT {_JUDGED} FROM label_facts GROUP BY project_id, question_id, window_start
        UNION ALL SELECT count(agreement), coalesce(sum(agreement), 0)::BIGINT, 0
            FROM review_facts GROUP BY project_id, question_id, reviewer_id
        UNION ALL SELECT count(*), 1000000 * count(*) FILTER (decision = 'accept'), 0
            FROM review_facts WHERE agreement IS NOT NULL AND label_credit < 500000
            GROUP BY project_id, question_id, reviewer_id)
    WHERE gold_labels > 0"""


def store_intervals(database: duckdb.DuckDBPyConnection) -> None:
    """Make the table of the 95 % Jeffreys intervals of all counts that occur.

    The interval is that between the tails of the Beta distribution with ½ added to what was right and to what was
    wrong; see Brown, Cai and DasGupta (2001), Interval Estimation for a Binomial Proportion.
    """
    pairs = database.sql(_PAIRS).fetchnumpy()
    credit, judged = np.asarray(pairs["credit"], np.int64), np.asarray(pairs["gold_labels"], np.int64)
    right = credit / 1e6 + 0.5
    wrong = judged - credit / 1e6 + 0.5
    tail = (1 - LEVEL) / 2
    intervals = pa.table(
        {
            "credit": credit,
            "gold_labels": judged,
            "low": beta.ppf(tail, right, wrong),
            "high": beta.ppf(1 - tail, right, wrong),
        }
    )
    database.register("intervals_found", intervals)
    database.execute("CREATE TABLE intervals AS FROM intervals_found")
    database.unregister("intervals_found")


def store_figures(database: duckdb.DuckDBPyConnection, *, window: int, stream: str) -> None:
    """Make a table ``expected_VIEW`` of each query."""
    database.execute(agreement.AGREEMENT_TABLE)
    database.execute(agreement.CROWDED_TABLE)
    for view, query in {**FIGURES, **agreement.FIGURES}.items():
        named = {name: value for name, value in (("window", window), ("stream", stream)) if f"${name}" in query}
        database.execute(f"CREATE TABLE expected_{view} AS {query}", named)
