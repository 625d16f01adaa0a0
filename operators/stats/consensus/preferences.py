"""Strengths of compared options: a Bradley–Terry model in which annotators differ in reliability."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from math import exp, sqrt
from typing import Any, NamedTuple

STATE_VERSION = 1


class Strength(NamedTuple):
    """Log strength of an option, its standard deviation, and the comparisons it rests on."""

    value: float
    deviation: float
    comparisons: int


@dataclass(slots=True)
class _Comparison:
    """Who preferred what to what, and with which probability they answered by strength when last looked at."""

    annotator: str
    winner: str
    loser: str
    faithful: float = 0.0


@dataclass(slots=True)
class _Option:
    value: float = 0.0
    precision: float = 1.0
    keys: deque[str] = field(default_factory=deque)


class PreferenceConsensus:
    """Log strengths of options compared in pairs, learnt comparison by comparison.

    Annotator a prefers i to j with probability ``r_a s + (1 - r_a) (1 - s)``, where s is the logistic function of the
    strengths' difference: r_a is 1 for somebody who answers by strength, 0.5 for one who guesses. Each event takes one
    Newton step in the strengths of its options and of ``revisits`` others in turn, over at most ``comparisons_max`` of
    the latest comparisons of each; older ones are dropped, what they taught about annotators stays.

    Parameters
    ----------
    deviation
        Prior standard deviation of log strengths.
    reliability, reliability_strength
        Expected reliability, in (0.5, 1), and its weight in comparisons.
    comparisons_max
        Comparisons kept for an option.
    revisits
        Other options evaluated again for each event.

    Examples
    --------
    >>> consensus = PreferenceConsensus()
    >>> for key in range(5):
    ...     changed = consensus.add("ann", "tea", "coffee", str(key))
    >>> consensus.probability("tea", "coffee") > 0.7
    True

    References
    ----------
    Bradley, Terry: Rank analysis of incomplete block designs. Biometrika 39, 1952.
    Chen et al.: Pairwise ranking aggregation in a crowdsourced setting. WSDM 2013.
    """

    def __init__(
        self,
        *,
        deviation: float = 1.5,
        reliability: float = 0.85,
        reliability_strength: float = 10.0,
        comparisons_max: int = 128,
        revisits: int = 2,
    ) -> None:
        self.deviation = deviation
        self.reliability = reliability
        self.reliability_strength = reliability_strength
        self.comparisons_max = comparisons_max
        self.revisits = revisits
        self._options: OrderedDict[str, _Option] = OrderedDict()
        self._comparisons: dict[str, _Comparison] = {}
        self._annotators: dict[str, list[float]] = {}

    def add(self, annotator: str, winner: str, loser: str, key: str) -> list[str]:
        """A comparison, in place of the one under this key if there is one. Returns the options that have changed."""
        self._drop(key, forget=False)
        self._comparisons[key] = _Comparison(annotator, winner, loser)
        self._annotators.setdefault(annotator, [0.0, 0.0])[1] += 1.0
        for name in (winner, loser):
            option = self._options.setdefault(name, _Option(precision=self.deviation**-2))
            option.keys.append(key)
            if len(option.keys) > self.comparisons_max:
                self._drop(option.keys[0], forget=True)
        return self._touched([winner, loser])

    def remove(self, key: str) -> list[str]:
        """The comparison ``key`` no longer counts."""
        found = self._comparisons.get(key)
        if found is None:
            return []
        self._drop(key, forget=False)
        return self._touched([found.winner, found.loser])

    def strength(self, option: str) -> Strength | None:
        """The strength of an option; None if it was never compared."""
        found = self._options.get(option)
        return None if found is None else Strength(found.value, 1.0 / sqrt(found.precision), len(found.keys))

    def probability(self, first: str, second: str) -> float:
        """Probability that a reliable annotator prefers the first option; unknown options have average strength."""
        values = [self._options[name].value if name in self._options else 0.0 for name in (first, second)]
        return _logistic(values[0] - values[1])

    def annotator_reliability(self, annotator: str) -> float:
        """Probability that the annotator answers by strength, in (0, 1)."""
        faithful, count = self._annotators.get(annotator, [0.0, 0.0])
        weight = self.reliability_strength
        return (faithful + weight * self.reliability) / (count + weight)

    def _drop(self, key: str, *, forget: bool) -> None:
        """Remove a comparison, with what it taught about its annotator unless it is only forgotten."""
        found = self._comparisons.pop(key, None)
        if found is None:
            return
        for name in (found.winner, found.loser):
            self._options[name].keys.remove(key)
        if not forget:
            sums = self._annotators[found.annotator]
            sums[0] -= found.faithful
            sums[1] -= 1.0

    def _touched(self, names: list[str]) -> list[str]:
        changed = dict.fromkeys(names)
        for _ in range(min(self.revisits, len(self._options))):
            other = next(iter(self._options))
            self._options.move_to_end(other)
            changed.setdefault(other)
        for name in changed:
            self._step(name)
        return list(changed)

    def _step(self, name: str) -> None:
        """One Newton step in an option's strength, with each comparison weighed by how faithful it seems."""
        option = self._options[name]
        prior = self.deviation**-2
        slope, curvature = -prior * option.value, prior
        for key in option.keys:
            comparison = self._comparisons[key]
            wins = comparison.winner == name
            other = self._options[comparison.loser if wins else comparison.winner].value
            as_expected = _logistic(option.value - other if wins else other - option.value)
            self._weigh(comparison, as_expected)
            pull = comparison.faithful * (1.0 - as_expected) - (1.0 - comparison.faithful) * as_expected
            slope += pull if wins else -pull
            curvature += as_expected * (1.0 - as_expected)
        option.value += min(max(slope / curvature, -1.0), 1.0)
        option.precision = curvature

    def _weigh(self, comparison: _Comparison, as_expected: float) -> None:
        """Probability that a comparison was made by strength, put in place of the old one."""
        reliability = self.annotator_reliability(comparison.annotator)
        against = (1.0 - reliability) * (1.0 - as_expected)
        faithful = reliability * as_expected / (reliability * as_expected + against)
        self._annotators[comparison.annotator][0] += faithful - comparison.faithful
        comparison.faithful = faithful

    def state(self) -> dict[str, Any]:
        """Everything, as dicts, lists, strings and numbers."""
        return {
            "version": STATE_VERSION,
            "options": {
                name: [option.value, option.precision, list(option.keys)] for name, option in self._options.items()
            },
            "comparisons": {
                key: [found.annotator, found.winner, found.loser, found.faithful]
                for key, found in self._comparisons.items()
            },
            "annotators": {name: list(sums) for name, sums in self._annotators.items()},
        }

    def load(self, state: dict[str, Any]) -> "PreferenceConsensus":
        """Take the place of the one whose ``state`` this is, which had the same parameters."""
        assert state["version"] == STATE_VERSION
        self._options = OrderedDict(
            (name, _Option(value, precision, deque(keys)))
            for name, (value, precision, keys) in state["options"].items()
        )
        self._comparisons = {key: _Comparison(*found) for key, found in state["comparisons"].items()}
        self._annotators = {name: list(sums) for name, sums in state["annotators"].items()}
        return self


def _logistic(difference: float) -> float:
    if difference >= 0.0:
        return 1.0 / (1.0 + exp(-difference))
    odds = exp(difference)
    return odds / (1.0 + odds)
