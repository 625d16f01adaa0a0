"""The flow's steps as Bytewax operators: thin verbs around plain classes.

Step ids and the state they keep are a disk format: a renamed step would silently start from nothing.
"""

from collections.abc import Callable
from typing import Any

from bytewax import operators as op
from bytewax.dataflow import Stream, operator
from bytewax.operators import KeyedStream, StatefulBatchLogic

from operators.decode import Decoder, DecodeSettings, EventBatch, IntakeReport
from operators.kept_shard import Keeping, KeptShard
from operators.project.settings import FoldSettings
from operators.versions import VersionWatch
from schemas.records import RecordBatch, RowBatch

Guard = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Wraps what the engine calls, so that an error which escapes is known afterwards."""


def unguarded(call: Callable[..., Any]) -> Callable[..., Any]:
    """Return a call as it is."""
    return call


@operator
def decode(step_id: str, up: Stream[RecordBatch], *, settings: DecodeSettings, guard: Guard = unguarded) -> KeyedStream:
    """Turn record batches into batches of events by shard; what is no event goes to the partition's accounts."""
    decoder = VersionWatch(Decoder(settings), share_max=settings.unknown_version_share_max)
    return op.flat_map_batch("flat_map_batch", up, guard(decoder))


@operator
def fold(
    step_id: str, up: KeyedStream, *, settings: FoldSettings, keeping: Keeping | None = None, guard: Guard = unguarded
) -> KeyedStream:
    """Fold batches into the state of their shard, and emit the rows that they changed."""

    def build(resume: bytes | None) -> ShardLogic:
        return ShardLogic(KeptShard(settings, keeping, resume), guard=guard)

    return op.stateful_batch("stateful_batch", up, guard(build))


class ShardLogic(StatefulBatchLogic[EventBatch | IntakeReport, RowBatch, bytes]):
    """A shard as Bytewax wants it. The end of the input moves no clock: it may be a drain as well as an end."""

    def __init__(self, shard: KeptShard, *, guard: Guard = unguarded) -> None:
        self._shard = shard
        self._take = guard(shard.take)
        self._snapshot = guard(shard.snapshot)

    def on_batch(self, values: list[EventBatch | IntakeReport]) -> tuple[list[RowBatch], bool]:
        """Fold the batches that have come."""
        return [self._take(values)], StatefulBatchLogic.RETAIN

    def on_eof(self) -> tuple[list[RowBatch], bool]:
        """Keep everything as it is."""
        self._shard.end()
        return [], StatefulBatchLogic.RETAIN

    def snapshot(self) -> bytes:
        """Return what the engine is to keep."""
        return self._snapshot()
