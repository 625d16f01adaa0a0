"""Each kind of label takes what is documented, refuses what cannot be, and keeps equal answers equal."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.labels.any_label import LABEL_ADAPTER, canonical_label
from schemas.labels.boxes import BOXES_MAX
from schemas.labels.multi_label import CLASSES_MAX
from schemas.labels.preference import OPTIONS_MAX
from schemas.labels.ranking import RANKED_MAX
from schemas.labels.rating import RATING_MAGNITUDE_MAX
from schemas.labels.spans import OFFSET_MAX, SPANS_MAX
from schemas.labels.text import TEXT_CHARACTERS_MAX

BOX = {"label": "car", "x": 0.1, "y": 0.2, "width": 0.3, "height": 0.2}
SPAN = {"label": "PER", "start": 0, "end": 5}
RATING = {"kind": "rating", "value": 4, "scale": "ordinal", "low": 1, "high": 5}

DOCUMENTED = (
    '{"kind":"categorical","value":"Positive"}',
    '{"kind":"multi_label","values":["a","b"]}',
    '{"kind":"rating","value":4,"scale":"ordinal","low":1,"high":5}',
    '{"kind":"text","value":"…"}',
    '{"kind":"boxes","boxes":[{"label":"car","x":0.1,"y":0.2,"width":0.3,"height":0.2}]}',
    '{"kind":"spans","spans":[{"label":"PER","start":0,"end":5}]}',
    '{"kind":"preference","chosen":"a","options":["a","b"]}',
    '{"kind":"ranking","order":["c","a","b"]}',
)

IMPOSSIBLE: dict[str, Any] = {
    "unknown kind": {"kind": "mask", "value": "a"},
    "no kind": {"value": "a"},
    "class twice": {"kind": "multi_label", "values": ["a", "a"]},
    "empty class": {"kind": "multi_label", "values": [""]},
    "long class": {"kind": "multi_label", "values": ["a" * 257]},
    "too many classes": {"kind": "multi_label", "values": [str(number) for number in range(CLASSES_MAX + 1)]},
    "scale upside down": {**RATING, "low": 5, "high": 1},
    "scale of one point": {**RATING, "low": 4, "high": 4},
    "rating below its scale": {**RATING, "value": 0},
    "rating above its scale": {**RATING, "value": 5.5},
    "rating without scale": {"kind": "rating", "value": 4, "low": 1, "high": 5},
    "unknown scale": {**RATING, "scale": "nominal"},
    "rating as text": {**RATING, "value": "4"},
    "rating as truth": {**RATING, "value": True},
    "endless scale": {**RATING, "high": RATING_MAGNITUDE_MAX * 2},
    "rating that is no number": {**RATING, "value": float("nan")},
    "empty text": {"kind": "text", "value": ""},
    "long text": {"kind": "text", "value": "a" * (TEXT_CHARACTERS_MAX + 1)},
    "half a character": {"kind": "text", "value": "\ud800"},
    "box left of the image": {"kind": "boxes", "boxes": [{**BOX, "x": -0.1}]},
    "box beyond the image": {"kind": "boxes", "boxes": [{**BOX, "x": 0.9}]},
    "box below the image": {"kind": "boxes", "boxes": [{**BOX, "y": 0.9}]},
    "flat box": {"kind": "boxes", "boxes": [{**BOX, "height": 0}]},
    "box in pixels": {"kind": "boxes", "boxes": [{**BOX, "width": 300}]},
    "box without class": {"kind": "boxes", "boxes": [{key: BOX[key] for key in BOX if key != "label"}]},
    "too many boxes": {"kind": "boxes", "boxes": [BOX] * (BOXES_MAX + 1)},
    "span backwards": {"kind": "spans", "spans": [{**SPAN, "start": 6}]},
    "span before the start": {"kind": "spans", "spans": [{**SPAN, "start": -1}]},
    "span beyond whole numbers": {"kind": "spans", "spans": [{**SPAN, "end": OFFSET_MAX + 1}]},
    "span between characters": {"kind": "spans", "spans": [{**SPAN, "end": 4.5}]},
    "span twice": {"kind": "spans", "spans": [SPAN, SPAN]},
    "too many spans": {"kind": "spans", "spans": [{**SPAN, "end": 5 + number} for number in range(SPANS_MAX + 1)]},
    "chosen no option": {"kind": "preference", "chosen": "c", "options": ["a", "b"]},
    "option twice": {"kind": "preference", "chosen": "a", "options": ["a", "a"]},
    "one option": {"kind": "preference", "chosen": "a", "options": ["a"]},
    "too many options": {
        "kind": "preference", "chosen": "0", "options": [str(number) for number in range(OPTIONS_MAX + 1)],
    },
    "ranked twice": {"kind": "ranking", "order": ["a", "b", "a"]},
    "ranked twice, once in a tie": {"kind": "ranking", "order": ["a", ["b", "a"]]},
    "nothing ranked": {"kind": "ranking", "order": []},
    "empty tie": {"kind": "ranking", "order": ["a", []]},
    "too much ranked": {"kind": "ranking", "order": [str(number) for number in range(RANKED_MAX + 1)]},
}  # fmt: skip

names = st.text(min_size=1, max_size=8)


@pytest.mark.parametrize("line", DOCUMENTED)
def test_the_documented_spelling_is_taken_and_given_back(line: str) -> None:
    """The labels of the documentation are read from JSON, and written as they stand there."""
    label = LABEL_ADAPTER.validate_json(line)
    assert json.loads(LABEL_ADAPTER.dump_json(label)) == json.loads(line)


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_be_is_refused(name: str) -> None:
    """A label that breaks a rule of its kind is no label."""
    with pytest.raises(ValidationError):
        LABEL_ADAPTER.validate_python(IMPOSSIBLE[name])


def test_unknown_members_are_left_out() -> None:
    """A newer producer's additions to a label are no reason to refuse it."""
    assert canonical_label({"kind": "text", "value": "a", "language": "en"}) == {"kind": "text", "value": "a"}


def test_nothing_chosen_nothing_drawn_and_nothing_marked_are_answers() -> None:
    """Sets of classes, boxes and spans may be empty: the annotator looked, and there was none."""
    for kind, member in (("multi_label", "values"), ("boxes", "boxes"), ("spans", "spans")):
        assert canonical_label({"kind": kind, member: []}) == {"kind": kind, member: []}


def test_a_box_may_end_at_the_edge_in_spite_of_rounding() -> None:
    """0.1 + 0.9 is a little more than 1 in floating point; such a box still lies in its image."""
    canonical_label({"kind": "boxes", "boxes": [{**BOX, "x": 0.1, "width": 0.9000000001}]})


@given(st.lists(names, max_size=6, unique=True), st.randoms(use_true_random=False))
def test_the_order_of_classes_and_options_does_not_matter(values: list[str], random: Any) -> None:
    """Two answers with the same classes, or the same options, are equal labels in whichever order they are told."""
    shuffled = values.copy()
    random.shuffle(shuffled)
    assert canonical_label({"kind": "multi_label", "values": values}) == canonical_label(
        {"kind": "multi_label", "values": shuffled}
    )
    if len(values) > 1:
        first, second = ({"kind": "preference", "chosen": values[0], "options": one} for one in (values, shuffled))
        assert canonical_label(first) == canonical_label(second)


@given(st.lists(st.tuples(names, st.integers(0, 99), st.integers(0, 9)), max_size=6, unique=True), st.randoms())
def test_the_order_of_spans_and_boxes_does_not_matter(parts: list[tuple[str, int, int]], random: Any) -> None:
    """Two annotators who mark the same spans, or draw the same boxes, in another order give equal labels."""
    spans = [{"label": label, "start": start, "end": start + length} for label, start, length in parts]
    boxes = [{**BOX, "label": label, "x": start / 200, "y": length / 20} for label, start, length in parts]
    for kind, members in (("spans", spans), ("boxes", boxes)):
        shuffled = members.copy()
        random.shuffle(shuffled)
        assert canonical_label({"kind": kind, kind: members}) == canonical_label({"kind": kind, kind: shuffled})


def test_tied_items_have_no_order_among_themselves() -> None:
    """Items that share a place are equal in whichever order they are told; one item alone is no tie."""
    first = canonical_label({"kind": "ranking", "order": [["c"], ["b", "a"]]})
    assert first == canonical_label({"kind": "ranking", "order": ["c", ["a", "b"]]})
    assert first["order"] == ["c", ["a", "b"]]


def test_texts_that_look_alike_because_they_are_the_same_are_equal() -> None:
    """A letter with an accent may be one character or two; both are the same text."""
    assert canonical_label({"kind": "text", "value": "cafe\u0301"}) == canonical_label(
        {"kind": "text", "value": "caf\u00e9"}
    )


@given(st.one_of(st.from_type(type(None)), st.booleans(), st.text(), st.lists(st.integers()), st.dictionaries(
    st.sampled_from(("kind", "value", "values", "boxes", "spans", "order", "chosen", "options")),
    st.one_of(st.text(max_size=5), st.integers(), st.floats(), st.lists(st.text(max_size=3)),
              st.sampled_from(("categorical", "multi_label", "text", "ranking", "boxes", "spans"))),
)))  # fmt: skip
def test_anything_is_a_label_or_refused_and_labels_are_stable(value: Any) -> None:
    """Whatever stands in the place of a label is refused as such, or is a label whose canonical form is its own."""
    try:
        label = canonical_label(value)
    except ValidationError:
        return
    assert canonical_label(label) == label
    assert LABEL_ADAPTER.validate_json(json.dumps(label)) == LABEL_ADAPTER.validate_python(label)
