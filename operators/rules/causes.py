"""Changes that come together: one cause instead of an alert each, and error control over a project's annotators."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from operators.rules.state import AnnotatorKey, CauseFinding, DriftFinding
from operators.stats.drift.common_cause import common_cause
from operators.stats.drift.false_discovery import discovery_levels
from schemas.policy import CommonCause

RISES = {"worse", "more", "slower"}
RISE_WORDS = {
    "accuracy": ("better", "worse"), "class_use": ("more", "more"), "speed": ("faster", "slower"),
    "agreement": ("better", "worse"),
}  # fmt: skip
"""How a fall and a rise of what the detector of a signal is fed are told."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The present evidence of all of a project's annotators that one of their signals changed.

    Parameters
    ----------
    keys
        Question and annotator of each, in an order that is a function of the log.
    evidence
        Of each, ≥ 0; after an alarm it starts anew.
    is_rise
        Of each: more errors, more of a class, longer durations.
    changed_at
        Estimated time of the change of each, microseconds since the epoch.
    """

    keys: Sequence[AnnotatorKey]
    evidence: Sequence[float]
    is_rise: Sequence[bool]
    changed_at: Sequence[int]


def with_recent(now: Evidence, drifts: dict[tuple[str, str, str], DriftFinding], signal: str, oldest: int) -> Evidence:
    """Return the evidence with that of recent alarms in place of what their annotators have gathered since."""
    evidence, is_rise, changed_at = list(now.evidence), list(now.is_rise), list(now.changed_at)
    for place, key in enumerate(now.keys):
        finding = drifts.get((signal, *key))
        if finding is not None and finding.at >= oldest:
            evidence[place], changed_at[place] = max(finding.evidence, evidence[place]), finding.changed_at
            is_rise[place] = finding.direction in RISES
    return Evidence(now.keys, evidence, is_rise, changed_at)


def find_cause(leaf: CommonCause, all_evidence: Evidence, at: int) -> CauseFinding | None:
    """Return the common cause that the annotators' evidence speaks for, or None."""
    if len(all_evidence.keys) < leaf.annotators_min:
        return None
    found = common_cause(
        all_evidence.evidence,
        all_evidence.is_rise,
        all_evidence.changed_at,
        spread_max=leaf.within,
        annotators_min=leaf.annotators_min,
        share_min=leaf.share_min,
    )
    direction = RISE_WORDS[leaf.common_cause][found.is_rise]
    if not found.is_common or leaf.direction not in ("any", direction):
        return None
    members = [key for key, is_member in zip(all_evidence.keys, found.members.tolist(), strict=True) if is_member]
    return CauseFinding(
        leaf.common_cause, direction, at, int(found.changed_at), members, len(all_evidence.keys), found.probability
    )


def discovery_level(all_evidence: Evidence, key: AnnotatorKey) -> float:
    """Return the smallest level of error over patience at which an annotator would be declared to have changed."""
    if key not in all_evidence.keys:
        return float("inf")
    return float(discovery_levels(np.asarray(all_evidence.evidence))[list(all_evidence.keys).index(key)])
