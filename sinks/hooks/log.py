"""Alerts in the log of the flow."""

from collections.abc import Sequence

import structlog

from sinks.hooks.content import summary_of, time_text
from sinks.hooks.notification import Answer, Kind, Notification, Outcome

LOGGER = structlog.get_logger("labelpulse")


class Log:
    """Writes a line an alert: a warning while it fires, else for information."""

    def deliver(self, notifications: Sequence[Notification], *, message_id: str, now: float) -> Answer:
        """Write the lines."""
        for notification in notifications:
            alert = notification.alert
            write = LOGGER.warning if notification.kind is Kind.FIRING else LOGGER.info
            write(
                "alert",
                state=notification.kind.value,
                rule=alert.rule,
                severity=alert.severity,
                summary=summary_of(notification),
                project_id=alert.project_id,
                annotator_id=alert.annotator_id or None,
                happened_at=time_text(alert.happened_at),
                alert_id=alert.alert_id,
            )
        return Answer(Outcome.DELIVERED)

    def close(self) -> None:
        """Nothing is held."""
