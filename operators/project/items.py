"""The items of a question; those that were read back and not used since are at rest, as bytes.

Few of the items that a project remembers are worked on at a time, and reading all of them takes seconds. So an item is
made from its bytes when somebody first asks for it.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import msgspec

from operators.project.state import ItemRecord

_read = msgspec.msgpack.Decoder(ItemRecord).decode


class ItemAtRest(msgspec.Struct, array_like=True, gc=False):
    """One item on disk.

    Parameters
    ----------
    due
        The time from which a sweep has something to do with it.
    annotations
        Of its labels and skips.
    record
        The item itself.
    """

    item_id: str
    due: int
    annotations: str | list[str]
    record: msgspec.Raw


def item_count(items: dict[str, ItemRecord]) -> int:
    """Return how many items there are, at rest or awake."""
    return len(items) + (len(items.at_rest) if isinstance(items, Items) else 0)


class Items(dict[str, ItemRecord]):
    """The items that are awake, by their ids; one at rest is woken by asking for it as ``items[item_id]`` or `find`.

    The plain `get` and iterating see those that are awake.

    Attributes
    ----------
    at_rest
        The others.
    wake
        Called with the id of an item at rest, to put it among those awake.
    """

    __slots__ = ("at_rest", "wake")

    def __init__(self, awake: Iterable[tuple[str, ItemRecord]] = ()) -> None:
        super().__init__(awake)
        self.at_rest: dict[str, ItemAtRest] = {}
        self.wake: Callable[[str], object] = self.take

    def __missing__(self, item_id: str) -> ItemRecord:
        if item_id not in self.at_rest:
            raise KeyError(item_id)
        self.wake(item_id)
        return self[item_id]

    def find(self, item_id: str) -> ItemRecord | None:
        """Return an item, None if there is none."""
        found = self.get(item_id)
        return self[item_id] if found is None and item_id in self.at_rest else found

    def take(self, item_id: str) -> ItemRecord | None:
        """Put one item at rest among those awake, and return it; None if it is not at rest."""
        held = self.at_rest.pop(item_id, None)
        if held is None:
            return None
        item = self[item_id] = _read(held.record)
        for label in (*item.labels, *(item.skips or ())):
            label.item_id = item.item_id
        return item

    def due_before(self, horizon: int) -> list[str]:
        """Return the items at rest that are due for a sweep before a time."""
        return [item_id for item_id, held in self.at_rest.items() if held.due < horizon]

    def on_disk(self, block_length: int) -> Iterator[list[ItemAtRest]]:
        """Yield all items as they go to disk, so many at a time."""
        at_rest = iter(self.at_rest.values())
        while block := list(islice(at_rest, block_length)):
            yield block
        awake = iter(self.values())
        while items := list(islice(awake, block_length)):
            yield [
                ItemAtRest(
                    item.item_id,
                    item.last_at if item.last_at < item.oldest_label_at else item.oldest_label_at,
                    item.labels[0].annotation_id if len(item.labels) == 1 and not item.skips else _annotations_of(item),
                    item,
                )
                for item in items
            ]


def _annotations_of(item: ItemRecord) -> list[str]:
    return [label.annotation_id for label in (*item.labels, *(item.skips or ()))]
