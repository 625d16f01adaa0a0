CREATE TABLE IF NOT EXISTS generations
(
    scope String COMMENT 'Project that the generation is active for; empty for all projects without an entry of their own',
    generation UInt16 COMMENT 'Generation of rows that the views show',
    activated_at DateTime64(6, 'UTC') COMMENT 'When the views switched to it',
    version UInt64 COMMENT 'The entry of a scope with the highest version counts'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY scope
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Which generation of rows the views show; generation 0 where there is no entry';

CREATE TABLE IF NOT EXISTS labels_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    question_id LowCardinality(String) COMMENT 'Question of the project that is answered',
    item_id String COMMENT 'Item that is labelled',
    annotation_id String COMMENT 'Submission; shared by its answers to several questions',
    annotator_id LowCardinality(String) COMMENT 'Who answered',
    step LowCardinality(String) COMMENT 'Step of the workflow',
    revision UInt32 COMMENT 'Highest revision seen of the submission',
    label LowCardinality(String) COMMENT 'The answer in force',
    occurred_at DateTime64(6, 'UTC') COMMENT 'When the revision in force was submitted',
    first_at DateTime64(6, 'UTC') COMMENT 'When the lowest revision was submitted; decides the window of the label',
    duration_ms Nullable(UInt32) COMMENT 'Time spent on the answer, in milliseconds',
    truth LowCardinality(Nullable(String)) COMMENT 'Known answer of the item with the highest weight, null if none is known',
    score Nullable(Float64) COMMENT 'Credit of the label against the known answers, 0 to 1, null if none is known',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation, question_id, item_id, annotation_id)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Each label, one row a version; read the view labels';

CREATE TABLE IF NOT EXISTS items_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    question_id LowCardinality(String) COMMENT 'Question of the project that is answered',
    item_id String COMMENT 'Item that is labelled',
    labels UInt64 COMMENT 'Labels in force',
    annotators UInt64 COMMENT 'Different annotators with a label in force',
    top_label LowCardinality(Nullable(String)) COMMENT 'The most frequent label, null without labels',
    top_share Nullable(Float64) COMMENT 'Share of the most frequent label among the labels, 0 to 1, null without labels',
    truth LowCardinality(Nullable(String)) COMMENT 'Known answer with the highest weight, null if none is known',
    first_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the first label in force was given',
    last_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the last label in force was given',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation, question_id, item_id)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Each item and question, one row a version; read the view items';

CREATE TABLE IF NOT EXISTS annotators_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    question_id LowCardinality(String) COMMENT 'Question of the project that is answered',
    annotator_id LowCardinality(String) COMMENT 'Annotator',
    labels UInt64 COMMENT 'Labels in force',
    gold_labels UInt64 COMMENT 'Labels in force whose item has a known answer',
    gold_correct Float64 COMMENT 'Sum of their credits against the known answers',
    accuracy Nullable(Float64) COMMENT 'gold_correct / gold_labels, 0 to 1, null without evidence',
    accuracy_low Nullable(Float64) COMMENT 'Lower bound of the 95 % Jeffreys interval of accuracy',
    accuracy_high Nullable(Float64) COMMENT 'Upper bound of the 95 % Jeffreys interval of accuracy',
    judgements UInt64 COMMENT 'First judgements of labels in log order: the stream of the decayed and adaptive figures',
    accuracy_decayed Nullable(Float64) COMMENT 'Accuracy of the judgements, exponentially weighted towards the latest',
    decayed_low Nullable(Float64) COMMENT 'Lower bound of the interval of accuracy_decayed',
    decayed_high Nullable(Float64) COMMENT 'Upper bound of the interval of accuracy_decayed',
    accuracy_adaptive Nullable(Float64) COMMENT 'Accuracy of the judgements since the last change that was detected',
    adaptive_low Nullable(Float64) COMMENT 'Lower bound of the interval of accuracy_adaptive',
    adaptive_high Nullable(Float64) COMMENT 'Upper bound of the interval of accuracy_adaptive',
    adaptive_judgements UInt64 COMMENT 'Judgements in the adaptive window',
    timed_labels UInt64 COMMENT 'Labels with a duration',
    duration_ms_p50 Nullable(Float64) COMMENT 'Median time spent on a label, in milliseconds, null without durations',
    duration_ms_p90 Nullable(Float64) COMMENT '90 % quantile of the time spent on a label, in milliseconds, null without durations',
    drifts UInt64 COMMENT 'Changes detected so far',
    first_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the first label was given',
    last_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the last label was given',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation, question_id, annotator_id)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Each annotator and question over all time, one row a version; read the view annotators';

CREATE TABLE IF NOT EXISTS annotator_windows_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    question_id LowCardinality(String) COMMENT 'Question of the project that is answered',
    window_start DateTime64(6, 'UTC') COMMENT 'Start of the window, inclusive',
    annotator_id LowCardinality(String) COMMENT 'Annotator',
    window_end DateTime64(6, 'UTC') COMMENT 'End of the window, exclusive',
    labels UInt64 COMMENT 'Labels in force whose first submission falls into the window',
    gold_labels UInt64 COMMENT 'Those of them whose item has a known answer',
    gold_correct Float64 COMMENT 'Sum of their credits against the known answers',
    accuracy Nullable(Float64) COMMENT 'gold_correct / gold_labels, 0 to 1, null without evidence',
    accuracy_low Nullable(Float64) COMMENT 'Lower bound of the 95 % Jeffreys interval of accuracy',
    accuracy_high Nullable(Float64) COMMENT 'Upper bound of the 95 % Jeffreys interval of accuracy',
    timed_labels UInt64 COMMENT 'Labels with a duration',
    duration_ms_sum UInt64 COMMENT 'Sum of the durations, in milliseconds',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation, question_id, window_start, annotator_id)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Each annotator in each window, one row a version; read the view annotator_windows';

CREATE TABLE IF NOT EXISTS project_windows_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    question_id LowCardinality(String) COMMENT 'Question of the project that is answered',
    window_start DateTime64(6, 'UTC') COMMENT 'Start of the window, inclusive',
    window_end DateTime64(6, 'UTC') COMMENT 'End of the window, exclusive',
    labels UInt64 COMMENT 'Labels in force whose first submission falls into the window',
    gold_labels UInt64 COMMENT 'Those of them whose item has a known answer',
    gold_correct Float64 COMMENT 'Sum of their credits against the known answers',
    accuracy Nullable(Float64) COMMENT 'gold_correct / gold_labels, 0 to 1, null without evidence',
    accuracy_low Nullable(Float64) COMMENT 'Lower bound of the 95 % Jeffreys interval of accuracy',
    accuracy_high Nullable(Float64) COMMENT 'Upper bound of the 95 % Jeffreys interval of accuracy',
    timed_labels UInt64 COMMENT 'Labels with a duration',
    duration_ms_sum UInt64 COMMENT 'Sum of the durations, in milliseconds',
    annotators UInt64 COMMENT 'Different annotators with a label in the window',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation, question_id, window_start)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Each project and question in each window, one row a version; read the view project_windows';

CREATE TABLE IF NOT EXISTS class_windows_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    question_id LowCardinality(String) COMMENT 'Question of the project that is answered',
    window_start DateTime64(6, 'UTC') COMMENT 'Start of the window, inclusive',
    label LowCardinality(String) COMMENT 'The class',
    window_end DateTime64(6, 'UTC') COMMENT 'End of the window, exclusive',
    labels UInt64 COMMENT 'Labels of this class in force whose first submission falls into the window',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation, question_id, window_start, label)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Each class in each window, one row a version; read the view class_windows';

CREATE TABLE IF NOT EXISTS confusion_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    question_id LowCardinality(String) COMMENT 'Question of the project that is answered',
    annotator_id LowCardinality(String) COMMENT 'Annotator',
    truth LowCardinality(String) COMMENT 'Known answer of the items',
    label LowCardinality(String) COMMENT 'What the annotator answered',
    labels UInt64 COMMENT 'Labels in force of this pair',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation, question_id, annotator_id, truth, label)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Which class each annotator takes for which, one row a version; read the view confusion';

CREATE TABLE IF NOT EXISTS drift_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    question_id LowCardinality(String) COMMENT 'Question of the project that is answered',
    annotator_id LowCardinality(String) COMMENT 'Annotator',
    signal LowCardinality(String) COMMENT 'What changed, such as accuracy',
    detector LowCardinality(String) COMMENT 'What detected it',
    sequence UInt64 COMMENT 'Tells the changes of one annotator, signal and detector apart',
    direction LowCardinality(String) COMMENT 'worse or better',
    detected_at DateTime64(6, 'UTC') COMMENT 'When the event occurred that completed the evidence',
    changed_at Nullable(DateTime64(6, 'UTC')) COMMENT 'Estimated time of the change',
    before Nullable(Float64) COMMENT 'The signal before the change',
    after Nullable(Float64) COMMENT 'The signal after the change',
    judgements_after UInt64 COMMENT 'Judgements after the estimated change, up to its detection',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation, question_id, annotator_id, signal, detector, sequence)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Changes detected in an annotator''s signals, one row a version; read the view drift';

CREATE TABLE IF NOT EXISTS projects_versions
(
    project_id LowCardinality(String) COMMENT 'Project',
    stream LowCardinality(String) COMMENT 'Log that the project''s events are read from',
    `partition` UInt32 COMMENT 'Partition of the log',
    clock_at DateTime64(6, 'UTC') COMMENT 'The project''s clock: latest event so far, less the allowed disorder',
    last_at DateTime64(6, 'UTC') COMMENT 'Latest event so far',
    labels UInt64 COMMENT 'Labels in force',
    items UInt64 COMMENT 'Items and questions with a label in force',
    annotators UInt64 COMMENT 'Different annotators with a label in force',
    truth_items UInt64 COMMENT 'Items and questions with a known answer',
    gold_labels UInt64 COMMENT 'Labels in force whose item has a known answer',
    gold_correct Float64 COMMENT 'Sum of their credits against the known answers',
    unmatched_retractions UInt64 COMMENT 'Retractions whose annotation has not been seen',
    is_unordered UInt8 COMMENT '1 if the project was seen on several partitions, so that its order is not certain',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (project_id, generation)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Each project over all time, one row a version; read the view projects';

CREATE TABLE IF NOT EXISTS dead_letters_versions
(
    stream LowCardinality(String) COMMENT 'Log that the record was read from',
    `partition` UInt32 COMMENT 'Partition of the log',
    `offset` UInt64 COMMENT 'Position in the partition',
    stage LowCardinality(String) COMMENT 'Where the record was refused',
    error_code LowCardinality(String) COMMENT 'Why, out of a bounded set of reasons',
    error String COMMENT 'Why, in words',
    project_id LowCardinality(Nullable(String)) COMMENT 'Project, null where it could not be told',
    payload String COMMENT 'Bytes of the record, cut to a limit if it was oversized',
    payload_bytes UInt64 COMMENT 'Full size of the record in bytes',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (stream, `partition`, generation, `offset`)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Records that were refused, one row a version; read the view dead_letters';

CREATE TABLE IF NOT EXISTS progress_versions
(
    stream LowCardinality(String) COMMENT 'Log that is read',
    `partition` UInt32 COMMENT 'Partition of the log',
    part LowCardinality(String) COMMENT 'Part of the flow that counts: source, or a shard',
    `offset` UInt64 COMMENT 'Position of the latest record that is counted',
    events_in UInt64 COMMENT 'Events after decoding, and records that could not be decoded (part source only)',
    folded UInt64 COMMENT 'Events that entered the state',
    duplicate UInt64 COMMENT 'Events that were delivered before',
    late UInt64 COMMENT 'Events older than the retention',
    dead UInt64 COMMENT 'Records and events that were refused, without the late ones',
    generation UInt16 COMMENT 'Generation of the rows',
    version UInt64 COMMENT 'Of the rows of a key, the one with the highest version counts',
    is_deleted UInt8 COMMENT '1 if the key has ceased'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
ORDER BY (stream, `partition`, generation, part)
SETTINGS merge_selector_base = 10, non_replicated_deduplication_window = 0
COMMENT 'Accounts of each part of the flow, one row a version; read the view progress';
