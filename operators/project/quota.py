"""What a project may bring: so that one of many cannot fill the memory, or take the time, that others need.

Both bounds are of the project's own time, which the log decides, so that the same events are refused however often the
log is read. They are asked before anything else: what is refused is a dead letter, moves no clock and may be replayed.
"""

from operators.events import FoldableEvent
from operators.project.memory import Memory
from operators.project.settings import FoldSettings
from operators.project.state import QuotaState
from schemas.timestamps import MICROSECONDS_PER_SECOND

MINUTE = 60 * MICROSECONDS_PER_SECOND
DAY = 1440 * MINUTE


class Quota:
    """Counts what one project brings.

    Parameters
    ----------
    state
        What was counted; changed in place.
    settings
        Say how much it may be.
    memory
        Knows the project's clock and items.
    """

    def __init__(self, state: QuotaState, settings: FoldSettings, memory: Memory) -> None:
        self._state = state
        self._events_max = settings.events_per_minute_max
        self._items_max = settings.new_items_per_day_max
        self._memory = memory

    def takes(self, event: FoldableEvent, at: int) -> bool:
        """Return whether there is room for the next event of the log, which then has taken it."""
        state, now = self._state, max(at, self._memory.record.newest_at)
        if now // MINUTE > state.minute:
            state.minute, state.events = now // MINUTE, 0
        if now // DAY > state.day:
            state.day, state.items = now // DAY, 0
        if self._events_max is not None and state.events >= self._events_max:
            return False
        begins_item = self._items_max is not None and self._begins_item(event)
        if begins_item and state.items >= (self._items_max or 0):
            return False
        state.events += 1
        state.items += begins_item
        return True

    def _begins_item(self, event: FoldableEvent) -> bool:
        item_id = getattr(event, "item_id", None)
        if item_id is None:
            return False
        question = self._memory.record.questions.get(event.question_id)
        item = None if question is None else self._memory.find_item(question, item_id)
        return item is None or item.last_at < self._memory.horizon
