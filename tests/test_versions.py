"""Too many records of an unknown schema version stop the flow; a few are dead letters."""

import json

import pytest

from operators.decode import Decoder, DecodeSettings
from operators.versions import RECORDS_REMEMBERED, VersionWatch
from schemas.errors import ErrorCode, SourceError
from schemas.records import RecordBatch
from tests.support.logs import LogShape, random_log

SETTINGS = DecodeSettings(0, 2**62, 2**62, 4)
LINES = random_log(5, LogShape(events=100, bad_share=0.0))
LATER = [json.dumps({**json.loads(line), "schema_version": 9}).encode() for line in LINES]


def batch_of(lines, *, start=0, partition=0) -> RecordBatch:
    """Return lines as a batch that begins at an offset."""
    return RecordBatch("kafka:t", partition, range(start, start + len(lines)), lines, start + len(lines))


def watch(share_max: float) -> VersionWatch:
    """Return a decoder that watches."""
    return VersionWatch(Decoder(SETTINGS), share_max=share_max)


def test_a_few_are_dead_letters():
    """Below the share each is a dead letter with its reason; another partition's share is its own."""
    decode = watch(0.5)
    decode([batch_of([*LATER[:90], *LINES])])
    report = decode([batch_of([*LATER[:5], *LINES], start=190)])[-1][1]
    assert {letter.code for letter in report.dead} == {ErrorCode.UNKNOWN_VERSION} and len(report.dead) == 5
    decode([batch_of(LATER[:90], partition=1)])


@pytest.mark.parametrize("cut", [1, 30, 100])
def test_a_fleet_of_a_later_version_stops_the_partition(cut):
    """Beyond the share the flow ends, whatever the size of batches, and names partition and remedy."""
    decode, lines = watch(0.5), [*LINES, *LATER, *LATER]
    with pytest.raises(SourceError, match="records of partition 0 of kafka:t are of an unknown schema version"):
        for start in range(0, len(lines), cut):
            decode([batch_of(lines[start : start + cut], start=start)])


def test_what_came_long_ago_counts_less():
    """A partition that was read for long stops as well, soon after the upgrade of its tools."""
    decode, offset = watch(0.5), 0
    for _ in range(3 * RECORDS_REMEMBERED // 100):
        decode([batch_of(LINES, start=offset)])
        offset += 100
    with pytest.raises(SourceError):
        for _ in range(RECORDS_REMEMBERED // 100 + 1):
            decode([batch_of(LATER, start=offset)])
            offset += 100


def test_the_watch_can_be_turned_off():
    """With a share of 1 everything of an unknown version is a dead letter."""
    decode = watch(1.0)
    assert len(decode([batch_of([*LATER, *LATER])])[-1][1].dead) == 200
