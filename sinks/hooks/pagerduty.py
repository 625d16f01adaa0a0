"""Incidents in PagerDuty, by its Events API v2."""

from collections.abc import Sequence
from typing import Any

from sinks.hooks.content import alert_content, link_of, summary_of, time_text
from sinks.hooks.http_client import HttpClient, json_body
from sinks.hooks.notification import Answer, Kind, Notification

EVENT_BYTES_MAX = 512_000
_ACTIONS = {Kind.FIRING: "trigger", Kind.ACKNOWLEDGED: "acknowledge", Kind.RESOLVED: "resolve"}


class PagerDuty:
    """Triggers, acknowledges and resolves an incident for each alert; PagerDuty tells repetitions by the alert's id.

    Parameters
    ----------
    client
        Sends the requests.
    url
        Of the API.
    routing_key
        The service's integration key.
    source
        The affected system.
    link
        Template of the address of a page about an alert.
    """

    def __init__(self, client: HttpClient, *, url: str, routing_key: str, source: str, link: str | None = None) -> None:
        self._client = client
        self._url = url
        self._routing_key = routing_key
        self._source = source
        self._link = link

    def deliver(self, notifications: Sequence[Notification], *, message_id: str, now: float) -> Answer:
        """Send one event."""
        (notification,) = notifications
        event = pagerduty_event(notification, routing_key=self._routing_key, source=self._source, link=self._link)
        body = json_body(event)
        if len(body) > EVENT_BYTES_MAX:
            event["payload"]["custom_details"]["evidence"] = "left out: too long"
            body = json_body(event)
        return self._client.post(self._url, body=body, headers={})

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()


def pagerduty_event(
    notification: Notification, *, routing_key: str, source: str, link: str | None = None
) -> dict[str, Any]:
    """Return the event of a notification."""
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": _ACTIONS[notification.kind],
        "dedup_key": notification.alert.alert_id,
    }
    if notification.kind is not Kind.FIRING:
        return event
    alert = notification.alert
    event["payload"] = {
        "summary": summary_of(notification),
        "source": source,
        "severity": alert.severity,
        "timestamp": time_text(alert.fired_at),
        "component": alert.annotator_id or alert.question_id or alert.project_id,
        "group": alert.project_id,
        "class": alert.rule,
        "custom_details": alert_content(notification, link=link),
    }
    event["client"] = "labelpulse"
    if (page := link_of(notification, link)) is not None:
        event["client_url"] = page
        event["links"] = [{"href": page, "text": "Details"}]
    return event
