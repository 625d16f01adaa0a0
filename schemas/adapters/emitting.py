"""Making events: their common members, and ids that derive from what they say."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from pydantic import ValidationError

from schemas.adapters.common import (
    AdapterError,
    AdapterSettings,
    Event,
    Outcome,
    Refusal,
    RefusalReason,
    RefusedError,
    is_unicode,
)
from schemas.adapters.reading import identifier, time_of, timestamp_text
from schemas.events import ANSWERS_MAX, IDENTIFIER_CHARACTERS_MAX
from schemas.labels.any_label import canonical_label
from schemas.labels.categorical import CLASS_CHARACTERS_MAX

ATTRIBUTES_MAX = 8
ATTRIBUTE_CHARACTERS_MAX = 64

CLASSES_SUFFIX = "/classes"
"""What is added to a question's id for the classes of shapes that no kind of label can hold."""

RawLabel = Mapping[str, Any]
Answer = tuple[str, RawLabel | Refusal]
"""The id of a question, and what was answered: plain values of a label, not checked yet, or why there is none."""


@dataclass(slots=True)
class Submission:
    """Who labelled what, how and when: what the answers to several questions have in common.

    Parameters
    ----------
    annotation_id, item_id, annotator_id, step
        Ids of the contract.
    revision
        Higher than that of earlier versions of the annotation.
    at
        When, in microseconds since the epoch.
    duration_ms
        Time spent on all of it, in milliseconds; None if it is not told.
    attributes
        Slices it belongs to, by name.
    """

    annotation_id: str
    item_id: str
    annotator_id: str
    at: int
    revision: int = 0
    step: str = "annotate"
    duration_ms: int | None = None
    attributes: Mapping[str, str] | None = None


class Emitter:
    """Makes the events of one project of a tool.

    Parameters
    ----------
    tool
        Name of the tool.
    native_project
        The project as the payload names it; None where it names none.
    received_at
        RFC 3339, when a gateway took the payload in; None for files.
    settings
        What people set.
    """

    __slots__ = ("project_id", "settings", "tool", "_received_at", "_source")

    def __init__(
        self, tool: str, native_project: str | None, received_at: str | None, settings: AdapterSettings
    ) -> None:
        self.tool = tool
        self.settings = settings
        self.project_id = settings.project_id or native_project or tool
        native_source = tool if native_project is None else f"{tool}:{native_project}"[:IDENTIFIER_CHARACTERS_MAX]
        self._source = settings.source or native_source
        self._received_at = received_at

    def time_or_default(self, at: int | None) -> int:
        """Return `at`, or the time to take where the payload tells none.

        Raises
        ------
        RefusedError
            If there is none to take either.
        """
        if at is not None:
            return at
        default = self._received_at or self.settings.occurred_at
        if default is None:
            raise RefusedError(RefusalReason.NO_TIME, "the payload does not say when; give a time to take instead")
        return time_of(default, "occurred_at")

    def attributes_of(self, metadata: Mapping[str, Any]) -> dict[str, str] | None:
        """Return the attributes that an item's own metadata hold; None where there are none."""
        if not self.settings.attribute_keys:
            return None
        attributes = {}
        for key in self.settings.attribute_keys[:ATTRIBUTES_MAX]:
            value = metadata.get(key)
            text = str(value) if type(value) in (str, bool, float) or _is_small(value) else ""
            if 0 < len(text) <= ATTRIBUTE_CHARACTERS_MAX and is_unicode(text):
                attributes[key] = text
        return attributes or None

    def submitted(self, submission: Submission, answers: Iterable[Answer]) -> list[Outcome]:
        """Return an ``annotation.submitted`` for each answer, and the refusal of what is no answer."""
        outcomes: list[Outcome] = []
        for question_id, answer in answers:
            if type(answer) is Refusal:
                outcomes.append(answer)
                continue
            label = checked_label(question_id, answer)
            outcomes.append(label if type(label) is Refusal else self._submitted(submission, question_id, label))
        return outcomes

    def _submitted(self, submission: Submission, question_id: str, label: dict[str, Any]) -> Event:
        annotation_id = submission.annotation_id
        event_id = digest("s", self.tool, self.project_id, annotation_id, question_id, submission.revision)
        event = self._common("annotation.submitted", event_id, submission.at, submission.attributes)
        event["question_id"] = question_id
        event["item_id"] = submission.item_id
        event["annotator_id"] = submission.annotator_id
        event["annotation_id"] = annotation_id
        event["revision"] = submission.revision
        event["step"] = submission.step
        event["label"] = label
        if submission.duration_ms is not None:
            event["duration_ms"] = submission.duration_ms
        return event

    def skipped(self, submission: Submission, question_ids: Iterable[str]) -> list[Outcome]:
        """Return an ``annotation.skipped`` for each question; it names the annotation that it takes the place of."""
        return [self._skipped(submission, question_id) for question_id in question_ids]

    def _skipped(self, submission: Submission, question_id: str) -> Outcome:
        try:
            identifier(question_id, "question")
        except AdapterError as error:
            return Refusal(RefusalReason.NO_QUESTION, error.detail)
        event_id = digest("k", self.tool, self.project_id, submission.annotation_id, question_id, submission.revision)
        event = self._common("annotation.skipped", event_id, submission.at, submission.attributes)
        event["item_id"] = submission.item_id
        event["question_id"] = question_id
        event["annotator_id"] = submission.annotator_id
        event["annotation_id"] = submission.annotation_id
        event["revision"] = submission.revision
        event["step"] = submission.step
        if submission.duration_ms is not None:
            event["duration_ms"] = submission.duration_ms
        return event

    def retracted(self, annotation_id: str, at: int) -> Event:
        """Return an ``annotation.retracted``; told again at another time it keeps its id."""
        event_id = digest("r", self.tool, self.project_id, annotation_id)
        return {**self._common("annotation.retracted", event_id, at), "annotation_id": annotation_id}

    def gold(
        self,
        item_id: str,
        question_id: str,
        answers: list[tuple[RawLabel, float]],
        at: int,
        *,
        origin: str,
        has_one_time: bool = False,
    ) -> Outcome:
        """Return a ``gold.set``, or why the known answers are none.

        Parameters
        ----------
        answers
            Labels with their weights, in [0, 1]; of equal labels the highest weight counts.
        at
            When, in microseconds since the epoch.
        origin
            Where the known answers come from.
        has_one_time
            Whether the same answers told with another time are the same event.
        """
        weights: dict[str, tuple[dict[str, Any], float]] = {}
        for raw, weight in answers:
            label = checked_label(question_id, raw)
            if type(label) is Refusal:
                return label
            key = ascii(label)
            weights[key] = (label, max(weight, weights[key][1]) if key in weights else weight)
        if not 1 <= len(weights) <= ANSWERS_MAX:
            return Refusal(RefusalReason.LABEL_INVALID, f"{question_id}: not 1 to {ANSWERS_MAX} known answers")
        if not all(0 <= weight <= 1 for _, weight in weights.values()):
            return Refusal(RefusalReason.LABEL_INVALID, f"{question_id}: a known answer's weight is not from 0 to 1")
        moment = "" if has_one_time else at
        said = ascii(list(weights.values()))
        event_id = digest("g", self.tool, self.project_id, item_id, question_id, origin, moment, said)
        event = self._common("gold.set", event_id, at)
        event["question_id"] = question_id
        event["item_id"] = item_id
        event["answers"] = [{"label": label, "weight": float(weight)} for label, weight in weights.values()]
        event["origin"] = origin
        return event

    def withdrawn(self, item_id: str, question_id: str, at: int, *, origin: str) -> Event:
        """Return a ``gold.withdrawn`` of one origin; told again with the same time it keeps its id."""
        event_id = digest("w", self.tool, self.project_id, item_id, question_id, origin, at)
        event = self._common("gold.withdrawn", event_id, at)
        event["question_id"] = question_id
        event["item_id"] = item_id
        event["origin"] = origin
        return event

    def reviewed(
        self,
        annotation_id: str,
        question_ids: Iterable[str],
        reviewer_id: str,
        decision: str,
        at: int,
        *,
        corrections: Mapping[str, dict[str, Any]] | None = None,
    ) -> list[Outcome]:
        """Return a ``review.decided`` for each question of an annotation: accept, fix (with corrections) or reject."""
        events: list[Outcome] = []
        for question_id in question_ids:
            event_id = digest("v", self.tool, self.project_id, annotation_id, question_id, reviewer_id, decision, at)
            event = self._common("review.decided", event_id, at)
            event["annotation_id"] = annotation_id
            event["question_id"] = question_id
            event["reviewer_id"] = reviewer_id
            event["decision"] = decision
            if corrections is not None:
                event["correction"] = corrections[question_id]
            events.append(event)
        return events

    def adjudicated(self, item_id: str, question_id: str, adjudicator_id: str, raw: RawLabel, at: int) -> Outcome:
        """Return an ``item.adjudicated``, or why its answer is none."""
        label = checked_label(question_id, raw)
        if type(label) is Refusal:
            return label
        event_id = digest("j", self.tool, self.project_id, item_id, question_id, adjudicator_id, at)
        event = self._common("item.adjudicated", event_id, at)
        event["item_id"] = item_id
        event["question_id"] = question_id
        event["adjudicator_id"] = adjudicator_id
        event["label"] = label
        return event

    def _common(self, event_type: str, event_id: str, at: int, attributes: Mapping[str, str] | None = None) -> Event:
        event: Event = {
            "schema_version": 1,
            "type": event_type,
            "event_id": event_id,
            "occurred_at": timestamp_text(at),
            "source": self._source,
            "project_id": self.project_id,
        }
        if self._received_at is not None:
            event["received_at"] = self._received_at
        if attributes:
            event["attributes"] = dict(attributes)
        return event


def checked_label(question_id: str, raw: RawLabel) -> dict[str, Any] | Refusal:
    """Return a label in its canonical form, or why it is none."""
    try:
        identifier(question_id, "question")
        return {**raw} if _is_plain_class(raw) else canonical_label(raw)
    except ValidationError as error:
        detail = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, detail["loc"][1:]))
        return Refusal(RefusalReason.LABEL_INVALID, f"{question_id}: {place}: {detail['msg']}")
    except AdapterError as error:
        return Refusal(RefusalReason.NO_QUESTION, error.detail)


def _is_plain_class(raw: RawLabel) -> bool:
    """Return whether a label is of one class and in its canonical form already, as most labels are."""
    if raw.get("kind") != "categorical" or len(raw) != 2:
        return False
    value = raw.get("value")
    return type(value) is str and 1 <= len(value) <= CLASS_CHARACTERS_MAX and is_unicode(value)


def answers_to(question_id: str, read: Callable[..., RawLabel], *arguments: Any) -> list[Answer]:
    """Return what `read` makes of its arguments as the answer to a question, or why it refuses.

    Shapes that no kind of label can hold still answer which classes they show: that is a question of its own.
    """
    try:
        return [(question_id, read(*arguments))]
    except RefusedError as error:
        refusal = Refusal(error.refusal.reason_code, f"{question_id}: {error.refusal.detail}")
        return [*_shown_classes(question_id, error.classes), (question_id, refusal)]


def _shown_classes(question_id: str, classes: Iterable[object]) -> list[Answer]:
    names = list(dict.fromkeys(name for name in classes if type(name) is str))
    return [(question_id + CLASSES_SUFFIX, {"kind": "multi_label", "values": names})] if names else []


def digest(prefix: str, *parts: str | int) -> str:
    """Return an id made of what it stands for: the same in every process and every version of Python.

    >>> digest("s", "a", 1) == digest("s", "a", 1) != digest("s", "a", "1")
    True
    """
    return prefix + blake2b(ascii(parts).encode(), digest_size=12).hexdigest()


def bounded_identifier(text: object, name: str) -> str:
    """Return an id; where the text is too long for one, or not fit to be one, a digest of it."""
    if type(text) is str and (len(text) > IDENTIFIER_CHARACTERS_MAX or not is_unicode(text)):
        return digest("x", text)
    return identifier(text, name)


def _is_small(value: object) -> bool:
    return type(value) is int and abs(value) < 10**ATTRIBUTE_CHARACTERS_MAX
