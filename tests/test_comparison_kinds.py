"""Comparisons of labels: their properties, and the values that their published definitions give."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from operators.stats.comparison import boxes, ranking, spans
from operators.stats.comparison.by_kind import COMPARISONS, compare
from schemas.adapters.common import KINDS
from schemas.labels.any_label import LABEL_ADAPTER

names = st.sampled_from(("a", "b", "c", "d", "é", "Z"))
fractions = st.integers(0, 19).map(lambda number: number / 20)


def label(kind: str, **members: Any) -> Any:
    """Return a label."""
    return LABEL_ADAPTER.validate_python({"kind": kind, **members})


def box(x: float, y: float, width: float, height: float, name: str = "car") -> dict[str, Any]:
    """Return a box as plain values."""
    return {"label": name, "x": x, "y": y, "width": width, "height": height}


def span(start: int, end: int, name: str = "PER") -> dict[str, Any]:
    """Return a span as plain values."""
    return {"label": name, "start": start, "end": end}


def drawn(*members: dict[str, Any]) -> Any:
    """Return a label of boxes."""
    return label("boxes", boxes=list(members))


def marked(*members: dict[str, Any]) -> Any:
    """Return a label of spans."""
    return label("spans", spans=list(members))


def ranked(*order: str | list[str]) -> Any:
    """Return a label of items in order."""
    return label("ranking", order=list(order))


some_boxes = st.lists(
    st.builds(
        lambda x, y, width, height, name: box(x, y, min(width, 1 - x), min(height, 1 - y), name),
        fractions, fractions, st.sampled_from((0.05, 0.2, 0.5)), st.sampled_from((0.05, 0.3)), names,
    ),
    max_size=5,
)  # fmt: skip
some_spans = st.lists(
    st.builds(lambda start, length, name: span(start, start + length, name), st.integers(0, 20), st.integers(0, 6),
              names),
    max_size=6,
    unique_by=lambda member: (member["label"], member["start"], member["end"]),
)  # fmt: skip
LABELS: dict[str, st.SearchStrategy[Any]] = {
    "categorical": st.builds(lambda value: label("categorical", value=value), names),
    "multi_label": st.builds(lambda values: label("multi_label", values=values), st.lists(names, unique=True)),
    "rating": st.builds(
        lambda value, scale: label("rating", value=value, scale=scale, low=-2, high=9.5),
        st.floats(-2, 9.5), st.sampled_from(("ordinal", "interval")),
    ),
    "boxes": some_boxes.map(lambda members: label("boxes", boxes=members)),
    "spans": some_spans.map(lambda members: label("spans", spans=members)),
    "preference": st.builds(lambda chosen: label("preference", chosen=chosen, options=list("abcdéZ")), names),
    "ranking": st.builds(
        lambda order, tied: ranked(*order[tied:], *([order[:tied]] if tied else [])),
        st.lists(names, unique=True, min_size=1), st.integers(0, 3),
    ),
    "text": st.text(min_size=1, max_size=30).map(lambda value: label("text", value=value)),
}  # fmt: skip
ALTERNATIVES: dict[str, tuple[str, Callable[[Any, Any], float]]] = {
    "boxes by F1": ("boxes", boxes.compare_f1),
    "spans by overlap": ("spans", spans.compare_overlap),
}
MEASURES = {**{kind: (kind, measure) for kind, measure in COMPARISONS.items()}, **ALTERNATIVES}


def test_every_kind_has_a_comparison() -> None:
    """Each kind of label of the contract can be compared."""
    assert set(COMPARISONS) == KINDS == set(LABELS)


@pytest.mark.parametrize("measure", MEASURES)
@given(data=st.data())
def test_comparisons_are_bounded_symmetric_and_one_for_equal_answers(measure: str, data: Any) -> None:
    """A comparison is in [0, 1], the same in both directions, and 1 where the answers are equal."""
    kind, function = MEASURES[measure]
    first, second = data.draw(LABELS[kind]), data.draw(LABELS[kind])
    score = function(first, second)
    assert 0.0 <= score <= 1.0
    assert function(second, first) == pytest.approx(score, abs=1e-12)
    assert function(first, first) == function(second, second) == 1.0


@given(LABELS["ranking"], LABELS["ranking"], st.integers(1, 4))
def test_average_precision_is_bounded_and_one_for_equal_rankings(first: Any, second: Any, relevant: int) -> None:
    """Average precision is in [0, 1], and 1 where the rankings are equal; it has a direction, so is not symmetric."""
    assert 0.0 <= ranking.compare_average_precision(first, second, relevant=relevant) <= 1.0
    assert ranking.compare_average_precision(first, first, relevant=relevant) == pytest.approx(1.0)


@given(st.sampled_from(sorted(LABELS)), st.sampled_from(sorted(LABELS)), st.data())
def test_answers_of_different_kinds_do_not_agree(first: str, second: str, data: Any) -> None:
    """The dispatch compares answers of one kind by the kind's comparison, and gives 0 to those of two kinds."""
    given_label, expected = data.draw(LABELS[first]), data.draw(LABELS[second])
    wanted = COMPARISONS[first](given_label, expected) if first == second else 0.0
    assert compare(given_label, expected) == wanted


def test_jaccard_index() -> None:
    """Shared classes by classes that either chose; two empty sets are equal (Jaccard 1912)."""

    def index(first: str, second: str) -> float:
        return compare(label("multi_label", values=list(first)), label("multi_label", values=list(second)))

    assert index("abc", "bcd") == 0.5
    assert index("a", "b") == 0.0
    assert index("", "a") == 0.0
    assert index("", "") == 1.0


def test_ratings_by_their_distance_on_the_scale() -> None:
    """The ends of a scale do not agree at all; scales of other lengths are compared by place."""

    def rating(value: float, low: float = 1, high: float = 5) -> Any:
        return label("rating", value=value, scale="ordinal", low=low, high=high)

    assert compare(rating(1), rating(5)) == 0.0
    assert compare(rating(4), rating(5)) == 0.75
    assert compare(rating(3), rating(50, 0, 100)) == 1.0


def test_intersection_over_union() -> None:
    """Two halves that share a quarter of the image: ¼ / ¾; other classes and apart boxes share nothing."""
    left = drawn(box(0, 0, 0.5, 1))
    assert compare(left, drawn(box(0.25, 0, 0.5, 1))) == pytest.approx(1 / 3)
    assert compare(left, drawn(box(0, 0, 0.5, 1, "bus"))) == 0.0
    assert compare(left, drawn(box(0.5, 0, 0.5, 1))) == 0.0


def test_boxes_without_partner_count_zero() -> None:
    """A box too many, a box missed and no box at all lower the mean; two empty drawings agree."""
    one, other = box(0, 0, 0.2, 0.2), box(0.6, 0.6, 0.2, 0.2)
    assert compare(drawn(one), drawn(one, other)) == 0.5
    assert compare(drawn(one, one, one), drawn(one)) == pytest.approx(1 / 3)
    assert compare(drawn(), drawn(one)) == 0.0
    assert compare(drawn(), drawn()) == 1.0


def test_boxes_are_paired_for_the_best_sum_not_greedily() -> None:
    """Taking the best pair first leaves the other two apart; the optimal pairing loses a little and gains more."""
    first = drawn(box(0.0, 0, 0.4, 1), box(0.2, 0, 0.4, 1))
    second = drawn(box(0.1, 0, 0.4, 1), box(0.3, 0, 0.4, 1))
    # Overlaps by shift: 0.1 → 0.6, 0.3 → 1/7. Straight pairs 0.6 + 0.6.
    assert compare(first, second) == pytest.approx(0.6)
    greedy_trap = drawn(box(0.0, 0, 0.4, 1), box(0.16, 0, 0.4, 1))
    target = drawn(box(0.1, 0, 0.4, 1), box(0.4, 0, 0.4, 1))
    overlaps = boxes.overlap_matrix(greedy_trap.boxes, target.boxes)
    best = max(sum(overlaps[row, column] for row, column in enumerate(order)) for order in permutations(range(2)))
    assert compare(greedy_trap, target) == pytest.approx(best / 2)


@settings(max_examples=60)
@given(some_boxes.filter(bool), some_boxes.filter(bool))
def test_the_pairing_of_boxes_is_the_best_of_all(first: list[Any], second: list[Any]) -> None:
    """No other pairing has a greater sum of overlaps: tried out, all of them."""
    given_label, expected = sorted((drawn(*first), drawn(*second)), key=lambda one: len(one.boxes))
    overlaps = boxes.overlap_matrix(given_label.boxes, expected.boxes)
    rows = range(len(given_label.boxes))
    best = max(sum(overlaps[row, order[row]] for row in rows)
               for order in permutations(range(len(expected.boxes)), len(rows)))  # fmt: skip
    assert compare(given_label, expected) == pytest.approx(best / len(expected.boxes))


def test_detection_f1_at_a_threshold() -> None:
    """Pairs that overlap by the threshold or more are found, whatever else they overlap by."""
    first = drawn(box(0, 0, 0.5, 1), box(0, 0, 0.1, 0.1, "bus"))
    second = drawn(box(0.25, 0, 0.5, 1), box(0, 0, 0.1, 0.1, "bus"))
    assert boxes.compare_f1(first, second) == 0.5
    assert boxes.compare_f1(first, second, iou_min=0.3) == 1.0


def test_span_f1_strict_and_by_overlap() -> None:
    """A span with another end or class is wrong in the strict sense; one that touches its like overlaps."""
    expected = marked(span(0, 12), span(25, 32))
    given_label = marked(span(0, 12), span(25, 30), span(40, 44, "ORG"))
    assert compare(given_label, expected) == pytest.approx(2 * 1 / 5)
    # Precision 2/3, recall 2/2.
    assert spans.compare_overlap(given_label, expected) == pytest.approx(0.8)
    assert spans.compare_overlap(marked(span(0, 5, "ORG")), marked(span(0, 5))) == 0.0
    assert spans.compare_overlap(marked(span(0, 5)), marked(span(5, 9))) == 0.0
    assert spans.compare_overlap(marked(span(3, 3)), marked(span(0, 5))) == 1.0


@given(some_spans, some_spans)
def test_overlap_of_spans_equals_its_definition(first: list[Any], second: list[Any]) -> None:
    """The sorted search for touching spans finds what looking at every pair finds."""

    def touches(one: dict[str, Any], other: dict[str, Any]) -> bool:
        ends = [max(member["end"], member["start"] + 1) for member in (one, other)]
        return one["label"] == other["label"] and one["start"] < ends[1] and other["start"] < ends[0]

    def share(of: list[Any], among: list[Any]) -> float:
        return sum(any(touches(one, other) for other in among) for one in of) / len(of)

    wanted = 1.0 if not first and not second else 0.0
    if first and second:
        precision, recall = share(first, second), share(second, first)
        wanted = 2 * precision * recall / (precision + recall) if precision and recall else 0.0
    assert spans.compare_overlap(marked(*first), marked(*second)) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("first", "second", "tau"),
    [
        ("abcd", "abcd", 1.0),
        ("abcd", "dcba", -1.0),
        ("abcd", "abdc", 2 / 3),
        ("abcd", "badc", 1 / 3),
    ],
)
def test_kendall_tau_of_orders_without_ties(first: str, second: str, tau: float) -> None:
    """Concordant less discordant pairs, by all pairs (Kendall 1938), from [-1, 1] to [0, 1]."""
    assert compare(ranked(*first), ranked(*second)) == pytest.approx((tau + 1) / 2)


def test_kendall_tau_b_with_ties_and_with_items_left_out() -> None:
    """With ties tau-b divides by the pairs that are not tied (Kendall 1945); items left out share the last place."""
    tied = compare(ranked("a", ["b", "c"]), ranked("a", "b", "c"))
    assert tied == pytest.approx((2 / np.sqrt(2 * 3) + 1) / 2)
    assert compare(ranked("a", "b"), ranked("a", "b", "c")) == pytest.approx(1.0)
    assert compare(ranked(["a", "b"]), ranked("a", "b")) == 0.5


@given(st.permutations(list("abcde")), st.permutations(list("abcde")))
def test_kendall_tau_equals_scipy_on_the_places(first: list[str], second: list[str]) -> None:
    """The comparison is scipy's tau-b of the places of the items, taken in the order of one ranking."""
    tau = kendalltau(range(5), [second.index(name) for name in first], variant="b").statistic
    assert compare(ranked(*first), ranked(*second)) == pytest.approx((tau + 1) / 2)


def test_average_precision_of_relevant_items() -> None:
    """Precision at each relevant item, meant over the relevant items; one left out counts 0."""
    expected = ranked("r1", "r2", "r3", "x", "y", "z")
    given_label = ranked("r1", "x", "r2", "y", "z", "r3")
    precision = ranking.compare_average_precision(given_label, expected, relevant=3)
    assert precision == pytest.approx((1 / 1 + 2 / 3 + 3 / 6) / 3)
    assert ranking.compare_average_precision(ranked("r1"), expected, relevant=2) == 0.5


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("kitten", "sitting", 3), ("sunday", "saturday", 3), ("flaw", "lawn", 2), ("abc", "abc", 0), ("abc", "xyz", 3)],
)
def test_edit_distance(first: str, second: str, distance: int) -> None:
    """The textbook distances, as a share of the longer text."""
    score = compare(label("text", value=first), label("text", value=second))
    assert score == pytest.approx(1 - distance / max(len(first), len(second)))
