"""The one-line text that a simulation is described in."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from flows.simulator.settings import SimulationSettings, parse_simulation
from schemas.errors import ConfigurationError


def test_empty_text_means_the_defaults():
    """No text at all describes the default stream."""
    assert parse_simulation("") == SimulationSettings()


def test_keys_override_the_defaults():
    """Each key sets its field, blanks around the parts do not matter, and all else keeps its default."""
    settings = parse_simulation(" events=1000 , annotators = 12,seed=3,gold_rate=0.5,start=2026-02-01T00:00:00+01:00,")
    start = datetime(2026, 1, 31, 23, tzinfo=UTC)
    assert settings == SimulationSettings(events=1000, annotators=12, seed=3, gold_rate=0.5, start=start)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("events", "'events' is not key=value"),
        ("events=10,events=20", "'events' is there twice"),
        ("event=10", "unknown key 'event', meant is perhaps 'events'"),
        ("zzz=1", "unknown key 'zzz'"),
        ("events=many", "events=many: input should be a valid integer"),
        ("events=0", "events=0: input should be greater than or equal to 1"),
        ("gold_rate=1.5", "gold_rate=1.5: input should be less than or equal to 1"),
        ("gold_rate=nan", "gold_rate=nan"),
        ("start=2026-02-01T00:00:00", "expected a timestamp with a zone"),
        ("start=1900-01-01T00:00:00Z", "start=1900-01-01T00:00:00Z"),
    ],
)
def test_mistakes_are_named_with_the_accepted_keys(text, message):
    """A mistake is one line that names what is wrong, and the remedy lists every key there is."""
    with pytest.raises(ConfigurationError) as raised:
        parse_simulation(text)
    assert message in raised.value.message
    assert "\n" not in raised.value.message
    assert all(key in raised.value.remedy for key in SimulationSettings.model_fields)


def test_every_key_is_described():
    """Each key says what it means, for the help of the command line."""
    assert all(field.description for field in SimulationSettings.model_fields.values())


def test_unknown_fields_are_refused():
    """A field that does not exist is an error in code as well."""
    with pytest.raises(ValidationError):
        SimulationSettings(event=1)
