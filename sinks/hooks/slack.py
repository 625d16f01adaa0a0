"""Messages to a channel of Slack, or of what takes Slack's messages."""

from collections.abc import Sequence
from typing import Any

from sinks.hooks.content import link_of, summary_of, time_text
from sinks.hooks.http_client import HttpClient, json_body
from sinks.hooks.notification import Answer, Kind, Notification

BLOCKS_MAX = 50
TEXT_CHARACTERS_MAX = 2_900
"""Slack takes 3,000 in a section."""
_SIGNS = {"critical": ":red_circle:", "error": ":red_circle:", "warning": ":large_orange_circle:"}
_SIGNS_OF_KINDS = {Kind.RESOLVED: ":large_green_circle:", Kind.ACKNOWLEDGED: ":eyes:"}


class Slack:
    """Posts alerts as messages; several of a group in one.

    Parameters
    ----------
    client
        Sends the requests.
    url
        The incoming webhook's address.
    link
        Template of the address of a page about an alert.
    """

    def __init__(self, client: HttpClient, *, url: str, link: str | None = None) -> None:
        self._client = client
        self._url = url
        self._link = link

    def deliver(self, notifications: Sequence[Notification], *, message_id: str, now: float) -> Answer:
        """Post one message. Slack has no ids: one that was posted though its answer got lost is posted again."""
        body = json_body(slack_message(notifications, link=self._link))
        return self._client.post(self._url, body=body, headers={})

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()


def slack_message(notifications: Sequence[Notification], *, link: str | None = None) -> dict[str, Any]:
    """Return the message: a line of text for notifications, and a block an alert."""
    assert len(notifications) <= BLOCKS_MAX
    blocks = [
        {"type": "section", "text": {"type": "mrkdwn", "text": _section(notification, link)}}
        for notification in notifications
    ]
    first = escaped(summary_of(notifications[0]))
    text = first if len(notifications) == 1 else f"{len(notifications)} alerts, the first: {first}"
    return {"text": text, "blocks": blocks}


def escaped(text: str) -> str:
    """Return a text as Slack shows it as it is: nobody is mentioned, nothing is linked.

    >>> escaped("<!channel> a & b")
    '&lt;!channel&gt; a &amp; b'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _section(notification: Notification, link: str | None) -> str:
    alert = notification.alert
    sign = _SIGNS_OF_KINDS.get(notification.kind) or _SIGNS.get(alert.severity, ":large_blue_circle:")
    page = link_of(notification, link)
    parts = [
        f"{sign} *{escaped(alert.rule)}* ({escaped(alert.severity)}): {escaped(summary_of(notification))}",
        _details(notification),
    ]
    if page is not None:
        parts.append(f"<{escaped(page)}|Details>")
    return "\n".join(part for part in parts if part)[:TEXT_CHARACTERS_MAX]


def _details(notification: Notification) -> str:
    alert = notification.alert
    named = {
        "project": alert.project_id, "question": alert.question_id, "annotator": alert.annotator_id,
        "step": alert.step, "class": alert.label_class, "recommended": alert.action, "by": notification.by,
    }  # fmt: skip
    details = [f"{name} {escaped(value)[:200]}" for name, value in named.items() if value]
    return " · ".join([*details, f"{time_text(alert.happened_at)}"])
