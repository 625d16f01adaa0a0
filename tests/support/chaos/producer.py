"""A stream of events that goes on while the broker comes and goes; what is in it, a simulation decides."""

import threading
import time
import zlib

import msgspec
from confluent_kafka import Producer

from flows.simulator.settings import SimulationSettings
from flows.simulator.simulation import simulate

FLUSH_SECONDS_MAX = 120.0
BATCHES_PER_SECOND = 20


class EventStream:
    """Puts a simulated stream on a topic at a steady rate, from a thread of its own, until stopped.

    Parameters
    ----------
    bootstrap, topic
        Where to.
    settings
        The stream.
    rate
        Records per second.
    """

    def __init__(self, bootstrap: str, topic: str, settings: SimulationSettings, *, rate: int) -> None:
        self._topic = topic
        self._settings = settings
        self._rate = rate
        self._stop = threading.Event()
        self._failures: list[str] = []
        self.records = 0
        # no time-out: what the broker has not acknowledged is sent until it has, each once and in order
        self._producer = Producer({
            "bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "enable.idempotence": True, "log_level": 0,
            "message.timeout.ms": 0, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000,
        })  # fmt: skip
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, once all is acknowledged."""
        self._stop.set()
        self._thread.join(FLUSH_SECONDS_MAX)
        left = self._producer.flush(FLUSH_SECONDS_MAX)
        assert not left and not self._failures, f"{left} records were not taken: {self._failures[:3]}"

    def _run(self) -> None:
        piece = max(self._rate // BATCHES_PER_SECOND, 1)
        due = time.monotonic()
        for record in simulate(self._settings):
            self._producer.produce(self._topic, record, key_of(record), on_delivery=self._on_delivery)
            self.records += 1
            if self.records % piece == 0:
                self._producer.poll(0)
                due += piece / self._rate
                if self._stop.wait(max(due - time.monotonic(), 0)):
                    return

    def _on_delivery(self, error: object, _: object) -> None:
        if error is not None:
            self._failures.append(str(error))


def key_of(record: bytes) -> bytes:
    """Return the project of a record, or something that spreads bad records."""
    try:
        return msgspec.json.decode(record)["project_id"].encode()
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError, RecursionError, UnicodeDecodeError):
        return str(zlib.crc32(record)).encode()
