CREATE OR REPLACE VIEW labels AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active
SELECT
    project_id, question_id, item_id, annotation_id, annotator_id, step, revision, label, occurred_at, first_at,
    duration_ms, truth, score, truth_standing, attributes, generation, version
FROM labels_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Labels in force';

CREATE OR REPLACE VIEW items AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active
SELECT
    project_id, question_id, item_id, labels, annotators, top_label, top_share, truth, truth_standing, kind, stage,
    skips, adjudicator_id, started_at, finished_at, first_at, last_at, generation, version
FROM items_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Items and questions with a label in force, a skip or a known answer';

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
    first_at, last_at, generation, version
FROM annotators_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Annotators and questions over all time';

CREATE OR REPLACE VIEW confusion AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active
SELECT
    project_id, question_id, annotator_id, truth, label, labels, generation, version
FROM confusion_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Which class each annotator takes for which';

CREATE OR REPLACE VIEW drift AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active
SELECT
    project_id, question_id, annotator_id, signal, detector, sequence, direction, detected_at, changed_at, before,
    after, judgements_after, generation, version
FROM drift_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Changes detected in annotators'' signals';

CREATE OR REPLACE VIEW projects AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active
SELECT
    project_id, stream, `partition`, clock_at, last_at, labels, items, annotators, truth_items, gold_labels,
    gold_correct, unmatched_retractions, unmatched_reviews, CAST(is_unordered, 'Bool') AS is_unordered, generation,
    version
FROM projects_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Projects over all time';

CREATE OR REPLACE VIEW annotator_windows AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active,
(
    SELECT (arrayFlatten(groupArray(ids)), arrayFlatten(groupArray(arrayWithConstant(length(ids), clock_at))))
    FROM
    (
        SELECT groupArray(project_id) AS ids, max(clock_at) AS clock_at
        FROM projects_versions FINAL
        WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
            AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
        GROUP BY stream, `partition`
    )
) AS clock
SELECT
    project_id, question_id, window_start, annotator_id, window_end,
    CAST(window_end <= transform(project_id, clock.1, clock.2, toDateTime64(0, 6, 'UTC')), 'Bool') AS is_final,
    labels, gold_labels, gold_correct, accuracy, accuracy_low, accuracy_high, timed_labels, duration_ms_sum, skips,
    generation, version
FROM annotator_windows_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Annotators in each window; is_final once the project or its partition has passed them';

CREATE OR REPLACE VIEW project_windows AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active,
(
    SELECT (arrayFlatten(groupArray(ids)), arrayFlatten(groupArray(arrayWithConstant(length(ids), clock_at))))
    FROM
    (
        SELECT groupArray(project_id) AS ids, max(clock_at) AS clock_at
        FROM projects_versions FINAL
        WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
            AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
        GROUP BY stream, `partition`
    )
) AS clock
SELECT
    project_id, question_id, window_start, window_end,
    CAST(window_end <= transform(project_id, clock.1, clock.2, toDateTime64(0, 6, 'UTC')), 'Bool') AS is_final,
    labels, gold_labels, gold_correct, accuracy, accuracy_low, accuracy_high, timed_labels, duration_ms_sum,
    annotators, skips, generation, version
FROM project_windows_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Projects and questions in each window; is_final once the project or its partition has passed them';

CREATE OR REPLACE VIEW class_windows AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active,
(
    SELECT (arrayFlatten(groupArray(ids)), arrayFlatten(groupArray(arrayWithConstant(length(ids), clock_at))))
    FROM
    (
        SELECT groupArray(project_id) AS ids, max(clock_at) AS clock_at
        FROM projects_versions FINAL
        WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
            AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
        GROUP BY stream, `partition`
    )
) AS clock
SELECT
    project_id, question_id, window_start, label, window_end,
    CAST(window_end <= transform(project_id, clock.1, clock.2, toDateTime64(0, 6, 'UTC')), 'Bool') AS is_final,
    labels, generation, version
FROM class_windows_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Classes in each window; is_final once the project or its partition has passed them';

CREATE OR REPLACE VIEW dead_letters AS
SELECT
    stream, `partition`, `offset`, stage, error_code, error, project_id, payload, payload_bytes, generation, version
FROM dead_letters_versions FINAL
WHERE generation = (SELECT default_generation FROM active_generations)
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Records that were refused';

CREATE OR REPLACE VIEW progress AS
SELECT
    stream, `partition`, max(`offset`) AS `offset`, sum(events_in) AS events_in, sum(folded) AS folded,
    sum(duplicate) AS duplicate, sum(late) AS late, sum(dead) AS dead, max(version) AS version
FROM progress_versions FINAL
WHERE generation = (SELECT default_generation FROM active_generations)
GROUP BY stream, `partition`
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Accounts of each partition of the log: events_in = folded + duplicate + late + dead once all has been folded';

CREATE OR REPLACE VIEW skips AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active
SELECT
    project_id, question_id, item_id, annotation_id, annotator_id, step, revision, occurred_at, first_at,
    duration_ms, attributes, generation, version
FROM skips_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Items that annotators declined';

CREATE OR REPLACE VIEW reviews AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active
SELECT
    project_id, question_id, annotation_id, review_id, item_id, annotator_id, reviewer_id, step, decision,
    correction, CAST(is_first, 'Bool') AS is_first, agreement, occurred_at, duration_ms, waiting_ms, generation,
    version
FROM reviews_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Reviews of labels in force';

CREATE OR REPLACE VIEW reviewers AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active
SELECT
    project_id, question_id, reviewer_id, reviews, accepted, fixed, rejected, judged_reviews, agreeing, agreement,
    agreement_low, agreement_high, wrong_labels, wrongly_accepted, leniency, leniency_low, leniency_high,
    wrongly_refused, first_at, last_at, generation, version
FROM reviewers_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Reviewers and questions over all time';

CREATE OR REPLACE VIEW step_windows AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active,
(
    SELECT (arrayFlatten(groupArray(ids)), arrayFlatten(groupArray(arrayWithConstant(length(ids), clock_at))))
    FROM
    (
        SELECT groupArray(project_id) AS ids, max(clock_at) AS clock_at
        FROM projects_versions FINAL
        WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
            AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
        GROUP BY stream, `partition`
    )
) AS clock
SELECT
    project_id, question_id, window_start, step, window_end,
    CAST(window_end <= transform(project_id, clock.1, clock.2, toDateTime64(0, 6, 'UTC')), 'Bool') AS is_final,
    done, skips, timed, duration_ms_sum, reworked, first_reviews, first_accepted, waited, waiting_ms_sum,
    waiting_ms_p50, waiting_ms_p90, generation, version
FROM step_windows_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Steps of the workflow in each window; is_final once the project or its partition has passed them';

CREATE OR REPLACE VIEW consensus AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active
SELECT
    project_id, question_id, item_id, consensus, confidence, deviation, labels, status, posterior, generation,
    version
FROM consensus_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'The consensus on each item';

CREATE OR REPLACE VIEW options AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active
SELECT
    project_id, question_id, option, strength, deviation, comparisons, generation, version
FROM options_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Strengths of the options of preferences';

CREATE OR REPLACE VIEW agreement AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active
SELECT
    project_id, question_id, level, items, labels, alpha, alpha_low, alpha_high, ac1, ac1_low, ac1_high,
    percent_agreement, percent_low, percent_high, generation, version
FROM agreement_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Agreement on each question over all time';

CREATE OR REPLACE VIEW pairs AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active
SELECT
    project_id, question_id, annotator_id, other_annotator_id, shared_items, percent_agreement, kappa, generation,
    version
FROM pairs_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Agreement of pairs of annotators';

CREATE OR REPLACE VIEW agreement_windows AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active,
(
    SELECT (arrayFlatten(groupArray(ids)), arrayFlatten(groupArray(arrayWithConstant(length(ids), clock_at))))
    FROM
    (
        SELECT groupArray(project_id) AS ids, max(clock_at) AS clock_at
        FROM projects_versions FINAL
        WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
            AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
        GROUP BY stream, `partition`
    )
) AS clock
SELECT
    project_id, question_id, window_start, window_end,
    CAST(window_end <= transform(project_id, clock.1, clock.2, toDateTime64(0, 6, 'UTC')), 'Bool') AS is_final,
    level, items, labels, alpha, alpha_low, alpha_high, ac1, ac1_low, ac1_high, percent_agreement, percent_low,
    percent_high, generation, version
FROM agreement_windows_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Agreement on the items first labelled in each window; is_final once the project or its partition has passed it';

CREATE OR REPLACE VIEW alerts AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active
SELECT
    project_id, alert_id, rule, severity, question_id, annotator_id, step, label_class, state, sequence, fired_at,
    resolved_at, changed_at, signal, direction, summary, evidence, action, hooks, false_alarm_value,
    discovery_level, generation, version
FROM alerts_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'Alerts of the rules, firing and resolved';

CREATE OR REPLACE VIEW alert_deliveries AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active
SELECT
    project_id, alert_id, hook, sequence, state, attempts, first_attempt_at, last_attempt_at, status_code, error,
    generation, version
FROM alert_deliveries_versions FINAL
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
SETTINGS optimize_move_to_prewhere_if_final = 1
COMMENT 'What became of each alert at each hook';

CREATE OR REPLACE VIEW labels_history AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active
SELECT
    project_id, question_id, item_id, annotation_id, annotator_id, step, revision, label, occurred_at, first_at,
    duration_ms, truth, score, truth_standing, attributes, generation, version, is_deleted
FROM labels_versions
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
COMMENT 'Every version of the labels that is kept, superseded ones too; read the view labels';

CREATE OR REPLACE VIEW items_history AS
WITH (
    SELECT (groupArray(scope), groupArray(generation), maxIf(generation, scope = '') AS others,
        least(min(generation), others), greatest(max(generation), others))
    FROM generations FINAL
) AS active
SELECT
    project_id, question_id, item_id, labels, annotators, top_label, top_share, truth, truth_standing, kind, stage,
    skips, adjudicator_id, started_at, finished_at, first_at, last_at, generation, version, is_deleted
FROM items_versions
WHERE generation BETWEEN assumeNotNull(active.4) AND assumeNotNull(active.5)
    AND (active.4 = active.5 OR generation = transform(project_id, active.1, active.2, active.3))
COMMENT 'Every version of the items that is kept, superseded ones too; read the view items';
