"""Fills a database with made-up rows for measuring queries: the database makes them, by arithmetic on row numbers."""

from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

from schemas.rows import (
    AGREEMENT_WINDOWS,
    ANNOTATOR_WINDOWS,
    ANNOTATORS,
    CLASS_WINDOWS,
    CONFUSION,
    CONSENSUS,
    DRIFT,
    ITEMS,
    LABELS,
    PROJECT_WINDOWS,
    PROJECTS,
    STEP_WINDOWS,
    Table,
)

WINDOWS_A_DAY = 96
CLASSES = 5
LABELS_AN_ITEM = 5
BLOCKS = 20
START = "toDateTime64('2026-01-05 00:00:00', 6, 'UTC')"
_TIMES = {"occurred_at", "first_at", "last_at", "started_at", "window_start", "clock_at", "detected_at", "changed_at"}
_ACCURACY = {
    "gold_labels": "4", "gold_correct": "3", "accuracy": "0.75", "accuracy_low": "0.3", "accuracy_high": "0.95",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is.

    Parameters
    ----------
    labels
        Label facts.
    annotator_windows
        Rows of annotators in windows; those of projects and classes follow from it.
    projects, annotators
        Projects, and annotators in each.
    """

    labels: int = 20_000_000
    annotator_windows: int = 5_000_000
    projects: int = 40
    annotators: int = 50

    @property
    def windows(self) -> int:
        """Windows of each project."""
        return self.annotator_windows // (self.projects * self.annotators)

    @property
    def days(self) -> float:
        """Days that the data reach over."""
        return self.windows / WINDOWS_A_DAY


def fill(client: Client, size: Size) -> None:
    """Fill all tables."""
    projects, annotators, windows = size.projects, size.annotators, size.windows
    seconds = windows * 900
    items = size.labels // LABELS_AN_ITEM
    label_of_project = f"intDiv(number, {projects})"
    labels_of_project = size.labels // projects
    at = f"{START} + toIntervalSecond(intDiv({label_of_project} * {seconds}, {labels_of_project}))"
    _insert(client, LABELS, size.labels, projects, {
        "item_id": f"'item-' || toString(intDiv({label_of_project}, {LABELS_AN_ITEM}))",
        "annotation_id": "'a' || toString(number)",
        "annotator_id": f"'annotator-' || toString(cityHash64(number) % {annotators})",
        "label": f"'class-' || toString(cityHash64(number, 1) % {CLASSES})",
        "truth": f"if({label_of_project} % 10 < 3, 'class-' || toString(cityHash64(number) % {CLASSES}), NULL)",
        "score": f"if({label_of_project} % 10 < 3, toFloat64(cityHash64(number) % 10 < 8), NULL)",
        "occurred_at": at, "first_at": at, "duration_ms": "2000 + cityHash64(number) % 5000", "step": "'annotate'",
        "attributes": "map('team', ['north', 'south', 'east', 'west'][1 + cityHash64(number, 2) % 4])",
    })  # fmt: skip
    item_at = f"{START} + toIntervalSecond(intDiv({label_of_project} * {seconds}, {items // projects}))"
    _insert(client, ITEMS, items, projects, {
        "item_id": f"'item-' || toString({label_of_project})", "labels": str(LABELS_AN_ITEM),
        "annotators": str(LABELS_AN_ITEM), "top_label": f"'class-' || toString(number % {CLASSES})",
        "top_share": "[1., 0.8, 0.6, 0.4][1 + cityHash64(number) % 4]", "stage": "'annotated'",
        "truth": f"if({label_of_project} % 10 < 3, 'class-0', NULL)", "first_at": item_at, "last_at": item_at,
    })  # fmt: skip
    _insert(client, CONSENSUS, items, projects, {
        "item_id": f"'item-' || toString({label_of_project})", "labels": str(LABELS_AN_ITEM),
        "consensus": f"'class-' || toString(number % {CLASSES})", "confidence": "0.5 + (cityHash64(number) % 50) / 100",
        "status": "['settled', 'settled', 'needs_label', 'escalate'][1 + cityHash64(number) % 4]",
        "posterior": f"map('class-0', 0.9, 'class-' || toString(1 + number % {CLASSES - 1}), 0.1)",
    })  # fmt: skip
    _insert(client, ANNOTATORS, projects * annotators, projects, {
        "annotator_id": f"'annotator-' || toString({label_of_project})", "labels": "10000", **_ACCURACY,
        "accuracy_adaptive": "0.7 + (number % 30) / 100", "adaptive_low": "0.6", "adaptive_high": "0.9",
        "adaptive_judgements": "500", "timed_labels": "9000", "duration_ms_p50": "3000 + number % 900",
        "last_at": f"{START} + toIntervalSecond({seconds})",
    })  # fmt: skip
    window = f"{START} + toIntervalSecond(900 * ({label_of_project} % {windows}))"
    figures = {**_ACCURACY, "labels": "20", "timed_labels": "20", "duration_ms_sum": "60000", "window_start": window,
               "window_end": f"{window} + toIntervalSecond(900)"}  # fmt: skip
    who = f"'annotator-' || toString(intDiv({label_of_project}, {windows}))"
    _insert(client, ANNOTATOR_WINDOWS, projects * annotators * windows, projects, {**figures, "annotator_id": who})
    _insert(client, PROJECT_WINDOWS, projects * windows, projects, {**figures, "annotators": str(annotators)})
    name = f"'class-' || toString(intDiv({label_of_project}, {windows}))"
    _insert(client, CLASS_WINDOWS, projects * windows * CLASSES, projects, {**figures, "label": name})
    worked = {"window_start": window, "window_end": figures["window_end"], "waiting_ms_sum": "600000", "waited": "20"}
    step = f"['annotate', 'review'][1 + intDiv({label_of_project}, {windows})]"
    _insert(client, STEP_WINDOWS, projects * windows * 2, projects, {
        **worked, "step": step, "done": "1000", "timed": "1000", "first_reviews": "20", "first_accepted": "15",
    })  # fmt: skip
    _insert(client, AGREEMENT_WINDOWS, projects * windows, projects, {
        **worked, "level": "'nominal'", "items": "100", "labels": "500", "alpha": "0.7", "alpha_low": "0.6",
        "alpha_high": "0.8",
    })  # fmt: skip
    pair = f"intDiv({label_of_project}, {annotators})"
    _insert(client, CONFUSION, projects * annotators * CLASSES**2, projects, {
        "annotator_id": f"'annotator-' || toString({label_of_project} % {annotators})", "labels": "7",
        "truth": f"'class-' || toString({pair} % {CLASSES})",
        "label": f"'class-' || toString(intDiv({pair}, {CLASSES}))",
    })  # fmt: skip
    _insert(client, DRIFT, projects * annotators, projects, {
        "annotator_id": f"'annotator-' || toString({label_of_project})", "signal": "'accuracy'",
        "detector": "'adwin'", "sequence": "1", "direction": "if(number % 3 = 0, 'better', 'worse')", "before": "0.9",
        "after": "0.7", "detected_at": f"{START} + toIntervalSecond({seconds} * (number % 100) / 100)",
    })  # fmt: skip
    end = f"{START} + toIntervalSecond({seconds})"
    _insert(client, PROJECTS, projects, projects, {
        "stream": "'log'", "labels": str(labels_of_project), "clock_at": end, "last_at": end, "gold_labels": "1000",
        "gold_correct": "800", "items": str(items // projects), "annotators": str(annotators),
    })  # fmt: skip


def _insert(client: Client, table: Table, rows: int, projects: int, given: dict[str, str]) -> None:
    """Insert rows in a number of blocks, as a flow would have written them, so that there are parts to be merged."""
    expressions = {
        "project_id": f"'project-' || leftPad(toString(number % {projects}), 2, '0')", "question_id": "'label'",
        "version": "number + 1", **given,
    }  # fmt: skip
    known = {name: expressions[name] for name in table.columns if name in expressions}
    missing = {name: START for name in table.columns if name in _TIMES and name not in known}
    known |= missing
    block = max(-(-rows // BLOCKS), 1)
    for first in range(0, rows, block):
        client.command(
            f"INSERT INTO {table.name} ({', '.join(f'`{name}`' for name in known)}) "
            f"SELECT {', '.join(known.values())} FROM numbers({first}, {min(block, rows - first)})"
        )
