"""What decides how events become figures, as the audit reads it."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

MINUTE, DAY = 60_000_000, 86_400_000_000


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides how events become figures; times in microseconds.

    Parameters
    ----------
    window
        Length of a window.
    disorder
        How far a project's clock stays behind its newest event.
    memory
        Allowed disorder and retention: how far behind the newest event labels and items are remembered.
    annotator_memory
        The same for annotators who give no labels.
    classes_max
        Classes of one question.
    has_agreement
        Whether the flow counts the agreement.
    attributes_of
        Tells the names of attributes that are kept, by project; None if all are.
    events_per_minute_max, new_items_per_day_max
        Quotas of a project; None for none.
    """

    window: int
    disorder: int
    memory: int
    annotator_memory: int
    classes_max: int
    has_agreement: bool = True
    attributes_of: Callable[[str], Collection[str]] | None = None
    events_per_minute_max: int | None = None
    new_items_per_day_max: int | None = None


@dataclass(slots=True)
class Quota:
    """What a project has brought in the last minute and day of its time that anything came in."""

    minute: int = 0
    events: int = 0
    day: int = 0
    items: int = 0

    def is_over(self, rules: Rules, now: int, *, begins_item: bool) -> bool:
        """Return whether as much has come as may; else count what comes now."""
        if now // MINUTE > self.minute:
            self.minute, self.events = now // MINUTE, 0
        if now // DAY > self.day:
            self.day, self.items = now // DAY, 0
        if rules.events_per_minute_max is not None and self.events >= rules.events_per_minute_max:
            return True
        if begins_item and rules.new_items_per_day_max is not None and self.items >= rules.new_items_per_day_max:
            return True
        self.events += 1
        self.items += begins_item
        return False
