"""What tests know of adapters: the contract with all its types and kinds of labels, and the payloads to convert."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from schemas.adapters.common import Refusal
from schemas.events import REVISION_MAX, Answer, Event, Identifier
from schemas.labels.any_label import AnyLabel, canonical_label

PAYLOADS = Path(__file__).resolve().parent.parent / "payloads"
SHARED_PAYLOADS = Path(__file__).resolve().parents[3] / "shared" / "data" / "payloads"


class _Attributed(Event):
    attributes: Annotated[dict[str, Annotated[str, Field(min_length=1, max_length=64)]], Field(max_length=8)] = {}


class _Submitted(_Attributed):
    type: Literal["annotation.submitted"]
    question_id: Identifier
    item_id: Identifier
    annotator_id: Identifier
    annotation_id: Identifier
    revision: Annotated[int, Field(ge=0, le=REVISION_MAX)]
    step: Identifier
    label: AnyLabel
    duration_ms: Annotated[int, Field(ge=0)] | None = None


class _Skipped(_Attributed):
    type: Literal["annotation.skipped"]
    question_id: Identifier
    item_id: Identifier
    annotator_id: Identifier
    annotation_id: Identifier
    revision: Annotated[int, Field(ge=0, le=REVISION_MAX)]
    step: Identifier
    duration_ms: Annotated[int, Field(ge=0)] | None = None


class _Retracted(Event):
    type: Literal["annotation.retracted"]
    annotation_id: Identifier


class _Answer(Answer):
    label: AnyLabel


class _Gold(Event):
    type: Literal["gold.set"]
    question_id: Identifier
    item_id: Identifier
    answers: Annotated[list[_Answer], Field(min_length=1, max_length=64)]
    origin: Identifier


class _Review(Event):
    type: Literal["review.decided"]
    annotation_id: Identifier
    question_id: Identifier
    reviewer_id: Identifier
    decision: Literal["accept", "fix", "reject"]
    correction: AnyLabel | None = None


class _Adjudicated(Event):
    type: Literal["item.adjudicated"]
    item_id: Identifier
    question_id: Identifier
    adjudicator_id: Identifier
    label: AnyLabel


CONTRACT: TypeAdapter[Any] = TypeAdapter(
    Annotated[
        _Submitted | _Skipped | _Retracted | _Gold | _Review | _Adjudicated,
        Field(discriminator="type"),
    ]
)


def events_of(outcomes: list[Any]) -> list[dict[str, Any]]:
    """Return the events among outcomes."""
    return [outcome for outcome in outcomes if isinstance(outcome, dict)]


def refusals_of(outcomes: list[Any]) -> list[str]:
    """Return the reason codes of the refusals among outcomes."""
    return [str(outcome.reason_code) for outcome in outcomes if isinstance(outcome, Refusal)]


def require_sound(outcomes: list[Any]) -> None:
    """Each event is one of the contract as JSON, with labels in canonical form; each refusal says something."""
    for outcome in outcomes:
        if isinstance(outcome, Refusal):
            assert outcome.detail.encode()
            continue
        CONTRACT.validate_json(json.dumps(outcome, allow_nan=False, ensure_ascii=False).encode())
        assert outcome["schema_version"] == 1
        labels = [outcome.get("label"), *(answer["label"] for answer in outcome.get("answers", []))]
        assert all(canonical_label(label) == label for label in labels if label is not None)


def documents(path: Path) -> Iterator[Any]:
    """Yield the documents of a payload file: one, or one a line."""
    text = path.read_text()
    for part in text.splitlines() if path.suffix == ".jsonl" else [text]:
        yield json.loads(part)


def payload(name: str) -> Any:
    """Return the first document of a file of tests/payloads; the body where it is a captured request."""
    document = next(documents(PAYLOADS / name))
    return document["body"] if isinstance(document, dict) and "headers" in document else document
