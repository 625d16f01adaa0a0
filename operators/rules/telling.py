"""Alerts made of rules that fire and are resolved: id, sentence, figures."""

import json
from typing import Any

from operators.rules.conditions import FindingTest, Leaf, Read
from operators.rules.rule_set import ReadyRule
from operators.rules.sentences import cause_text, comparison_text, drift_text, span_text, subject_text
from operators.rules.state import AlertKey, CauseFinding, DriftFinding, Standing
from schemas.alerts import HOOKS_SEPARATOR, Alert, AlertState, alert_id_of

MEMBERS_TOLD_MAX = 1_000


class Teller:
    """Makes the alerts of one project.

    Parameters
    ----------
    project_id, generation
        Whose alerts they are.
    """

    def __init__(self, *, project_id: str, generation: int) -> None:
        self._project_id = project_id
        self._generation = generation

    def reasons(
        self,
        ready: ReadyRule,
        key: AlertKey,
        leaves: list[Leaf],
        read: Read,
        figures: dict[str, Any],
        standing: Standing,
    ) -> None:
        """Write the reasons of a rule that fires into its standing: the sentence, the figures, what changed.

        Parameters
        ----------
        leaves
            The conditions that hold.
        figures
            Figures by name that are told besides.
        """
        phrases = []
        for leaf in leaves:
            found = read(leaf)
            if isinstance(leaf, FindingTest):
                phrases.append(_told_finding(found, figures))
                standing.signal, standing.direction = found.signal, found.direction
                standing.changed_at = found.changed_at
                if isinstance(found, DriftFinding):
                    standing.false_alarm_value, standing.discovery_level = found.evidence, found.discovery_level
            else:
                phrases.append(comparison_text(leaf, found, figures.get(f"{leaf.leaf.reading}_of")))
                figures[leaf.leaf.reading] = found
                standing.signal = standing.signal or leaf.signal
        subject = subject_text(ready.rule.scope, key, self._project_id)
        standing.summary = f"{subject}: {' and '.join(phrases)}"
        shown = {name: round(value, 6) if isinstance(value, float) else value for name, value in figures.items()}
        standing.evidence = json.dumps(
            {name: value for name, value in shown.items() if not name.startswith("_")}, ensure_ascii=False
        )

    def alert(self, ready: ReadyRule, key: AlertKey, standing: Standing, at: int, version: int) -> Alert:
        """Return the alert of a rule that has just fired, or has just been resolved at `at` and `version`."""
        rule, names = ready.rule, (self._project_id, *key)
        question_id, annotator_id, step, label_class = key
        summary = standing.summary
        if not standing.is_firing:
            summary = f"resolved after {span_text(max(at - standing.fired_at, 0))}: {summary}"
        return Alert(
            project_id=self._project_id,
            alert_id=alert_id_of(
                generation=self._generation, rule=rule.name, key=names, sequence=standing.fired_version
            ),
            rule=rule.name,
            severity=rule.severity.value,
            question_id=question_id,
            annotator_id=annotator_id,
            step=step,
            label_class=label_class,
            state=(AlertState.FIRING if standing.is_firing else AlertState.RESOLVED).value,
            sequence=version,
            fired_at=standing.fired_at,
            resolved_at=None if standing.is_firing else max(at, standing.fired_at),
            changed_at=standing.changed_at,
            signal=standing.signal,
            direction=standing.direction,
            summary=summary,
            evidence=standing.evidence,
            action=None if rule.action is None else rule.action.value,
            hooks=HOOKS_SEPARATOR.join(rule.hooks),
            false_alarm_value=standing.false_alarm_value,
            discovery_level=standing.discovery_level,
            generation=self._generation,
            version=version,
            is_deleted=0,
        )


def _told_finding(finding: DriftFinding | CauseFinding, figures: dict[str, Any]) -> str:
    if isinstance(finding, CauseFinding):
        figures["members"] = [list(member) for member in finding.members[:MEMBERS_TOLD_MAX]]
        figures["member_count"], figures["annotators"] = len(finding.members), finding.annotators
        figures["probability"] = float(f"{finding.probability:.3g}")
        return cause_text(finding)
    figures |= {
        "before": finding.before,
        "after": finding.after,
        "judgements_after": finding.judgements_after,
        "e_detector": finding.evidence,
        "discovery_level": finding.discovery_level,
    }
    if finding.label_class:
        figures["label_class"] = finding.label_class
    return drift_text(finding, figures.get("_errors", []))
