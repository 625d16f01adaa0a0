"""Opens what a flow reads from, from its settings."""

from flows.settings import Settings
from flows.simulator.settings import parse_simulation
from flows.simulator.simulation import simulate
from flows.sources.files import FileSource
from flows.sources.generated import GeneratedSource
from flows.sources.kafka import KafkaSource
from flows.sources.slots import BatchLimits, SlotContext
from flows.sources.standard_input import StandardInputSource
from flows.sources.urls import FileSpec, KafkaSpec, SimulateSpec, SourceSpec, StandardInputSpec
from schemas.errors import ConfigurationError

PACE_PARAMETER = "rate"

AnySource = KafkaSource | FileSource | StandardInputSource | GeneratedSource


def limits_of(settings: Settings) -> BatchLimits:
    """Return how large the batches of a source may be."""
    return BatchLimits(
        batch_records_max=settings.batch_records_max,
        batch_bytes_max=settings.batch_bytes_max,
        record_bytes_max=settings.record_bytes_max,
    )


def open_source(spec: SourceSpec, settings: Settings, *, context: SlotContext) -> AnySource:
    """Return the source of a flow.

    Raises
    ------
    ConfigurationError, UnavailableError
        If there is nothing to be read there.
    """
    match spec:
        case KafkaSpec():
            return _kafka_source(spec, settings, context)
        case FileSpec(path):
            return FileSource(path, until_eof=settings.until_eof, context=context)
        case StandardInputSpec():
            return StandardInputSource(context=context)
        case SimulateSpec():
            return _simulated_source(spec, context)


def records_expected(spec: SourceSpec) -> int | None:
    """Return how many records the source will give, where that is known beforehand."""
    if not isinstance(spec, SimulateSpec):
        return None
    parameters, _ = _paced(spec)
    return parse_simulation(parameters).events


def _kafka_source(spec: KafkaSpec, settings: Settings, context: SlotContext) -> KafkaSource:
    return KafkaSource(
        brokers=spec.brokers,
        topic=spec.topic,
        slots=settings.source_slots,
        until_eof=settings.until_eof,
        starting_offset=spec.starting_offset,
        group_id=spec.group_id or settings.kafka_group,
        options={**settings.kafka_options, **spec.options},
        context=context,
    )


def _simulated_source(spec: SimulateSpec, context: SlotContext) -> GeneratedSource:
    parameters, records_per_second = _paced(spec)
    simulation = parse_simulation(parameters)
    return GeneratedSource(
        f"simulate:{parameters}",
        lambda: simulate(simulation),
        records_per_second=records_per_second,
        context=context,
    )


def _paced(spec: SimulateSpec) -> tuple[str, float | None]:
    """Return what the simulator is told, and the pace, which is not part of the stream."""
    parameters = dict(spec.parameters)
    pace = parameters.pop(PACE_PARAMETER, None)
    text = ",".join(f"{name}={value}" for name, value in sorted(parameters.items()))
    try:
        return text, float(pace) if pace is not None else None
    except ValueError as error:
        raise ConfigurationError(
            f"the pace {PACE_PARAMETER}={pace} of the simulated source is not a number",
            remedy=f"write {PACE_PARAMETER}=4000 for 4,000 records a second, or leave it out for full speed",
        ) from error
