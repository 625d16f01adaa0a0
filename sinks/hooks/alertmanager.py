"""Prometheus Alertmanager, by its API v2.

Labels are an alert's identity there, so they hold whom it is about and never a figure. A firing alert says until when
it holds, and is sent again before that, so that it ends by itself should the flow be gone for long.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sinks.hooks.content import evidence_of, link_of, summary_of, time_text
from sinks.hooks.http_client import HttpClient, json_body
from sinks.hooks.notification import Answer, Kind, Notification, Outcome, one_line
from sinks.hooks.traits import MICROSECONDS

PATH = "/api/v2/alerts"
RESEND_RESOLVED_SECONDS = 300.0
HOLDS_RESENDS = 4
HOLDS_SECONDS_MIN = 300.0


class Alertmanager:
    """Posts alerts to each instance of a cluster; it is enough if one takes them, as they are sent again.

    Parameters
    ----------
    client
        Sends the requests.
    urls
        Base address of each instance, at least one.
    resend_seconds
        How often firing alerts are sent again, above 0.
    authorization
        Value of the header; None for none.
    labels
        Added to each alert's labels.
    link
        Template of the address of a page about an alert.
    """

    def __init__(
        self,
        client: HttpClient,
        *,
        urls: Sequence[str],
        resend_seconds: float,
        authorization: str | None = None,
        labels: Mapping[str, str] = {},  # noqa: B006
        link: str | None = None,
    ) -> None:
        assert urls and resend_seconds > 0
        self._client = client
        self._urls = [url.rstrip("/") + PATH for url in urls]
        self._holds_seconds = max(HOLDS_RESENDS * resend_seconds, HOLDS_SECONDS_MIN)
        self._headers = {} if authorization is None else {"authorization": authorization}
        self._labels = labels
        self._link = link

    def deliver(self, notifications: Sequence[Notification], *, message_id: str, now: float) -> Answer:
        """Post alerts to all instances."""
        alerts = [
            alertmanager_alert(
                notification, now=now, holds_seconds=self._holds_seconds, labels=self._labels, link=self._link
            )
            for notification in notifications
        ]
        body = json_body(alerts)
        answers = [self._client.post(url, body=body, headers=self._headers) for url in self._urls]
        taken = [answer for answer in answers if answer.outcome is Outcome.DELIVERED]
        if taken:
            return taken[0]
        errors = one_line("; ".join(answer.error for answer in answers))
        first = next((answer for answer in answers if answer.outcome is Outcome.FAILED), answers[0])
        return Answer(first.outcome, first.status_code, errors, first.retry_after_seconds, first.body)

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()


def alertmanager_alert(
    notification: Notification,
    *,
    now: float,
    holds_seconds: float,
    labels: Mapping[str, str] = {},  # noqa: B006
    link: str | None = None,
) -> dict[str, Any]:
    """Return an alert as the API takes it.

    Parameters
    ----------
    notification
        What is told.
    now
        Unix seconds. No time lies after it but the end of a firing alert.
    holds_seconds
        A firing alert ends so many seconds from now, unless it is sent again.
    labels, link
        As in `Alertmanager`.
    """
    alert = notification.alert
    starts_at = min(alert.fired_at, round(now * MICROSECONDS))
    if notification.kind is Kind.RESOLVED:
        ends_at = max(starts_at, min(alert.happened_at, round(now * MICROSECONDS)))
    else:
        ends_at = round((now + holds_seconds) * MICROSECONDS)
    identity = {
        "alertname": alert.rule, "severity": alert.severity, "project": alert.project_id,
        "question": alert.question_id, "annotator": alert.annotator_id, "step": alert.step,
        "class": alert.label_class, "test": "true" if notification.is_test else "",
    }  # fmt: skip
    annotations = {
        "summary": summary_of(notification), "alert_id": alert.alert_id, "action": alert.action or "",
        "evidence": one_line(str(evidence_of(notification))),
    }  # fmt: skip
    page = link_of(notification, link)
    return {
        "labels": {**labels, **{name: value for name, value in identity.items() if value}},
        "annotations": {name: value for name, value in annotations.items() if value},
        "startsAt": time_text(starts_at),
        "endsAt": time_text(ends_at),
        **({} if page is None else {"generatorURL": page}),
    }
