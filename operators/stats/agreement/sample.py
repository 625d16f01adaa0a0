"""A sample of labels that is decided by their ids, and the sums of distances within it."""

import msgspec

from operators.stats.agreement.counts import Distance, distance_unit
from operators.stats.agreement.placing import PLACE_BITS

SAMPLE_MAX = 2000


class Sample(msgspec.Struct, array_like=True, gc=False):
    """The labels whose places lie below a bound; the bound falls when there are too many of them, and never rises.

    Up to `labels_max` labels the sample is all of them. A label that ceases leaves the sample, if it was in it.

    Parameters
    ----------
    labels_max
        The most labels held; a new one costs a comparison with each of them.
    bound
        Labels at places from here on are not taken.
    labels
        Group and label by place.
    between
        Sum of distances between the labels of two groups, over unordered pairs of labels, in units of 1 /
        `DISTANCE_UNIT`, by ``lower group · 64 + higher group``.

    References
    ----------
    Cohen and Kaplan (2007), Summarizing Data Using Bottom-k Sketches, PODC.
    """

    labels_max: int = SAMPLE_MAX
    bound: int = 1 << PLACE_BITS
    labels: dict[int, tuple[int, str]] = {}
    between: dict[int, int] = {}

    def add(self, place: int, group: int, label: str, distance: Distance) -> None:
        """Offer a label at its place."""
        if place >= self.bound:
            return
        self._sum(group, label, 1, distance)
        self.labels[place] = (group, label)
        if len(self.labels) > self.labels_max:
            self.bound = max(self.labels)
            self.remove(self.bound, distance)

    def remove(self, place: int, distance: Distance) -> None:
        """Take the label at a place out, if it is in the sample."""
        held = self.labels.pop(place, None)
        if held is not None:
            self._sum(*held, -1, distance)

    def _sum(self, group: int, label: str, sign: int, distance: Distance) -> None:
        between = self.between
        for other_group, other in self.labels.values():
            units = distance_unit(distance, label, other)
            if units:
                key = group * 64 + other_group if group < other_group else other_group * 64 + group
                total = between.get(key, 0) + sign * units
                if total:
                    between[key] = total
                else:
                    del between[key]
