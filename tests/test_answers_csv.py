"""Answers as CSV files become events of the contract, one a row, with ids that stay the same."""

import csv
import io
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.adapters.answers_csv import convert_answers, convert_files, encode_event
from schemas.errors import ConfigurationError
from schemas.events import ANSWERS_MAX, AnnotationSubmitted, GoldSet, parse_event
from schemas.timestamps import microseconds

CROWD = Path(__file__).parents[2] / "shared" / "data" / "crowd"
SLOW_BYTES = 100_000
"""Real data in bigger files takes longer than a unit test may."""
START = datetime(2026, 1, 1, tzinfo=UTC)

identifiers = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=256)
answer_rows = st.lists(st.fixed_dictionaries({"item": identifiers, "worker": identifiers, "label": identifiers}))
gold_rows = st.lists(st.fixed_dictionaries({"item": identifiers, "label": identifiers}), max_size=20)


def _rows(*values, columns="item worker label"):
    return [dict(zip(columns.split(), row, strict=True)) for row in values]


def _events(answers, gold=(), **options):
    return [parse_event(encode_event(event)) for event in convert_answers(answers, gold, project="p", **options)]


def _labels(events):
    return [event for event in events if isinstance(event, AnnotationSubmitted)]


def _lines(text):
    return io.StringIO(text, newline="")


@given(answers=answer_rows, gold=gold_rows)
def test_any_ids_and_labels_come_through_as_they_stand(answers, gold):
    """Each row is one event of the contract, with item, worker and label unchanged, whatever the characters."""
    events = _events(answers, gold, question="quality")
    labels = _labels(events)
    assert [(event.item_id, event.annotator_id, event.label.value) for event in labels] == [
        (row["item"], row["worker"], row["label"]) for row in answers
    ]
    accepted = defaultdict(dict)
    for row in gold:
        accepted[row["item"]][row["label"]] = 1.0
    golds = [event for event in events if isinstance(event, GoldSet)]
    found = {event.item_id: {answer.label.value: answer.weight for answer in event.answers} for event in golds}
    assert found == accepted
    assert len(golds) == len(accepted)
    assert {(event.project_id, event.question_id) for event in events} <= {("p", "quality")}
    assert len({event.event_id for event in events}) == len(events)
    assert len({event.annotation_id for event in labels}) == len(labels)


@given(answers=answer_rows, gold=gold_rows)
def test_csv_text_gives_the_same_events_as_its_rows(answers, gold):
    """Written as CSV, with line breaks, quotes and a byte order mark, rows give the same events as handed over."""
    expected = [encode_event(event) for event in convert_answers(answers, gold, project="p")]
    tables = [(answers, ("item", "worker", "label")), (gold, ("item", "label"))]
    texts = []
    for rows, columns in tables:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns, quoting=csv.QUOTE_ALL)
        writer.writeheader()
        writer.writerows(rows)
        texts.append(text.getvalue())
    for mark in ("", "\ufeff"):
        streams = [_lines(mark + text) for text in texts]
        assert [encode_event(event) for event in convert_files(*streams, project="p")] == expected


def test_without_times_labels_are_a_second_apart_and_gold_comes_first():
    """Without ``ts`` labels are stamped from 2026-01-01T00:00:00Z on; known answers come ahead, not stamped later."""
    answers = _rows(("a", "w1", "x"), ("b", "w1", "y"), ("a", "w2", "x"))
    events = _events(answers, _rows(("b", "y"), ("a", "x"), columns="item label"))
    assert [event.type for event in events] == ["gold.set"] * 2 + ["annotation.submitted"] * 3
    assert [event.occurred_at - START for event in _labels(events)] == [timedelta(seconds=n) for n in range(3)]
    assert all(event.occurred_at == START for event in events[:2])


def test_with_times_rows_are_sorted_and_equal_times_keep_their_order():
    """With ``ts`` labels come in its order, stamped to the microsecond, and the known answers not after the first."""
    answers = _rows(
        ("a", "w1", "x", "1458833933.1234567"),
        ("b", "w1", "y", "1458833900"),
        ("c", "w3", "y", "1.4588339e9"),
        ("d", "w3", "y", "0"),
        columns="item worker label ts",
    )
    events = _events(answers, _rows(("a", "x"), columns="item label"))
    assert [event.item_id for event in _labels(events)] == ["d", "b", "c", "a"]
    assert [microseconds(event.occurred_at) for event in _labels(events)] == [
        0,
        1_458_833_900_000_000,
        1_458_833_900_000_000,
        1_458_833_933_123_457,
    ]
    assert events[0].type == "gold.set"
    assert microseconds(events[0].occurred_at) == 0


@given(st.integers(0, 9_000_000_000_000_000))
def test_times_are_exact_to_the_microsecond(moment):
    """A ``ts`` with six decimals is the stamp, without the rounding of a float."""
    row = {"item": "a", "worker": "w", "label": "x", "ts": f"{moment // 10**6}.{moment % 10**6:06d}"}
    assert microseconds(_events([row])[0].occurred_at) == moment


@pytest.mark.parametrize(
    ("secs", "duration_ms"),
    [
        ("4.2", 4_200),
        ("0", 0),
        ("0.0005", 1),
        ("14", 14_000),
        ("604800", 604_800_000),
        ("604801", None),
        ("", None),
        (None, None),
        ("-1", None),
        ("nan", None),
        ("1e999", None),
        ("fast", None),
        ("1_000", None),
    ],
)
def test_time_spent_is_in_milliseconds_or_not_told(secs, duration_ms):
    """``secs`` becomes whole milliseconds; what is empty, no number or more than a week is not told."""
    row = {"item": "a", "worker": "w", "label": "x", "secs": secs}
    assert _events([row])[0].duration_ms == duration_ms


@given(st.fractions(0, 600_000))
def test_time_spent_is_rounded_to_the_nearest(seconds):
    """``secs`` with many decimals is off by half a millisecond at most."""
    text = f"{float(seconds):.9f}"
    duration_ms = _events([{"item": "a", "worker": "w", "label": "x", "secs": text}])[0].duration_ms
    assert abs(Fraction(text) * 1_000 - duration_ms) <= Fraction(1, 2)


def test_repeated_rows_are_labels_of_their_own():
    """A person's second row for an item, even an equal one, has another annotation and another event id."""
    events = _events(_rows(("a", "w1", "x"), ("a", "w1", "x"), ("a", "w1", "y"), ("a", "w2", "x")))
    assert len({event.annotation_id for event in events}) == 4
    assert len({event.event_id for event in events}) == 4
    assert {event.revision for event in events} == {0}


def test_converting_again_gives_the_same_ids():
    """Ids are those of the last time, also when rows were added at the end and known answers of other items came."""
    answers, gold = _rows(("a", "w1", "x"), ("a", "w1", "x"), ("b", "w2", "y")), _rows(("a", "x"), columns="item label")
    before = _events(answers, gold)
    after = _events([*answers, *_rows(("c", "w1", "x"))], [*gold, *_rows(("b", "y"), columns="item label")])
    assert set(map(repr, before)) < set(map(repr, after))


def test_questions_of_one_submission_share_annotations_but_not_events():
    """The same rows under another question are other events of the same annotations; under another project, others."""
    rows = _rows(("a", "w1", "x"), ("b", "w2", "y"))
    one, other = _events(rows, question="one"), _events(rows, question="other")
    assert [event.annotation_id for event in one] == [event.annotation_id for event in other]
    assert not {event.event_id for event in one} & {event.event_id for event in other}
    elsewhere = [parse_event(encode_event(event)) for event in convert_answers(rows, project="q", question="one")]
    assert not {event.annotation_id for event in one} & {event.annotation_id for event in elsewhere}


def test_all_accepted_answers_of_an_item_are_one_event():
    """Several gold rows of an item are its accepted answers, each once, in the order of the file."""
    gold = _rows(("a", "x"), ("b", "y"), ("a", "z"), ("a", "x"), columns="item label")
    events = _events([], gold)
    assert [(event.item_id, [answer.label.value for answer in event.answers]) for event in events] == [
        ("a", ["x", "z"]),
        ("b", ["y"]),
    ]


ROW = "a,w1,x\n"
HEADER = "item,worker,label\n"


@pytest.mark.parametrize(
    ("answers", "gold", "message"),
    [
        ("item,label\na,x\n", None, "answers: no column 'worker'; the first line has 'item', 'label'"),
        ("item,label\n", None, "answers: no column 'worker'"),
        ("", None, "answers: no column 'item', 'worker', 'label'; the first line has nothing"),
        (HEADER + ROW, "item\na\n", "gold: no column 'label'"),
        (HEADER + ROW + ",w1,x\n", None, "answers, line 3, column 'item': empty"),
        (HEADER + ROW + "\n" + "a,,x\n", None, "answers, line 4, column 'worker': empty"),
        (HEADER + '"a\nb",w1,x\n' + "a,w1,\n", None, "answers, line 4, column 'label': empty"),
        (HEADER + "a,w1\n", None, "answers, line 2, column 'label': empty"),
        (HEADER + "a,w1,x,y\n", None, "answers, line 2: more values than the header has columns"),
        (HEADER + f"a,{'w' * 257},x\n", None, "answers, line 2, column 'worker': 257 characters, more than 256"),
        (HEADER + "a,w\ud800,x\n", None, "answers, line 2, column 'worker': not Unicode text"),
        ("item,worker,label,ts\na,w1,x,\n", None, "answers, line 2, column 'ts': '' is no time"),
        ("item,worker,label,ts\na,w1,x,noon\n", None, "answers, line 2, column 'ts': 'noon' is no time"),
        ("item,worker,label,ts\na,w1,x,-5\n", None, "answers, line 2, column 'ts': '-5' is no time"),
        ("item,worker,label,ts\na,w1,x,1458833933000\n", None, "column 'ts': '1458833933000' is no time"),
        (HEADER + '"a"b,w1,x\n', None, "answers, line 2: not a CSV file"),
        (HEADER + ROW, "item,label\na,\n", "gold, line 2, column 'label': empty"),
    ],
)
def test_mistakes_are_named_by_line_and_column(answers, gold, message):
    """What is wrong is one plain line that names the table, the line of the file and the column."""
    with pytest.raises(ConfigurationError) as raised:
        list(convert_files(_lines(answers), None if gold is None else _lines(gold), project="p"))
    assert message in raised.value.message
    assert "\n" not in raised.value.message
    assert raised.value.remedy


def test_bad_rows_are_left_out_on_request_and_told():
    """With a handler the good rows are converted, and each bad one is told of by line, column and reason."""
    text = HEADER + ROW + ",w1,x\n" + "b,w1,y\n" + "c,,y\n"
    bad = []
    events = convert_files(_lines(text), _lines("item,label\na,\nb,y\n"), project="p", on_bad_row=bad.append)
    lines = [encode_event(event) for event in events]
    assert [parse_event(line).item_id for line in lines] == ["b", "a", "b"]
    assert [(row.table, row.line, row.column) for row in bad] == [
        ("gold", 2, "label"),
        ("answers", 3, "item"),
        ("answers", 5, "worker"),
    ]
    assert [parse_event(line).occurred_at - START for line in lines[1:]] == [timedelta(0), timedelta(seconds=1)]


def test_what_is_not_utf8_is_refused(tmp_path):
    """A file in another encoding is an error that says so."""
    path = tmp_path / "answers.csv"
    path.write_bytes(HEADER.encode() + "é,w1,x\n".encode("latin-1"))
    with path.open(encoding="utf-8", newline="") as stream, pytest.raises(ConfigurationError, match="not in UTF-8"):
        list(convert_files(stream, project="p"))


def test_too_many_accepted_answers_are_refused():
    """An item has at most so many accepted answers as the contract takes."""
    gold = _rows(*(("a", str(number)) for number in range(ANSWERS_MAX)), columns="item label")
    assert len(_events([], gold)[0].answers) == ANSWERS_MAX
    with pytest.raises(ConfigurationError, match="more than 64 accepted answers"):
        _events([], [*gold, *_rows(("a", "one more"), columns="item label")])


@pytest.mark.parametrize("name", ["project", "question"])
def test_project_and_question_need_an_id(name):
    """An empty project or question is refused before anything is converted."""
    with pytest.raises(ConfigurationError, match=name):
        next(convert_answers(_rows(("a", "w", "x")), **{"project": "p", name: ""}))


def test_rows_without_times_stream_through():
    """The first label is out before the second row is read."""
    rows = iter(_rows(("a", "w1", "x"), ("b", "w1", "y")))
    assert next(convert_answers(rows, project="p"))["item_id"] == "a"
    assert next(rows)["item"] == "b"


def _crowd_sets():
    if not CROWD.is_dir():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"no crowd data at {CROWD}"))]
    files = sorted(CROWD.glob("*/answers.csv"))
    return [pytest.param(file.parent.name, marks=_marks(file)) for file in files]


def _marks(file):
    return [pytest.mark.slow] if file.stat().st_size > SLOW_BYTES else []


@pytest.mark.parametrize("name", _crowd_sets())
def test_real_data_is_converted_row_for_row(name):
    """Each row of real data with a label is one event of the contract, rows without one are told, and counts agree."""
    with (CROWD / name / "answers.csv").open(encoding="utf-8", newline="") as stream:
        answers = list(csv.DictReader(stream))
    with (CROWD / name / "gold.csv").open(encoding="utf-8", newline="") as stream:
        gold = list(csv.DictReader(stream))
    bad = []
    with (
        (CROWD / name / "answers.csv").open(encoding="utf-8", newline="") as answer_stream,
        (CROWD / name / "gold.csv").open(encoding="utf-8", newline="") as gold_stream,
    ):
        converted = list(convert_files(answer_stream, gold_stream, project=name, on_bad_row=bad.append))
    events = [parse_event(encode_event(event)) for event in converted]
    labels = _labels(events)
    complete = [row for row in answers if row["label"]]
    assert Counter((event.item_id, event.annotator_id, event.label.value) for event in labels) == Counter(
        (row["item"], row["worker"], row["label"]) for row in complete
    )
    assert len(bad) == len(answers) - len(complete)
    assert len(events) - len(labels) == len({row["item"] for row in gold})
    assert len({event.event_id for event in events}) == len(events)
    assert len({event.annotation_id for event in labels}) == len(labels)
    stamps = [event.occurred_at for event in events]
    assert stamps == sorted(stamps)
