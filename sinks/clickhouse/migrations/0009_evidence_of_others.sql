ALTER TABLE annotators_versions
    ADD COLUMN IF NOT EXISTS longest_run_chance Nullable(Float64) COMMENT 'Probability of so long a run if answers came in a random order, with the question''s shares of the classes' AFTER longest_run_label,
    ADD COLUMN IF NOT EXISTS consensus_labels UInt64 COMMENT 'Labels held against the consensus of the other annotators' AFTER longest_run_chance,
    ADD COLUMN IF NOT EXISTS consensus_accuracy Nullable(Float64) COMMENT 'Share of them that it agrees with, the annotator''s own vote left out, 0 to 1' AFTER consensus_labels,
    ADD COLUMN IF NOT EXISTS consensus_low Nullable(Float64) COMMENT 'Lower bound of the 95 % interval of consensus_accuracy' AFTER consensus_accuracy,
    ADD COLUMN IF NOT EXISTS consensus_high Nullable(Float64) COMMENT 'Upper bound of the 95 % interval of consensus_accuracy' AFTER consensus_low;

CREATE OR REPLACE VIEW annotators AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active
SELECT
    project_id, question_id, annotator_id, labels, gold_labels, gold_correct, accuracy, accuracy_low, accuracy_high,
    judgements, accuracy_decayed, decayed_low, decayed_high, accuracy_adaptive, adaptive_low, adaptive_high,
    adaptive_judgements, timed_labels, duration_ms_p50, duration_ms_p90, drifts, reviews, accepted, fixed, rejected,
    first_reviews, first_accepted, reworked, corrected_labels, corrected_score, skips, skips_in_a_row,
    accuracy_estimate, estimate_low, estimate_high, fast_share, fast_low, fast_high, longest_run, longest_run_label,
    longest_run_chance, consensus_labels, consensus_accuracy, consensus_low, consensus_high,
    first_at, last_at, generation, version
FROM annotators_versions FINAL
WHERE generation BETWEEN active.4 AND active.5
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Annotators and questions over all time';

CREATE OR REPLACE VIEW class_bias AS
SELECT
    project_id, question_id, annotator_id, label, given, actual AS `true`, given / total AS share_given,
    actual / total AS share_true,
    (given - actual) / total AS bias,
    greatest((given - actual) / (total + 2) - reach, -1) AS bias_low,
    least((given - actual) / (total + 2) + reach, 1) AS bias_high
FROM
(
    SELECT
        project_id, question_id, annotator_id, pair.1 AS label,
        toInt64(sum(labels * pair.2)) AS given, toInt64(sum(labels * pair.3)) AS actual,
        toInt64(sum(labels * pair.4)) AS right, toInt64(any(counted)) AS total,
        1.959963984540054 * sqrt(greatest(
            (given + actual - 2 * right + 2) / (total + 2) - pow((given - actual) / (total + 2), 2), 0) / (total + 2)) AS reach
    FROM
    (
        SELECT
            project_id, question_id, annotator_id, labels,
            sum(labels) OVER (PARTITION BY project_id, question_id, annotator_id) AS counted,
            arrayJoin([(label, 1, 0, toUInt8(label = truth)), (truth, 0, 1, 0)]) AS pair
        FROM confusion
    )
    GROUP BY project_id, question_id, annotator_id, label
)
COMMENT 'How much oftener each annotator gives a class than it is true, among labels whose answer is known';
