"""The agreement by its definitions, as queries over the votes on items: one vote for each annotator and item.

References
----------
Krippendorff (2011), Computing Krippendorff's Alpha-Reliability.
Gwet (2008), Computing inter-rater reliability and its variance in the presence of high agreement, BJMSP 61(1).
Cohen (1960), A Coefficient of Agreement for Nominal Scales, Educational and Psychological Measurement 20(1).
"""

PAIRS_MAX = 20_000
"""With more pairs of annotators in a question, the flow counts only some of them."""
SHARED_ITEMS_MIN = 20

AGREEMENT_TABLE = """
    CREATE TABLE agreement_figures AS
    WITH votes AS (FROM agreement_facts WHERE level != 'distance'),
    units AS (SELECT project_id, question_id, window_start, unit, count(*) AS m FROM votes GROUP BY ALL),
    cells AS (
        SELECT project_id, question_id, window_start, unit, label, level, number, count(*) AS n
        FROM votes GROUP BY ALL),
    counted AS (FROM cells JOIN units USING (project_id, question_id, window_start, unit)),
    totals AS (
        SELECT project_id, question_id, window_start, label, level, number, sum(n) AS total
        FROM counted WHERE m > 1 GROUP BY ALL),
    places AS (
        SELECT *, CASE level WHEN 'ordinal' THEN sum(total) OVER (
            PARTITION BY project_id, question_id, window_start ORDER BY number) - total / 2.0
            ELSE number END AS x
        FROM totals),
    of_units AS (
        SELECT project_id, question_id, window_start, unit, any_value(m) AS m,
            sum(n * (n - 1)) / (any_value(m) * (any_value(m) - 1.0)) AS alike,
            CASE any_value(level) WHEN 'nominal' THEN any_value(m) * any_value(m) - sum(n * n)
                ELSE 2 * (any_value(m) * sum(n * x * x) - sum(n * x) * sum(n * x)) END
                / (any_value(m) - 1.0) AS distance
        FROM counted JOIN places USING (project_id, question_id, window_start, label, level)
        WHERE m > 1 GROUP BY ALL),
    observed AS (
        SELECT project_id, question_id, window_start, count(*) AS items, sum(m)::BIGINT AS labels, avg(alike) AS alike,
            sum(distance) AS distance
        FROM of_units GROUP BY ALL),
    expected AS (
        SELECT project_id, question_id, window_start,
            CASE WHEN any_value(level) = 'nominal' THEN sum(total) * sum(total) - sum(total * total)
                ELSE 2 * (sum(total) * sum(total * x * x) - sum(total * x) * sum(total * x)) END AS distance
        FROM places GROUP BY ALL),
    shares AS (
        SELECT project_id, question_id, window_start, label, sum(n / m::DOUBLE) AS share FROM counted GROUP BY ALL),
    chances AS (
        SELECT project_id, question_id, window_start,
            sum(share / all_units * (1 - share / all_units)) / nullif(count(*) - 1, 0) AS chance
        FROM shares JOIN (
            SELECT project_id, question_id, window_start, count(*) AS all_units FROM units GROUP BY ALL)
            USING (project_id, question_id, window_start)
        GROUP BY ALL)
    SELECT project_id, question_id, window_start, (
            SELECT any_value(level) FROM votes WHERE votes.project_id = chances.project_id
                AND votes.question_id = chances.question_id) AS level,
        coalesce(items, 0) AS items, coalesce(labels, 0) AS labels,
        1 - observed.distance * (labels - 1) / nullif(expected.distance, 0) AS alpha,
        (alike - chance) / nullif(1 - chance, 0) AS ac1, alike AS percent_agreement
    FROM chances
    LEFT JOIN observed USING (project_id, question_id, window_start)
    LEFT JOIN expected USING (project_id, question_id, window_start)"""

CROWDED_TABLE = f"""
    CREATE TABLE crowded_questions AS
    SELECT project_id, question_id FROM (
        SELECT DISTINCT a.project_id, a.question_id, a.annotator_id, b.annotator_id AS other
        FROM agreement_facts AS a JOIN agreement_facts AS b
            ON a.project_id = b.project_id AND a.question_id = b.question_id AND a.unit = b.unit
            AND a.annotator_id < b.annotator_id
        WHERE a.window_start = -1 AND b.window_start = -1)
    GROUP BY ALL HAVING count(*) > {PAIRS_MAX}"""

PAIRS = f"""
    WITH shared AS (
        SELECT a.project_id, a.question_id, a.annotator_id, b.annotator_id AS other_annotator_id, a.label AS mine,
            b.label AS others
        FROM agreement_facts AS a JOIN agreement_facts AS b
            ON a.project_id = b.project_id AND a.question_id = b.question_id AND a.unit = b.unit
            AND a.annotator_id < b.annotator_id
        WHERE a.level = 'nominal' AND a.window_start = -1 AND b.window_start = -1),
    counts AS (
        SELECT project_id, question_id, annotator_id, other_annotator_id, count(*) AS shared_items,
            avg((mine = others)::INTEGER) AS percent_agreement
        FROM shared GROUP BY ALL HAVING count(*) >= {SHARED_ITEMS_MIN}),
    mine AS (
        SELECT project_id, question_id, annotator_id, other_annotator_id, mine AS label, count(*) AS n
        FROM shared GROUP BY ALL),
    others AS (
        SELECT project_id, question_id, annotator_id, other_annotator_id, others AS label, count(*) AS n
        FROM shared GROUP BY ALL),
    chances AS (
        SELECT project_id, question_id, annotator_id, other_annotator_id, sum(mine.n * others.n) AS products
        FROM mine JOIN others USING (project_id, question_id, annotator_id, other_annotator_id, label) GROUP BY ALL)
    SELECT project_id, question_id, annotator_id, other_annotator_id, shared_items, percent_agreement,
        (percent_agreement - coalesce(products, 0) / (shared_items * shared_items)::DOUBLE)
            / nullif(1 - coalesce(products, 0) / (shared_items * shared_items)::DOUBLE, 0) AS kappa
    FROM counts LEFT JOIN chances USING (project_id, question_id, annotator_id, other_annotator_id)
    WHERE (project_id, question_id) NOT IN (FROM crowded_questions)"""

FIGURES = {
    "agreement": "SELECT * EXCLUDE (window_start) FROM agreement_figures WHERE window_start = -1",
    "agreement_windows": """
        SELECT *, window_start + $window AS window_end FROM agreement_figures WHERE window_start != -1""",
    "pairs": PAIRS,
}
"""Queries of the views, as in flows.audit.figures."""
