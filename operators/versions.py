"""Stops a partition with too many records of an unknown schema version: a fleet was upgraded before the flow."""

from collections.abc import Callable, Iterable
from typing import Any

from operators.decode import EventBatch, IntakeReport
from schemas.errors import ErrorCode, SourceError
from schemas.records import RecordBatch

RECORDS_MIN = 100
"""Fewer records of a partition say nothing about its share."""
RECORDS_REMEMBERED = 10_000
"""Beyond so many, counts are halved: what came long ago counts less and less."""

Decode = Callable[[Iterable[RecordBatch]], list[tuple[str, EventBatch | IntakeReport]]]


class VersionWatch:
    """Decodes, and counts the records of unknown versions in each partition.

    It decides no row: what is over the share is read again once the flow knows the version.

    Parameters
    ----------
    decode
        Turns record batches into event batches and reports by shard.
    share_max
        The greatest share of records of unknown versions that is taken for dead letters, in [0, 1].
    """

    def __init__(self, decode: Decode, *, share_max: float) -> None:
        self._decode = decode
        self._share_max = share_max
        self._counts: dict[tuple[str, int], tuple[int, int]] = {}

    def __call__(self, batches: Iterable[RecordBatch]) -> list[tuple[str, Any]]:
        """Return (shard, batch) pairs for `batches`, in order.

        Raises
        ------
        SourceError
            If too many of a partition's last records are of an unknown version.
        """
        read = list(batches)
        out = self._decode(read)
        reports = [item for _, item in out if isinstance(item, IntakeReport)]
        for batch, report in zip(read, reports, strict=True):
            self._take(report, records=len(batch.payloads))
        return out

    def _take(self, report: IntakeReport, *, records: int) -> None:
        place = report.stream, report.partition
        unknown = sum(letter.code is ErrorCode.UNKNOWN_VERSION for letter in report.dead)
        seen, of_unknown = self._counts.get(place, (0, 0))
        seen, of_unknown = seen + records, of_unknown + unknown
        if seen >= RECORDS_MIN and of_unknown > self._share_max * seen:
            raise SourceError(
                f"{of_unknown:,} of the last {seen:,} records of partition {place[1]} of {place[0]} are of an unknown "
                "schema version",
                remedy="upgrade the flow before the tools; or set unknown_version_share_max=1 to refuse such records",
            )
        halving = 2 if seen > RECORDS_REMEMBERED else 1
        self._counts[place] = seen // halving, of_unknown // halving
