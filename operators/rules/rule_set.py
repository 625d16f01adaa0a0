"""The rules of one project, made ready: who is asked when, and what has to be counted for them."""

from dataclasses import dataclass, field
from functools import cached_property

from operators.rules.conditions import ComparisonTest, FindingTest, Leaf, Test, compiled, leaves_of
from operators.rules.state import AlertKey
from schemas.policy import ProjectPolicy, Rule, matches
from schemas.signals import SIGNALS, Cause, Scope

_FAST = "fast"


def history_of(leaf: ComparisonTest) -> str:
    """Return the name of the history that a comparison over the last outcomes reads."""
    kind = SIGNALS[leaf.signal].history
    return f"{kind}:{leaf.leaf.faster_than}" if kind == _FAST else kind


@dataclass(slots=True)
class ReadyRule:
    """One rule, ready for use.

    Parameters
    ----------
    rule
        As it stands in the policy.
    test
        Its condition.
    is_timed
        Whether it may cease to hold by the passing of time alone.
    is_everywhere
        Whether it is about all questions and steps.
    """

    rule: Rule
    test: Test
    is_timed: bool
    is_everywhere: bool
    _concerned: dict[tuple[str, str], bool] = field(default_factory=dict)

    def concerns(self, key: AlertKey) -> bool:
        """Return whether the rule is about the question and step of a key."""
        question_id, _, step, _ = key
        found = self._concerned.get((question_id, step))
        if found is None:
            found = (not question_id or matches(question_id, self.rule.questions)) and (
                not step or matches(step, self.rule.steps)
            )
            self._concerned[question_id, step] = found
        return found

    def leaves(self) -> tuple[Leaf, ...]:
        """Return the comparisons and findings of its condition."""
        return leaves_of(self.test)


class RuleSet:
    """The rules of one project.

    Parameters
    ----------
    policy
        The project's policy.
    """

    def __init__(self, policy: ProjectPolicy) -> None:
        self.policy = policy
        self.rules = [_ready(rule) for rule in policy.rules]
        self.by_name = {ready.rule.name: ready for ready in self.rules}
        self._by_cause = {
            (scope, cause): tuple(
                ready for ready in self.rules if ready.rule.scope is scope and cause in _causes_of(ready)
            )
            for scope in Scope
            for cause in Cause
        }

    def of(self, scope: Scope, cause: Cause | None = None) -> tuple[ReadyRule, ...]:
        """Return the rules of a scope that an event of some kind may concern; without a kind, all of the scope."""
        if cause is None:
            return tuple(ready for ready in self.rules if ready.rule.scope is scope)
        return self._by_cause[scope, cause]

    @cached_property
    def histories(self) -> frozenset[str]:
        """Names of the histories that are read."""
        return frozenset(history_of(leaf) for leaf in self._comparisons() if leaf.leaf.last)

    @cached_property
    def fast_limits(self) -> tuple[tuple[str, float], ...]:
        """Histories of answers that are too fast, each with its limit in milliseconds."""
        found = {
            history_of(leaf): leaf.leaf.faster_than / 1000 for leaf in self._comparisons() if leaf.leaf.faster_than
        }
        return tuple(sorted(found.items()))

    @cached_property
    def silences(self) -> tuple[tuple[str, float], ...]:
        """Annotator rules about silence, each with the shortest silence that may complete its condition."""
        found: dict[str, float] = {}
        for ready in self.of(Scope.ANNOTATOR):
            for leaf in ready.leaves():
                if leaf.signal == "no_events_for" and isinstance(leaf, ComparisonTest):
                    found[ready.rule.name] = min(leaf.bound, found.get(ready.rule.name, leaf.bound))
        return tuple(found.items())

    @cached_property
    def throughputs(self) -> tuple[tuple[str, bool, int], ...]:
        """Rules about throughput: name, whether it is asked by step, and the length of a window."""
        return tuple(
            (ready.rule.name, ready.rule.scope is Scope.STEP, leaf.leaf.window or 3_600_000_000)
            for ready in self.rules
            for leaf in ready.leaves()
            if isinstance(leaf, ComparisonTest) and leaf.signal == "throughput_ratio"
        )

    def reads(self, signal: str) -> bool:
        """Return whether any rule compares a signal."""
        return any(leaf.signal == signal for leaf in self._comparisons())

    def findings(self, *, is_common: bool) -> tuple[FindingTest, ...]:
        """Return the drifts, or the common causes, that rules ask for."""
        return tuple(
            leaf
            for ready in self.rules
            for leaf in ready.leaves()
            if isinstance(leaf, FindingTest) and leaf.is_common is is_common
        )

    def _comparisons(self) -> list[ComparisonTest]:
        return [leaf for ready in self.rules for leaf in ready.leaves() if isinstance(leaf, ComparisonTest)]


def _ready(rule: Rule) -> ReadyRule:
    test = compiled(rule.when)
    is_timed = rule.resolve_after > 0 or Cause.TICK in test.causes()
    return ReadyRule(rule, test, is_timed, "*" in rule.questions and "*" in rule.steps)


def _causes_of(ready: ReadyRule) -> frozenset[Cause]:
    """Return the events that may change a rule's condition, or give it the evidence that it takes."""
    return ready.test.causes().union(*(SIGNALS[name].causes for name in ready.rule.evidence))
