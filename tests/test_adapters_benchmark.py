"""The benchmark of the adapters: what it measures is what it says."""

import json

import pytest

from benchmarks.adapters import SAMPLES, measure, payloads
from schemas.adapters.label_studio import webhook_events


@pytest.mark.parametrize("name", SAMPLES)
def test_each_payload_is_another_annotation(name: str) -> None:
    """No two payloads of a sample give the same event ids: what only repetition makes fast is not measured."""
    texts = payloads(name, 30)
    ids = [{event["event_id"] for event in webhook_events(json.loads(text))} for text in texts]
    assert texts == payloads(name, 30)
    assert len(set.union(*ids)) == sum(map(len, ids)) >= 30


def test_figures_are_of_parsing_and_converting() -> None:
    """Converting includes parsing, and the rate is its inverse."""
    found = measure("choice", count=40, rounds=3)
    assert found.adapter_us > found.msgspec_us > 0
    assert found.per_second == pytest.approx(1e6 / found.adapter_us)
    assert found.events_each == 2
    assert found.bytes_each == pytest.approx(sum(map(len, payloads("choice", 40))) / 40)
