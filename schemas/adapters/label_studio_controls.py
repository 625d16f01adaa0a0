"""Label Studio's results: what an annotator did with each control, made into one answer a control."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from schemas.adapters import answers
from schemas.adapters.answers import UNKNOWN, Label, number_of, whole_number_of
from schemas.adapters.common import AdapterError, Question, Refusal, RefusalReason, RefusedError
from schemas.adapters.emitting import Answer, answers_to
from schemas.adapters.label_studio_config import Control, Controls
from schemas.adapters.reading import MICROSECONDS_PER_MILLISECOND, array_of, identifier_in, object_of, text_of, time_of

PERCENT = 100.0
MILLISECONDS_PER_SECOND = 1_000
PARAGRAPH_STRIDE = 1_000_000
"""Where paragraph i begins, over i, if only offsets inside paragraphs are told: spans stay apart and in order."""
PATH_SEPARATOR = " / "

Result = dict[str, Any]

_REGION_MEMBERS = frozenset(
    {"x", "y", "points", "start", "end", "startOffset", "ranges", "sequence", "rle", "vertices"}
)
_GEOMETRY_TYPES = frozenset({"rectangle"})
_UNSUPPORTED_GEOMETRY = frozenset(
    {"points", "rle", "radiusX", "sequence", "vertices", "brushDataURL", "imageDataURL", "format"}
)


def read_answers(results: list[Any], controls: Controls) -> list[Answer]:
    """Return the answer to each control of an annotation, or why it has none, in the order of the results.

    Parameters
    ----------
    results
        ``annotation.result``: one object for each region or other answer.
    controls
        What is known of the controls, by name; region controls that drew nothing answer with nothing.
    """
    groups: dict[str, list[Result]] = {}
    labelled: set[str] = set()
    refused: list[Answer] = []
    for result in results:
        kind = text_of(object_of(result, "result[]").get("type"), "result[].type")
        if "from_name" not in result:
            refused.append(("", Refusal(RefusalReason.UNSUPPORTED_LABEL, f"no kind of label holds a {kind}")))
            continue
        groups.setdefault(identifier_in(result, "from_name", "result[]"), []).append(result)
        if kind not in _GEOMETRY_TYPES and type(result.get("id")) is str:
            labelled.add(result["id"])
    found = [answer for name, group in groups.items() for answer in _read_control(name, group, controls, labelled)]
    nothing = [
        (name, _empty(control.question)) for name, control in controls.items()
        if control.is_region_label and name not in groups and not control.is_per_region
    ]  # fmt: skip
    return found + nothing + refused


def _read_control(name: str, results: list[Result], controls: Controls, labelled: set[str]) -> list[Answer]:
    """Return the answer of one control; none where other results say all that it says."""
    kind = results[0]["type"]
    if kind in _GEOMETRY_TYPES:
        results = [result for result in results if type(result.get("id")) is not str or result["id"] not in labelled]
    control = controls.get(name)
    return answers_to(name, _read_group, kind, results, control) if results else []


def _read_group(kind: str, results: list[Result], control: Control | None) -> Label:
    if control is not None and control.is_per_region:
        raise RefusedError(RefusalReason.PER_REGION, "it asks about regions")
    if any(result.get("item_index") for result in results):
        raise RefusedError(RefusalReason.UNSUPPORTED_LABEL, "it answers for one of several pages")
    return _read_results(kind, results, control.question if control is not None else UNKNOWN)


def _read_results(kind: str, results: list[Result], question: Question) -> Label:
    values = [object_of(result.get("value"), "result[].value") for result in results]
    reader = _READERS.get(kind)
    if reader is None:
        if kind.endswith("labels") or kind in _GEOMETRY_TYPES:
            return _read_regions(kind, results, values)
        raise RefusedError(RefusalReason.UNSUPPORTED_LABEL, f"no kind of label holds what {kind} says")
    if _REGION_MEMBERS & values[0].keys():
        raise RefusedError(RefusalReason.PER_REGION, "it is about a region")
    return reader(values, results, question)


def _empty(question: Question) -> Label:
    return answers.boxes([]) if question.kind == "boxes" else answers.spans([])


# Regions


def _read_regions(kind: str, results: list[Result], values: list[Result]) -> Label:
    regions = [
        (label, result, value)
        for result, value in zip(results, values, strict=True)
        for label in _region_labels(kind, result, value)
    ]
    classes = [label for label, _, _ in regions]
    if not all(map(_UNSUPPORTED_GEOMETRY.isdisjoint, values)) or any(map(_is_point, values)):
        raise RefusedError(RefusalReason.UNSUPPORTED_LABEL, f"no kind of label holds the shapes of {kind}", classes)
    if any(number_of(value.get("rotation") or 0) % 360 for value in values):
        raise RefusedError(RefusalReason.ROTATED_BOX, "a box is rotated", classes)
    if "width" in values[0]:
        return answers.boxes(_box(value, label) for label, _, value in regions)
    return answers.spans((label, *_offsets(result, value)) for label, result, value in regions)


def _is_point(value: Result) -> bool:
    """Return whether a region is a key point, whose only extent is the width that it is shown with."""
    return "x" in value and "height" not in value


def _region_labels(kind: str, result: Result, value: Result) -> list[Any]:
    """Return the classes of a region: where it has none, the name of the control stands for them."""
    labels = answers.first_of(value, kind, "labels")
    labels = [labels] if type(labels) is str else array_of(labels, f"value.{kind}") if labels is not None else []
    return labels or [result["from_name"]]


def _box(value: Result, label: object) -> Label:
    corner = number_of(value.get("x")), number_of(value.get("y"))
    size = number_of(value.get("width")), number_of(value.get("height"))
    return answers.box(label, corner, size, (PERCENT, PERCENT))


def _offsets(result: Result, value: Result) -> tuple[int, int]:
    """Return the first position inside a region of a text, recording or series and the first behind."""
    overall = value.get("globalOffsets")
    if type(overall) is dict:
        return whole_number_of(overall.get("start")), whole_number_of(overall.get("end"))
    if type(value.get("ranges")) is list and value["ranges"] and type(value["ranges"][0]) is dict:
        stretch = value["ranges"][0]
        return whole_number_of(stretch.get("start")), whole_number_of(stretch.get("end"))
    if "startOffset" in value:
        return _paragraph_offsets(value)
    if "instant" in value and type(value.get("start")) is str:
        return _moment_ms(value["start"]), _moment_ms(value.get("end"))
    start, end = number_of(value.get("start")), number_of(value.get("end"))
    if "original_length" in result or "channel" in value or start != int(start) or end != int(end):
        return round(start * MILLISECONDS_PER_SECOND), round(end * MILLISECONDS_PER_SECOND)
    return int(start), int(end)


def _moment_ms(stamp: object) -> int:
    """Return a place in a time series that is told as a time: a number as it is, a date in milliseconds."""
    try:
        return whole_number_of(stamp)
    except RefusedError:
        pass
    try:
        # Series are written in any precision: days and minutes as well.
        return (
            time_of(datetime.fromisoformat(text_of(stamp, "value.end")).isoformat(), "value.start")
            // MICROSECONDS_PER_MILLISECOND
        )
    except (AdapterError, ValueError):
        raise RefusedError(RefusalReason.LABEL_INVALID, f"value.start: no timestamp: {ascii(stamp)[:40]}") from None


def _paragraph_offsets(value: Result) -> tuple[int, int]:
    try:
        first, last = whole_number_of(value.get("start")), whole_number_of(value.get("end"))
    except RefusedError:
        raise RefusedError(RefusalReason.UNSUPPORTED_LABEL, "where it lies is said by paths only") from None
    start, end = whole_number_of(value.get("startOffset")), whole_number_of(value.get("endOffset"))
    return first * PARAGRAPH_STRIDE + start, last * PARAGRAPH_STRIDE + end


# Other controls


def _read_choices(values: list[Result], results: list[Result], question: Question) -> Label:
    chosen = [_path(choice) for value in values for choice in array_of(value.get("choices"), "value.choices")]
    return _classes(chosen, question)


def _read_taxonomy(values: list[Result], results: list[Result], question: Question) -> Label:
    chosen = [_path(path) for value in values for path in array_of(value.get("taxonomy"), "value.taxonomy")]
    return _classes(chosen, question if question.kind is not None else Question(kind="multi_label"))


def _classes(chosen: list[str], question: Question) -> Label:
    """Return one class where the question has one answer, or looks as if; else the set of classes."""
    if question.kind == "multi_label" or (question.kind != "categorical" and len(chosen) != 1):
        return answers.multi_label(chosen)
    if len(chosen) != 1:
        raise RefusedError(RefusalReason.LABEL_INVALID, f"one class expected, not {len(chosen)}")
    return answers.categorical(chosen[0])


def _path(choice: object) -> str:
    if type(choice) is list:
        return PATH_SEPARATOR.join(answers.name_of(part) for part in choice)
    return answers.name_of(choice)


def _read_rating(values: list[Result], results: list[Result], question: Question) -> Label:
    value = values[-1].get("rating")
    if question.kind != "rating" and 1 <= number_of(value) <= 5:
        question = Question(kind="rating", low=1.0, high=5.0)
    return answers.rating(value, question)


def _read_number(values: list[Result], results: list[Result], question: Question) -> Label:
    value = number_of(values[-1].get("number"))
    return answers.rating(value, question) if question.kind == "rating" else answers.text(value)


def _read_datetime(values: list[Result], results: list[Result], question: Question) -> Label:
    return answers.text(values[-1].get("datetime"))


def _read_textarea(values: list[Result], results: list[Result], question: Question) -> Label:
    written = [value.get("text") for value in values]
    lines = [answers.name_of(line) for part in written for line in (part if type(part) is list else [part])]
    joined = "\n".join(lines)
    if not joined.strip():
        raise RefusedError(RefusalReason.NO_LABEL, "nothing was written")
    return answers.text(joined)


def _read_pairwise(values: list[Result], results: list[Result], question: Question) -> Label:
    target = results[-1].get("to_name")
    sides = target.split(",") if type(target) is str else []
    if len(sides) != 2 or not all(sides) or sides[0] == sides[1]:
        sides = ["left", "right"]
    selected = answers.name_of(values[-1].get("selected"))
    if selected not in ("left", "right"):
        raise RefusedError(RefusalReason.LABEL_INVALID, "neither left nor right was selected")
    return answers.preference(sides[selected == "right"], sides)


def _read_ranker(values: list[Result], results: list[Result], question: Question) -> Label:
    ranked = values[-1].get("ranker")
    if type(ranked) is dict and not _is_one_list(ranked, results[-1], question):
        return answers.multi_label(
            PATH_SEPARATOR.join((bucket, answers.name_of(item)))
            for bucket, items in ranked.items()
            for item in array_of(items, "value.ranker[]")
        )
    if type(ranked) is dict:
        ranked = [item for items in ranked.values() for item in array_of(items, "value.ranker[]")]
    return answers.ranking(enumerate(array_of(ranked, "value.ranker")))


def _is_one_list(ranked: Result, result: Result, question: Question) -> bool:
    """Return whether items were put in order, rather than into buckets."""
    if question.kind is not None:
        return question.kind == "ranking"
    return len(ranked) == 1 and next(iter(ranked)) in ("rank", "_", result["from_name"], result.get("to_name"))


_READERS: dict[str, Callable[[list[Result], list[Result], Question], Label]] = {
    "choices": _read_choices,
    "taxonomy": _read_taxonomy,
    "rating": _read_rating,
    "number": _read_number,
    "datetime": _read_datetime,
    "textarea": _read_textarea,
    "pairwise": _read_pairwise,
    "ranker": _read_ranker,
}
