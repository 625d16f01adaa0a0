"""How an alert reads in JSON and in a line of text, the same for all receivers that have no form of their own."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from schemas.timestamps import moment_of
from sinks.hooks.notification import Kind, Notification

SUMMARY_CHARACTERS_MAX = 1_024
_WORDS = {Kind.FIRING: "", Kind.RESOLVED: "resolved", Kind.ACKNOWLEDGED: "acknowledged"}


def alert_content(notification: Notification, *, link: str | None = None) -> dict[str, Any]:
    """Return an alert as a JSON object.

    Parameters
    ----------
    notification
        The alert, and what is told of it.
    link
        Template of the address of a page about it; see `link_of`.
    """
    alert = notification.alert
    return {
        "alert_id": alert.alert_id,
        "fingerprint": alert.fingerprint,
        "state": notification.kind.value,
        "rule": alert.rule,
        "severity": alert.severity,
        "summary": alert.summary,
        "project_id": alert.project_id,
        "question_id": alert.question_id or None,
        "annotator_id": alert.annotator_id or None,
        "step": alert.step or None,
        "label_class": alert.label_class or None,
        "signal": alert.signal or None,
        "direction": alert.direction or None,
        "action": alert.action,
        "fired_at": time_text(alert.fired_at),
        "changed_at": None if alert.changed_at is None else time_text(alert.changed_at),
        "resolved_at": None if alert.resolved_at is None else time_text(alert.resolved_at),
        "acknowledged_by": notification.by or None,
        "false_alarm_value": alert.false_alarm_value,
        "discovery_level": alert.discovery_level,
        "evidence": evidence_of(notification),
        "sequence": alert.sequence,
        "generation": alert.generation,
        "link": link_of(notification, link),
        "is_test": notification.is_test,
    }


def message_content(notifications: Sequence[Notification], *, link: str | None = None) -> dict[str, Any]:
    """Return one or several alerts as the body of a message: ``type``, ``timestamp`` and ``data``."""
    contents = [alert_content(notification, link=link) for notification in notifications]
    happened_at = time_text(max(notification.alert.happened_at for notification in notifications))
    if len(contents) == 1:
        return {"type": notifications[0].type_name, "timestamp": happened_at, "data": contents[0]}
    return {"type": "alert.group", "timestamp": happened_at, "data": {"alerts": contents}}


def summary_of(notification: Notification) -> str:
    """Return an alert in one line of at most 1,024 characters, which begins with what is told if it does not fire."""
    test, word = "test: " if notification.is_test else "", _WORDS[notification.kind]
    is_said = notification.alert.summary.startswith(word)
    line = " ".join(f"{test}{'' if is_said else word + ': '}{notification.alert.summary}".split())
    return line if len(line) <= SUMMARY_CHARACTERS_MAX else f"{line[: SUMMARY_CHARACTERS_MAX - 1]}…"


def evidence_of(notification: Notification) -> Any:
    """Return the figures of an alert; where they are no JSON, as the text they are."""
    text = notification.alert.evidence
    try:
        return json.loads(text) if text else {}
    except ValueError:
        return text


def link_of(notification: Notification, template: str | None) -> str | None:
    """Return the address of a page about an alert; None where there is no template."""
    if template is None:
        return None
    alert = notification.alert
    return template.replace("{project_id}", _quoted(alert.project_id)).replace("{alert_id}", _quoted(alert.alert_id))


def time_text(microseconds: int) -> str:
    """Return a time as RFC 3339 with milliseconds.

    >>> time_text(1_767_603_600_250_000)
    '2026-01-05T09:00:00.250Z'
    """
    return moment_of(microseconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _quoted(text: str) -> str:
    return quote(text, safe="")
