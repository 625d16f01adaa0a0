"""Cohen's kappa of each pair of annotators, maintained label by label."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from operators.stats.agreement.placing import PLACE_BITS, cached_place_of

SHARED_MIN = 20
PAIRS_MAX = 20_000

_MASK = (1 << PLACE_BITS) - 1
_MULTIPLIER = 0x2545F4914F6CDD1D


class PairKappa(NamedTuple):
    """Agreement of two annotators on the items that both labelled.

    Parameters
    ----------
    shared_items
        Items that both labelled.
    percent_agreement
        Share of them with equal labels, in [0, 1].
    kappa
        Cohen's kappa, ≤ 1; None where both give one class only.
    """

    annotator_id: str
    other_annotator_id: str
    shared_items: int
    percent_agreement: float
    kappa: float | None


class PairAgreement(msgspec.Struct, array_like=True):
    """Cohen's kappa of the pairs of annotators of one question.

    At most `pairs_max` pairs are counted. When there are more, half of them are dropped for good, by their ids, so
    that each pair that is left has been counted from its first shared item on.

    Parameters
    ----------
    pairs_max
        The most pairs counted at a time.
    bound
        Pairs at places from here on are not counted.
    pairs
        Shared items by the two ids in ascending order, then by the two labels.

    Examples
    --------
    >>> agreement = PairAgreement()
    >>> for item in range(20):
    ...     agreement.change("bob", {"ann": "xy"[item % 2]}, before=None, after="xxyy"[item % 4])
    >>> [(pair.shared_items, pair.percent_agreement, pair.kappa) for pair in agreement.kappas()]
    [(20, 0.5, 0.0)]

    References
    ----------
    Cohen (1960), A Coefficient of Agreement for Nominal Scales, Educational and Psychological Measurement 20(1).
    """

    pairs_max: int = PAIRS_MAX
    bound: int = 1 << PLACE_BITS
    pairs: dict[tuple[str, str], dict[tuple[str, str], int]] = {}

    def change(self, annotator_id: str, others: Mapping[str, str], *, before: str | None, after: str | None) -> None:
        """Replace one annotator's label of one item; call it for each event, in log order.

        Parameters
        ----------
        others
            The latest label of each other annotator of the item, by annotator.
        before, after
            The annotator's label that counted so far and the one that counts now; None for no label.
        """
        if before == after:
            return
        for other_id, value in others.items():
            if annotator_id < other_id:
                old, new, ids = (before, value), (after, value), (annotator_id, other_id)
            else:
                old, new, ids = (value, before), (value, after), (other_id, annotator_id)
            counts = self.pairs.get(ids)
            if counts is None:
                counts = self._new_counts(ids)
                if counts is None:
                    continue
            if after is not None:
                counts[new] = counts.get(new, 0) + 1
            if before is not None:
                self._take_out(ids, counts, old)

    def kappas(self, *, shared_min: int = SHARED_MIN) -> list[PairKappa]:
        """Return the pairs with at least `shared_min` shared items, in order of their ids."""
        shared = (
            (ids, counts, sum(counts.values())) for ids, counts in sorted(self.pairs.items(), key=lambda pair: pair[0])
        )
        return [_kappa_of(*ids, counts, items) for ids, counts, items in shared if items >= shared_min]

    def shared_items(self, annotator_id: str, other_id: str) -> int:
        """Return the items that two annotators, given in order, are counted to share."""
        counts = self.pairs.get((annotator_id, other_id))
        return sum(counts.values()) if counts else 0

    def kappa_of(self, annotator_id: str, other_id: str) -> PairKappa | None:
        """Return the agreement of two annotators, given in order; None if they share nothing that is counted."""
        counts = self.pairs.get((annotator_id, other_id))
        return _kappa_of(annotator_id, other_id, counts, sum(counts.values())) if counts else None

    def _take_out(self, ids: tuple[str, str], counts: dict[tuple[str, str], int], labels: tuple[str, str]) -> None:
        counts[labels] -= 1
        if not counts[labels]:
            del counts[labels]
            if not counts:
                del self.pairs[ids]

    def _new_counts(self, ids: tuple[str, str]) -> dict[tuple[str, str], int] | None:
        """Begin to count a pair, if it is one of those counted."""
        place = _place_of_pair(*ids)
        while place < self.bound and len(self.pairs) >= self.pairs_max:
            self.bound //= 2
            self.pairs = {pair: counts for pair, counts in self.pairs.items() if _place_of_pair(*pair) < self.bound}
        if place >= self.bound:
            return None
        counts = self.pairs[ids] = {}
        return counts


def _place_of_pair(first: str, second: str) -> int:
    return ((cached_place_of(first) ^ cached_place_of(second)) * _MULTIPLIER) & _MASK


def _kappa_of(first: str, second: str, counts: dict[tuple[str, str], int], shared: int) -> PairKappa:
    of_first: Counter[str] = Counter()
    of_second: Counter[str] = Counter()
    for (label, other), count in counts.items():
        of_first[label] += count
        of_second[other] += count
    agreeing = sum(count for (label, other), count in counts.items() if label == other)
    expected = sum(count * of_second[label] for label, count in of_first.items())
    chance_left = shared * shared - expected
    kappa = (agreeing * shared - expected) / chance_left if chance_left else None
    return PairKappa(first, second, shared, agreeing / shared, kappa)
