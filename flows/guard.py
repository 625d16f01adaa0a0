"""Keeps the first error of a flow's own parts: in a cluster the engine may end with one of its connections instead."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, ParamSpec, TypeVar

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from schemas.records import RecordBatch

P = ParamSpec("P")
R = TypeVar("R")


class Guard:
    """Lets calls through, and takes note of the first error that escapes from one.

    Examples
    --------
    >>> guard = Guard()
    >>> guard(len)([1, 2])
    2
    >>> try: guard(int)("x")
    ... except ValueError: print(type(guard.failure).__name__)
    ValueError
    """

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.has_begun = False

    def __call__(self, call: Callable[P, R]) -> Callable[P, R]:
        """Return a function that does the same under guard."""

        def guarded(*arguments: P.args, **named: P.kwargs) -> R:
            try:
                return call(*arguments, **named)
            except StopIteration:
                raise
            except Exception as error:
                self.failure = self.failure or error
                raise

        return guarded

    def begin(self, call: Callable[P, R]) -> Callable[P, R]:
        """Return a function under guard whose first call means that the engine has begun."""

        def begun(*arguments: P.args, **named: P.kwargs) -> R:
            self.has_begun = True
            return call(*arguments, **named)

        return self(begun)


class GuardedSource(FixedPartitionedSource[RecordBatch, Any]):
    """A source whose errors are noted.

    Parameters
    ----------
    source
        The source.
    guard
        Takes note.
    """

    def __init__(self, source: FixedPartitionedSource[RecordBatch, Any], guard: Guard) -> None:
        self._source = source
        self._guard = guard

    def list_parts(self) -> list[str]:
        """Return the parts of the source; the first that the engine asks for."""
        return self._guard.begin(self._source.list_parts)()

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> "GuardedSourcePart":
        """Return a part of the source."""
        build = self._guard(self._source.build_part)
        return GuardedSourcePart(build(step_id, for_part, resume_state), self._guard)


class GuardedSourcePart(StatefulSourcePartition[RecordBatch, Any]):
    """A part of a source whose errors are noted; created by `GuardedSource.build_part`."""

    def __init__(self, part: StatefulSourcePartition[RecordBatch, Any], guard: Guard) -> None:
        self._next_batch, self._snapshot = guard(part.next_batch), guard(part.snapshot)
        self._part = part

    def next_batch(self) -> list[RecordBatch]:
        """Return the part's next batches."""
        return self._next_batch()  # type: ignore[return-value]

    def next_awake(self) -> datetime | None:
        """Return when the part wants to be asked next."""
        return self._part.next_awake()

    def snapshot(self) -> Any:
        """Return the part's state."""
        return self._snapshot()

    def close(self) -> None:
        """Close the part."""
        self._part.close()


class GuardedSink(FixedPartitionedSink[Any, Any]):
    """A sink whose errors are noted.

    Parameters
    ----------
    sink
        The sink.
    guard
        Takes note.
    """

    def __init__(self, sink: FixedPartitionedSink[Any, Any], guard: Guard) -> None:
        self._sink = sink
        self._guard = guard

    def list_parts(self) -> list[str]:
        """Return the parts of the sink."""
        return self._guard.begin(self._sink.list_parts)()

    def part_fn(self, item_key: str) -> int:
        """Return which part takes a key."""
        return self._sink.part_fn(item_key)

    def build_part(self, step_id: str, for_part: str, resume_state: Any) -> "GuardedSinkPart":
        """Return a part of the sink."""
        build = self._guard(self._sink.build_part)
        return GuardedSinkPart(build(step_id, for_part, resume_state), self._guard)


class GuardedSinkPart(StatefulSinkPartition[Any, Any]):
    """A part of a sink whose errors are noted; created by `GuardedSink.build_part`."""

    def __init__(self, part: StatefulSinkPartition[Any, Any], guard: Guard) -> None:
        self._write_batch, self._snapshot, self._close = guard(part.write_batch), guard(part.snapshot), part.close

    def write_batch(self, values: list[Any]) -> None:
        """Hand items on."""
        self._write_batch(values)

    def snapshot(self) -> Any:
        """Return the part's state."""
        return self._snapshot()

    def close(self) -> None:
        """Close the part."""
        self._close()
