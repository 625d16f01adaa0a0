"""Agreement on one question, over all time or in one window, maintained label by label."""

from collections.abc import Callable, Mapping
from functools import partial

import msgspec
import numpy as np

from operators.stats.agreement.counts import (
    LABELS_MAX,
    Cell,
    Distance,
    count_distances,
    count_scaled,
    replace_value,
    rescaled,
)
from operators.stats.agreement.figures import AgreementFigures, figures_of
from operators.stats.agreement.placing import cached_place_of, place_of
from operators.stats.agreement.sample import Sample
from operators.stats.agreement.wide import Scale

GROUPS = 32
VALUES_MAX = 1000


class Agreement(msgspec.Struct, array_like=True):
    """Krippendorff's alpha, Gwet's AC1 and percent agreement of one question, with intervals.

    All it holds are whole numbers, so that a label taken out leaves no trace and the figures do not depend on the order
    of changes, up to two limits, which the order of changes decides when they are reached: with more than `VALUES_MAX`
    different numbers, expected disagreement is that of the numbers' steps on a grid of a thousandth of their range;
    with distances of one's own and more labels than the sample holds, it is that of a sample. Observed disagreement is
    exact throughout. Call `change` for each event, in log order.

    Parameters
    ----------
    level
        ``nominal`` (labels are strings), ``ordinal``, ``interval`` or ``ratio`` (labels are finite numbers), or
        ``distance`` (labels are strings, and a distance in [0, 1] is handed in with each call).
    groups
        Parts of the items for the intervals, in [2, 64]; more make them steadier and take more memory.
    cells
        Counts by ``group · LABELS_MAX + labels of the item``.
    codes
        Numbers seen so far, with their codes; empty for strings.
    scale
        The grid, once there are too many numbers.
    sample
        Labels for the expected disagreement by distances of one's own.

    Examples
    --------
    >>> agreement = Agreement(level="nominal")
    >>> for item, labels in {"i1": "aab", "i2": "bb", "i3": "aa", "i4": "bbb"}.items():
    ...     for place, label in enumerate(labels):
    ...         others = {str(other): labels[other] for other in range(place)}
    ...         agreement.change(item, str(place), others, before=None, after=label)
    >>> figures = agreement.figures()
    >>> figures.items, figures.labels, round(figures.alpha, 4)
    (4, 10, 0.625)

    References
    ----------
    Krippendorff (2011), Computing Krippendorff's Alpha-Reliability.
    Gwet (2008), Computing inter-rater reliability and its variance in the presence of high agreement, BJMSP 61(1).
    """

    level: str
    groups: int = GROUPS
    cells: dict[int, Cell] = {}
    codes: dict[float, int] = {}
    scale: Scale | None = None
    sample: Sample | None = None

    def __post_init__(self) -> None:
        assert self.level in ("nominal", "ordinal", "interval", "ratio", "distance")
        assert 2 <= self.groups <= 64
        if self.level == "distance" and self.sample is None:
            self.sample = Sample()

    def change(
        self,
        item_id: str,
        annotator_id: str,
        others: Mapping[str, str] | Mapping[str, float],
        *,
        before: str | float | None,
        after: str | float | None,
        distance: Distance | None = None,
    ) -> None:
        """Replace one annotator's label of one item.

        Parameters
        ----------
        others
            The latest label of each other annotator of the item, by annotator.
        before, after
            The annotator's label that counted so far and the one that counts now; None for no label.
        distance
            For the level ``distance``: the distance of two labels in [0, 1], symmetric, 0 for equal ones.
        """
        if before == after:
            return
        labels = list(others.values())
        first_key = cached_place_of(item_id) % self.groups * LABELS_MAX
        if self.level == "nominal":
            replace_value(self.cells, first_key, labels, before, after, with_pairs=False)
        elif self.level == "distance":
            self._replace(first_key, labels, before, after, partial(count_distances, distance=distance))
            if labels:
                self._change_sample(item_id, annotator_id, others, before, after, distance)
        else:
            self._replace_number(first_key, labels, before, after)

    def figures(self) -> AgreementFigures:
        """Return all figures as of now."""
        numbers = None if self.level in ("nominal", "distance") else list(self.codes)
        return figures_of(self.level, self.cells, numbers, self.scale, self.sample)

    def _replace(
        self,
        first_key: int,
        others: list[str] | list[float],
        before: str | float | None,
        after: str | float | None,
        count: Callable[..., None],
    ) -> None:
        """Take the item out of its cell, and count it again with the new label."""
        for label, sign in ((before, -1), (after, 1)):
            labels = others if label is None else [*others, label]
            key = first_key + len(labels)
            cell = self.cells.get(key)
            if cell is None:
                cell = self.cells[key] = Cell()
            if labels:
                count(cell, labels, sign)
            if not cell.items:
                del self.cells[key]

    def _replace_number(self, first_key: int, others: list[float], before: float | None, after: float | None) -> None:
        if after is not None:
            self._learn_number(after)
        if self.scale is not None:
            self._replace(first_key, others, before, after, partial(count_scaled, scale=self.scale))
            return
        codes = self.codes
        coded = [codes[number] for number in others]
        old, new = (None if number is None else codes[number] for number in (before, after))
        replace_value(self.cells, first_key, coded, old, new, with_pairs=True)

    def _learn_number(self, number: float) -> None:
        """Give a new number a code; go over to a grid if there are too many."""
        if number in self.codes or self.scale is not None:
            return
        self.codes[number] = len(self.codes)
        if len(self.codes) <= VALUES_MAX:
            return
        numbers = np.array(list(self.codes), dtype=np.float64)
        totals = np.zeros(len(numbers))
        for cell in self.cells.values():
            for code, count in cell.values.items():
                totals[code] += count
        order = np.argsort(numbers)
        scale = Scale.fit(self.level, numbers[order], totals[order])
        self.cells = {key: rescaled(cell, numbers, scale) for key, cell in self.cells.items()}
        self.scale, self.codes = scale, {}

    def _change_sample(
        self,
        item_id: str,
        annotator_id: str,
        others: Mapping[str, str],
        before: str | None,
        after: str | None,
        distance: Distance,
    ) -> None:
        """Take labels out of the sample and offer new ones; only labels of items with two or more count."""
        place, group = place_of(item_id, annotator_id), cached_place_of(item_id) % self.groups
        if before is not None:
            self.sample.remove(place, distance)
        if after is not None:
            self.sample.add(place, group, after, distance)
        if len(others) == 1 and (before is None or after is None):
            other_id, other = next(iter(others.items()))
            other_place = place_of(item_id, other_id)
            if after is None:
                self.sample.remove(other_place, distance)
            else:
                self.sample.add(other_place, group, other, distance)
