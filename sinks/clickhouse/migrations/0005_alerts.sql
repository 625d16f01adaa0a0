CREATE TABLE IF NOT EXISTS alerts_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    alert_id String COMMENT 'Identity of the alert, the same when the log is read again',
    rule LowCardinality(String) COMMENT 'Rule of the policy that fired',
    severity LowCardinality(String) COMMENT 'info, warning, error or critical',
    question_id LowCardinality(String) COMMENT 'Question that it is about; empty if it is about all of them',
    annotator_id LowCardinality(String) COMMENT 'Annotator that it is about; empty if it is about all of them',
    step LowCardinality(String) COMMENT 'Step that it is about; empty if it is about all of them',
    label_class LowCardinality(String) COMMENT 'Class that it is about; empty if it is about all of them',
    state LowCardinality(String) COMMENT 'firing or resolved',
    sequence UInt64 COMMENT 'Version of the evidence; grows with each alert of one condition',
    fired_at DateTime64(6, 'UTC') COMMENT 'When the event occurred that completed the evidence',
    resolved_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the event occurred that resolved it; null while it fires',
    changed_at Nullable(DateTime64(6, 'UTC')) COMMENT 'Estimated time of the change; null where nothing changed',
    signal LowCardinality(String) COMMENT 'What it is about, such as accuracy',
    direction LowCardinality(String) COMMENT 'worse, better, more, faster or slower; empty where nothing changed',
    summary String COMMENT 'What happened, in one sentence with figures',
    evidence String COMMENT 'The figures, as JSON',
    action LowCardinality(Nullable(String)) COMMENT 'What the rule recommends: check, retrain, pause or requeue',
    hooks String COMMENT 'Hooks that are told, separated by commas',
    false_alarm_value Nullable(Float64) COMMENT 'Evidence against nothing having changed, an e-value; null where there is none',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation, alert_id)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Alerts of the rules, one row a version; read the view alerts';

CREATE TABLE IF NOT EXISTS alert_deliveries_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    alert_id String COMMENT 'The alert',
    hook LowCardinality(String) COMMENT 'Hook that is told',
    sequence UInt64 COMMENT 'Version of the evidence that is told',
    state LowCardinality(String) COMMENT 'delivered, retrying, suppressed, dead, disabled or silenced',
    attempts UInt32 COMMENT 'Attempts so far',
    first_attempt_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was first tried',
    last_attempt_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When it was last tried',
    status_code Nullable(UInt16) COMMENT 'Answer of the receiver, null without one',
    error Nullable(String) COMMENT 'What went wrong, null if nothing did',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation, alert_id, hook, sequence)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'What became of each alert at each hook, one row a version; read the view alert_deliveries';

CREATE OR REPLACE VIEW alerts AS
SELECT
    project_id, alert_id, rule, severity, question_id, annotator_id, step, label_class, state, sequence, fired_at,
    resolved_at, changed_at, signal, direction, summary, evidence, action, hooks, false_alarm_value, generation,
    version
FROM alerts_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'Alerts of the rules, firing and resolved';

CREATE OR REPLACE VIEW alert_deliveries AS
SELECT
    project_id, alert_id, hook, sequence, state, attempts, first_attempt_at, last_attempt_at, status_code, error,
    generation, version
FROM alert_deliveries_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'What became of each alert at each hook';
