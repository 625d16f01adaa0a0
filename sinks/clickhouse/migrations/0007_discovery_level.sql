ALTER TABLE alerts_versions
    ADD COLUMN IF NOT EXISTS discovery_level Nullable(Float64)
        COMMENT 'Level of error over patience at which the change is declared over all annotators; null where there is none'
        AFTER false_alarm_value;

CREATE OR REPLACE VIEW alerts AS
SELECT
    project_id, alert_id, rule, severity, question_id, annotator_id, step, label_class, state, sequence, fired_at,
    resolved_at, changed_at, signal, direction, summary, evidence, action, hooks, false_alarm_value, discovery_level,
    generation, version
FROM alerts_versions FINAL
WHERE generation = transform(
    project_id,
    (SELECT scopes FROM active_generations),
    (SELECT generations FROM active_generations),
    (SELECT default_generation FROM active_generations))
COMMENT 'Alerts of the rules, firing and resolved';
