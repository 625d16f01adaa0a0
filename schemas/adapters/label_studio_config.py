"""Label Studio's labeling configuration: which questions an annotator is asked, and what can be answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from xml.etree import ElementTree

from schemas.adapters.common import Question

CONFIG_CHARACTERS_MAX = 200_000
CONFIGS_REMEMBERED_MAX = 256

RATING_MAX_DEFAULT = 5
BOX_TAGS = frozenset({"rectanglelabels", "rectangle"})
SPAN_TAGS = frozenset({"labels", "hypertextlabels", "paragraphlabels", "timeserieslabels", "timelinelabels"})
CLASS_TAGS = frozenset({"choice", "label"})


@dataclass(frozen=True, slots=True)
class Control:
    """A control tag: one question.

    Parameters
    ----------
    tag
        Name of the tag in lower case, such as ``choices``.
    question
        What is known of the question.
    is_region_label
        Whether its answer is the set of regions drawn with it, so that none drawn is an answer.
    is_per_region
        Whether it asks about each region instead of the item.
    """

    tag: str
    question: Question
    is_region_label: bool
    is_per_region: bool


Controls = Mapping[str, Control]

NO_CONTROLS: Controls = MappingProxyType({})


@lru_cache(maxsize=CONFIGS_REMEMBERED_MAX)
def read_label_config(config: str) -> Controls:
    """Return the controls of a labeling configuration by name, in their order; none where it cannot be read.

    Examples
    --------
    >>> xml = '<View><Rating name="stars" toName="text" maxRating="3"/><Text name="text" value="$text"/></View>'
    >>> read_label_config(xml)["stars"].question.high
    3.0
    """
    # A document type could define entities that grow when they are read.
    if len(config) > CONFIG_CHARACTERS_MAX or "<!DOCTYPE" in config or "<!ENTITY" in config:
        return NO_CONTROLS
    try:
        elements = list(ElementTree.fromstring(config).iter())
    except (ElementTree.ParseError, ValueError, RecursionError):
        return NO_CONTROLS
    objects = {element.get("name", ""): element.tag.lower() for element in elements if "toName" not in element.attrib}
    controls = {
        element.attrib["name"]: _control(element, objects)
        for element in elements
        if "toName" in element.attrib and "name" in element.attrib
    }
    return MappingProxyType(controls)


def _control(element: ElementTree.Element, objects: Mapping[str, str]) -> Control:
    tag = element.tag.lower()
    target = objects.get(element.get("toName", "").split(",")[0], "")
    is_span = tag == "timelinelabels" or (tag in SPAN_TAGS and target not in ("image", "video", "pdf", ""))
    return Control(
        tag=tag,
        question=_question(element, tag, is_span),
        is_region_label=tag in BOX_TAGS or is_span,
        is_per_region="true" in (element.get("perRegion"), element.get("perItem")),
    )


def _question(element: ElementTree.Element, tag: str, is_span: bool) -> Question:
    classes = tuple(
        child.get("alias") or child.get("value") or "" for child in element.iter() if child.tag.lower() in CLASS_TAGS
    )
    if tag == "choices":
        is_multiple = element.get("choice", "").startswith("multiple") or element.get("allowNested") == "true"
        return Question(kind="multi_label" if is_multiple else "categorical", classes=classes)
    if tag == "rating":
        high = _number(element.get("maxRating"))
        return Question(kind="rating", low=1.0, high=float(RATING_MAX_DEFAULT) if high is None else high)
    if tag == "number":
        return _number_question(_number(element.get("min")), _number(element.get("max")))
    if tag == "taxonomy":
        return Question(kind="categorical" if element.get("maxUsages") == "1" else "multi_label")
    if tag == "pairwise":
        return Question(kind="preference", classes=tuple(element.get("toName", "").split(",")))
    if tag == "ranker":
        has_buckets = any(child.tag.lower() == "bucket" for child in element)
        return Question(kind="multi_label" if has_buckets else "ranking")
    if tag in BOX_TAGS or is_span:
        return Question(kind="boxes" if tag in BOX_TAGS else "spans", classes=classes)
    return Question(kind="text") if tag in ("textarea", "datetime") else Question(classes=classes)


def _number_question(low: float | None, high: float | None) -> Question:
    if low is None or high is None or low >= high:
        return Question(kind="text")
    return Question(kind="rating", low=low, high=high, scale="interval")


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
