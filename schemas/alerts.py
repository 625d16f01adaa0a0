"""Alerts: the contract between the rules that raise them, the rows in the database, and the hooks that deliver them.

An alert is a row of the table ``alerts_versions``. It is written once when it fires and once when it is resolved; each
of these two changes is a row of its own in a `RowBatch`, in log order, even if both come of one batch of records: who
delivers alerts must see each of them. A condition that fires again after it was resolved is a new alert, with an id of
its own, of the same fingerprint.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Self

ALERTS_NAME = "alerts_versions"
ALERT_KEY = ("project_id", "alert_id")
ALERT_VALUES = (
    "rule", "severity", "question_id", "annotator_id", "step", "label_class", "state", "sequence",
    "fired_at", "resolved_at", "changed_at", "signal", "direction", "summary", "evidence", "action", "hooks",
    "false_alarm_value", "discovery_level",
)  # fmt: skip
"""Columns of the table without those that all tables end with (see `schemas.rows`)."""

DELIVERIES_NAME = "alert_deliveries_versions"
DELIVERY_KEY = ("project_id", "alert_id", "hook", "sequence")
DELIVERY_VALUES = ("state", "attempts", "first_attempt_at", "last_attempt_at", "status_code", "error")

HOOKS_SEPARATOR = ","
_ID_BYTES = 16


class Severity(StrEnum):
    """How bad it is; the four words of PagerDuty."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class AlertState(StrEnum):
    """What the flow knows of an alert."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Action(StrEnum):
    """What a rule recommends to do."""

    CHECK = "check"
    RETRAIN = "retrain"
    PAUSE = "pause"
    REQUEUE = "requeue"


class DeliveryState(StrEnum):
    """What became of an alert at one hook, as told to the database."""

    DELIVERED = "delivered"
    ACKNOWLEDGED = "acknowledged"
    """Delivered, and somebody has taken it on."""
    RETRYING = "retrying"
    SUPPRESSED = "suppressed"
    DEAD = "dead"
    DISABLED = "disabled"
    SILENCED = "silenced"


@dataclass(frozen=True, slots=True)
class Alert:
    """One version of an alert; the fields are the columns of the table, in their order.

    Parameters
    ----------
    project_id
        The project.
    alert_id
        See `alert_id_of`.
    rule
        Name of the rule in the policy.
    severity
        One of `Severity`.
    question_id, annotator_id, step, label_class
        Whom or what it is about; empty text for what it is not limited to.
    state
        One of `AlertState`.
    sequence
        The version (see `schemas.rows.row_version`) of the record that completed the evidence for this state; grows
        with each alert of one fingerprint, and from firing to resolved.
    fired_at, resolved_at
        Event time of that record when it fired and when it was resolved, in microseconds since the epoch.
    changed_at
        When the change began, as far as the evidence tells, in microseconds since the epoch.
    signal, direction
        What changed, such as ``accuracy``, and whether to the ``worse`` or the ``better``; may be empty.
    summary
        One sentence with figures.
    evidence
        The figures, as the text of a JSON object.
    action
        One of `Action`, or None.
    hooks
        Names of the hooks that are to be told, separated by commas; none: it is in the table only.
    false_alarm_value
        The e-value of the evidence, at least 0; None where there is none.
    discovery_level
        Smallest level of error over patience at which e-Benjamini-Hochberg over all of the project's annotators
        declares the change, above 0; None where there is none.
    generation, version, is_deleted
        As in all tables.
    """

    project_id: str
    alert_id: str
    rule: str
    severity: str
    question_id: str
    annotator_id: str
    step: str
    label_class: str
    state: str
    sequence: int
    fired_at: int
    resolved_at: int | None
    changed_at: int | None
    signal: str
    direction: str
    summary: str
    evidence: str
    action: str | None
    hooks: str
    false_alarm_value: float | None
    discovery_level: float | None
    generation: int
    version: int
    is_deleted: int

    @property
    def fingerprint(self) -> str:
        """Identity of the condition, the same each time it fires; see `fingerprint_of`."""
        key = (self.project_id, self.question_id, self.annotator_id, self.step, self.label_class)
        return fingerprint_of(generation=self.generation, rule=self.rule, key=key)

    @property
    def hook_names(self) -> list[str]:
        """The hooks that are to be told, each once, in order."""
        return list(dict.fromkeys(name.strip() for name in self.hooks.split(HOOKS_SEPARATOR) if name.strip()))

    @property
    def happened_at(self) -> int:
        """When it came into its state, in microseconds since the epoch."""
        return self.fired_at if self.resolved_at is None else self.resolved_at

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """Return the alert of a row of the table."""
        assert len(row) == len(ALERT_FIELDS), f"a row of {ALERTS_NAME} has {len(ALERT_FIELDS)} values"
        return cls(*row)

    def to_row(self) -> tuple[Any, ...]:
        """Return the row of the table."""
        return tuple(getattr(self, name) for name in ALERT_FIELDS)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the alert that `to_json` wrote; what it has more than this version knows is left out."""
        values = json.loads(text)
        return cls(**{name: values.get(name) if name == "discovery_level" else values[name] for name in ALERT_FIELDS})

    def to_json(self) -> str:
        """Return the alert as the text of a JSON object."""
        return json.dumps(asdict(self))


ALERT_FIELDS = tuple(field.name for field in fields(Alert))
assert (*ALERT_KEY, *ALERT_VALUES, "generation", "version", "is_deleted") == ALERT_FIELDS


def fingerprint_of(*, generation: int, rule: str, key: Sequence[str]) -> str:
    """Return the identity of an alert's condition, as 32 hexadecimal digits.

    Parameters
    ----------
    generation
        Of the flow.
    rule
        Name of the rule.
    key
        Project, question, annotator, step and class that the condition is about, in this order; empty text for those
        it is not limited to.

    Examples
    --------
    >>> fingerprint_of(generation=0, rule="drift", key=("p", "toxicity", "ann-17", "", ""))
    '02b03ede86a0ac059645e95dba4e8565'
    """
    assert len(key) == 5, "a key is project, question, annotator, step and class"
    return _hash_of([generation, rule, *key])


def alert_id_of(*, generation: int, rule: str, key: Sequence[str], sequence: int) -> str:
    """Return the id of an alert, as 32 hexadecimal digits: the same whenever the same log is read again.

    Parameters
    ----------
    generation, rule, key
        As in `fingerprint_of`.
    sequence
        The version of the evidence with which it fired; its resolution keeps the id.
    """
    assert len(key) == 5, "a key is project, question, annotator, step and class"
    return _hash_of([generation, rule, *key, sequence])


def _hash_of(parts: list[Any]) -> str:
    text = json.dumps(parts, ensure_ascii=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=_ID_BYTES).hexdigest()
