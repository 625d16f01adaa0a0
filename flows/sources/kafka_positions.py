"""Where the reading of a topic begins, and whether what was saved still fits the topic."""

from collections.abc import Mapping

from flows.sources.kafka_messages import Cursor
from flows.sources.kafka_topic import START_OVER, TopicFacts
from flows.sources.slots import State, require_own_state
from flows.sources.urls import StartingOffset
from schemas.errors import IncompatibleStateError, SourceError

Watermarks = tuple[int, int]
"""First offset of a partition, and the one after its last record."""


def starting_cursors(
    *,
    stream: str,
    watermarks: Mapping[int, Watermarks],
    state: State | None,
    starting_offset: StartingOffset,
    until_eof: bool,
) -> dict[int, Cursor]:
    """Return where each partition of a slot is read on.

    Parameters
    ----------
    stream
        Name of the log.
    watermarks
        Number of a partition → how far it reaches; one entry for each partition of the slot.
    state
        What the slot saved; None at the first run. A partition that is new to it is read from its start.
    starting_offset
        Where a first run begins.
    until_eof
        Read no further than the partitions reach now.

    Raises
    ------
    SourceError
        If a saved position lies outside of its partition.
    """
    cursors = {}
    saved = {} if state is None else state["partitions"]
    for number, (low, high) in watermarks.items():
        begin = high if state is None and starting_offset == "latest" else low
        next_offset, records_in = saved.get(number, (begin, 0))
        _require_inside(stream, number, next_offset, low, high)
        cursors[number] = Cursor(stream, number, next_offset, records_in, high if until_eof else None, high)
    return cursors


def require_fitting_state(state: State, *, stream: str, slots: int, facts: TopicFacts) -> None:
    """Raise unless a saved state was written by the same slots of the same topic."""
    require_own_state(state, stream)
    if state["slots"] != slots:
        raise IncompatibleStateError(
            f"the recovery store was written with {state['slots']} source slots, not {slots}",
            remedy=f"set source_slots to {state['slots']}, or {START_OVER}",
        )
    require_same_topic(stream, state["topic_id"], frozenset(state["partitions"]), facts)


def require_same_topic(stream: str, topic_id: str, known: frozenset[int], facts: TopicFacts) -> None:
    """Raise if a topic was made anew, or has lost partitions that were read."""
    if facts.topic_id != topic_id:
        raise SourceError(f"the topic of {stream} was deleted and created again: its offsets no longer mean the same",
                          remedy=START_OVER)  # fmt: skip
    vanished = sorted(known - facts.partitions)
    if vanished:
        raise SourceError(f"{stream} has lost the partitions {vanished}", remedy=f"restore them, or {START_OVER}")


def _require_inside(stream: str, partition: int, next_offset: int, low: int, high: int) -> None:
    if next_offset > high:
        raise SourceError(
            f"partition {partition} of {stream} ends at offset {high:,}, but it has been read up to {next_offset:,}",
            remedy=f"the log was cut or made anew: restore it, or {START_OVER}",
        )
    if next_offset < low:
        raise SourceError(
            f"partition {partition} of {stream} begins at offset {low:,}, but {next_offset:,} was to be read next",
            remedy=f"retention took {low - next_offset:,} offsets unread: restore them, or {START_OVER}",
        )
