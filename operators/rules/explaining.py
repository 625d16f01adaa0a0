"""A policy in plain sentences."""

from collections.abc import Iterator
from typing import Any

from operators.rules.sentences import BOUND_WORDS, figure_text
from schemas.policy import All, Any_, CommonCause, Comparison, Drift, Policy, Rule, duration_text
from schemas.signals import SIGNALS, Scope, Unit

_EACH = {
    Scope.PROJECT: "the project",
    Scope.STEP: "a step",
    Scope.ANNOTATOR: "an annotator",
    Scope.CLASS: "a class",
}
_DRIFTS = {
    ("accuracy", "worse"): "makes more errors than before",
    ("accuracy", "better"): "makes fewer errors than before",
    ("accuracy", "any"): "makes more or fewer errors than before",
    ("agreement", "worse"): "disagrees with the others more often than before",
    ("agreement", "better"): "disagrees with the others less often than before",
    ("agreement", "any"): "disagrees with the others more or less often than before",
    ("class_use", "more"): "answers some class more often than before",
    ("class_use", "any"): "answers some class more often than before",
    ("speed", "faster"): "answers faster than before",
    ("speed", "slower"): "answers slower than before",
    ("speed", "any"): "answers faster or slower than before",
}
_ACTIONS = {
    "check": "recommends to check their work",
    "retrain": "recommends training",
    "pause": "recommends a pause",
    "requeue": "recommends to label the items again",
}


def explained(policy: Policy) -> Iterator[str]:
    """Yield the sentences of a policy: its promises first, then a paragraph for each rule."""
    yield (
        f"Drift detectors raise at most {policy.false_alarms_per_million_judgements:g} false alarms per million "
        "judgements, whatever an annotator's usual level is."
    )
    if policy.error_control != "none":
        yield (
            "Over all annotators of a project, drift is told only as error control at level "
            f"{policy.error_control.level:g} declares it."
        )
    for step, price in policy.prices.items():
        yield f"A label of step '{step}' costs {price:g} {policy.currency}."
    for entry in policy.projects:
        given = {name: value for name, value in entry.model_dump(mode="json").items() if value is not None}
        patterns = " or ".join(given.pop("match"))
        said = ", ".join(f"{name} is {value}" for name, value in given.items()) or "nothing differs"
        yield f"In projects that match {patterns}: {said}."
    for rule in policy.rules:
        yield explained_rule(rule)
    if not policy.hooks:
        yield "No hooks are named: alerts are in the database only."


def explained_rule(rule: Rule) -> str:
    """Return a rule in plain words.

    >>> rule = Rule(name="low", when=Comparison(signal="accuracy", below=0.7), evidence={"gold_labels": 20})
    >>> explained_rule(rule)
    'low (warning): fires for an annotator when accuracy is below 70 %, from 20 answers held against a known one on.'
    """
    parts = [f"{rule.name} ({rule.severity}): fires for {_EACH[rule.scope]} when {condition_text(rule.when)}"]
    parts += [f"from {count:g} {SIGNALS[name].meaning} on" for name, count in rule.evidence.items()]
    for name, patterns in (("projects", rule.projects), ("questions", rule.questions), ("steps", rule.steps)):
        if "*" not in patterns:
            parts.append(f"in {name} that match {' or '.join(patterns)} only")
    sentences = [", ".join(parts) + "."]
    if rule.cool_down:
        sentences.append(f"It does not fire again within {duration_text(rule.cool_down)}.")
    if rule.resolve_after:
        sentences.append(f"It is resolved once that has not been so for {duration_text(rule.resolve_after)}.")
    told = [_ACTIONS[rule.action]] if rule.action else []
    told += [f"tells {', '.join(rule.hooks)}"] if rule.hooks else []
    if told:
        sentences.append(f"It {' and '.join(told)}.")
    return " ".join(sentences)


def condition_text(condition: Any) -> str:
    """Return a condition in plain words."""
    if isinstance(condition, All | Any_):
        is_all = isinstance(condition, All)
        parts = [condition_text(part) for part in (condition.all if is_all else condition.any)]
        text = (" and " if is_all else " or ").join(parts)
        return text if len(parts) == 1 else f"({text})"
    if isinstance(condition, Drift):
        return f"one {_DRIFTS[condition.drift, condition.direction]} (counted for {duration_text(condition.holds_for)})"
    if isinstance(condition, CommonCause):
        share, what = figure_text(condition.share_min, Unit.SHARE), _DRIFTS[condition.common_cause, condition.direction]
        return (
            f"at least {condition.annotators_min} annotators and {share} of all change within "
            f"{duration_text(condition.within)}: each {what}"
        )
    return _comparison_text(condition)


def _comparison_text(leaf: Comparison) -> str:
    signal, (name, bound) = SIGNALS[leaf.signal], leaf.bound
    faster = f" (under {duration_text(leaf.faster_than)})" if leaf.faster_than else ""
    last = f" over the last {leaf.last}" if leaf.last else ""
    window = f" in a window of {duration_text(leaf.window)}" if leaf.window else ""
    text = f"{signal.meaning}{faster}{last}{window} is {BOUND_WORDS[name]} {figure_text(bound, signal.unit)}"
    return text + (
        f" (give or take {figure_text(leaf.hysteresis, signal.unit)} while it fires)" if leaf.hysteresis else ""
    )
