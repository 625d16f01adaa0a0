"""Figures about the flow itself, in the text format of Prometheus, and whether it is stalled.

The flow counts as it goes (`flows.run_state`); what is told here is read off those counters when it is asked for.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from flows.run_state import RunState
from schemas.timestamps import MICROSECONDS_PER_SECOND
from sinks.clickhouse.writer import WriterStatus

CONTENT_TYPE = CONTENT_TYPE_LATEST
PREFIX = "labelpulse_"
PROJECTS_MAX = 100
"""Most projects that are told apart: of more, those whose clocks are furthest behind."""
STALLED_SECONDS = 60.0
OUTCOMES = ("folded", "duplicate", "late", "dead")
DELIVERIES = ("waiting", "delivered", "dead")

COUNTERS = {
    "records_read": "Records read since this process began.",
    "read_bytes": "Bytes of these records.",
    "events_in": "Events after decoding, and records that could not be decoded, since the log began.",
    "drift_changes": "Changes detected since this process began.",
    "rows_written": "Rows in the database since this process began, superseded ones included.",
    "rows_superseded": "Rows left out of a flush because a later row of it supersedes them.",
    "flushes": "Batches written to the database.",
    "flush_seconds": "Seconds that writing them took, in all.",
    "flush_failures": "Insertions that failed and were tried again.",
}
"""Description of each counter without labels; Prometheus adds ``_total`` to the name."""
GAUGES = {
    "lag_records": "Records in the log that have not been read yet; missing where the log does not say.",
    "projects": "Projects that the state holds.",
    "annotators": "Annotators that the state holds.",
    "rows_waiting": "Rows that are not yet in the database.",
    "flush_age_seconds": "Seconds since the last batch was written; missing before the first.",
    "stalled": "1 while the flow cannot go on, because of the database or the source; else 0.",
}
"""Description of each gauge without labels."""
LABELLED = {
    "events": ("What became of events since the log began: folded, duplicate, late or dead.", "outcome"),
    "project_clock_timestamp_seconds": ("Clock of a project, its watermark, in seconds since 1970.", "project"),
    "hook_deliveries": ("Deliveries in the outbox, by hook and state.", "hook"),
}
"""Description and first label of the others."""


class FlowMetrics(Collector):
    """What one process of a flow tells about itself.

    Parameters
    ----------
    state
        Its counters.
    writer
        How writing goes; None before anything is written.
    hooks
        State and numbers of deliveries of each hook, by name.
    clock
        Seconds of a monotonic clock, the writer's.
    """

    def __init__(
        self,
        state: RunState,
        *,
        writer: Callable[[], WriterStatus | None],
        hooks: Callable[[], Mapping[str, Mapping[str, Any]]] = dict,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._writer = writer
        self._hooks = hooks
        self._clock = clock
        self._notice_since: float | None = None
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def page(self) -> bytes:
        """Return all figures as text."""
        return generate_latest(self._registry)

    def trouble(self) -> str:
        """Return why the flow has not gone on for a minute; empty while all is well."""
        now, status = self._clock(), self._writer()
        if status is not None and status.rows_waiting:
            last = status.last_flush_at if status.last_flush_at is not None else self._state.started_at
            if status.last_error is not None and now - last >= STALLED_SECONDS:
                return f"rows cannot be written: {status.last_error}"
        notice = self._state.notice
        if not notice:
            self._notice_since = None
            return ""
        self._notice_since = now if self._notice_since is None else self._notice_since
        return notice if now - self._notice_since >= STALLED_SECONDS else ""

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics, for the client library."""
        values = self._values()
        for name, description in COUNTERS.items():
            yield CounterMetricFamily(PREFIX + name, description, value=values[name])
        for name, description in GAUGES.items():
            if (value := values[name]) is not None:
                yield GaugeMetricFamily(PREFIX + name, description, value=value)
        yield self._events()
        yield self._clocks()
        yield self._deliveries()

    def _values(self) -> dict[str, float | None]:
        state, status = self._state, self._writer() or _NOTHING_WRITTEN
        last = status.last_flush_at
        return {
            "records_read": state.records_read, "read_bytes": state.intake.bytes_read, "events_in": state.events_in,
            "drift_changes": state.drifts_total, "rows_written": state.rows_written,
            "rows_superseded": status.rows_superseded, "flushes": status.flushes,
            "flush_seconds": status.flush_seconds, "flush_failures": status.failures,
            "lag_records": state.lag_records, "projects": state.projects, "annotators": state.annotators,
            "rows_waiting": status.rows_waiting, "flush_age_seconds": None if last is None else self._clock() - last,
            "stalled": int(bool(self.trouble())),
        }  # fmt: skip

    def _events(self) -> Metric:
        description, label = LABELLED["events"]
        family = CounterMetricFamily(f"{PREFIX}events", description, labels=(label,))
        for outcome in OUTCOMES:
            family.add_metric((outcome,), getattr(self._state, outcome))
        return family

    def _clocks(self) -> Metric:
        description, label = LABELLED["project_clock_timestamp_seconds"]
        family = GaugeMetricFamily(f"{PREFIX}project_clock_timestamp_seconds", description, labels=(label,))
        behind = sorted(self._state.clocks.copy().items(), key=lambda held: (held[1], held[0]))
        for project_id, clock_at in behind[:PROJECTS_MAX]:
            family.add_metric((project_id,), clock_at / MICROSECONDS_PER_SECOND)
        return family

    def _deliveries(self) -> Metric:
        description, label = LABELLED["hook_deliveries"]
        family = GaugeMetricFamily(f"{PREFIX}hook_deliveries", description, labels=(label, "state"))
        for hook, counts in sorted(self._hooks().items()):
            for delivery in DELIVERIES:
                family.add_metric((hook, delivery), counts[delivery])
        return family


_NOTHING_WRITTEN = WriterStatus(
    rows_waiting=0, rows_written=0, rows_superseded=0, flushes=0, flush_seconds=0.0, failures=0, last_flush_at=None,
    last_error=None,
)  # fmt: skip
