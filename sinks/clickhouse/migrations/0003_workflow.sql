ALTER TABLE labels_versions
    ADD COLUMN IF NOT EXISTS truth_standing LowCardinality(Nullable(String)) COMMENT 'Standing of the truth: adjudication, gold or correction; null if none is known' AFTER score,
    ADD COLUMN IF NOT EXISTS attributes Map(LowCardinality(String), String) COMMENT 'Slices told along with the event, such as team or language' AFTER truth_standing;

ALTER TABLE items_versions
    ADD COLUMN IF NOT EXISTS truth_standing LowCardinality(Nullable(String)) COMMENT 'Standing of the known answer: adjudication or gold; null if none is known' AFTER truth,
    ADD COLUMN IF NOT EXISTS kind LowCardinality(Nullable(String)) COMMENT 'Kind of the question''s labels; null before the first one' AFTER truth_standing,
    ADD COLUMN IF NOT EXISTS stage LowCardinality(String) COMMENT 'Last step of the workflow that something was done in: new, annotated, reviewed or adjudicated' AFTER kind,
    ADD COLUMN IF NOT EXISTS skips UInt64 COMMENT 'Times that the item was skipped' AFTER stage,
    ADD COLUMN IF NOT EXISTS adjudicator_id LowCardinality(Nullable(String)) COMMENT 'Who adjudicated the item; null if nobody has' AFTER skips,
    ADD COLUMN IF NOT EXISTS started_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the first label in force was given' AFTER adjudicator_id,
    ADD COLUMN IF NOT EXISTS finished_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the item was adjudicated, or the last of its labels passed its review; null before' AFTER started_at;

ALTER TABLE annotators_versions
    ADD COLUMN IF NOT EXISTS reviews UInt64 COMMENT 'Reviews of the annotator''s labels in force' AFTER drifts,
    ADD COLUMN IF NOT EXISTS accepted UInt64 COMMENT 'Reviews that accepted the label' AFTER reviews,
    ADD COLUMN IF NOT EXISTS fixed UInt64 COMMENT 'Reviews that fixed the label' AFTER accepted,
    ADD COLUMN IF NOT EXISTS rejected UInt64 COMMENT 'Reviews that rejected the label' AFTER fixed,
    ADD COLUMN IF NOT EXISTS first_reviews UInt64 COMMENT 'Labels in force that were reviewed' AFTER rejected,
    ADD COLUMN IF NOT EXISTS first_accepted UInt64 COMMENT 'Those of them that their first review accepted' AFTER first_reviews,
    ADD COLUMN IF NOT EXISTS reworked UInt64 COMMENT 'Labels in force with more than one revision' AFTER first_accepted,
    ADD COLUMN IF NOT EXISTS corrected_labels UInt64 COMMENT 'Labels in force that the newest review corrected' AFTER reworked,
    ADD COLUMN IF NOT EXISTS corrected_score Float64 COMMENT 'Sum of their credits against the corrections' AFTER corrected_labels,
    ADD COLUMN IF NOT EXISTS skips UInt64 COMMENT 'Times that an item was skipped' AFTER corrected_score,
    ADD COLUMN IF NOT EXISTS skips_in_a_row UInt64 COMMENT 'Items skipped since the last label, in the order of the log' AFTER skips;

ALTER TABLE annotator_windows_versions
    ADD COLUMN IF NOT EXISTS skips UInt64 COMMENT 'Times that an item was skipped' AFTER duration_ms_sum;

ALTER TABLE project_windows_versions
    ADD COLUMN IF NOT EXISTS skips UInt64 COMMENT 'Times that an item was skipped' AFTER annotators;

ALTER TABLE projects_versions
    ADD COLUMN IF NOT EXISTS unmatched_reviews UInt64 COMMENT 'Reviews whose annotation has not been seen' AFTER unmatched_retractions;

CREATE TABLE IF NOT EXISTS skips_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    question_id LowCardinality(String) COMMENT 'Question of the project that is answered',
    item_id String COMMENT 'Item that is labelled',
    annotation_id String COMMENT 'Submission; shared by its answers to several questions',
    annotator_id LowCardinality(String) COMMENT 'Annotator',
    step LowCardinality(String) COMMENT 'Step of the workflow',
    revision UInt32 COMMENT 'Highest revision seen of the submission',
    occurred_at DateTime64(6, 'UTC') COMMENT 'When the revision in force was submitted',
    first_at DateTime64(6, 'UTC') COMMENT 'When the lowest revision was submitted; decides the window of the skip',
    duration_ms Nullable(UInt32) COMMENT 'Time spent, in milliseconds; null if unknown',
    attributes Map(LowCardinality(String), String) COMMENT 'Slices told along with the event, such as team or language',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation, question_id, item_id, annotation_id)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Each time that an annotator declined an item, one row a version; read the view skips';

CREATE TABLE IF NOT EXISTS reviews_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    question_id LowCardinality(String) COMMENT 'Question of the project that is answered',
    annotation_id String COMMENT 'Submission; shared by its answers to several questions',
    review_id String COMMENT 'The event that told the review',
    item_id String COMMENT 'Item that is labelled',
    annotator_id LowCardinality(String) COMMENT 'Annotator',
    reviewer_id LowCardinality(String) COMMENT 'Who reviewed',
    step LowCardinality(String) COMMENT 'Step of the workflow',
    decision LowCardinality(String) COMMENT 'accept, fix or reject',
    correction LowCardinality(Nullable(String)) COMMENT 'The corrected label of a fix, else null',
    is_first UInt8 COMMENT '1 if it is the first review of the label',
    agreement Nullable(Float64) COMMENT 'How far the decision agrees with the known answer, 0 to 1; null if none is known',
    occurred_at DateTime64(6, 'UTC') COMMENT 'When the review was decided',
    duration_ms Nullable(UInt32) COMMENT 'Time spent, in milliseconds; null if unknown',
    waiting_ms Nullable(UInt64) COMMENT 'Time between the label and its review, in milliseconds; null where the clocks disagree',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation, question_id, annotation_id, review_id)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Each review of a label in force, one row a version; read the view reviews';

CREATE TABLE IF NOT EXISTS reviewers_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    question_id LowCardinality(String) COMMENT 'Question of the project that is answered',
    reviewer_id LowCardinality(String) COMMENT 'Reviewer',
    reviews UInt64 COMMENT 'Reviews of labels in force',
    accepted UInt64 COMMENT 'Reviews that accepted the label',
    fixed UInt64 COMMENT 'Reviews that fixed the label',
    rejected UInt64 COMMENT 'Reviews that rejected the label',
    judged_reviews UInt64 COMMENT 'Reviews of labels whose answer is known',
    agreeing Float64 COMMENT 'Sum of their agreement with the known answers',
    agreement Nullable(Float64) COMMENT 'agreeing / judged_reviews, 0 to 1, null without evidence',
    agreement_low Nullable(Float64) COMMENT 'Lower bound of the 95 % Jeffreys interval of agreement',
    agreement_high Nullable(Float64) COMMENT 'Upper bound of the 95 % Jeffreys interval of agreement',
    wrong_labels UInt64 COMMENT 'Reviewed labels that the known answer gives less than half of the credit',
    wrongly_accepted UInt64 COMMENT 'Those of them that were accepted',
    leniency Nullable(Float64) COMMENT 'wrongly_accepted / wrong_labels, 0 to 1, null without evidence',
    leniency_low Nullable(Float64) COMMENT 'Lower bound of the 95 % Jeffreys interval of leniency',
    leniency_high Nullable(Float64) COMMENT 'Upper bound of the 95 % Jeffreys interval of leniency',
    wrongly_refused UInt64 COMMENT 'Right labels that were fixed or rejected',
    first_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the first review was decided',
    last_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the last review was decided',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation, question_id, reviewer_id)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Each reviewer and question over all time, one row a version; read the view reviewers';

CREATE TABLE IF NOT EXISTS step_windows_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    question_id LowCardinality(String) COMMENT 'Question of the project that is answered',
    window_start DateTime64(6, 'UTC') COMMENT 'Start of the window, inclusive',
    step LowCardinality(String) COMMENT 'Step of the workflow',
    window_end DateTime64(6, 'UTC') COMMENT 'End of the window, exclusive',
    done UInt64 COMMENT 'Labels, reviews or adjudications of the step',
    skips UInt64 COMMENT 'Times that an item was skipped',
    timed UInt64 COMMENT 'Those with a duration',
    duration_ms_sum UInt64 COMMENT 'Sum of the durations, in milliseconds',
    reworked UInt64 COMMENT 'Labels with more than one revision',
    first_reviews UInt64 COMMENT 'Labels by their first review',
    first_accepted UInt64 COMMENT 'Those of them that it accepted',
    waited UInt64 COMMENT 'Those whose waiting time before the step is known',
    waiting_ms_sum UInt64 COMMENT 'Sum of the waiting times, in milliseconds',
    waiting_ms_p50 Nullable(Float64) COMMENT 'Median waiting time in milliseconds, within 4 %; null without any',
    waiting_ms_p90 Nullable(Float64) COMMENT '90 % quantile of the waiting time in milliseconds, within 4 %; null without any',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation, question_id, window_start, step)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Each step of the workflow in each window, one row a version; read the view step_windows';

CREATE OR REPLACE VIEW labels AS
SELECT
    project_id, question_id, item_id, annotation_id, annotator_id, step, revision, label, occurred_at, first_at,
    duration_ms, truth, score, truth_standing, attributes, generation, version
FROM labels_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'Labels in force';

CREATE OR REPLACE VIEW skips AS
SELECT
    project_id, question_id, item_id, annotation_id, annotator_id, step, revision, occurred_at, first_at,
    duration_ms, attributes, generation, version
FROM skips_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'Items that annotators declined';

CREATE OR REPLACE VIEW reviews AS
SELECT
    project_id, question_id, annotation_id, review_id, item_id, annotator_id, reviewer_id, step, decision,
    correction, CAST(is_first, 'Bool') AS is_first, agreement, occurred_at, duration_ms, waiting_ms, generation,
    version
FROM reviews_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'Reviews of labels in force';

CREATE OR REPLACE VIEW items AS
SELECT
    project_id, question_id, item_id, labels, annotators, top_label, top_share, truth, truth_standing, kind, stage,
    skips, adjudicator_id, started_at, finished_at, first_at, last_at, generation, version
FROM items_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'Items and questions with a label in force, a skip or a known answer';

CREATE OR REPLACE VIEW annotators AS
SELECT
    project_id, question_id, annotator_id, labels, gold_labels, gold_correct, accuracy, accuracy_low, accuracy_high,
    judgements, accuracy_decayed, decayed_low, decayed_high, accuracy_adaptive, adaptive_low, adaptive_high,
    adaptive_judgements, timed_labels, duration_ms_p50, duration_ms_p90, drifts, reviews, accepted, fixed, rejected,
    first_reviews, first_accepted, reworked, corrected_labels, corrected_score, skips, skips_in_a_row, first_at,
    last_at, generation, version
FROM annotators_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'Annotators and questions over all time';

CREATE OR REPLACE VIEW reviewers AS
SELECT
    project_id, question_id, reviewer_id, reviews, accepted, fixed, rejected, judged_reviews, agreeing, agreement,
    agreement_low, agreement_high, wrong_labels, wrongly_accepted, leniency, leniency_low, leniency_high,
    wrongly_refused, first_at, last_at, generation, version
FROM reviewers_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'Reviewers and questions over all time';

CREATE OR REPLACE VIEW projects AS
SELECT
    project_id, stream, `partition`, clock_at, last_at, labels, items, annotators, truth_items, gold_labels,
    gold_correct, unmatched_retractions, unmatched_reviews, CAST(is_unordered, 'Bool') AS is_unordered, generation,
    version
FROM projects_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'Projects over all time';

CREATE OR REPLACE VIEW annotator_windows AS
SELECT
    windows.project_id AS project_id, windows.question_id AS question_id, windows.window_start AS window_start,
    windows.annotator_id AS annotator_id, windows.window_end AS window_end, CAST(windows.window_end <=
    clocks.clock_at, 'Bool') AS is_final, windows.labels AS labels, windows.gold_labels AS gold_labels,
    windows.gold_correct AS gold_correct, windows.accuracy AS accuracy, windows.accuracy_low AS accuracy_low,
    windows.accuracy_high AS accuracy_high, windows.timed_labels AS timed_labels, windows.duration_ms_sum AS
    duration_ms_sum, windows.skips AS skips, windows.generation AS generation, windows.version AS version
FROM
(
    SELECT
        project_id, question_id, window_start, annotator_id, window_end, labels, gold_labels, gold_correct,
        accuracy, accuracy_low, accuracy_high, timed_labels, duration_ms_sum, skips, generation, version
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
    annotators, windows.skips AS skips, windows.generation AS generation, windows.version AS version
FROM
(
    SELECT
        project_id, question_id, window_start, window_end, labels, gold_labels, gold_correct, accuracy,
        accuracy_low, accuracy_high, timed_labels, duration_ms_sum, annotators, skips, generation, version
    FROM project_windows_versions FINAL
    WHERE generation = transform(
        project_id,
        (SELECT scopes FROM active_generations),
        (SELECT generations FROM active_generations),
        (SELECT default_generation FROM active_generations))
) AS windows
LEFT JOIN project_clocks AS clocks ON windows.project_id = clocks.project_id
COMMENT 'Projects and questions in each window; is_final once the project or its partition has passed them';

CREATE OR REPLACE VIEW step_windows AS
SELECT
    windows.project_id AS project_id, windows.question_id AS question_id, windows.window_start AS window_start,
    windows.step AS step, windows.window_end AS window_end, CAST(windows.window_end <= clocks.clock_at, 'Bool') AS
    is_final, windows.done AS done, windows.skips AS skips, windows.timed AS timed, windows.duration_ms_sum AS
    duration_ms_sum, windows.reworked AS reworked, windows.first_reviews AS first_reviews, windows.first_accepted AS
    first_accepted, windows.waited AS waited, windows.waiting_ms_sum AS waiting_ms_sum, windows.waiting_ms_p50 AS
    waiting_ms_p50, windows.waiting_ms_p90 AS waiting_ms_p90, windows.generation AS generation, windows.version AS
    version
FROM
(
    SELECT
        project_id, question_id, window_start, step, window_end, done, skips, timed, duration_ms_sum, reworked,
        first_reviews, first_accepted, waited, waiting_ms_sum, waiting_ms_p50, waiting_ms_p90, generation, version
    FROM step_windows_versions FINAL
    WHERE generation = transform(
        project_id,
        (SELECT scopes FROM active_generations),
        (SELECT generations FROM active_generations),
        (SELECT default_generation FROM active_generations))
) AS windows
LEFT JOIN project_clocks AS clocks ON windows.project_id = clocks.project_id
COMMENT 'Steps of the workflow in each window; is_final once the project or its partition has passed them';
