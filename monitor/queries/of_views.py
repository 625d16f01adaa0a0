"""Named queries that show the rows of one view each."""

from monitor.queries.named import ANNOTATOR, ITEM, PROJECT, QUESTION, NamedQuery, named_query

_ACCURACY = ("gold_labels", "gold_correct", "accuracy", "accuracy_low", "accuracy_high")
_LAST_AT = "ifNull(last_at, toDateTime64(0, 6, 'UTC'))"
_MEAN_DURATION = {"duration_ms_mean": "if(timed_labels = 0, NULL, duration_ms_sum / timed_labels)"}
_BY_QUESTION = (PROJECT, QUESTION)
_BY_ANNOTATOR = (PROJECT, QUESTION, ANNOTATOR)
_BY_ITEM = (PROJECT, QUESTION, ITEM)

QUERIES_OF_VIEWS: tuple[NamedQuery, ...] = (
    named_query(
        "projects",
        "each project over all time",
        view="projects",
        columns=(
            "project_id", "labels", "items", "annotators", "truth_items", "gold_labels", "gold_correct", "accuracy",
            "clock_at", "last_at", "stream", "partition", "unmatched_retractions", "is_unordered",
        ),
        expressions={"accuracy": "if(gold_labels = 0, NULL, gold_correct / gold_labels)"},
        identifiers=(PROJECT,),
        time="last_at",
        order=("project_id",),
    ),
    named_query(
        "annotators",
        "each annotator over all time: accuracy, speed, changes",
        view="annotators",
        columns=(
            "project_id", "question_id", "annotator_id", "labels", *_ACCURACY,
            "judgements", "accuracy_decayed", "decayed_low", "decayed_high",
            "accuracy_adaptive", "adaptive_low", "adaptive_high", "adaptive_judgements",
            "timed_labels", "duration_ms_p50", "duration_ms_p90", "drifts", "first_at", "last_at",
        ),
        identifiers=_BY_ANNOTATOR,
        time=_LAST_AT,
        order=("project_id", "question_id", "annotator_id"),
    ),
    named_query(
        "annotator-windows",
        "each annotator in each window of time",
        view="annotator_windows",
        columns=(
            "project_id", "question_id", "annotator_id", "window_start", "window_end", "is_final", "labels", *_ACCURACY,
            "timed_labels", "duration_ms_mean",
        ),
        expressions=_MEAN_DURATION,
        identifiers=_BY_ANNOTATOR,
        time="window_start",
        order=("project_id", "question_id", "window_start", "annotator_id"),
    ),
    named_query(
        "project-windows",
        "each project in each window of time",
        view="project_windows",
        columns=(
            "project_id", "question_id", "window_start", "window_end", "is_final", "labels", "annotators", *_ACCURACY,
            "timed_labels", "duration_ms_mean",
        ),
        expressions=_MEAN_DURATION,
        identifiers=_BY_QUESTION,
        time="window_start",
        order=("project_id", "question_id", "window_start"),
    ),
    named_query(
        "class-windows",
        "how often each class was given in each window of time",
        view="class_windows",
        columns=("project_id", "question_id", "window_start", "window_end", "is_final", "label", "labels"),
        identifiers=_BY_QUESTION,
        time="window_start",
        order=("project_id", "question_id", "window_start", "label"),
    ),
    named_query(
        "confusion",
        "which class each annotator takes for which",
        view="confusion",
        columns=("project_id", "question_id", "annotator_id", "truth", "label", "labels", "share"),
        expressions={
            "share": "labels / sum(labels) OVER (PARTITION BY project_id, question_id, annotator_id, truth)",
        },
        identifiers=_BY_ANNOTATOR,
        order=("project_id", "question_id", "annotator_id", "truth", "label"),
    ),
    named_query(
        "items",
        "each item: its labels and its known answer",
        view="items",
        columns=(
            "project_id", "question_id", "item_id", "labels", "annotators", "top_label", "top_share", "truth",
            "first_at", "last_at",
        ),
        identifiers=_BY_ITEM,
        time=_LAST_AT,
        order=("project_id", "question_id", "item_id"),
    ),
    named_query(
        "labels",
        "each label in force",
        view="labels",
        columns=(
            "project_id", "question_id", "item_id", "annotation_id", "annotator_id", "step", "revision", "label",
            "truth", "score", "duration_ms", "occurred_at", "first_at",
        ),
        identifiers=(*_BY_ITEM, ANNOTATOR),
        time="occurred_at",
        order=("project_id", "question_id", "item_id", "annotation_id"),
    ),
    named_query(
        "drift",
        "changes detected in annotators' signals, the latest first",
        view="drift",
        columns=(
            "project_id", "question_id", "annotator_id", "signal", "detector", "direction", "detected_at", "changed_at",
            "before", "after", "judgements_after", "sequence",
        ),
        identifiers=_BY_ANNOTATOR,
        time="detected_at",
        order=(
            "detected_at DESC", "project_id", "question_id", "annotator_id", "signal", "detector", "sequence DESC",
        ),
    ),
    named_query(
        "dead-letters",
        "records that were refused, and why, the latest first",
        view="dead_letters",
        columns=(
            "stream", "partition", "offset", "stage", "error_code", "error", "project_id", "payload_bytes", "payload",
            "payload_base64",
        ),
        expressions={
            "payload": "toValidUTF8(dead_letters.payload)",
            "payload_base64": "base64Encode(dead_letters.payload)",  # of the column, not of the text above
        },
        identifiers=(PROJECT,),
        order=("stream", "`partition`", "`offset` DESC"),
    ),
    named_query(
        "progress",
        "what became of the events of each partition of the log",
        view="progress",
        columns=("stream", "partition", "offset", "events_in", "folded", "duplicate", "late", "dead", "unaccounted"),
        expressions={"unaccounted": "toInt64(events_in) - toInt64(folded + duplicate + late + dead)"},
        order=("stream", "`partition`"),
    ),
)  # fmt: skip
