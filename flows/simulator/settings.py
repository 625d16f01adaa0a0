"""Settings of a simulated stream, and the one-line text that people write them in."""

from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.errors import ConfigurationError
from schemas.timestamps import Timestamp

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class SimulationSettings(BaseModel):
    """What a simulated stream is like; the same settings give the same bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    events: int = Field(
        200_000, ge=1, le=10**12, description="Records of the stream, repeated, late and bad ones included."
    )
    annotators: int = Field(60, ge=1, le=100_000, description="Annotators over all projects.")
    seed: int = Field(7, ge=0, lt=2**63, description="Another seed gives another world and another stream.")
    teams: int = Field(
        0, ge=0, le=100, description="Teams that annotators belong to, told as the attribute team; 0 tells none."
    )
    projects: int = Field(3, ge=1, le=256, description="Projects, from a big one to small ones.")
    labels_per_item: int = Field(5, ge=1, le=100, description="Annotators who label each item.")
    gold_rate: Share = Field(0.2, description="Share of items whose answer is known.")
    gold_after_share: Share = Field(0.15, description="Share of known answers that come after the item's labels.")
    gold_corrected_share: Share = Field(0.02, description="Share of known answers that are wrong at first.")
    drift_share: Share = Field(
        0.1, description="Share of annotators whose accuracy changes once; one of four gets better."
    )
    revision_rate: Share = Field(0.02, description="Share of labels that their annotator answers anew.")
    retraction_rate: Share = Field(
        0.005, description="Share of annotations that are taken back, one of five in advance."
    )
    disorder_seconds: float = Field(
        120.0, ge=0, le=86_400, description="Labels arrive up to so many seconds after they were given."
    )
    duplicate_rate: Share = Field(0.005, description="Share of records that are delivered again, as the same bytes.")
    late_rate: Share = Field(0.0, description="Share of labels that arrive more than late_seconds late.")
    late_seconds: float = Field(
        8_640_000.0, ge=0, le=315_360_000, description="How late is late, beyond twice the disorder, in seconds."
    )
    bad_rate: float = Field(
        0.0005, ge=0, le=0.5, description="Share of records that are no events, of every kind alike."
    )
    oversized_bytes: int = Field(
        0, ge=0, le=67_108_864, description="Bytes of a record that is too big, as a further kind of bad one; 0: none."
    )
    events_per_second: float = Field(10.0, gt=0, le=1_000_000, description="Records a second of simulated time.")
    start: Timestamp = Field(
        datetime(2026, 1, 5, 9, tzinfo=UTC),
        ge=datetime(2000, 1, 1, tzinfo=UTC),
        lt=datetime(2200, 1, 1, tzinfo=UTC),
        description="Simulated time of the first record, RFC 3339 with a zone.",
    )


def parse_simulation(text: str) -> SimulationSettings:
    """Read settings from text such as ``events=200000,annotators=300,seed=7``; empty text is all defaults.

    Raises
    ------
    ConfigurationError
        If a part is not key=value, a key is unknown or named twice, or a value is impossible.

    Examples
    --------
    >>> parse_simulation("events=1000,seed=7").seed
    7
    """
    values: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise _refused(f"{part!r} is not key=value")
        if key not in SimulationSettings.model_fields:
            raise _refused(f"unknown key {key!r}{_suggestion(key)}")
        if key in values:
            raise _refused(f"key {key!r} is there twice")
        values[key] = value
    try:
        return SimulationSettings.model_validate(values)
    except ValidationError as error:
        detail = error.errors()[0]
        key = str(detail["loc"][0])
        raise _refused(f"{key}={values[key]}: {detail['msg'].lower()}") from error


def _suggestion(key: str) -> str:
    close = get_close_matches(key, SimulationSettings.model_fields, n=1)
    return f", meant is perhaps {close[0]!r}" if close else ""


def _refused(message: str) -> ConfigurationError:
    keys = ", ".join(SimulationSettings.model_fields)
    return ConfigurationError(f"simulation: {message}", remedy=f"the keys are {keys}")
