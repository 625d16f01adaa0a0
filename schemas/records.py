"""Batches that travel between the steps of the flow."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class RecordBatch:
    """Consecutive raw records of one partition of the log, as a source hands them on.

    Parameters
    ----------
    stream
        Name of the log, the same over restarts: ``kafka:TOPIC``, ``file:PATH`` …
    partition
        Number of the partition in the log.
    offsets
        Position of each record in its partition, ascending; a ``range`` where they are consecutive.
    payloads
        The bytes of each record. An oversized record is cut to the limit, and named in `sizes_cut`.
    records_in
        Records read from this partition since the log began, this batch included.
    stamps
        When the log took each record in, in microseconds since the epoch; None where the log does not say.
    sizes_cut
        Index in `payloads` → full size in bytes, for records that were over the limit.
    """

    stream: str
    partition: int
    offsets: Sequence[int]
    payloads: list[bytes]
    records_in: int
    stamps: Sequence[int] | None = None
    sizes_cut: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class RowBatch:
    """Rows for the database, by table; each row is a tuple in the order of the table's columns (see schemas.rows)."""

    rows: dict[str, list[tuple[Any, ...]]]
