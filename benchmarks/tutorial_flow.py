"""The same job as a user would write it from the tutorials of Bytewax, River and clickhouse-connect.

pydantic for each event, ``key_on`` with ``stateful_flat_map`` for items and annotators, ``fold_window`` for windows,
rows inserted by the ten thousand. Written as well as these parts allow: values are named tuples that snapshots need not
copy, what is only counted is not sorted into windows, and the clock asks for no wake-ups while a past log is read.

It cannot take anything back, so it is right only for logs without revisions, retractions, repeats and corrected known
answers, and it shows a window only once the window has closed. It writes neither items nor intervals.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from bytewax import operators as op
from bytewax.dataflow import Dataflow, Stream
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import KeyedStream
from bytewax.operators import windowing as win
from clickhouse_connect.driver.client import Client
from pydantic import ValidationError
from river import drift, stats

from benchmarks.tutorial_sink import ClickHouseSink, Row, TableRow
from schemas.events import AnnotationSubmitted, AnyEvent, GoldSet, parse_event

LINES_PER_BATCH = 1_000
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
FUTURE_MAX = timedelta(hours=1)
FADING_FACTOR = 1.0 - 0.5 ** (1.0 / 50)
ADWIN_DELTA = 0.002
WINDOW = timedelta(minutes=15)
WINDOWS_FROM = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW_WAIT = timedelta(minutes=30)
"""Windows stay open so long for labels out of order, and for known answers that come after the labels."""


class DeadLetter(NamedTuple):
    """A line that is no event."""

    payload: bytes
    error: str


class Answer(NamedTuple):
    """A label on its way (``labels`` 1), or the judgement of one that went before its known answer (``labels`` 0)."""

    project_id: str
    question_id: str
    item_id: str
    annotation_id: str
    annotator_id: str
    label: str
    occurred_at: datetime
    duration_ms: int | None
    truth: str | None
    score: float | None
    labels: int

    def __deepcopy__(self, memo: dict[int, Any]) -> "Answer":
        """Spare snapshots of the state the copying of what cannot change."""
        return self


@dataclass(slots=True)
class Item:
    """An item: its known answers, and the labels that wait for one."""

    credits: dict[str, float] | None = None
    waiting: list[Answer] = field(default_factory=list)


@dataclass(slots=True)
class Annotator:
    """An annotator's figures under one question."""

    labels: int = 0
    gold_labels: int = 0
    gold_correct: float = 0.0
    drifts: int = 0
    decayed: stats.EWMean = field(default_factory=lambda: stats.EWMean(FADING_FACTOR))
    adaptive: drift.ADWIN = field(default_factory=lambda: drift.ADWIN(delta=ADWIN_DELTA))
    duration_p50: stats.Quantile = field(default_factory=lambda: stats.Quantile(0.5))
    duration_p90: stats.Quantile = field(default_factory=lambda: stats.Quantile(0.9))
    confusion: dict[tuple[str, str], int] = field(default_factory=dict)


@dataclass(slots=True)
class Window:
    """What is counted in a window."""

    labels: int = 0
    gold_labels: int = 0
    gold_correct: float = 0.0
    duration_ms_sum: int = 0


def build_tutorial_flow(source: "LineSource", client: Client) -> Dataflow:
    """Return the flow: lines ▶ events ▶ items ▶ annotators and windows ▶ rows.

    Parameters
    ----------
    source
        The lines of a file.
    client
        A connection to the database, with the tables of `benchmarks.tutorial_sink.create_tables`.
    """
    flow = Dataflow("tutorial")
    lines = op.input("lines", flow, source)
    parsed = op.branch("parsed", op.map("parse", lines, parse), is_event)
    by_item = op.key_on("by_item", parsed.trues, item_key)
    answers = op.key_rm("answers", op.stateful_flat_map("items", by_item, join_known_answer))
    by_annotator = op.key_on("by_annotator", answers, annotator_key)
    rows = op.merge(
        "rows",
        op.map("dead_letters", parsed.falses, dead_letter_row),
        op.map("labels", answers, label_row),
        op.key_rm("annotator_rows", op.stateful_flat_map("annotators", by_annotator, update_annotator)),
        windows("annotator_windows", by_annotator),
        windows("project_windows", op.key_on("by_project", answers, project_key)),
        windows("class_windows", op.key_on("by_class", answers, class_key)),
    )
    op.output("clickhouse", rows, ClickHouseSink(client))
    return flow


# Events


class LineSource(FixedPartitionedSource[bytes, int]):
    """The lines of a file as bytes. (Bytewax's own source decodes text, and ends the flow at a line that is not UTF-8.)

    Parameters
    ----------
    path
        A file of JSON lines.
    reader
        What reads it.
    """

    def __init__(self, path: Path, reader: "type[LinePartition] | None" = None) -> None:
        self._path = path
        self._reader = reader or LinePartition

    def list_parts(self) -> list[str]:
        """Name the one file."""
        return [str(self._path)]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> "LinePartition":
        """Open the file."""
        return self._reader(Path(for_part), resume_state or 0)


class LinePartition(StatefulSourcePartition[bytes, int]):
    """Reads on in one file."""

    def __init__(self, path: Path, position: int) -> None:
        self._file = path.open("rb")
        self._file.seek(position)

    def next_batch(self) -> list[bytes]:
        """Return the next lines."""
        lines = list(islice(self._file, LINES_PER_BATCH))
        if not lines:
            raise StopIteration
        return [line.rstrip(b"\n") for line in lines]

    def snapshot(self) -> int:
        """Return where to read on."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def parse(line: bytes) -> AnyEvent | DeadLetter:
    """Read an event, and refuse one whose time cannot be."""
    try:
        event = parse_event(line)
    except ValidationError as error:
        return DeadLetter(line, str(error))
    latest = LATEST if event.received_at is None else event.received_at + FUTURE_MAX
    return event if EARLIEST <= event.occurred_at <= latest else DeadLetter(line, "occurred_at is not possible")


def is_event(parsed: AnyEvent | DeadLetter) -> bool:
    """Tell events from dead letters."""
    return not isinstance(parsed, DeadLetter)


# Keys


def item_key(event: AnyEvent) -> str:
    """Return the key of the event's item."""
    return f"{event.project_id}/{event.question_id}/{event.item_id}"


def annotator_key(answer: Answer) -> str:
    """Return the key of the answer's annotator."""
    return f"{answer.project_id}/{answer.question_id}/{answer.annotator_id}"


def project_key(answer: Answer) -> str:
    """Return the key of the answer's project and question."""
    return f"{answer.project_id}/{answer.question_id}"


def class_key(answer: Answer) -> str:
    """Return the key of the answer's class."""
    return f"{answer.project_id}/{answer.question_id}/{answer.label}"


# Items


def join_known_answer(item: Item | None, event: AnyEvent) -> tuple[Item, list[Answer]]:
    """Join labels with the known answers of their item, whichever side comes first."""
    item = item or Item()
    if isinstance(event, AnnotationSubmitted):
        answer = judged(answer_of(event), item.credits)
        if item.credits is None:
            item.waiting.append(answer)
        return item, [answer]
    assert isinstance(event, GoldSet)
    item.credits = {answer.label.value: answer.weight for answer in event.answers}
    answers = [judged(answer, item.credits)._replace(labels=0) for answer in item.waiting]
    item.waiting = []
    return item, answers


def answer_of(event: AnnotationSubmitted) -> Answer:
    """Return the answer that an event gives, not judged yet."""
    return Answer(
        event.project_id, event.question_id, event.item_id, event.annotation_id, event.annotator_id,
        event.label.value, event.occurred_at, event.duration_ms, truth=None, score=None, labels=1,
    )  # fmt: skip


def judged(answer: Answer, credits: dict[str, float] | None) -> Answer:
    """Return an answer with its score, where the known answers are there."""
    if credits is None:
        return answer
    score = credits.get(answer.label, 0.0)
    truth = answer.label if score else max(credits, key=credits.__getitem__)
    return answer._replace(truth=truth, score=score)


# Annotators


def update_annotator(annotator: Annotator | None, answer: Answer) -> tuple[Annotator, list[TableRow]]:
    """Take an answer into its annotator's statistics; return the rows that changed."""
    annotator = annotator or Annotator()
    rows: list[TableRow] = []
    annotator.labels += answer.labels
    if answer.labels and answer.duration_ms is not None:
        annotator.duration_p50.update(answer.duration_ms)
        annotator.duration_p90.update(answer.duration_ms)
    if answer.score is not None:
        rows = judge_annotator(annotator, answer)
    rows.append(("annotators", annotator_row(annotator, answer)))
    return annotator, rows


def judge_annotator(annotator: Annotator, answer: Answer) -> list[TableRow]:
    """Take a judged answer in; return the rows of confusion and drift."""
    assert answer.score is not None and answer.truth is not None
    who = answer.project_id, answer.question_id, answer.annotator_id
    annotator.gold_labels += 1
    annotator.gold_correct += answer.score
    annotator.decayed.update(answer.score)
    cell = (answer.truth, answer.label)
    count = annotator.confusion[cell] = annotator.confusion.get(cell, 0) + 1
    rows: list[TableRow] = [("confusion", (*who, *cell, count, count))]
    before = annotator.adaptive.estimation
    annotator.adaptive.update(answer.score)
    if annotator.adaptive.drift_detected:
        annotator.drifts += 1
        direction = "worse" if answer.score < before else "better"
        rows.append(("drift", (*who, annotator.drifts, direction, answer.occurred_at, 1)))
    return rows


def annotator_row(annotator: Annotator, answer: Answer) -> Row:
    """Return an annotator's row; a later one has a higher version."""
    is_judged = annotator.gold_labels > 0
    return (
        answer.project_id, answer.question_id, answer.annotator_id,
        annotator.labels, annotator.gold_labels, annotator.gold_correct,
        annotator.gold_correct / annotator.gold_labels if is_judged else None,
        annotator.decayed.get() if is_judged else None,
        annotator.adaptive.estimation if is_judged else None,
        annotator.duration_p50.get(), annotator.duration_p90.get(), annotator.drifts,
        annotator.labels + annotator.gold_labels,
    )  # fmt: skip


# Windows


def windows(table: str, answers: KeyedStream[Answer]) -> Stream[TableRow]:
    """Count the answers of each key in tumbling windows; return the rows of closed windows."""
    clock = win.EventClock(
        lambda answer: answer.occurred_at, wait_for_system_duration=WINDOW_WAIT, to_system_utc=lambda moment: None
    )
    windower = win.TumblingWindower(length=WINDOW, align_to=WINDOWS_FROM)
    counted = win.fold_window(table, answers, clock, windower, Window, count, merged, ordered=False)
    return op.map(f"{table}_rows", counted.down, lambda keyed: (table, window_row(*keyed)))


def count(window: Window, answer: Answer) -> Window:
    """Take an answer into its window."""
    window.labels += answer.labels
    if answer.labels and answer.duration_ms is not None:
        window.duration_ms_sum += answer.duration_ms
    if answer.score is not None:
        window.gold_labels += 1
        window.gold_correct += answer.score
    return window


def merged(one: Window, other: Window) -> Window:
    """Tumbling windows never merge."""
    raise AssertionError((one, other))


def window_row(key: str, counted: tuple[int, Window]) -> Row:
    """Return the row of a closed window."""
    number, window = counted
    start = WINDOWS_FROM + number * WINDOW
    return (*key.split("/"), start, window.labels, window.gold_labels, window.gold_correct, window.duration_ms_sum, 1)


# Rows


def label_row(answer: Answer) -> TableRow:
    """Return the row of a label; the judged one has the higher version."""
    is_judged = answer.score is not None
    return "labels", (*answer[:-1], int(is_judged))


def dead_letter_row(letter: DeadLetter) -> TableRow:
    """Return the row of a line that is no event."""
    return "dead_letters", (letter.payload, letter.error)
