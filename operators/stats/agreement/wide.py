"""Numbers of which there are too many to count each: a grid fixed once, on which they are placed."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from operators.stats.agreement.levels import ranks, ratio_distances

STEPS = 1000
PLACES_MAX = 30 * STEPS


class Scale(msgspec.Struct, array_like=True, gc=False):
    """Where numbers lie: those between two of `numbers` lie linearly between their `places`.

    Parameters
    ----------
    level
        ``ordinal``, ``interval`` or ``ratio``.
    numbers
        In ascending order; at least two.
    places
        Their places, from 0 to 1.
    """

    level: str
    numbers: list[float]
    places: list[float]

    @classmethod
    def fit(cls, level: str, numbers: NDArray[np.float64], totals: NDArray[np.float64]) -> "Scale":
        """Return the scale for numbers in ascending order, seen as often as `totals` says; both of shape (numbers,).

        Ordinal numbers are placed by their rank, others by their distance.
        """
        if level != "ordinal":
            return cls(level, [float(numbers[0]), float(numbers[-1])], [0.0, 1.0])
        mean_ranks = ranks(totals + 1.0)
        places = (mean_ranks - mean_ranks[0]) / (mean_ranks[-1] - mean_ranks[0])
        return cls(level, numbers.tolist(), places.tolist())

    def places_of(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the place of each number; ordinal ones beyond the ends lie at the ends."""
        if self.level == "ordinal":
            return np.interp(numbers, self.numbers, self.places)
        return (numbers - self.numbers[0]) / (self.numbers[1] - self.numbers[0])

    def steps_of(self, numbers: NDArray[np.float64]) -> list[int]:
        """Return the grid's step that each number lies in."""
        steps = np.floor(self.places_of(numbers) * STEPS)
        return np.clip(steps, -PLACES_MAX, PLACES_MAX).astype(np.int64).tolist()

    def distances(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the squared distances of numbers on the scale, shape (numbers, numbers)."""
        if self.level == "ratio":
            return ratio_distances(numbers[:, None], numbers[None, :])
        places = self.places_of(numbers)
        return (places[:, None] - places[None, :]) ** 2

    def middles(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what stands for the numbers of a step in the expected disagreement: a place, or a ratio's number."""
        middles = (steps + 0.5) / STEPS
        if self.level != "ratio":
            return middles
        return self.numbers[0] + middles * (self.numbers[1] - self.numbers[0])
