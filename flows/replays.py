"""Appends refused records that people have mended to the flow's log, for the monitor."""

from collections.abc import Callable, Mapping

from clickhouse_connect.driver.client import Client

from flows.dead_letters import Mended, Patch, Unmended, dead_letter_at, mend, open_writer
from flows.settings import Settings
from flows.sources.urls import FileSpec, KafkaSpec, parse_source
from monitor.api.replays import Replayable


class LogReplays:
    """Finds refused records in the database, and appends what takes their place to a log.

    Parameters
    ----------
    opened
        Opens a connection to the database.
    log
        kafka://… or file:PATH.
    options
        Settings of librdkafka.
    """

    def __init__(self, opened: Callable[[], Client], *, log: str, options: Mapping[str, str]) -> None:
        self._opened = opened
        self._log = log
        self._options = options

    def prepare(self, stream: str, partition: int, offset: int, *, payload: str | None) -> Replayable | str | None:
        """Return the record to append; see `monitor.api.replays.Replays`."""
        position = (stream, partition, offset)
        with self._opened() as client:
            letter = dead_letter_at(client, position)
        if letter is None:
            return None
        record = mend(letter, Patch({}, {} if payload is None else {position: payload}))
        if isinstance(record, Unmended):
            return record.reason
        return Replayable(letter.project_id, record.project_id, record.payload)

    def append(self, record: Replayable) -> None:
        """Append a record, and return once it is there for good."""
        writer = open_writer(self._log, options=self._options)
        writer.append(Mended(record.project_id, record.payload))
        writer.close()


def log_replays(settings: Settings, opened: Callable[[], Client]) -> LogReplays | None:
    """Return what appends to the flow's own log; None where nothing can be appended to it."""
    if settings.source is None:
        return None
    spec = parse_source(settings.source)
    is_log = isinstance(spec, KafkaSpec) or (isinstance(spec, FileSpec) and spec.path.is_file())
    return LogReplays(opened, log=settings.source, options=settings.kafka_options) if is_log else None
