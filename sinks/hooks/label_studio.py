"""Label Studio Enterprise: pauses the annotator of an alert whose rule recommends that."""

from collections.abc import Sequence

from schemas.alerts import Action
from sinks.hooks.content import summary_of
from sinks.hooks.http_client import HttpClient, json_body
from sinks.hooks.notification import Answer, Kind, Notification, Outcome


class LabelStudio:
    """Pauses annotators; people let them go on, never this.

    Parameters
    ----------
    client
        Sends the requests.
    url
        Base address of Label Studio.
    token
        Of a user who may pause others.
    scheme
        How the token is presented: ``Token`` or ``Bearer``.
    reason
        One of the reasons that Label Studio knows.
    """

    def __init__(self, client: HttpClient, *, url: str, token: str, scheme: str, reason: str) -> None:
        self._client = client
        self._url = url.rstrip("/")
        self._authorization = f"{scheme} {token}"
        self._reason = reason

    def deliver(self, notifications: Sequence[Notification], *, message_id: str, now: float) -> Answer:
        """Pause the annotator, where the alert fires and its rule recommends it."""
        (notification,) = notifications
        alert = notification.alert
        if notification.is_test:
            return Answer(Outcome.NOT_APPLICABLE, error="a test pauses nobody: address and token were not tried")
        if notification.kind is not Kind.FIRING or alert.action != Action.PAUSE:
            return Answer(Outcome.NOT_APPLICABLE, error="the rule does not recommend to pause the annotator")
        if not (_is_number(alert.annotator_id) and _is_number(alert.project_id)):
            return Answer(Outcome.REFUSED, error="project and annotator are not numbers, as Label Studio's are")
        body = json_body({"reason": self._reason, "verbose_reason": summary_of(notification)})
        path = f"/api/projects/{alert.project_id}/members/{alert.annotator_id}/pauses/"
        return self._client.post(self._url + path, body=body, headers={"authorization": self._authorization})

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
