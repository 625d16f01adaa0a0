"""Figures about the gateway itself, in the text format of Prometheus.

Counting is a matter of plain dictionaries, since it happens several times a request; the client library turns them into
metrics when they are asked for.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_LATEST
PREFIX = "labelpulse_gateway_"
UNKNOWN = "unknown"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

COUNTERS = {
    "requests": ("Requests answered, by source and status.", ("source", "status")),
    "events": ("Events that were made durable, by source.", ("source",)),
    "refused": ("What was refused or ignored, by source and reason.", ("source", "reason")),
    "stored_events": ("Events made durable, by where: kafka or spool.", ("place",)),
    "forwarded_events": ("Events taken from the spool to Kafka.", ()),
    "undeliverable_events": ("Spooled events that Kafka will never take.", ()),
    "fall_backs": ("How often the spool took over from Kafka.", ()),
}
"""Description and labels of each counter; Prometheus adds ``_total`` to the name."""


class Metrics(Collector):
    """Counters of one gateway; used from one thread. Every name begins with ``labelpulse_gateway_``."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[tuple[str, ...]]] = {
            name: Counter() if labels else Counter({(): 0}) for name, (_, labels) in COUNTERS.items()
        }
        self._requests, self._events = self._counts["requests"], self._counts["events"]
        self._refused, self._stored = self._counts["refused"], self._counts["stored_events"]
        self._statuses = {status: str(status) for status in range(100, 600)}
        self._buckets = [0] * (len(SECONDS) + 1)
        self._seconds = 0.0
        self._watched: dict[str, tuple[str, Callable[[], float]]] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def answered(self, source: str, status: int, seconds: float) -> None:
        """Count a request, and how long it took."""
        self._requests[source, self._statuses[status]] += 1
        self._buckets[bisect_left(SECONDS, seconds)] += 1
        self._seconds += seconds

    def accepted(self, source: str, events: int) -> None:
        """Count events that a request brought."""
        self._events[(source,)] += events

    def refused(self, source: str, reason: str) -> None:
        """Count something that was refused or ignored."""
        self._refused[source, reason] += 1

    def stored(self, place: str, events: int) -> None:
        """Count events by where they were made durable."""
        self._stored[(place,)] += events

    def forwarded(self, events: int) -> None:
        """Count events that went from the spool to Kafka."""
        self._counts["forwarded_events"][()] += events

    def put_aside(self) -> None:
        """Count an event that Kafka will never take."""
        self._counts["undeliverable_events"][()] += 1

    def fell_back(self) -> None:
        """Count that the spool took over from Kafka."""
        self._counts["fall_backs"][()] += 1

    def watch(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Show a figure that is read when it is asked for."""
        self._watched[name] = (description, read)

    def page(self) -> bytes:
        """Return all figures as text."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics, for the client library."""
        for name, (description, labels) in COUNTERS.items():
            family = CounterMetricFamily(PREFIX + name, description, labels=labels)
            for values, count in sorted(self._counts[name].items()):
                family.add_metric(values, count)
            yield family
        yield self._histogram()
        for name, (description, read) in self._watched.items():
            yield GaugeMetricFamily(PREFIX + name, description, value=read())

    def _histogram(self) -> Metric:
        total, buckets = 0, []
        for bound, count in zip((*map(str, SECONDS), "+Inf"), self._buckets, strict=True):
            total += count
            buckets.append((bound, total))
        return HistogramMetricFamily(
            PREFIX + "request_seconds", "Time to answer.", buckets=buckets, sum_value=self._seconds
        )
