"""Consensus of numeric ratings: every annotator has a bias, a scale and a noise, learnt rating by rating."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

STATE_VERSION = 1


class RatingAnswer(NamedTuple):
    """Mean and standard deviation of an item's posterior, in the unit of the ratings, and the ratings it has."""

    value: float
    deviation: float
    labels: int


class RatingAnnotator(NamedTuple):
    """An annotator rates an item of value x as ``mean + bias + scale * (x - mean)``, with a variance ``noise``."""

    bias: float
    scale: float
    noise: float


@dataclass(slots=True)
class _Annotator:
    """Sums over the annotator's items: 1, x, x², y, xy, y², for values x and their ratings y."""

    sums: list[float] = field(default_factory=lambda: [0.0] * 6)
    bias: float = 0.0
    scale: float = 1.0
    residual: float = 0.0
    weight: float = 0.0


@dataclass(slots=True)
class _Item:
    """Ratings by annotator and key; the value and variance that stand in sums, and the observed rating of each."""

    ratings: dict[str, dict[str, float]] = field(default_factory=dict)
    known: float | None = None
    value: float = 0.0
    variance: float = 0.0
    counted: dict[str, float] = field(default_factory=dict)


class RatingConsensus:
    """Values of items rated by annotators who are lenient, timid or noisy.

    A rating y of value x by annotator a is normal around ``mean + bias_a + scale_a (x - mean)``. Each event evaluates
    its own item and ``revisits`` others in turn (incremental EM); nothing is batched, so cuts of the log cannot matter.
    One person has one vote, the mean of their ratings of an item. Scales are relative: their mean over ratings is 1.

    Parameters
    ----------
    systematic_strength
        Weight, in ratings, of the belief that bias is 0 and scale is 1.
    noise_strength
        Weight, in ratings, of the belief that noise is what it is for all.
    spread_factor
        The prior variance of a value is the values' variance times this; above 1 shrinks values less, because raters,
        not values, cause much of the agreement on the middle.
    revisits
        Other items evaluated again for each event.

    Examples
    --------
    >>> consensus = RatingConsensus()
    >>> for item in range(40):
    ...     for annotator, bias in (("strict", -1.0), ("fair", 0.0), ("mild", 1.0)):
    ...         changed = consensus.add(f"i{item}", annotator, item % 5 + bias, f"{item}/{annotator}")
    >>> round(consensus.answer("i3").value, 1), round(consensus.annotator("mild").bias, 1) > 0.2
    (3.0, True)

    References
    ----------
    Raykar et al.: Learning from crowds. Journal of Machine Learning Research 11, 2010 (its regression case).
    """

    def __init__(
        self,
        *,
        systematic_strength: float = 50.0,
        noise_strength: float = 20.0,
        spread_factor: float = 4.0,
        revisits: int = 2,
    ) -> None:
        self.systematic_strength = systematic_strength
        self.noise_strength = noise_strength
        self.spread_factor = spread_factor
        self.revisits = revisits
        self._items: OrderedDict[str, _Item] = OrderedDict()
        self._annotators: dict[str, _Annotator] = {}
        self._ratings = [0.0, 0.0, 0.0]
        self._values = [0.0, 0.0, 0.0]
        self._scales = 0.0
        self._residuals = 0.0

    def add(self, item: str, annotator: str, value: float, key: str) -> list[str]:
        """A rating, or its new value if there is one under this key. Returns the items whose answers have changed."""
        if item not in self._items:
            self._items[item] = _Item()
        self._items[item].ratings.setdefault(annotator, {})[key] = float(value)
        return self._touched(item)

    def remove(self, item: str, key: str) -> list[str]:
        """The rating ``key`` no longer counts."""
        found = self._items.get(item)
        if found is None:
            return []
        for annotator, ratings in list(found.ratings.items()):
            ratings.pop(key, None)
            if not ratings:
                del found.ratings[annotator]
        return self._touched(item)

    def set_known(self, item: str, value: float | None) -> list[str]:
        """The value is known; with None it is not known any more."""
        if item not in self._items:
            self._items[item] = _Item()
        self._items[item].known = value
        return self._touched(item)

    def forget(self, item: str) -> None:
        """Drop an item; what was learnt from it stays."""
        self._items.pop(item, None)

    def answer(self, item: str) -> RatingAnswer | None:
        """The consensus on an item; None if it has neither ratings nor a known value."""
        found = self._items.get(item)
        if found is None or (not found.ratings and found.known is None):
            return None
        labels = sum(len(ratings) for ratings in found.ratings.values())
        return RatingAnswer(found.value, found.variance**0.5, labels)

    def annotator(self, annotator: str) -> RatingAnnotator:
        """Bias, scale and noise of an annotator; of an unknown one what is expected."""
        found = self._annotators.get(annotator, _Annotator())
        return RatingAnnotator(found.bias, found.scale / self._mean_scale(), self._noise(found))

    def _touched(self, item: str) -> list[str]:
        self._visit(self._items[item])
        changed = [item]
        for _ in range(min(self.revisits, len(self._items) - 1)):
            other = next(iter(self._items))
            self._items.move_to_end(other)
            self._visit(self._items[other])
            changed.append(other)
        return list(dict.fromkeys(changed))

    def _visit(self, item: _Item) -> None:
        """Take an item's contribution out, evaluate it, put the new one in."""
        involved = {**item.counted, **item.ratings}
        self._contribute(item, -1.0)
        item.counted = {name: sum(own.values()) / len(own) for name, own in item.ratings.items()}
        self._evaluate(item)
        self._contribute(item, 1.0)
        for name in involved:
            self._refit(self._annotators[name])

    def _evaluate(self, item: _Item) -> None:
        """The posterior of an item's value, from its ratings or the known value."""
        if item.known is not None:
            item.value, item.variance = item.known, 0.0
            return
        mean, spread = self._mean(), self._spread()
        precision, pull = 1.0 / spread, 0.0
        for name, rating in item.counted.items():
            annotator = self._annotators.get(name, _Annotator())
            scale, noise = annotator.scale / self._mean_scale(), self._noise(annotator)
            precision += scale * scale / noise
            pull += scale * (rating - mean - annotator.bias) / noise
        item.value, item.variance = mean + pull / precision, 1.0 / precision

    def _contribute(self, item: _Item, sign: float) -> None:
        """Add an item to, or take it from, the sums over annotators and items."""
        value, square = item.value, item.value * item.value + item.variance
        for name, rating in item.counted.items():
            sums = self._annotators.setdefault(name, _Annotator()).sums
            for place, term in enumerate((1.0, value, square, rating, value * rating, rating * rating)):
                sums[place] += sign * term
            for place, term in enumerate((1.0, rating, rating * rating)):
                self._ratings[place] += sign * term
        if item.counted:
            for place, term in enumerate((1.0, value, square)):
                self._values[place] += sign * term

    def _refit(self, annotator: _Annotator) -> None:
        """Bias and scale of an annotator by ridge regression of ratings on values, and the squares that are left."""
        count, x, xx, y, xy, yy = annotator.sums
        mean = self._mean()
        z, r = x - count * mean, y - count * mean
        zz = max(xx - 2.0 * mean * x + count * mean * mean, 0.0)
        zr = xy - mean * (x + y) + count * mean * mean
        rr = max(yy - 2.0 * mean * y + count * mean * mean, 0.0)
        weight = self.systematic_strength
        own, other, slope = count + weight, zz + weight * self._spread(), zr + weight * self._spread()
        determinant = own * other - z * z
        self._scales -= annotator.weight * (annotator.scale - 1.0)
        self._residuals -= annotator.residual
        annotator.bias = (other * r - z * slope) / determinant
        annotator.scale = max((own * slope - z * r) / determinant, 0.05)
        bias, scale = annotator.bias, annotator.scale
        left = rr - 2.0 * (bias * r + scale * zr) + count * bias * bias + 2.0 * bias * scale * z + scale * scale * zz
        annotator.residual = max(left, 0.0)
        annotator.weight = max(count, 0.0)
        self._scales += annotator.weight * (annotator.scale - 1.0)
        self._residuals += annotator.residual

    def _mean(self) -> float:
        return self._ratings[1] / self._ratings[0] if self._ratings[0] > 0.5 else 0.0

    def _variance(self) -> float:
        """Variance of all ratings; 1 as long as they are all the same."""
        count = max(self._ratings[0], 1.0)
        found = self._ratings[2] / count - self._mean() ** 2
        return found if found > 1e-9 else 1.0

    def _spread(self) -> float:
        """Prior variance of a value."""
        count, total, squares = self._values
        mean = self._mean()
        own = squares - 2.0 * mean * total + count * mean * mean
        return self.spread_factor * max((own + self._variance()) / (count + 1.0), 1e-3 * self._variance())

    def _noise(self, annotator: _Annotator) -> float:
        """Variance of an annotator's ratings around what they would be, drawn to that of all."""
        weight = self.noise_strength
        pooled = (self._residuals + weight * self._variance()) / (max(self._ratings[0], 0.0) + weight)
        return max((annotator.residual + weight * pooled) / (max(annotator.sums[0], 0.0) + weight), 1e-6 * pooled)

    def _mean_scale(self) -> float:
        """Mean scale over ratings, before it is made 1."""
        return max(1.0 + self._scales / max(self._ratings[0], 1.0), 0.05)

    def state(self) -> dict[str, Any]:
        """Everything, as dicts, lists, strings and numbers."""
        return {
            "version": STATE_VERSION,
            "items": {
                name: [
                    {who: dict(own) for who, own in item.ratings.items()},
                    item.known,
                    item.value,
                    item.variance,
                    dict(item.counted),
                ]
                for name, item in self._items.items()
            },
            "annotators": {
                name: [list(who.sums), who.bias, who.scale, who.residual, who.weight]
                for name, who in self._annotators.items()
            },
            "sums": [list(self._ratings), list(self._values), self._scales, self._residuals],
        }

    def load(self, state: dict[str, Any]) -> "RatingConsensus":
        """Take the place of the one whose ``state`` this is, which had the same parameters."""
        assert state["version"] == STATE_VERSION
        self._items = OrderedDict(
            (name, _Item({who: dict(own) for who, own in ratings.items()}, known, value, variance, dict(counted)))
            for name, (ratings, known, value, variance, counted) in state["items"].items()
        )
        self._annotators = {name: _Annotator(list(sums), *rest) for name, (sums, *rest) in state["annotators"].items()}
        ratings, values, self._scales, self._residuals = state["sums"]
        self._ratings, self._values = list(ratings), list(values)
        return self
