"""Answers as tools write them, made into plain values of a label."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from schemas.adapters.common import Question, RefusalReason, RefusedError
from schemas.adapters.reading import INTEGER_MAX
from schemas.labels.categorical import CLASS_CHARACTERS_MAX

FRACTION_DIGITS = 9
"""Shares of an image are rounded to these decimals: a millionth of a pixel, so that equal drawings are equal."""

Label = dict[str, Any]

UNKNOWN = Question()


def categorical(value: object) -> Label:
    """Return the label of one class."""
    return {"kind": "categorical", "value": name_of(value)}


def multi_label(values: Iterable[object]) -> Label:
    """Return the label of a set of classes."""
    return {"kind": "multi_label", "values": list(dict.fromkeys(name_of(value) for value in values))}


def text(value: object) -> Label:
    """Return the label of a text."""
    return {"kind": "text", "value": name_of(value)}


def rating(value: object, question: Question) -> Label:
    """Return the label of a number on the scale of its question."""
    if question.low is None or question.high is None:
        raise RefusedError(RefusalReason.SCALE_UNKNOWN, "a rating's lowest and highest value are not said")
    return {
        "kind": "rating",
        "value": number_of(value),
        "scale": question.scale,
        "low": question.low,
        "high": question.high,
    }


def preference(chosen: object, options: Iterable[object]) -> Label:
    """Return the label of one option that was preferred to others."""
    return {"kind": "preference", "chosen": name_of(chosen), "options": [name_of(option) for option in options]}


def ranking(places: Iterable[tuple[float, object]]) -> Label:
    """Return the label of items with their places, the least the best; items of equal place are tied."""
    groups: dict[float, list[str]] = {}
    for place, item in places:
        groups.setdefault(place, []).append(name_of(item))
    return {"kind": "ranking", "order": [groups[place] for place in sorted(groups)]}


def spans(found: Iterable[tuple[object, int, int]]) -> Label:
    """Return the label of (class, start, end), each once."""
    distinct = dict.fromkeys((name_of(label), start, end) for label, start, end in found)
    return {
        "kind": "spans",
        "spans": [{"label": label, "start": start, "end": end} for label, start, end in distinct],
    }


def boxes(found: Iterable[Label]) -> Label:
    """Return the label of boxes that `box` made."""
    return {"kind": "boxes", "boxes": list(found)}


def box(label: object, corner: tuple[float, float], size: tuple[float, float], image: tuple[float, float]) -> Label:
    """Return a box, cut to the image.

    Parameters
    ----------
    label
        Its class.
    corner, size, image
        (x, y) of the upper left corner, (width, height) of the box and of the image, all in one unit.
    """
    if image[0] <= 0 or image[1] <= 0:
        raise RefusedError(RefusalReason.IMAGE_SIZE_UNKNOWN, "the image's width and height are not said")
    x, width = _cut(corner[0] / image[0], size[0] / image[0])
    y, height = _cut(corner[1] / image[1], size[1] / image[1])
    if width <= 0 or height <= 0:
        raise RefusedError(RefusalReason.LABEL_INVALID, "a box has no area inside the image")
    return {"label": name_of(label), "x": x, "y": y, "width": width, "height": height}


def _cut(start: float, extent: float) -> tuple[float, float]:
    low, high = min(max(start, 0.0), 1.0), min(max(start + extent, 0.0), 1.0)
    extent = extent if low == start and start + extent <= 1.0 else high - low
    return round(low, FRACTION_DIGITS), round(extent, FRACTION_DIGITS)


def answer_of(value: object, question: Question = UNKNOWN) -> Label:
    """Return the label of an answer to a question.

    Where the question's kind is not known, the answer's look decides: a truth value, a whole number or a short line is
    a class, a longer text or a broken number is free text, a list of names is a set of classes, and lists of objects
    are boxes (shares of the image), spans or a ranking by their members.

    Raises
    ------
    RefusedError
        If the answer is none of its kind.

    Examples
    --------
    >>> answer_of(["b", "a"])
    {'kind': 'multi_label', 'values': ['b', 'a']}
    """
    if value is None or value == "":
        raise RefusedError(RefusalReason.NO_LABEL, "the question was not answered")
    kind = question.kind or _kind_by_look(value)
    return _READERS[kind](value, question)


def name_of(value: object) -> str:
    """Return a string, truth value or number as a name."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if (type(value) is int or type(value) is float) and abs(value) < INTEGER_MAX:
        return repr(int(value)) if value == int(value) else repr(value)
    raise RefusedError(RefusalReason.UNSUPPORTED_LABEL, f"expected a name, not {_described(value)}")


def number_of(value: object) -> float | int:
    """Return a number; strings that say one count as well."""
    if type(value) is str:
        with suppress(ValueError):
            value = float(value)
    if (type(value) is int or type(value) is float) and abs(value) < INTEGER_MAX:
        return value
    raise RefusedError(RefusalReason.LABEL_INVALID, f"expected a number, not {_described(value)}")


def whole_number_of(value: object) -> int:
    """Return a whole number; strings and floats that say one count as well."""
    number = number_of(value)
    if number != int(number):
        raise RefusedError(RefusalReason.LABEL_INVALID, "expected a whole number")
    return int(number)


def first_of(owner: Mapping[str, Any], *keys: str) -> Any:
    """Return the first member that is there and not null; None where none is."""
    for key in keys:
        value = owner.get(key)
        if value is not None:
            return value
    return None


def _kind_by_look(value: object) -> str:
    if type(value) is float:
        return "text"
    if type(value) is str:
        return "categorical" if len(value) <= CLASS_CHARACTERS_MAX and "\n" not in value else "text"
    if type(value) is dict:
        return _kind_of_object(value)
    if type(value) is list and value and all(type(part) is dict for part in value):
        return _kind_of_objects(value)
    return "multi_label" if type(value) is list else "categorical"


def _kind_of_object(value: dict[str, Any]) -> str:
    if type(value.get("label")) is str:
        return "categorical"
    if type(value.get("labels")) is list or (value and all(type(part) is bool for part in value.values())):
        return "multi_label"
    raise RefusedError(RefusalReason.UNSUPPORTED_LABEL, f"no kind of label looks like {_described(value)}")


def _kind_of_objects(values: list[dict[str, Any]]) -> str:
    looks = {
        "ranking": all("rank" in part for part in values),
        "spans": all(first_of(part, *_STARTS) is not None and first_of(part, *_ENDS) is not None for part in values),
        "boxes": all("width" in part and "height" in part for part in values),
    }
    kind = next((kind for kind, fits in looks.items() if fits), None)
    if kind is None:
        raise RefusedError(RefusalReason.UNSUPPORTED_LABEL, f"no kind of label looks like {_described(values)}")
    return kind


_STARTS = ("start", "startOffset")
_ENDS = ("end", "endOffset")


def _read_categorical(value: object, question: Question) -> Label:
    return categorical(value["label"] if type(value) is dict and "label" in value else value)


def _read_multi_label(value: object, question: Question) -> Label:
    if type(value) is dict:
        chosen = value.get("labels")
        value = chosen if type(chosen) is list else [name for name, is_chosen in value.items() if is_chosen is True]
    return multi_label(value if type(value) is list else [value])


def _read_preference(value: object, question: Question) -> Label:
    return preference(value, question.classes)


def _read_ranking(value: object, question: Question) -> Label:
    if type(value) is not list:
        raise RefusedError(RefusalReason.LABEL_INVALID, f"expected a ranking, not {_described(value)}")
    places = []
    for place, part in enumerate(value):
        if type(part) is not dict:
            places.append((place, part))
        elif part.get("rank") is not None:
            places.append((number_of(part["rank"]), part.get("value")))
    return ranking(places)


def _read_spans(value: object, question: Question) -> Label:
    parts = _objects(value)
    return spans((part.get("label"), _offset(part, _STARTS), _offset(part, _ENDS)) for part in parts)


def _offset(part: dict[str, Any], keys: tuple[str, ...]) -> int:
    return whole_number_of(first_of(part, *keys))


def _read_boxes(value: object, question: Question) -> Label:
    return boxes(_fraction_box(part) for part in _objects(value))


def _fraction_box(part: dict[str, Any]) -> Label:
    if part.get("shape") not in (None, "rectangle"):
        raise RefusedError(RefusalReason.UNSUPPORTED_LABEL, f"no kind of label holds a {_described(part['shape'])}")
    corner = number_of(first_of(part, "left", "x")), number_of(first_of(part, "top", "y"))
    size = number_of(part.get("width")), number_of(part.get("height"))
    return box(first_of(part, "label") or "box", corner, size, (1.0, 1.0))


def _objects(value: object) -> list[dict[str, Any]]:
    if type(value) is not list or not all(type(part) is dict for part in value):
        raise RefusedError(RefusalReason.LABEL_INVALID, f"expected a list of objects, not {_described(value)}")
    return value


def _described(value: object) -> str:
    if type(value) is int and abs(value) >= INTEGER_MAX:
        return "a very long number"
    return ascii(value)[:40] if type(value) in (str, int, float, bool) else type(value).__name__


_READERS = {
    "categorical": _read_categorical,
    "multi_label": _read_multi_label,
    "rating": rating,
    "boxes": _read_boxes,
    "spans": _read_spans,
    "preference": _read_preference,
    "ranking": _read_ranking,
    "text": lambda value, question: text(value),
}
