"""Small seeded logs with all that disturbs a fold: disorder, repeats, revisions, retractions, late truth."""

import json
import random
from dataclasses import dataclass
from typing import Any

from schemas.timestamps import MICROSECONDS_PER_SECOND, moment_of

START = 1_767_600_000 * MICROSECONDS_PER_SECOND
ORIGINS = ("gold", "gold", "curator")
CLASSES = ("none", "mild", "severe")


@dataclass(frozen=True)
class LogShape:
    """What a log is like; ids are drawn from small sets, so that events meet."""

    events: int = 300
    projects: int = 2
    items: int = 12
    annotators: int = 5
    seconds_per_event: float = 40.0
    disorder_seconds: float = 600.0
    bad_share: float = 0.03
    is_workflow: bool = False


def random_log(seed: int, shape: LogShape = LogShape()) -> list[bytes]:
    """Return the lines of a log; the same seed and shape give the same lines."""
    rng = random.Random(seed)
    lines: list[bytes] = []
    for index in range(shape.events):
        if lines and rng.random() < 0.08:
            lines.append(rng.choice(lines))
        elif rng.random() < shape.bad_share:
            lines.append(rng.choice((b"", b"{", b"[]", b'{"type":"annotation.submitted"}', b"\xff", b'{"type":"x"}')))
        else:
            lines.append(json.dumps(_event(rng, index, shape)).encode())
    return lines


def _event(rng: random.Random, index: int, shape: LogShape) -> dict[str, Any]:
    at = START + int((index * shape.seconds_per_event - rng.random() * shape.disorder_seconds) * 1e6)
    common = {
        "event_id": f"e{index}",
        "occurred_at": moment_of(at).isoformat(),
        "source": "test",
        "project_id": f"p{rng.randrange(shape.projects)}",
    }
    if shape.is_workflow and rng.random() < 0.35:
        return {**common, **_workflow_event(rng, shape)}
    kind = rng.random()
    if kind < 0.12:
        return {**common, "type": "annotation.retracted", "annotation_id": _annotation(rng, shape)}
    target = _target(rng, shape)
    if kind < 0.3:
        answers = [
            {"label": {"kind": "categorical", "value": value}, "weight": rng.choice((1.0, 1.0, 0.5, 0.3, 0.0))}
            for value in rng.sample(CLASSES, rng.choice((1, 1, 2)))
        ]
        return {**common, **target, "type": "gold.set", "answers": answers, "origin": rng.choice(ORIGINS)}
    event = {
        **common,
        **target,
        "type": "annotation.submitted",
        "annotator_id": f"w{rng.randrange(shape.annotators)}",
        "annotation_id": _annotation(rng, shape),
        "revision": rng.choice((0, 0, 0, 1, 2, 3)),
        "label": {"kind": "categorical", "value": rng.choice(CLASSES)},
        "duration_ms": rng.choice((None, rng.randrange(500, 9000))),
    }
    if shape.is_workflow and rng.random() < 0.1:
        event["expected"] = _label(rng)
    if shape.is_workflow and rng.random() < 0.3:
        event |= {
            "attributes": {"team": rng.choice("ab"), "desk": "7"},
            "step": rng.choice(("annotate", "second look")),
        }
    return event


def _workflow_event(rng: random.Random, shape: LogShape) -> dict[str, Any]:
    """Return what a workflow of several steps adds: skips, reviews, decisions, withdrawn gold, ratings."""
    target, duration = _target(rng, shape), rng.choice((None, rng.randrange(500, 9000)))
    kind = rng.random()
    if kind < 0.2:
        skip = {"type": "annotation.skipped", "annotator_id": f"w{rng.randrange(shape.annotators)}"}
        told = {"annotation_id": _annotation(rng, shape), "revision": rng.randrange(4)} if rng.random() < 0.7 else {}
        return {**target, **skip, **told, "duration_ms": duration}
    if kind < 0.65:
        decision = rng.choice(("accept", "accept", "fix", "reject"))
        review = {
            "type": "review.decided",
            "question_id": target["question_id"],
            "annotation_id": _annotation(rng, shape),
            "reviewer_id": f"r{rng.randrange(3)}",
            "decision": decision,
            "duration_ms": duration,
        }
        return review | ({"correction": _label(rng)} if decision == "fix" else {})
    if kind < 0.8:
        work = {"type": "item.adjudicated", "adjudicator_id": "x1", "label": _label(rng), "duration_ms": duration}
        return {**target, **work}
    if kind < 0.9:
        origin = rng.choice((None, *ORIGINS, "expected"))
        return {**target, "type": "gold.withdrawn"} | ({} if origin is None else {"origin": origin})
    rating = {"kind": "rating", "value": rng.randrange(1, 6), "scale": "ordinal", "low": 1, "high": 5}
    if rng.random() < 0.3:
        return {**target, "question_id": "q3", "type": "gold.set", "answers": [{"label": rating}]}
    person = {"annotator_id": f"w{rng.randrange(shape.annotators)}", "annotation_id": _annotation(rng, shape)}
    return {**target, **person, "question_id": "q3", "type": "annotation.submitted", "label": rating}


def _target(rng: random.Random, shape: LogShape) -> dict[str, Any]:
    return {"question_id": rng.choice(("q1", "q1", "q2")), "item_id": f"i{rng.randrange(shape.items)}"}


def _label(rng: random.Random) -> dict[str, Any]:
    return {"kind": "categorical", "value": rng.choice(CLASSES)}


def _annotation(rng: random.Random, shape: LogShape) -> str:
    return f"a{rng.randrange(shape.events // 2)}"
