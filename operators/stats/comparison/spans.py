"""Spans agree by the F1 of those that both marked."""

from bisect import bisect_left
from collections import defaultdict

from schemas.labels.spans import Span, SpansLabel


def compare(given: SpansLabel, expected: SpansLabel) -> float:
    """Return the F1 of spans with equal start, end and class; symmetric.

    Two empty answers agree fully.

    Examples
    --------
    >>> ada = {"label": "PER", "start": 0, "end": 12}
    >>> given = SpansLabel.model_validate({"kind": "spans", "spans": [ada, {"label": "ORG", "start": 20, "end": 25}]})
    >>> compare(given, SpansLabel.model_validate({"kind": "spans", "spans": [ada]}))
    0.6666666666666666

    References
    ----------
    Tjong Kim Sang and De Meulder (2003), Introduction to the CoNLL-2003 Shared Task, section 2.4.
    """
    total = len(given.spans) + len(expected.spans)
    if not total:
        return 1.0
    marked = {(span.start, span.end, span.label) for span in given.spans}
    agreed = sum((span.start, span.end, span.label) in marked for span in expected.spans)
    return 2.0 * agreed / total


def compare_overlap(given: SpansLabel, expected: SpansLabel) -> float:
    """Return the F1 of spans that touch a span of the same class in the other answer; symmetric.

    Precision is the share of the given spans that share a position with an expected one, recall the share of the
    expected spans that share one with a given span. A point (start = end) shares a position with an equal point, and
    with a stretch that holds it.

    References
    ----------
    Segura-Bedmar et al. (2013), SemEval-2013 Task 9, section 4 (the "type" matching of partial boundaries).
    """
    if not given.spans or not expected.spans:
        return 0.0 if given.spans or expected.spans else 1.0
    precision = _touching(given.spans, expected.spans) / len(given.spans)
    recall = _touching(expected.spans, given.spans) / len(expected.spans)
    return 2.0 * precision * recall / (precision + recall) if precision and recall else 0.0


def _touching(spans: list[Span], others: list[Span]) -> int:
    """Return how many of `spans` share a position with one of `others` of their class."""
    stretches = _stretches_by_label(others)
    return sum(_touches(span, *stretches[span.label]) for span in spans if span.label in stretches)


def _stretches_by_label(spans: list[Span]) -> dict[str, tuple[list[int], list[int]]]:
    """Return, by class, the first positions of the spans in ascending order, and how far the spans reach up to each."""
    by_label: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for span in spans:
        by_label[span.label].append((span.start, _behind(span)))
    stretches = {}
    for label, pairs in by_label.items():
        pairs.sort()
        reach, furthest = [], 0
        for _, behind in pairs:
            furthest = max(furthest, behind)
            reach.append(furthest)
        stretches[label] = ([start for start, _ in pairs], reach)
    return stretches


def _touches(span: Span, starts: list[int], reach: list[int]) -> bool:
    before = bisect_left(starts, _behind(span))
    return before > 0 and reach[before - 1] > span.start


def _behind(span: Span) -> int:
    """Return the first position behind a span; a point takes up one position."""
    return max(span.end, span.start + 1)
