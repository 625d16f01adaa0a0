"""Answers as CSV files: who gave which label to which item, and the known answers of some items.

The columns of the answers are ``item``, ``worker``, ``label`` and optionally ``ts`` (when, unix seconds) and ``secs``
(time spent, seconds); those of the known answers are ``item`` and ``label``. Values are taken exactly as they stand.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from hashlib import blake2b
from itertools import chain
from typing import Any, NamedTuple

from schemas.adapters.csv_rows import BadRowHandler, Row, RowRefused, identifier, read_rows, read_table
from schemas.errors import ConfigurationError
from schemas.events import ANSWERS_MAX, DURATION_MS_MAX, IDENTIFIER_CHARACTERS_MAX
from schemas.timestamps import MICROSECONDS_PER_SECOND, microseconds, moment_of

SOURCE = "answers-csv"
START_MICROSECONDS = microseconds(datetime(2026, 1, 1, tzinfo=UTC))
"""Time of the first label where the file does not tell times."""
TS_MAX = microseconds(datetime(2262, 1, 1, tzinfo=UTC)) // MICROSECONDS_PER_SECOND
"""Latest ``ts`` that is believed; milliseconds taken for seconds lie far beyond it."""

_NUMBER = re.compile(r"\d{1,20}(\.\d*)?([eE][+-]?\d{1,3})?", flags=re.ASCII)


class _Answer(NamedTuple):
    item: str
    worker: str
    label: str
    at: int | None
    duration_ms: int | None


def convert_answers(
    answers: Iterable[Row],
    gold: Iterable[Row] = (),
    *,
    project: str,
    question: str = "label",
    on_bad_row: BadRowHandler | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield the events of a table of answers and a table of known answers: the known answers first.

    Without a column ``ts`` the labels are a second apart, from 2026-01-01T00:00:00Z on, in the order of the rows, which
    stream through. With it the rows are sorted by it, rows of equal ``ts`` staying in their order, which takes all of
    them into memory. The known answers of an item are one event, stamped with the time of the first label. A person's
    second row for an item is a label of its own, under another annotation. Ids derive from what the rows say and, for
    repeated rows, from how often it was said before: converting a file again gives the same ids, so adds nothing.
    What is kept in memory is a count for each pair of item and worker, and the known answers.

    Parameters
    ----------
    answers, gold
        Rows by column name, such as a ``csv.DictReader``.
    project, question
        Ids under which the labels appear, 1 to 256 characters.
    on_bad_row
        Told of each row that cannot become an event, which is then left out; where it is None, the first one ends it.

    Raises
    ------
    ConfigurationError
        If a column is missing, a row is bad and `on_bad_row` is None, or the input is no CSV file in UTF-8.

    Examples
    --------
    >>> answers = [{"item": "t-1", "worker": "w1", "label": "Positive", "secs": "4.2"}]
    >>> gold = [{"item": "t-1", "label": "Positive"}]
    >>> events = list(convert_answers(answers, gold, project="sentiment"))
    >>> [(event["type"], event["occurred_at"]) for event in events]
    [('gold.set', '2026-01-01T00:00:00.000Z'), ('annotation.submitted', '2026-01-01T00:00:00.000Z')]
    >>> events[1]["duration_ms"]
    4200
    """
    writer = _EventWriter(_required_id("project", project), _required_id("question", question))
    truths = _accepted_answers(gold, on_bad_row)
    labels = _timed_answers(_read_answers(answers, on_bad_row))
    first = next(labels, None)
    yield from writer.gold_events(truths, first[0] if first else START_MICROSECONDS)
    yield from writer.label_events(chain([first] if first else [], labels))


def convert_files(
    answers: Iterable[str],
    gold: Iterable[str] | None = None,
    *,
    project: str,
    question: str = "label",
    on_bad_row: BadRowHandler | None = None,
) -> Iterator[dict[str, Any]]:
    """Return the events of CSV files.

    Parameters
    ----------
    answers, gold
        The lines of the files: text streams opened with ``encoding="utf-8", newline=""``.
    project, question, on_bad_row
        See `convert_answers`.

    Raises
    ------
    ConfigurationError
        See `convert_answers`.
    """
    truths = () if gold is None else read_rows(gold)
    rows = read_rows(answers)
    return convert_answers(rows, truths, project=project, question=question, on_bad_row=on_bad_row)


def encode_event(event: Mapping[str, Any]) -> bytes:
    """Return an event as compact JSON in UTF-8, without line end."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class _EventWriter:
    """Writes the events of one question of a project."""

    project: str
    question: str

    def gold_events(self, truths: Mapping[str, list[str]], at: int) -> Iterator[dict[str, Any]]:
        for item, labels in truths.items():
            yield {
                **self._common("gold.set", _id_of("g", self.project, self.question, item, *labels), at),
                "question_id": self.question,
                "item_id": item,
                "answers": [{"label": {"kind": "categorical", "value": label}, "weight": 1.0} for label in labels],
                "origin": "gold",
            }

    def label_events(self, answers: Iterable[tuple[int, _Answer]]) -> Iterator[dict[str, Any]]:
        """Yield the labels; the annotation id is free of the question, as one submission may answer several."""
        occurrences: Counter[str] = Counter()
        for at, answer in answers:
            pair = _id_of("a", self.project, answer.item, answer.worker)
            annotation_id = f"{pair}-{occurrences[pair]}"
            occurrences[pair] += 1
            event_id = _id_of("e", annotation_id, self.question, answer.label, answer.at, answer.duration_ms)
            yield {
                **self._common("annotation.submitted", event_id, at),
                "question_id": self.question,
                "item_id": answer.item,
                "annotator_id": answer.worker,
                "annotation_id": annotation_id,
                "revision": 0,
                "step": "annotate",
                "label": {"kind": "categorical", "value": answer.label},
                "duration_ms": answer.duration_ms,
            }

    def _common(self, event_type: str, event_id: str, at: int) -> dict[str, Any]:
        return {
            "schema_version": 1,
            "type": event_type,
            "event_id": event_id,
            "occurred_at": _timestamp(at),
            "source": SOURCE,
            "project_id": self.project,
        }


def _id_of(prefix: str, *parts: str | int | None) -> str:
    return prefix + blake2b(json.dumps(parts).encode(), digest_size=12).hexdigest()


def _timestamp(at: int) -> str:
    precision = "microseconds" if at % 1_000 else "milliseconds"
    return moment_of(at).isoformat(timespec=precision).replace("+00:00", "Z")


def _timed_answers(answers: Iterator[_Answer]) -> Iterator[tuple[int, _Answer]]:
    """Yield each answer with its time (microseconds since the epoch): sorted by what rows tell, else a second apart."""
    first = next(answers, None)
    if first is None:
        return
    everything = chain([first], answers)
    if first.at is None:
        for index, answer in enumerate(everything):
            yield START_MICROSECONDS + index * MICROSECONDS_PER_SECOND, answer
    else:
        for answer in sorted(everything, key=_time_of):
            yield _time_of(answer), answer


def _time_of(answer: _Answer) -> int:
    assert answer.at is not None
    return answer.at


def _accepted_answers(rows: Iterable[Row], on_bad_row: BadRowHandler | None) -> dict[str, list[str]]:
    """Return the accepted labels of each item, both in the order of their first row."""
    truths: dict[str, dict[str, None]] = {}

    def add(row: Row) -> None:
        item, label = identifier(row, "item"), identifier(row, "label")
        labels = truths.setdefault(item, {})
        if label not in labels and len(labels) == ANSWERS_MAX:
            raise RowRefused("label", f"more than {ANSWERS_MAX} accepted answers of one item")
        labels[label] = None

    for _ in read_table("gold", rows, ("item", "label"), add, on_bad_row=on_bad_row):
        pass
    return {item: list(labels) for item, labels in truths.items()}


def _read_answers(rows: Iterable[Row], on_bad_row: BadRowHandler | None) -> Iterator[_Answer]:
    has_times: bool | None = None

    def read(row: Row) -> _Answer:
        nonlocal has_times
        has_times = "ts" in row if has_times is None else has_times
        return _Answer(
            item=identifier(row, "item"),
            worker=identifier(row, "worker"),
            label=identifier(row, "label"),
            at=_unix_microseconds(row.get("ts")) if has_times else None,
            duration_ms=_milliseconds(row.get("secs")),
        )

    return read_table("answers", rows, ("item", "worker", "label"), read, on_bad_row=on_bad_row)


def _unix_microseconds(text: str | None) -> int:
    value = _number(text)
    if value is None or value > TS_MAX:
        raise RowRefused("ts", f"{text or ''!r} is no time in seconds since 1970")
    return _rounded(value * MICROSECONDS_PER_SECOND)


def _milliseconds(text: str | None) -> int | None:
    """Return a time spent in milliseconds; None where it is not told, or cannot be true."""
    value = _number(text)
    if value is None or value * 1_000 > DURATION_MS_MAX:
        return None
    return _rounded(value * 1_000)


def _number(text: str | None) -> Decimal | None:
    """Return a number that is not negative; exact, since a float would shift microseconds."""
    stripped = (text or "").strip()
    return Decimal(stripped) if _NUMBER.fullmatch(stripped) else None


def _rounded(value: Decimal) -> int:
    return int(value.to_integral_value(rounding=ROUND_HALF_UP))


def _required_id(name: str, value: str) -> str:
    if not 1 <= len(value) <= IDENTIFIER_CHARACTERS_MAX:
        raise ConfigurationError(f"{name}: should have 1 to {IDENTIFIER_CHARACTERS_MAX} characters, not {len(value)}")
    return value
