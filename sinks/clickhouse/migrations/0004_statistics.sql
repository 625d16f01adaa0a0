ALTER TABLE annotators_versions
    ADD COLUMN IF NOT EXISTS accuracy_estimate Nullable(Float64) COMMENT 'Empirical-Bayes accuracy: own judgements in the light of all annotators of the question, 0 to 1; null before there is a population' AFTER skips_in_a_row,
    ADD COLUMN IF NOT EXISTS estimate_low Nullable(Float64) COMMENT 'Lower bound of the 95 % interval of accuracy_estimate' AFTER accuracy_estimate,
    ADD COLUMN IF NOT EXISTS estimate_high Nullable(Float64) COMMENT 'Upper bound of the 95 % interval of accuracy_estimate' AFTER estimate_low,
    ADD COLUMN IF NOT EXISTS fast_share Nullable(Float64) COMMENT 'Share of the timed labels that took less than a third of the question''s median, 0 to 1' AFTER estimate_high,
    ADD COLUMN IF NOT EXISTS fast_low Nullable(Float64) COMMENT 'Lower bound of the 95 % interval of fast_share' AFTER fast_share,
    ADD COLUMN IF NOT EXISTS fast_high Nullable(Float64) COMMENT 'Upper bound of the 95 % interval of fast_share' AFTER fast_low,
    ADD COLUMN IF NOT EXISTS longest_run UInt64 COMMENT 'Most equal answers in a row, in the order of the log' AFTER fast_high,
    ADD COLUMN IF NOT EXISTS longest_run_label LowCardinality(Nullable(String)) COMMENT 'What was answered in that run' AFTER longest_run;

CREATE TABLE IF NOT EXISTS consensus_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    question_id LowCardinality(String) COMMENT 'Question of the project that is answered',
    item_id String COMMENT 'Item that is labelled',
    consensus Nullable(String) COMMENT 'The most probable answer, or the mean of ratings',
    confidence Nullable(Float64) COMMENT 'Its probability, 0 to 1; null for ratings',
    deviation Nullable(Float64) COMMENT 'Standard deviation of a rating''s value; null for classes',
    labels UInt64 COMMENT 'Labels it rests on',
    status LowCardinality(String) COMMENT 'known, settled, needs_label or escalate',
    posterior Map(LowCardinality(String), Float64) COMMENT 'Probability of each class',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation, question_id, item_id)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'The consensus on each item, one row a version; read the view consensus';

CREATE TABLE IF NOT EXISTS options_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    question_id LowCardinality(String) COMMENT 'Question of the project that is answered',
    option LowCardinality(String) COMMENT 'Option that was compared',
    strength Float64 COMMENT 'Log strength in the Bradley-Terry model; 0 is average',
    deviation Float64 COMMENT 'Its standard deviation',
    comparisons UInt64 COMMENT 'Comparisons that it rests on',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation, question_id, option)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Strengths of the options of preferences, one row a version; read the view options';

CREATE TABLE IF NOT EXISTS agreement_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    question_id LowCardinality(String) COMMENT 'Question of the project that is answered',
    level LowCardinality(String) COMMENT 'Level of measurement: nominal, ordinal, interval, or distance (one less the comparison of the kind)',
    items UInt64 COMMENT 'Items with two annotators or more',
    labels UInt64 COMMENT 'Their labels, of each annotator the latest',
    alpha Nullable(Float64) COMMENT 'Krippendorff''s alpha, at most 1; null where all labels are the same',
    alpha_low Nullable(Float64) COMMENT 'Lower bound of the 95 % interval of alpha',
    alpha_high Nullable(Float64) COMMENT 'Upper bound of the 95 % interval of alpha',
    ac1 Nullable(Float64) COMMENT 'Gwet''s AC1, at most 1; null for distances',
    ac1_low Nullable(Float64) COMMENT 'Lower bound of the 95 % interval of ac1',
    ac1_high Nullable(Float64) COMMENT 'Upper bound of the 95 % interval of ac1',
    percent_agreement Nullable(Float64) COMMENT 'Mean over items of the share of pairs of labels that agree, 0 to 1',
    percent_low Nullable(Float64) COMMENT 'Lower bound of the 95 % interval of percent_agreement',
    percent_high Nullable(Float64) COMMENT 'Upper bound of the 95 % interval of percent_agreement',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation, question_id)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Agreement on each question over all time, one row a version; read the view agreement';

CREATE TABLE IF NOT EXISTS agreement_windows_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    question_id LowCardinality(String) COMMENT 'Question of the project that is answered',
    window_start DateTime64(6, 'UTC') COMMENT 'Start of the window, inclusive',
    window_end DateTime64(6, 'UTC') COMMENT 'End of the window, exclusive',
    level LowCardinality(String) COMMENT 'Level of measurement: nominal, ordinal, interval, or distance (one less the comparison of the kind)',
    items UInt64 COMMENT 'Items with two annotators or more',
    labels UInt64 COMMENT 'Their labels, of each annotator the latest',
    alpha Nullable(Float64) COMMENT 'Krippendorff''s alpha, at most 1; null where all labels are the same',
    alpha_low Nullable(Float64) COMMENT 'Lower bound of the 95 % interval of alpha',
    alpha_high Nullable(Float64) COMMENT 'Upper bound of the 95 % interval of alpha',
    ac1 Nullable(Float64) COMMENT 'Gwet''s AC1, at most 1; null for distances',
    ac1_low Nullable(Float64) COMMENT 'Lower bound of the 95 % interval of ac1',
    ac1_high Nullable(Float64) COMMENT 'Upper bound of the 95 % interval of ac1',
    percent_agreement Nullable(Float64) COMMENT 'Mean over items of the share of pairs of labels that agree, 0 to 1',
    percent_low Nullable(Float64) COMMENT 'Lower bound of the 95 % interval of percent_agreement',
    percent_high Nullable(Float64) COMMENT 'Upper bound of the 95 % interval of percent_agreement',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation, question_id, window_start)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Agreement on the items first labelled in each window, one row a version; read the view agreement_windows';

CREATE TABLE IF NOT EXISTS pairs_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    question_id LowCardinality(String) COMMENT 'Question of the project that is answered',
    annotator_id LowCardinality(String) COMMENT 'One annotator',
    other_annotator_id LowCardinality(String) COMMENT 'The other one, later in the alphabet',
    shared_items UInt64 COMMENT 'Items that both labelled',
    percent_agreement Nullable(Float64) COMMENT 'Share of them with equal labels, 0 to 1',
    kappa Nullable(Float64) COMMENT 'Cohen''s kappa, at most 1; null where both give one class only',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation, question_id, annotator_id, other_annotator_id)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Agreement of pairs of annotators with 20 shared items or more, one row a version; read the view pairs';

CREATE OR REPLACE VIEW annotators AS
SELECT
    project_id, question_id, annotator_id, labels, gold_labels, gold_correct, accuracy, accuracy_low, accuracy_high,
    judgements, accuracy_decayed, decayed_low, decayed_high, accuracy_adaptive, adaptive_low, adaptive_high,
    adaptive_judgements, timed_labels, duration_ms_p50, duration_ms_p90, drifts, reviews, accepted, fixed, rejected,
    first_reviews, first_accepted, reworked, corrected_labels, corrected_score, skips, skips_in_a_row,
    accuracy_estimate, estimate_low, estimate_high, fast_share, fast_low, fast_high, longest_run, longest_run_label,
    first_at, last_at, generation, version
FROM annotators_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'Annotators and questions over all time';

CREATE OR REPLACE VIEW consensus AS
SELECT
    project_id, question_id, item_id, consensus, confidence, deviation, labels, status, posterior, generation,
    version
FROM consensus_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'The consensus on each item';

CREATE OR REPLACE VIEW options AS
SELECT
    project_id, question_id, option, strength, deviation, comparisons, generation, version
FROM options_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'Strengths of the options of preferences';

CREATE OR REPLACE VIEW agreement AS
SELECT
    project_id, question_id, level, items, labels, alpha, alpha_low, alpha_high, ac1, ac1_low, ac1_high,
    percent_agreement, percent_low, percent_high, generation, version
FROM agreement_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'Agreement on each question over all time';

CREATE OR REPLACE VIEW pairs AS
SELECT
    project_id, question_id, annotator_id, other_annotator_id, shared_items, percent_agreement, kappa, generation,
    version
FROM pairs_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'Agreement of pairs of annotators';

CREATE OR REPLACE VIEW agreement_windows AS
SELECT
    windows.project_id AS project_id, windows.question_id AS question_id, windows.window_start AS window_start,
    windows.window_end AS window_end, CAST(windows.window_end <= clocks.clock_at, 'Bool') AS is_final, windows.level
    AS level, windows.items AS items, windows.labels AS labels, windows.alpha AS alpha, windows.alpha_low AS
    alpha_low, windows.alpha_high AS alpha_high, windows.ac1 AS ac1, windows.ac1_low AS ac1_low, windows.ac1_high AS
    ac1_high, windows.percent_agreement AS percent_agreement, windows.percent_low AS percent_low,
    windows.percent_high AS percent_high, windows.generation AS generation, windows.version AS version
FROM
(
    SELECT
        project_id, question_id, window_start, window_end, level, items, labels, alpha, alpha_low, alpha_high, ac1,
        ac1_low, ac1_high, percent_agreement, percent_low, percent_high, generation, version
    FROM agreement_windows_versions FINAL
    WHERE generation = transform(
        project_id,
        (SELECT scopes FROM active_generations),
        (SELECT generations FROM active_generations),
        (SELECT default_generation FROM active_generations))
) AS windows
LEFT JOIN project_clocks AS clocks ON windows.project_id = clocks.project_id
COMMENT 'Agreement on the items first labelled in each window; is_final once the project or its partition has passed it';

CREATE OR REPLACE VIEW class_bias AS
SELECT
    project_id, question_id, annotator_id, pair.1 AS label, sum(labels * pair.2) AS given, sum(labels * pair.3) AS true,
    sum(labels * pair.2) / any(total) AS share_given, sum(labels * pair.3) / any(total) AS share_true,
    (sum(labels * pair.2) - sum(labels * pair.3)) / any(total) AS bias
FROM
(
    SELECT
        project_id, question_id, annotator_id, labels,
        sum(labels) OVER (PARTITION BY project_id, question_id, annotator_id) AS total,
        arrayJoin([(label, 1, 0), (truth, 0, 1)]) AS pair
    FROM confusion
)
GROUP BY project_id, question_id, annotator_id, label
COMMENT 'How much oftener each annotator gives a class than it is true, among labels whose answer is known';
