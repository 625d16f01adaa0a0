"""Conditions of the policy, made ready for many evaluations: what they read, and whether they hold."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from schemas.policy import All, Any_, CommonCause, Comparison, Condition, Drift
from schemas.signals import SIGNALS, Cause

Read = Callable[[Any], Any]
"""Gives what a leaf asks for: a figure or None for a `ComparisonTest`, a finding or None for a `FindingTest`."""

_BEYOND = {"below": operator.lt, "at_most": operator.le, "above": operator.gt, "at_least": operator.ge}
_RELAXED_BY = {"below": 1.0, "at_most": 1.0, "above": -1.0, "at_least": -1.0}
# The ends of an interval cost far more than the figure between them, which they cannot pass.
_SCREENS = {
    "accuracy_high": ("accuracy", ("below", "at_most")),
    "accuracy_low": ("accuracy", ("above", "at_least")),
}
_OWN = {"skips_in_a_row", "repeated_answers", "no_events_for", "throughput_ratio"}


@dataclass(frozen=True, slots=True)
class ComparisonTest:
    """A comparison, ready for use.

    Parameters
    ----------
    leaf
        As it stands in the policy.
    screen
        The same for a cheaper signal that lies beyond the bound whenever the signal does; None if there is none.
    is_own
        Whether the rules themselves keep what it asks for, rather than the fold.
    """

    leaf: Comparison
    signal: str
    beyond: Callable[[float, float], bool]
    bound: float
    relaxed: float
    screen: "ComparisonTest | None"
    is_own: bool

    def holds(self, read: Read, is_firing: bool) -> bool:
        """Return whether the signal lies beyond the bound; `is_firing` lets the hysteresis count."""
        if self.screen is not None and not self.screen.holds(read, is_firing):
            return False
        value = read(self)
        return value is not None and self.beyond(value, self.relaxed if is_firing else self.bound)

    def causes(self) -> frozenset[Cause]:
        """Return which events may change whether it holds."""
        return SIGNALS[self.signal].causes


@dataclass(frozen=True, slots=True)
class FindingTest:
    """A drift or a common cause, ready for use."""

    leaf: Drift | CommonCause
    signal: str
    is_common: bool
    is_own: bool = True

    def holds(self, read: Read, is_firing: bool) -> bool:
        """Return whether there is such a finding now."""
        del is_firing
        return read(self) is not None

    def causes(self) -> frozenset[Cause]:
        """Return which events may change whether it holds."""
        return frozenset({Cause.DRIFT, Cause.TICK})


@dataclass(frozen=True, slots=True)
class JoinedTest:
    """Several conditions joined by and (`needs_all`) or by or."""

    parts: tuple["Test", ...]
    needs_all: bool

    def holds(self, read: Read, is_firing: bool) -> bool:
        """Return whether all, or any, of them hold; as few are asked as need be."""
        for part in self.parts:
            if part.holds(read, is_firing) is not self.needs_all:
                return not self.needs_all
        return self.needs_all

    def causes(self) -> frozenset[Cause]:
        """Return which events may change whether it holds."""
        return frozenset().union(*(part.causes() for part in self.parts))


Test = ComparisonTest | FindingTest | JoinedTest
Leaf = ComparisonTest | FindingTest


def compiled(condition: Condition) -> Test:
    """Return a condition of the policy, ready for use."""
    if isinstance(condition, All | Any_):
        needs_all = isinstance(condition, All)
        parts = condition.all if needs_all else condition.any
        return JoinedTest(tuple(compiled(part) for part in parts), needs_all)
    if isinstance(condition, Drift):
        return FindingTest(condition, condition.drift, False)
    if isinstance(condition, CommonCause):
        return FindingTest(condition, condition.common_cause, True)
    return _comparison(condition)


def _comparison(leaf: Comparison) -> ComparisonTest:
    name, bound = leaf.bound
    relaxed = bound + _RELAXED_BY[name] * (leaf.hysteresis or 0.0)
    screen_signal, sides = _SCREENS.get(leaf.signal, ("", ()))
    screen = None
    if name in sides:
        screen = ComparisonTest(leaf, screen_signal, _BEYOND[name], bound, relaxed, None, False)
    is_own = leaf.last is not None or leaf.signal in _OWN
    return ComparisonTest(leaf, leaf.signal, _BEYOND[name], bound, relaxed, screen, is_own)


def leaves_of(test: Test) -> tuple[Leaf, ...]:
    """Return the comparisons and findings of a condition, in the order of the policy."""
    if isinstance(test, JoinedTest):
        return tuple(leaf for part in test.parts for leaf in leaves_of(part))
    return (test,)


def holding_leaves(test: Test, read: Read, is_firing: bool) -> list[Leaf]:
    """Return the leaves that hold: the reasons of an alert."""
    return [leaf for leaf in leaves_of(test) if leaf.holds(read, is_firing)]
