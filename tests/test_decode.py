"""The fast reader and the contract accept the same bytes and give the same values; refusals carry the right reason."""

import json

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from operators.decode import Decoder, IntakeReport, read_event
from operators.events import foldable_event
from operators.labels import OtherLabel
from schemas.errors import ErrorCode
from schemas.events import parse_event
from schemas.records import RecordBatch
from tests.support.folding import DECODE_SETTINGS

SUBMITTED = (
    b'{"schema_version":1,"type":"annotation.submitted","event_id":"e1","occurred_at":"2026-01-05T09:00:00.000Z",'
    b'"source":"label-studio:7","project_id":"sentiment","question_id":"label","item_id":"t-1","annotator_id":"w1",'
    b'"annotation_id":"a-1","revision":0,"step":"annotate","label":{"kind":"categorical","value":"Positive"},'
    b'"duration_ms":4200}'
)
GOLD = (
    b'{"schema_version":1,"type":"gold.set","event_id":"g1","occurred_at":"2026-01-05T08:00:00.000Z","source":"import",'
    b'"project_id":"sentiment","question_id":"label","item_id":"t-1","answers":[{"label":{"kind":"categorical",'
    b'"value":"Positive"},"weight":1.0}],"origin":"gold"}'
)
RETRACTED = (
    b'{"type":"annotation.retracted","event_id":"r1","occurred_at":"2026-01-05T08:00:00Z","source":"import",'
    b'"project_id":"sentiment","annotation_id":"a-1"}'
)
COMMON = b'"event_id":"x1","occurred_at":"2026-01-05T08:00:00Z","source":"import","project_id":"sentiment",'
SKIPPED = (
    b'{"type":"annotation.skipped",' + COMMON + b'"question_id":"label","item_id":"t-1","annotator_id":"w1",'
    b'"step":"annotate","duration_ms":900,"annotation_id":"a-1","revision":1,"attributes":{"team":"red"}}'
)
WITHDRAWN = b'{"type":"gold.withdrawn",' + COMMON + b'"question_id":"label","item_id":"t-1"}'
REVIEWED = (
    b'{"type":"review.decided",' + COMMON + b'"annotation_id":"a-1","question_id":"label","reviewer_id":"r1",'
    b'"decision":"fix","correction":{"kind":"categorical","value":"Negative"}}'
)
ADJUDICATED = (
    b'{"type":"item.adjudicated",' + COMMON + b'"item_id":"t-1","question_id":"label","adjudicator_id":"x1",'
    b'"label":{"kind":"categorical","value":"Negative"}}'
)
OTHER_KINDS = tuple(
    SUBMITTED.replace(b'{"kind":"categorical","value":"Positive"}', label)
    for label in (
        b'{"kind":"multi_label","values":["a","b"]}',
        b'{"kind":"rating","value":4,"scale":"ordinal","low":1,"high":5}',
        b'{"kind":"text","value":"a text"}',
        b'{"kind":"boxes","boxes":[{"label":"car","x":0.1,"y":0.2,"width":0.3,"height":0.2}]}',
        b'{"kind":"spans","spans":[{"label":"PER","start":0,"end":5}]}',
        b'{"kind":"preference","chosen":"a","options":["a","b"]}',
        b'{"kind":"ranking","order":["c","a","b"]}',
    )
)
SAMPLES = (SUBMITTED, GOLD, RETRACTED, SKIPPED, WITHDRAWN, REVIEWED, ADJUDICATED, *OTHER_KINDS)

decoder = Decoder(DECODE_SETTINGS)


def outcome(read, payload):
    """Return the event as plain values, or None where it is refused."""
    try:
        event = read(payload)
    except ValidationError:
        return None
    if isinstance(event, msgspec.Struct):
        return msgspec.to_builtins(event, builtin_types=(type(event.occurred_at),))
    return msgspec.to_builtins(foldable_event(event), builtin_types=(type(event.occurred_at),))


def check(payload):
    """Both readers refuse the payload, or accept it with the same values."""
    assert outcome(read_event, payload) == outcome(parse_event, payload)


def test_the_documented_lines_are_accepted_as_they_are():
    """The lines of the contract's documentation are read, with all their values."""
    event = outcome(read_event, SUBMITTED)
    assert (event["label"]["value"], event["duration_ms"], event["revision"]) == ("Positive", 4200, 0)
    assert outcome(read_event, GOLD)["answers"][0]["weight"] == 1.0
    for sample in SAMPLES:
        check(sample)
        assert outcome(read_event, sample) is not None


def test_each_kind_of_label_has_a_text_and_its_whole_content():
    """What people read of a label is short; the content gives the label back."""
    labels = [outcome(read_event, sample)["label"] for sample in OTHER_KINDS]
    assert [label["value"] for label in labels] == [
        '["a","b"]', "4", "a text", '[{"label":"car","x":0.1,"y":0.2,"width":0.3,"height":0.2}]',
        '[{"label":"PER","start":0,"end":5}]', "a", '["c","a","b"]',
    ]  # fmt: skip
    for sample, label in zip(OTHER_KINDS, labels, strict=True):
        assert json.loads(label["content"]) == json.loads(sample)["label"]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8)
    | st.sampled_from(["", "x" * 256, "x" * 257, "categorical", "annotation.submitted", "gold.set", 0, -1, 1.0, 1e400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
stamps = st.one_of(
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
    st.from_regex(r"\A\d{4}-[01]\d-[0-3]\d[Tt _][0-2]\d:[0-6]\d(:[0-6]\d)?([.,]\d{0,12})?([Zz]|[+-]\d\d:?\d?\d?|)\Z"),
)
fields = st.sampled_from(
    sorted({*(name for sample in SAMPLES for name in json.loads(sample)), "received_at", "expected", "extra"})
)


@settings(max_examples=700, deadline=None)
@given(
    sample=st.sampled_from(SAMPLES),
    changes=st.dictionaries(fields, anything, max_size=2),
    removed=st.sets(fields, max_size=1),
    stamp=st.none() | stamps,
    ensure_ascii=st.booleans(),
)
def test_both_readers_agree_on_changed_fields(sample, changes, removed, stamp, ensure_ascii):
    """Whatever a field holds, and whichever is missing, both readers say the same."""
    event = json.loads(sample) | changes | ({"occurred_at": stamp} if stamp is not None else {})
    for name in removed:
        event.pop(name, None)
    check(json.dumps(event, ensure_ascii=ensure_ascii).encode("utf-8", "surrogatepass"))


names = st.text(max_size=3) | st.sampled_from(["a", "b", "c", "\u00e9", "e\u0301", "x" * 256, "x" * 257])
numbers = st.floats(-2, 2) | st.integers(-2, 6) | st.sampled_from([-0.0, 1e-6, 1 + 1e-7, 1e9, -1e9, 1e9 + 1, 10**400])
offsets = st.integers(-1, 4) | st.sampled_from([0.0, 1.5, 2**53 - 1, 2**53, 10**30])
shares = st.floats(0, 0.5) | st.sampled_from([0, 1, -0.0, 1.0, 0.999999, 1.1, -1e-9])
box_values = st.fixed_dictionaries({"label": names, "x": shares, "y": shares, "width": shares, "height": shares})
span_values = st.fixed_dictionaries({"label": names, "start": offsets, "end": offsets})
labels_of_all_kinds = st.one_of(
    st.fixed_dictionaries({"kind": st.just("categorical"), "value": names}),
    st.fixed_dictionaries({"kind": st.just("multi_label"), "values": st.lists(names, max_size=4)}),
    st.fixed_dictionaries({
        "kind": st.just("rating"), "value": numbers, "low": numbers, "high": numbers,
        "scale": st.sampled_from(["ordinal", "interval", "nominal"]),
    }),
    st.fixed_dictionaries({"kind": st.just("boxes"), "boxes": st.lists(box_values, max_size=3)}),
    st.fixed_dictionaries({"kind": st.just("spans"), "spans": st.lists(span_values, max_size=3)}),
    st.fixed_dictionaries({
        "kind": st.just("preference"), "chosen": names, "options": st.lists(names, min_size=1, max_size=4),
    }),
    st.fixed_dictionaries({
        "kind": st.just("ranking"), "order": st.lists(names | st.lists(names, max_size=3), max_size=4),
    }),
    st.fixed_dictionaries({"kind": st.just("text"), "value": names | st.text(max_size=30)}),
)  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(
    sample=st.sampled_from([SUBMITTED, GOLD, REVIEWED, ADJUDICATED]),
    first=labels_of_all_kinds,
    second=labels_of_all_kinds,
    more=st.dictionaries(st.sampled_from(["kind", "content", "folded", "value"]), anything, max_size=1),
)
def test_both_readers_agree_on_labels_of_all_kinds(sample, first, second, more):
    """Wherever a label stands, what one reader refuses the other refuses, and what they accept is the same answer."""
    event, first = json.loads(sample), {**more, **first}
    for name in {"label", "correction"} & event.keys():
        event[name] = first
    if sample == SUBMITTED:
        event["expected"] = second
    if sample == GOLD:
        event["answers"] = [{"label": first, "weight": 0.5}, {"label": second}]
    check(json.dumps(event).encode())


def test_labels_of_all_kinds_are_read_fast(monkeypatch):
    """No kind of label needs the slower reader."""
    monkeypatch.setattr("operators.decode.parse_event", lambda payload: pytest.fail("the contract's reader was asked"))
    for sample in OTHER_KINDS:
        assert type(read_event(sample).label) is OtherLabel


@settings(max_examples=700, deadline=None)
@given(
    sample=st.sampled_from(SAMPLES),
    place=st.integers(0, 600),
    length=st.integers(0, 12),
    patch=st.binary(max_size=8)
    | st.sampled_from(
        [b'"type":"gold.set",', b'"\\u0074ype":"gold.set",', b"NaN", b"1e999", b"\\ud800", b"\xc3(", b"[" * 300]
    ),
)
@example(sample=SUBMITTED, place=1, length=0, patch=b'"z":"\xff",')
@example(sample=SUBMITTED, place=1, length=0, patch=b'"z":' + b"[" * 150 + b"]" * 150 + b",")
@example(sample=SUBMITTED, place=1, length=0, patch=b'"z":' + b"[" * 5000 + b"]" * 5000 + b",")
@example(sample=SUBMITTED, place=1, length=0, patch=b'"z":' + b"1" * 5000 + b",")
@example(sample=SUBMITTED, place=1, length=0, patch=b'"event_id":7,')
def test_both_readers_agree_on_damaged_bytes(sample, place, length, patch):
    """Whatever happens to the bytes, both readers say the same, and nothing but a refusal is raised."""
    check(sample[:place] + patch + sample[place + length :])


def with_field(name, value):
    """Return the sample with one field changed."""
    return json.dumps(json.loads(SUBMITTED) | {name: value}).encode()


def without_field(name):
    """Return the sample without one field."""
    event = json.loads(SUBMITTED)
    del event[name]
    return json.dumps(event).encode()


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", ErrorCode.EMPTY),
        (b"  ", ErrorCode.EMPTY),
        (b"not json", ErrorCode.NOT_JSON),
        (b"\xef\xbb\xbf" + SUBMITTED, ErrorCode.NOT_JSON),
        (SUBMITTED[:-1], ErrorCode.NOT_JSON),
        (SUBMITTED + b"}", ErrorCode.NOT_JSON),
        (SUBMITTED.replace(b"Positive", b"\xff\xfe"), ErrorCode.NOT_UTF8),
        (b"[]", ErrorCode.NOT_AN_OBJECT),
        (b"7", ErrorCode.NOT_AN_OBJECT),
        (b"null", ErrorCode.NOT_AN_OBJECT),
        (b'{"x":' + b"[" * 400 + b"]" * 400 + b"}", ErrorCode.TOO_DEEP),
        (with_field("schema_version", 99), ErrorCode.UNKNOWN_VERSION),
        (with_field("schema_version", "1"), ErrorCode.UNKNOWN_VERSION),
        (with_field("type", "annotation.imagined"), ErrorCode.UNKNOWN_TYPE),
        (with_field("type", 5), ErrorCode.UNKNOWN_TYPE),
        (without_field("type"), ErrorCode.MISSING_FIELD),
        (without_field("annotator_id"), ErrorCode.MISSING_FIELD),
        (with_field("item_id", 5), ErrorCode.WRONG_TYPE),
        (with_field("label", "Positive"), ErrorCode.WRONG_TYPE),
        (with_field("item_id", ""), ErrorCode.INVALID_VALUE),
        (with_field("item_id", "x" * 257), ErrorCode.INVALID_VALUE),
        (with_field("duration_ms", -1), ErrorCode.INVALID_VALUE),
        (with_field("duration_ms", 1.5), ErrorCode.WRONG_TYPE),
        (with_field("label", {"kind": "hologram", "value": "x"}), ErrorCode.UNKNOWN_LABEL_KIND),
        (with_field("occurred_at", "2026-01-05T09:00:00"), ErrorCode.TIMESTAMP_NAIVE),
        (with_field("occurred_at", "yesterday"), ErrorCode.TIMESTAMP_INVALID),
        (with_field("occurred_at", "2026-02-30T09:00:00Z"), ErrorCode.TIMESTAMP_INVALID),
        (with_field("occurred_at", 1767603600), ErrorCode.TIMESTAMP_INVALID),
        (with_field("occurred_at", "0001-01-01T00:00:00Z"), ErrorCode.TIMESTAMP_OUT_OF_RANGE),
        (with_field("occurred_at", "9999-12-31T23:59:59Z"), ErrorCode.TIMESTAMP_OUT_OF_RANGE),
        (with_field("received_at", "2026-01-05T07:59:59Z"), ErrorCode.TIMESTAMP_FAR_FUTURE),
        (GOLD.replace(b"1.0", b"1.5"), ErrorCode.INVALID_VALUE),
        (REVIEWED.replace(b'"fix"', b'"accept"'), ErrorCode.INVALID_VALUE),
        (REVIEWED.replace(b'"fix"', b'"applaud"'), ErrorCode.INVALID_VALUE),
        (SKIPPED.replace(b'"red"', b"7"), ErrorCode.WRONG_TYPE),
        (SKIPPED.replace(b'"team"', b'""'), ErrorCode.INVALID_VALUE),
        (with_field("attributes", {f"n{i}": "x" for i in range(9)}), ErrorCode.INVALID_VALUE),
        (with_field("label", {"value": "Positive"}), ErrorCode.MISSING_FIELD),
    ],
)
def test_a_refusal_names_its_reason(payload, code):
    """Each kind of bad record becomes one dead letter with its reason code, its bytes and a line that says where."""
    [letter] = dead_letters(RecordBatch("test:log", 0, [7], [payload], 8))
    assert (letter.code, letter.offset, letter.payload) == (code, 7, payload)
    assert letter.detail and "\n" not in letter.detail


def test_an_oversized_record_is_refused_with_its_size():
    """A record that the source cut is refused, and its full size is told."""
    [letter] = dead_letters(RecordBatch("test:log", 0, [0], [SUBMITTED[:50]], 1, sizes_cut={0: 9_000_000}))
    assert (letter.code, letter.size) == (ErrorCode.OVERSIZED, 9_000_000)


def test_the_log_s_own_stamp_decides_what_is_far_future():
    """With a stamp of the log, an event later than the stamp and the tolerance is refused, whatever it says itself."""
    stamp = 1_767_603_600_000_000  # 2026-01-05T09:00:00Z
    late, fine = stamp - 3_600_000_001, stamp - 3_600_000_000
    batch = RecordBatch("test:log", 0, [0, 1], [SUBMITTED, SUBMITTED], 2, stamps=[late, fine])
    assert [(letter.offset, letter.code) for letter in dead_letters(batch)] == [(0, ErrorCode.TIMESTAMP_FAR_FUTURE)]


def dead_letters(batch):
    """Return the dead letters of one batch."""
    return [letter for _, out in decoder([batch]) if isinstance(out, IntakeReport) for letter in out.dead]
