"""Small seeded logs with all that disturbs a fold: disorder, repeats, revisions, retractions, late truth."""

import json
import random
from dataclasses import dataclass
from typing import Any

from schemas.timestamps import MICROSECONDS_PER_SECOND, moment_of

START = 1_767_600_000 * MICROSECONDS_PER_SECOND
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
    kind = rng.random()
    if kind < 0.12:
        return {**common, "type": "annotation.retracted", "annotation_id": _annotation(rng, shape)}
    target = {"question_id": rng.choice(("q1", "q1", "q2")), "item_id": f"i{rng.randrange(shape.items)}"}
    if kind < 0.3:
        answers = [
            {"label": {"kind": "categorical", "value": value}, "weight": rng.choice((1.0, 1.0, 0.5, 0.3, 0.0))}
            for value in rng.sample(CLASSES, rng.choice((1, 1, 2)))
        ]
        return {**common, **target, "type": "gold.set", "answers": answers, "origin": "gold"}
    return {
        **common,
        **target,
        "type": "annotation.submitted",
        "annotator_id": f"w{rng.randrange(shape.annotators)}",
        "annotation_id": _annotation(rng, shape),
        "revision": rng.choice((0, 0, 0, 1, 2, 3)),
        "label": {"kind": "categorical", "value": rng.choice(CLASSES)},
        "duration_ms": rng.choice((None, rng.randrange(500, 9000))),
    }


def _annotation(rng: random.Random, shape: LogShape) -> str:
    return f"a{rng.randrange(shape.events // 2)}"
