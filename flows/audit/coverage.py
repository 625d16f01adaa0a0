"""Which tables and columns the audit recomputes, and why it leaves the others alone."""

from dataclasses import dataclass

from schemas.rows import LAST_COLUMNS, TABLES

SEQUENTIAL = "sequential: depends on the order of all judgements"
MODEL_BASED = "model-based: an uninterrupted run of the same build is its oracle"
NOT_IN_FORCE = "counts all that were ever seen, not what is in force"

KEYS: dict[str, tuple[str, ...]] = {
    "labels": ("project_id", "question_id", "item_id", "annotation_id"),
    "skips": ("project_id", "question_id", "item_id", "annotation_id"),
    "reviews": ("project_id", "question_id", "annotation_id", "review_id"),
    "items": ("project_id", "question_id", "item_id"),
    "annotators": ("project_id", "question_id", "annotator_id"),
    "reviewers": ("project_id", "question_id", "reviewer_id"),
    "step_windows": ("project_id", "question_id", "window_start", "step"),
    "annotator_windows": ("project_id", "question_id", "window_start", "annotator_id"),
    "project_windows": ("project_id", "question_id", "window_start"),
    "class_windows": ("project_id", "question_id", "window_start", "label"),
    "confusion": ("project_id", "question_id", "annotator_id", "truth", "label"),
    "agreement": ("project_id", "question_id"),
    "agreement_windows": ("project_id", "question_id", "window_start"),
    "pairs": ("project_id", "question_id", "annotator_id", "other_annotator_id"),
    "projects": ("project_id",),
    "dead_letters": ("stream", "partition", "offset"),
    "progress": ("stream", "partition"),
}
"""The views that are compared, and the columns by which rows of both sides are the same row."""

AGREEMENT_VIEWS = ("agreement", "agreement_windows", "pairs")

_ATTRIBUTES = (
    "arrayStringConcat(arraySort(arrayMap("
    "(k, v) -> concat(k, '=', v), mapKeys(attributes), mapValues(attributes))), '&')"
)
DERIVED = {
    ("dead_letters", "is_late"): "error_code = 'late'",
    ("dead_letters", "payload_md5"): "lower(hex(MD5(payload)))",
    ("labels", "attributes_text"): _ATTRIBUTES,
    ("skips", "attributes_text"): _ATTRIBUTES,
}
"""Columns of the comparison that the view does not have as such."""

LEFT_OUT = {
    "agreement": "level = 'distance'",
    "agreement_windows": "level = 'distance'",
    "pairs": "(project_id, question_id) IN (FROM crowded_questions)",
}
"""Rows of a view that are not compared, as a condition on what was fetched; NOT_COMPARED says why."""

_RENAMED = {"payload": "payload_md5", "attributes": "attributes_text"}

_BOUNDS = "from groups of items; the figure between the bounds is compared, but for levels of distance"
NOT_COMPARED: dict[str, dict[str, str]] = {
    **{
        view: dict.fromkeys(
            ("alpha_low", "alpha_high", "ac1_low", "ac1_high", "percent_low", "percent_high"), _BOUNDS
        )
        for view in ("agreement", "agreement_windows")
    },
    "items": {"kind": "that of the question, as of when the row was written"},
    "annotators": dict.fromkeys(
        (
            "judgements", "accuracy_decayed", "decayed_low", "decayed_high", "accuracy_adaptive", "adaptive_low",
            "adaptive_high", "adaptive_judgements", "duration_ms_p50", "duration_ms_p90", "drifts", "skips_in_a_row",
            "accuracy_estimate", "estimate_low", "estimate_high", "fast_share", "fast_low", "fast_high", "longest_run",
            "longest_run_label", "longest_run_chance",
        ),
        SEQUENTIAL,
    )
    | dict.fromkeys(("consensus_labels", "consensus_accuracy", "consensus_low", "consensus_high"), MODEL_BASED),
    "reviewers": dict.fromkeys(("first_at", "last_at"), "those of reviews that were taken back as well"),
    "step_windows": dict.fromkeys(
        ("waiting_ms_p50", "waiting_ms_p90"), "estimates within 4 % of waiting times whose sum is compared"
    ),
    "projects": {
        **dict.fromkeys(("items", "annotators", "truth_items"), NOT_IN_FORCE),
        "is_unordered": "such projects are left out",
    },
    "dead_letters": dict.fromkeys(
        ("stage", "error_code", "error", "project_id"), "the wording; whether it is late is compared"
    ),
    "progress": {"part": "summed over the parts", "offset": "given: the audit reads the log up to it"},
}  # fmt: skip
NOT_COVERED: dict[str, str] = {
    "drift": SEQUENTIAL,
    "consensus": MODEL_BASED,
    "options": MODEL_BASED,
    "alerts": SEQUENTIAL,
}


@dataclass(frozen=True, slots=True)
class Omission:
    """A table, or a column of one, that is not compared, and why."""

    view: str
    column: str | None
    reason: str


def omissions(*, has_agreement: bool = True) -> list[Omission]:
    """Return what is not compared, with a flow that counts the agreement or does not."""
    found = []
    for name, table in TABLES.items():
        view = name.removesuffix("_versions")
        if view not in KEYS:
            found.append(Omission(view, None, NOT_COVERED.get(view, "not recomputed")))
            continue
        if view in AGREEMENT_VIEWS and not has_agreement:
            found.append(Omission(view, None, "the flow does not count it"))
            continue
        reasons = NOT_COMPARED.get(view, {})
        found += [Omission(view, column, reasons[column]) for column in table.columns if column in reasons]
    return found


def uncompared_columns(view: str, compared: set[str]) -> list[str]:
    """Return the columns of a table that are neither compared nor named among the omissions."""
    columns = {_RENAMED.get(name, name) for name in TABLES[f"{view}_versions"].columns} - set(LAST_COLUMNS)
    return sorted(columns - compared - set(NOT_COMPARED.get(view, ())))
