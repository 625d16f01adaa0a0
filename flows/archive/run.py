"""The flow of the archive: source ▶ Parquet files."""

import os
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bytewax import operators as op
from bytewax.dataflow import Dataflow
from bytewax.run import cli_main

from flows.archive.files import prepare_archive
from flows.archive.sink import ArchiveSink
from flows.drain import Drain
from flows.opening import open_source
from flows.recovery import RecoveryDirectory
from flows.settings import Settings
from flows.sources.intake import Intake
from flows.sources.slots import BatchLimits, SlotContext
from flows.sources.urls import FileSpec, KafkaSpec, parse_source
from schemas.errors import ConfigurationError
from schemas.records import RecordBatch

FLOW_ID = "labelpulse-archive"
RECOVERY_FOLDER = ".recovery"
RECORD_BYTES_MAX = 67_108_864
"""What the flow would cut is kept whole here, up to the most that it can be told to read."""


@dataclass(frozen=True, slots=True)
class ArchiveSummary:
    """What a run of the archive has read and written."""

    records_read: int
    records_written: int
    files_written: int


def run_archive(settings: Settings, folder: Path) -> ArchiveSummary:
    """Keep the records of a log until its source ends or a signal asks for the end.

    Parameters
    ----------
    settings
        `source` must be a topic or files.
    folder
        The archive; its offsets are kept in it as well.

    Raises
    ------
    LabelpulseError
        If something does not fit, before anything was read; or the log or a file fails.
    """
    spec = parse_source(settings.source or "")
    if not isinstance(spec, KafkaSpec | FileSpec):
        raise ConfigurationError("only a topic or files can be archived", remedy="name kafka://… or file:PATH")
    drain, intake = Drain(on_ask=lambda: None), Intake()
    limits = BatchLimits(settings.batch_records_max, settings.batch_bytes_max, RECORD_BYTES_MAX)
    group = {"kafka_group": f"{settings.kafka_group}-archive"}
    source = open_source(
        spec, settings.model_copy(update=group), context=SlotContext(limits=limits, drain=drain, intake=intake)
    )
    folder = folder.absolute()
    prepare_archive(folder, source.stream)
    sink = ArchiveSink(folder, slots=settings.sink_slots)
    frozen = {"flow": FLOW_ID, "source": source.stream}
    frozen |= {"source_slots": settings.source_slots, "sink_slots": settings.sink_slots}
    flow = Dataflow(FLOW_ID)
    op.output("files", op.key_on("partition", op.input("source", flow, source), _partition_of), sink)
    os.environ.pop("BYTEWAX_DATAFLOW_API_ENABLED", None)  # whatever its value, it opens a port on all interfaces
    with ExitStack() as stack:
        recovery = RecoveryDirectory(folder / RECOVERY_FOLDER, frozen=frozen, started_at=datetime.now(UTC))
        stack.enter_context(recovery)
        stack.enter_context(drain.on_signals())
        cli_main(flow, epoch_interval=timedelta(seconds=settings.snapshot_seconds), recovery_config=recovery.config)
    return ArchiveSummary(intake.records_read, sink.records_written, sink.files_written)


def _partition_of(batch: RecordBatch) -> str:
    return str(batch.partition)
