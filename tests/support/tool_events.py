"""What tests know of adapters: when outcomes are sound, and the payloads to convert."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from schemas.adapters.common import Refusal
from schemas.events import parse_event
from schemas.labels.any_label import canonical_label

PAYLOADS = Path(__file__).resolve().parent.parent / "payloads"
SHARED_PAYLOADS = Path(__file__).resolve().parents[3] / "shared" / "data" / "payloads"


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
        parse_event(json.dumps(outcome, allow_nan=False, ensure_ascii=False).encode())
        assert outcome["schema_version"] == 1
        labels = [
            outcome.get("label"),
            outcome.get("correction"),
            *(answer["label"] for answer in outcome.get("answers", [])),
        ]
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
