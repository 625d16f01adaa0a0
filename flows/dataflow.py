"""The dataflow: source ▶ decode ▶ fold by shard ▶ database (and a topic of dead letters)."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from bytewax import operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource
from bytewax.outputs import FixedPartitionedSink

from flows.guard import Guard, GuardedSink, GuardedSource
from flows.quarantine import Position
from flows.settings import DAY_SECONDS, Settings
from operators import verbs
from operators.decode import DecodeSettings
from operators.kept_shard import Keeping
from operators.project.settings import FoldSettings
from operators.snapshot import FORMAT_VERSION
from schemas.policy import Policy
from schemas.records import RecordBatch, RowBatch
from schemas.timestamps import MICROSECOND, MICROSECONDS_PER_SECOND, microseconds

FLOW_ID = "labelpulse"
FROZEN_SETTINGS = (
    "shards", "source_slots", "sink_slots", "window_seconds", "disorder_seconds", "retention_days",
    "annotator_retention_days", "judgement_age_hours_max", "future_seconds_max", "occurred_at_min", "occurred_at_max",
    "classes_max", "decay_half_life_judgements", "adwin_delta", "generation", "record_bytes_max",
    "consensus", "consensus_confidence", "consensus_labels_max", "agreement", "estimates", "alerts",
    "project_events_per_minute_max", "project_new_items_per_day_max",
)  # fmt: skip
"""Settings that decide how the log becomes rows, or where state lives: fixed once a recovery directory exists."""

RowObserver = Callable[[list[tuple[str, RowBatch]]], list[tuple[str, RowBatch]]]


def build_dataflow(
    *,
    source: FixedPartitionedSource[RecordBatch, Any],
    sinks: dict[str, FixedPartitionedSink[Any, Any]],
    decode_settings: DecodeSettings,
    fold_settings: FoldSettings,
    observe: RowObserver,
    guard: Guard,
    keeping: Keeping | None = None,
) -> Dataflow:
    """Return the flow. Its step ids are a disk format.

    Parameters
    ----------
    source
        Where record batches come from.
    sinks
        Sinks of row batches by name; all get all rows.
    decode_settings, fold_settings
        What decides how the log becomes rows.
    observe
        Called with the rows on their way to the sinks; returns those that are to go on.
    guard
        Takes note of the first error that escapes.
    keeping
        Where shards are kept; None if they are not.
    """
    flow = Dataflow(FLOW_ID)
    records = op.input("source", flow, GuardedSource(source, guard))
    events = verbs.decode("decode", records, settings=decode_settings, guard=guard)
    rows = verbs.fold("fold", events, settings=fold_settings, keeping=keeping, guard=guard)
    observed = op.flat_map_batch("observe", rows, guard(observe))
    for name, sink in sinks.items():
        op.output(name, observed, GuardedSink(sink, guard))
    return flow


def frozen_settings(settings: Settings, *, policy: Policy, source: str) -> dict[str, Any]:
    """Return what a recovery directory is made under, as plain JSON values.

    Parameters
    ----------
    policy
        The policy; its hooks may change at any time.
    source
        Name of the log, without secrets.
    """
    values = settings.model_dump(mode="json", include=set(FROZEN_SETTINGS))
    values["generation"] = settings.generation or 0
    rules = sha256(policy.model_dump_json(exclude={"hooks"}).encode()).hexdigest() if settings.alerts else None
    return {**values, "policy": rules, "source": source, "flow": FLOW_ID, "state_format": FORMAT_VERSION}


def decode_settings_of(
    settings: Settings, *, first_started_at: datetime, quarantined: frozenset[Position] = frozenset()
) -> DecodeSettings:
    """Return the settings of the decoder.

    Parameters
    ----------
    first_started_at
        When the flow started for the first time. Unless it is set, the latest possible timestamp is the end of the year
        after: far enough never to be met, near enough that a wrong stamp cannot stop a project's clock for long.
    quarantined
        Records that made the flow crash.
    """
    latest = settings.occurred_at_max or datetime(first_started_at.year + 2, 1, 1, tzinfo=UTC)
    return DecodeSettings(
        occurred_at_min=microseconds(settings.occurred_at_min),
        occurred_at_max=microseconds(latest),
        future_max=_microseconds(seconds=settings.future_seconds_max),
        shards=settings.shards,
        quarantined=quarantined,
        unknown_version_share_max=settings.unknown_version_share_max,
    )


def fold_settings_of(settings: Settings, *, policy: Policy | None = None) -> FoldSettings:
    """Return the settings of the fold, which watches by a policy if there is one."""
    retention = _microseconds(seconds=settings.retention_days * DAY_SECONDS)
    annotator_retention = _microseconds(seconds=settings.annotator_retention_days * DAY_SECONDS)
    return FoldSettings(
        generation=settings.generation or 0,
        window=settings.window_seconds * MICROSECONDS_PER_SECOND,
        disorder=_microseconds(seconds=settings.disorder_seconds),
        retention=retention,
        annotator_retention=max(retention, annotator_retention),
        judgement_age_max=_microseconds(seconds=settings.judgement_age_hours_max * 3600),
        classes_max=settings.classes_max,
        fading_factor=1.0 - 0.5 ** (1.0 / settings.decay_half_life_judgements),
        adwin_delta=settings.adwin_delta,
        has_consensus=settings.consensus,
        consensus_confidence=settings.consensus_confidence,
        consensus_labels_max=settings.consensus_labels_max,
        events_per_minute_max=settings.project_events_per_minute_max,
        new_items_per_day_max=settings.project_new_items_per_day_max,
        has_agreement=settings.agreement,
        has_estimates=settings.estimates,
        policy=policy if settings.alerts else None,
    )


def _microseconds(*, seconds: float) -> int:
    return timedelta(seconds=seconds) // MICROSECOND
