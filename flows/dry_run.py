"""Dry-runs a policy: recorded events through the real fold, and nothing written or sent."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from flows.dataflow import decode_settings_of, fold_settings_of
from flows.settings import Settings
from flows.sources.log_files import FileList, open_at, reading
from operators.decode import Decoder
from operators.shard import Shard, ShardState
from schemas.alerts import ALERTS_NAME, Alert
from schemas.policy import Policy
from schemas.records import RecordBatch

RECORDS_PER_BATCH = 10_000
READ_BYTES = 1_048_576


def alerts_of(policy: Policy, events: Path, settings: Settings) -> Iterator[Alert]:
    """Yield the alerts that a policy raises over recorded events, of a project in log order, firing and resolved.

    Parameters
    ----------
    policy
        The policy to try.
    events
        A file of events (also .gz and .zst), or a directory of such files, read in name order.
    settings
        What decides how events become figures.
    """
    fold_settings = replace(fold_settings_of(settings), policy=policy)
    decoder = Decoder(decode_settings_of(settings, first_started_at=datetime.now(UTC)))
    shards: dict[str, Shard] = {}
    for batch in _batches(events, settings.record_bytes_max):
        for key, value in decoder([batch]):
            shard = shards.get(key) or shards.setdefault(key, Shard(ShardState({}, {}), fold_settings))
            yield from map(Alert.from_row, shard.take([value]).rows.get(ALERTS_NAME, ()))


def _batches(events: Path, bytes_max: int) -> Iterator[RecordBatch]:
    offset, files = 0, FileList(events)
    for name in files.names():
        path = files.path(name)
        with reading(path), open_at(path, 0) as file:
            lines = (line.rstrip(b"\r\n") for line in _lines(file))
            while batch := list(islice(lines, RECORDS_PER_BATCH)):
                sizes = {index: len(line) for index, line in enumerate(batch) if len(line) > bytes_max}
                payloads = [line[:bytes_max] for line in batch]
                end = offset + len(batch)
                yield RecordBatch(f"file:{events}", 0, range(offset, end), payloads, end, sizes_cut=sizes)
                offset = end


def _lines(file: BinaryIO) -> Iterator[bytes]:
    held = b""
    while piece := file.read(READ_BYTES):
        *lines, held = (held + piece).split(b"\n")
        yield from lines
    if held:
        yield held
