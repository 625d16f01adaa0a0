"""Tries a hook: sends it a sample, which says that it is one, and returns what it answered."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from schemas.alerts import Action, Alert, AlertState, Severity, alert_id_of
from sinks.hooks.notification import Answer, Kind, Notification
from sinks.hooks.publisher import Delivery
from sinks.hooks.traits import MICROSECONDS

SAMPLE_RULE = "sample"
SAMPLE_KEY = ("example", "toxicity", "ann-17", "annotate", "")
SAMPLE_SUMMARY = (
    "ann-17 in 'toxicity': errors 4 % → 19 % since about 14:05 UTC, 46 judgements after the change;"
    " mostly 'mild' labelled 'none'"
)


@dataclass(frozen=True, slots=True)
class Trial:
    """One message of a trial.

    Parameters
    ----------
    kind
        What was told.
    answer
        What came back.
    seconds
        How long it took.
    """

    kind: Kind
    answer: Answer
    seconds: float


def try_hook(delivery: Delivery, *, now: float) -> Iterator[Trial]:
    """Send a sample that fires, and its resolution if the hook is told of those; nothing is sent again.

    Parameters
    ----------
    delivery
        The hook.
    now
        Unix seconds.
    """
    receiver = delivery.open_receiver()
    kinds = [Kind.FIRING, Kind.RESOLVED] if delivery.traits.send_resolved else [Kind.FIRING]
    try:
        for kind in kinds:
            notification = Notification(sample_alert(kind, now=round(now * MICROSECONDS)), kind, is_test=True)
            began = time.monotonic()
            answer = receiver.deliver([notification], message_id=notification.message_id, now=now)
            yield Trial(kind, answer, time.monotonic() - began)
    finally:
        receiver.close()


def sample_alert(kind: Kind, *, now: int) -> Alert:
    """Return an alert that nobody has to act on.

    Parameters
    ----------
    kind
        Whether it fires or is resolved.
    now
        Microseconds since the epoch; the time it fired.
    """
    is_resolved = kind is Kind.RESOLVED
    return Alert(
        project_id=SAMPLE_KEY[0],
        alert_id=alert_id_of(generation=0, rule=SAMPLE_RULE, key=SAMPLE_KEY, sequence=now),
        rule=SAMPLE_RULE,
        severity=Severity.INFO,
        question_id=SAMPLE_KEY[1],
        annotator_id=SAMPLE_KEY[2],
        step=SAMPLE_KEY[3],
        label_class=SAMPLE_KEY[4],
        state=AlertState.RESOLVED if is_resolved else AlertState.FIRING,
        sequence=now + is_resolved,
        fired_at=now,
        resolved_at=now if is_resolved else None,
        changed_at=now,
        signal="accuracy",
        direction="worse",
        summary=SAMPLE_SUMMARY,
        evidence='{"before": 0.04, "after": 0.19, "judgements_after": 46}',
        action=Action.CHECK,
        hooks="",
        false_alarm_value=2.0e6,
        discovery_level=5.0e-6,
        generation=0,
        version=now + is_resolved,
        is_deleted=0,
    )
