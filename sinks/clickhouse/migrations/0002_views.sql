CREATE OR REPLACE VIEW active_generations AS
SELECT
    groupArray(scope) AS scopes,
    groupArray(generation) AS generations,
    maxIf(generation, scope = '') AS default_generation
FROM (SELECT scope, generation FROM generations FINAL ORDER BY scope)
COMMENT 'One row: scopes with an active generation of their own, these generations, and the one of all other projects';

CREATE OR REPLACE VIEW labels AS
SELECT
    project_id, question_id, item_id, annotation_id, annotator_id, step, revision, label, occurred_at, first_at,
    duration_ms, truth, score, generation, version
FROM labels_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'Labels in force';

CREATE OR REPLACE VIEW items AS
SELECT
    project_id, question_id, item_id, labels, annotators, top_label, top_share, truth, first_at, last_at,
    generation, version
FROM items_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'Items and questions with a label in force or a known answer';

CREATE OR REPLACE VIEW annotators AS
SELECT
    project_id, question_id, annotator_id, labels, gold_labels, gold_correct, accuracy, accuracy_low, accuracy_high,
    judgements, accuracy_decayed, decayed_low, decayed_high, accuracy_adaptive, adaptive_low, adaptive_high,
    adaptive_judgements, timed_labels, duration_ms_p50, duration_ms_p90, drifts, first_at, last_at, generation,
    version
FROM annotators_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'Annotators and questions over all time';

CREATE OR REPLACE VIEW confusion AS
SELECT
    project_id, question_id, annotator_id, truth, label, labels, generation, version
FROM confusion_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'Which class each annotator takes for which';

CREATE OR REPLACE VIEW drift AS
SELECT
    project_id, question_id, annotator_id, signal, detector, sequence, direction, detected_at, changed_at, before,
    after, judgements_after, generation, version
FROM drift_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'Changes detected in annotators'' signals';

CREATE OR REPLACE VIEW projects AS
SELECT
    project_id, stream, `partition`, clock_at, last_at, labels, items, annotators, truth_items, gold_labels,
    gold_correct, unmatched_retractions, CAST(is_unordered, 'Bool') AS is_unordered, generation, version
FROM projects_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'Projects over all time';

CREATE OR REPLACE VIEW project_clocks AS
SELECT project_id, max(clock_at) OVER (PARTITION BY stream, `partition`) AS clock_at
FROM projects
COMMENT 'The time up to which the windows of a project are final: the latest clock of any project in its partition';

CREATE OR REPLACE VIEW annotator_windows AS
SELECT
    windows.project_id AS project_id, windows.question_id AS question_id, windows.window_start AS window_start,
    windows.annotator_id AS annotator_id, windows.window_end AS window_end, CAST(windows.window_end <=
    clocks.clock_at, 'Bool') AS is_final, windows.labels AS labels, windows.gold_labels AS gold_labels,
    windows.gold_correct AS gold_correct, windows.accuracy AS accuracy, windows.accuracy_low AS accuracy_low,
    windows.accuracy_high AS accuracy_high, windows.timed_labels AS timed_labels, windows.duration_ms_sum AS
    duration_ms_sum, windows.generation AS generation, windows.version AS version
FROM
(
    SELECT
        project_id, question_id, window_start, annotator_id, window_end, labels, gold_labels, gold_correct,
        accuracy, accuracy_low, accuracy_high, timed_labels, duration_ms_sum, generation, version
    FROM annotator_windows_versions FINAL
    WHERE generation = transform(
        project_id,
        (SELECT scopes FROM active_generations),
        (SELECT generations FROM active_generations),
        (SELECT default_generation FROM active_generations))
) AS windows
LEFT JOIN project_clocks AS clocks ON windows.project_id = clocks.project_id
COMMENT 'Annotators in each window; is_final once the project or its partition has passed them';

CREATE OR REPLACE VIEW project_windows AS
SELECT
    windows.project_id AS project_id, windows.question_id AS question_id, windows.window_start AS window_start,
    windows.window_end AS window_end, CAST(windows.window_end <= clocks.clock_at, 'Bool') AS is_final,
    windows.labels AS labels, windows.gold_labels AS gold_labels, windows.gold_correct AS gold_correct,
    windows.accuracy AS accuracy, windows.accuracy_low AS accuracy_low, windows.accuracy_high AS accuracy_high,
    windows.timed_labels AS timed_labels, windows.duration_ms_sum AS duration_ms_sum, windows.annotators AS
    annotators, windows.generation AS generation, windows.version AS version
FROM
(
    SELECT
        project_id, question_id, window_start, window_end, labels, gold_labels, gold_correct, accuracy,
        accuracy_low, accuracy_high, timed_labels, duration_ms_sum, annotators, generation, version
    FROM project_windows_versions FINAL
    WHERE generation = transform(
        project_id,
        (SELECT scopes FROM active_generations),
        (SELECT generations FROM active_generations),
        (SELECT default_generation FROM active_generations))
) AS windows
LEFT JOIN project_clocks AS clocks ON windows.project_id = clocks.project_id
COMMENT 'Projects and questions in each window; is_final once the project or its partition has passed them';

CREATE OR REPLACE VIEW class_windows AS
SELECT
    windows.project_id AS project_id, windows.question_id AS question_id, windows.window_start AS window_start,
    windows.label AS label, windows.window_end AS window_end, CAST(windows.window_end <= clocks.clock_at, 'Bool') AS
    is_final, windows.labels AS labels, windows.generation AS generation, windows.version AS version
FROM
(
    SELECT
        project_id, question_id, window_start, label, window_end, labels, generation, version
    FROM class_windows_versions FINAL
    WHERE generation = transform(
        project_id,
        (SELECT scopes FROM active_generations),
        (SELECT generations FROM active_generations),
        (SELECT default_generation FROM active_generations))
) AS windows
LEFT JOIN project_clocks AS clocks ON windows.project_id = clocks.project_id
COMMENT 'Classes in each window; is_final once the project or its partition has passed them';

CREATE OR REPLACE VIEW dead_letters AS
SELECT
    stream, `partition`, `offset`, stage, error_code, error, project_id, payload, payload_bytes, generation, version
FROM dead_letters_versions FINAL
WHERE generation = (SELECT default_generation FROM active_generations)
COMMENT 'Records that were refused';

CREATE OR REPLACE VIEW progress AS
SELECT
    stream, `partition`, max(`offset`) AS `offset`, sum(events_in) AS events_in, sum(folded) AS folded,
    sum(duplicate) AS duplicate, sum(late) AS late, sum(dead) AS dead, max(version) AS version
FROM progress_versions FINAL
WHERE generation = (SELECT default_generation FROM active_generations)
GROUP BY stream, `partition`
COMMENT 'Accounts of each partition of the log: events_in = folded + duplicate + late + dead once all has been folded';
