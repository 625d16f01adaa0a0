"""Events of the contract, made short."""

import json
from typing import Any

from schemas.timestamps import MICROSECONDS_PER_SECOND, moment_of
from tests.support.logs import START


def moment(seconds: float) -> str:
    """Return the timestamp so many seconds after the start of the test world."""
    return moment_of(START + round(seconds * MICROSECONDS_PER_SECOND)).isoformat()


def line(event_id: str, at: float, **fields: Any) -> bytes:
    """Return one event as a line."""
    common = {"event_id": event_id, "occurred_at": moment(at), "source": "test", "project_id": "p"}
    return json.dumps({**common, **fields}).encode()


def label(event_id: str, at: float, annotation: str, value: str, **fields: Any) -> bytes:
    """Return a submission: annotator w on item i under question q, unless `fields` says otherwise."""
    defaults = {"question_id": "q", "item_id": "i", "annotator_id": "w", "annotation_id": annotation, "revision": 0}
    answer = {"kind": "categorical", "value": value}
    return line(event_id, at, type="annotation.submitted", label=answer, **{**defaults, **fields})


def gold(
    event_id: str, at: float, *values: str, weights: tuple[float, ...] = (), item: str = "i", origin: str = "gold"
) -> bytes:
    """Return the known answers of an item under question q."""
    pairs = zip(values, weights or [1.0] * len(values), strict=True)
    answers = [{"label": {"kind": "categorical", "value": value}, "weight": weight} for value, weight in pairs]
    return line(event_id, at, type="gold.set", question_id="q", item_id=item, answers=answers, origin=origin)


def withdrawal(event_id: str, at: float, origin: str | None = None) -> bytes:
    """Return the withdrawal of what is known of item i under question q: of one origin, or of all."""
    told = {} if origin is None else {"origin": origin}
    return line(event_id, at, type="gold.withdrawn", question_id="q", item_id="i", **told)


def retraction(event_id: str, at: float, annotation: str) -> bytes:
    """Return a retraction."""
    return line(event_id, at, type="annotation.retracted", annotation_id=annotation)
