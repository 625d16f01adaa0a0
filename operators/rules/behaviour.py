"""Annotators' recent ways: skips and equal answers in a row, and their last outcomes of several kinds."""

from typing import Any

from operators.rules.conditions import ComparisonTest, FindingTest, Leaf
from operators.rules.rule_set import ReadyRule, RuleSet, history_of
from operators.rules.state import AnnotatorKey, Behaviour, DriftFinding, History
from schemas.signals import SIGNALS, Cause, Scope, Unit

ERRORS_KEPT_MAX = 64
_IN_A_ROW = ("skips_in_a_row", "repeated_answers")


class Behaviours:
    """What is counted of each annotator, as far as a project's rules read it.

    Parameters
    ----------
    rules
        The project's rules.
    held
        Behaviour by question and annotator; changed in place.
    """

    def __init__(self, rules: RuleSet, held: dict[AnnotatorKey, Behaviour]) -> None:
        self._held = held
        self._histories = rules.histories
        self._fast_limits = rules.fast_limits
        self._has_repeats = rules.reads("repeated_answers")
        self._has_skips = rules.reads("skips_in_a_row")
        self._has_errors = any(test.signal == "accuracy" for test in rules.findings(is_common=False))
        self._keeps_each = bool(self._fast_limits or self._has_repeats or "skips" in self._histories)
        self._others = {
            cause: tuple(ready for ready in rules.of(Scope.ANNOTATOR, cause) if _reads_more_than_skips(ready))
            for cause in (Cause.SUBMISSION, Cause.SKIP)
        }

    def others(self, cause: Cause) -> tuple[ReadyRule, ...]:
        """Return the rules that have to be asked at each submission, even if it ends no row of skips."""
        return self._others[cause]

    def submitted(self, key: AnnotatorKey, value: str, duration_ms: int | None) -> bool:
        """Take in a label; return whether it ended a row of skips or anything else is counted of each label."""
        if not self._keeps_each:
            behaviour = self._held.get(key)
            if behaviour is None or not behaviour.skips_in_a_row:
                return False
            behaviour.skips_in_a_row = 0
            return True
        behaviour = self._of(key)
        behaviour.skips_in_a_row = 0
        if self._has_repeats:
            is_same = value == behaviour.last_value
            behaviour.repeated_answers = behaviour.repeated_answers + 1 if is_same else 1
            behaviour.last_value = value
        if "skips" in self._histories:
            _history(behaviour, "skips").add(False)
        if duration_ms is not None:
            for name, limit in self._fast_limits:
                _history(behaviour, name).add(duration_ms < limit)
        return True

    def skipped(self, key: AnnotatorKey) -> None:
        """Take in a skip."""
        if self._has_skips:
            self._of(key).skips_in_a_row += 1
        if "skips" in self._histories:
            _history(self._of(key), "skips").add(True)

    def judged(self, key: AnnotatorKey, truth: str, value: str, is_correct: bool) -> None:
        """Take in a judgement against a known answer."""
        if "judgements" in self._histories:
            _history(self._of(key), "judgements").add(is_correct)
        if self._has_errors:
            behaviour = self._of(key)
            behaviour.judgements += 1
            if not is_correct:
                behaviour.errors.append((behaviour.judgements, truth, value))
                del behaviour.errors[:-ERRORS_KEPT_MAX]

    def agreed(self, key: AnnotatorKey, is_agreeing: bool) -> bool:
        """Take in whether a label agrees with the majority; return whether that is counted."""
        if "agreements" not in self._histories:
            return False
        _history(self._of(key), "agreements").add(is_agreeing)
        return True

    def reviewed(self, key: AnnotatorKey, is_accepted: bool) -> None:
        """Take in a review."""
        if "acceptances" in self._histories:
            _history(self._of(key), "acceptances").add(is_accepted)

    def read(self, key: AnnotatorKey, leaf: ComparisonTest) -> float | None:
        """Return what a comparison asks for, or None if it is not known."""
        behaviour = self._held.get(key)
        if behaviour is None:
            return 0 if leaf.signal in _IN_A_ROW else None
        if leaf.signal in _IN_A_ROW:
            return getattr(behaviour, leaf.signal)
        history, last = behaviour.histories.get(history_of(leaf)), leaf.leaf.last
        assert last is not None
        if history is None:
            return None
        if SIGNALS[leaf.signal].unit is Unit.COUNT:
            return history.count(last)
        return history.share(last, leaf.leaf.of_at_least or last)

    def figures(
        self, key: AnnotatorKey, leaves: list[Leaf], drifts: dict[tuple[str, str, str], DriftFinding]
    ) -> dict[str, Any]:
        """Return what is told of an annotator beside the signals: what histories rest on, and recent errors."""
        behaviour = self._held.get(key)
        if behaviour is None:
            return {}
        figures: dict[str, Any] = {}
        for leaf in leaves:
            if isinstance(leaf, FindingTest):
                finding = drifts.get((leaf.signal, *key))
                if finding is not None and finding.signal == "accuracy":
                    first = behaviour.judgements - finding.judgements_after
                    figures["_errors"] = [(truth, value) for place, truth, value in behaviour.errors if place > first]
            elif leaf.leaf.last is not None and (history := behaviour.histories.get(history_of(leaf))):
                figures[f"{leaf.leaf.reading}_of"] = history.count(leaf.leaf.last)
        return figures

    def _of(self, key: AnnotatorKey) -> Behaviour:
        behaviour = self._held.get(key)
        if behaviour is None:
            behaviour = self._held[key] = Behaviour()
        return behaviour


def _history(behaviour: Behaviour, name: str) -> History:
    found = behaviour.histories.get(name)
    if found is None:
        found = behaviour.histories[name] = History()
    return found


def _reads_more_than_skips(ready: ReadyRule) -> bool:
    return any(leaf.signal != "skips_in_a_row" for leaf in ready.leaves())
