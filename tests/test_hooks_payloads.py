"""What each receiver is sent: the forms that they document, and signatures that others can check."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest

from flows.gateway.signatures import SignatureError, verify_standard_webhook
from schemas.errors import ConfigurationError
from sinks.hooks.addresses import parse_networks
from sinks.hooks.alertmanager import Alertmanager, alertmanager_alert
from sinks.hooks.cloudevents_kafka import cloud_event
from sinks.hooks.command import Command
from sinks.hooks.content import summary_of
from sinks.hooks.http_client import HttpClient
from sinks.hooks.label_studio import LabelStudio
from sinks.hooks.notification import Kind, Notification, Outcome
from sinks.hooks.pagerduty import EVENT_BYTES_MAX, PagerDuty, pagerduty_event
from sinks.hooks.slack import Slack, slack_message
from sinks.hooks.traits import MICROSECONDS
from sinks.hooks.webhook import Webhook, key_of
from tests.support.alerts import NOW, alert_of, resolved
from tests.support.receiver import running_receiver

SECONDS = NOW / MICROSECONDS
SECRET, OLD_SECRET = "whsec_" + base64.b64encode(b"k" * 24).decode(), base64.b64encode(b"o" * 24).decode()
LINK = "https://labelpulse.example/{project_id}/alerts/{alert_id}"


def client_of() -> HttpClient:
    """Return a client that may call this machine."""
    return HttpClient(networks=parse_networks("127.0.0.0/8"), timeout_seconds=10.0)


def firing(**columns: Any) -> Notification:
    """Return a notification of a firing alert."""
    return Notification(alert_of(7, **columns), Kind.FIRING)


def ended(**columns: Any) -> Notification:
    """Return the notification of its end, a minute later."""
    alert = resolved(alert_of(7, **columns), sequence=9, resolved_at=NOW + 60 * MICROSECONDS)
    return Notification(alert, Kind.RESOLVED)


def test_a_webhook_is_signed_as_the_standard_says() -> None:
    """Id, time and the exact bytes are signed with each secret; a change of any of them shows."""
    with running_receiver(500) as receiver:
        webhook = Webhook(client_of(), url=receiver.url, secrets=[SECRET, OLD_SECRET], link=LINK)
        for attempt in range(2):
            webhook.deliver([firing()], message_id="m_1", now=SECONDS + attempt)
        webhook.close()
    first, second = receiver.requests
    assert first.body == second.body and first.headers["webhook-id"] == second.headers["webhook-id"] == "m_1"
    assert int(second.headers["webhook-timestamp"]) == int(first.headers["webhook-timestamp"]) + 1
    for request in receiver.requests:
        signed = f"m_1.{request.headers['webhook-timestamp']}.".encode() + request.body
        expected = [
            "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
            for key in (b"k" * 24, b"o" * 24)
        ]
        assert request.headers["webhook-signature"].split(" ") == expected
        for secret in (SECRET, OLD_SECRET):
            verify_standard_webhook(request.body, request.headers, [secret], now=SECONDS)
        with pytest.raises(SignatureError):
            verify_standard_webhook(request.body + b" ", request.headers, [SECRET], now=SECONDS)


def test_a_webhook_tells_all_of_an_alert() -> None:
    """Type, time of what happened, and the alert with its figures as values; a group holds each of its alerts."""
    with running_receiver() as receiver:
        webhook = Webhook(client_of(), url=receiver.url, secrets=[SECRET], link=LINK)
        webhook.deliver([firing()], message_id="m_1", now=SECONDS)
        webhook.deliver([firing(), ended()], message_id="m_2", now=SECONDS)
        webhook.close()
    one, several = (json.loads(request.body) for request in receiver.requests)
    assert (one["type"], one["timestamp"]) == ("alert.firing", "2027-01-15T08:00:00.000Z")
    assert one["data"]["evidence"] == {"before": 0.04, "after": 0.19}
    assert one["data"]["link"] == f"https://labelpulse.example/p1/alerts/{alert_of(7).alert_id}"
    assert {name: one["data"][name] for name in ("project_id", "annotator_id", "label_class", "resolved_at")} == {
        "project_id": "p1", "annotator_id": "ann-17", "label_class": None, "resolved_at": None,
    }  # fmt: skip
    assert one["data"]["sequence"] == 7 and one["data"]["is_test"] is False
    assert (several["type"], several["timestamp"]) == ("alert.group", "2027-01-15T08:01:00.000Z")
    assert [alert["state"] for alert in several["data"]["alerts"]] == ["firing", "resolved"]


@pytest.mark.parametrize("secret", ["", "whsec_", "not base64!", base64.b64encode(b"short").decode()])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    """What is no base64 of enough bytes is a mistake of configuration, which does not repeat it."""
    with pytest.raises(ConfigurationError) as refused:
        key_of(secret)
    assert not secret or secret not in refused.value.message


def test_slack_shows_texts_as_they_are() -> None:
    """Nobody is mentioned and nothing linked by what stands in labels; there is a text for notifications."""
    message = slack_message([firing(annotator="<!channel> & co", summary="a < b & c > d\nsecond line")], link=LINK)
    assert message["text"] == "a &lt; b &amp; c &gt; d second line"
    (block,) = message["blocks"]
    assert (block["type"], block["text"]["type"]) == ("section", "mrkdwn")
    assert "annotator &lt;!channel&gt; &amp; co" in block["text"]["text"] and "<!channel>" not in block["text"]["text"]
    assert (
        f"<https://labelpulse.example/p1/alerts/{alert_of(7, annotator='<!channel> & co').alert_id}|Details>"
        in (block["text"]["text"])
    )


def test_a_line_says_what_is_told_once() -> None:
    """Of an end and an acknowledgement the line says so, unless the summary does; a sample says that it is one."""
    lines = [
        summary_of(notification)
        for notification in (
            firing(summary="a"), ended(summary="a"), ended(summary="resolved after 5 min: a"),
            Notification(alert_of(1, summary="a"), Kind.ACKNOWLEDGED), replace(firing(summary="a"), is_test=True),
        )
    ]  # fmt: skip
    assert lines == ["a", "resolved: a", "resolved after 5 min: a", "acknowledged: a", "test: a"]


def test_slack_gets_one_message_for_a_group_within_its_limits() -> None:
    """At most 50 blocks of 3,000 characters, an alert each, whatever the alerts say."""
    message = slack_message([firing(summary="x" * 5_000, annotator="y" * 256)] * 50)
    assert len(message["blocks"]) == 50 and message["text"].startswith("50 alerts, the first: ")
    assert all(0 < len(block["text"]["text"]) <= 3_000 for block in message["blocks"])
    with running_receiver() as receiver:
        slack = Slack(client_of(), url=receiver.url)
        assert slack.deliver([firing(), ended()], message_id="m", now=SECONDS).outcome is Outcome.DELIVERED
        slack.close()
    assert set(json.loads(receiver.requests[0].body)) == {"text", "blocks"}


def test_pagerduty_events_have_the_documented_form() -> None:
    """An incident an alert: triggered with all that is known, acknowledged and resolved under the same key."""
    trigger = pagerduty_event(firing(), routing_key="R", source="labelpulse", link=LINK)
    page = f"https://labelpulse.example/p1/alerts/{alert_of(7).alert_id}"
    assert {name: value for name, value in trigger.items() if name != "payload"} == {
        "routing_key": "R", "event_action": "trigger", "dedup_key": alert_of(7).alert_id, "client": "labelpulse",
        "client_url": page, "links": [{"href": page, "text": "Details"}],
    }  # fmt: skip
    payload = trigger["payload"]
    assert payload.pop("custom_details")["evidence"] == {"before": 0.04, "after": 0.19}
    assert payload == {
        "summary": alert_of(7).summary, "source": "labelpulse", "severity": "warning",
        "timestamp": "2027-01-15T08:00:00.000Z", "component": "ann-17", "group": "p1", "class": "accuracy-drop",
    }  # fmt: skip
    acknowledged = Notification(alert_of(7), Kind.ACKNOWLEDGED, by="kim")
    actions = [pagerduty_event(one, routing_key="R", source="s") for one in (acknowledged, ended())]
    assert actions == [
        {"routing_key": "R", "event_action": action, "dedup_key": alert_of(7).alert_id}
        for action in ("acknowledge", "resolve")
    ]


def test_pagerduty_events_stay_within_their_limits() -> None:
    """A summary of 1,024 characters, an event of 512,000 bytes: too long evidence is left out, which is told."""
    long = firing(summary="s" * 3_000, evidence=json.dumps({"all": "e" * 600_000}))
    assert len(pagerduty_event(long, routing_key="R", source="s")["payload"]["summary"]) == 1_024
    with running_receiver(202) as receiver:
        pagerduty = PagerDuty(client_of(), url=receiver.url, routing_key="R", source="s")
        assert pagerduty.deliver([long], message_id="m", now=SECONDS).outcome is Outcome.DELIVERED
        pagerduty.close()
    (request,) = receiver.requests
    assert len(request.body) < EVENT_BYTES_MAX
    assert json.loads(request.body)["payload"]["custom_details"]["evidence"] == "left out: too long"


def test_alertmanager_labels_are_an_identity() -> None:
    """Two firings of one condition have the same labels, with no figure in them; what is empty is left out."""
    alerts = [
        alertmanager_alert(
            Notification(alert_of(sequence, summary=f"{sequence} errors"), Kind.FIRING), now=SECONDS,
            holds_seconds=300, labels={"team": "quality", "project": "mine"},
        )
        for sequence in (7, 8)
    ]  # fmt: skip
    assert alerts[0]["labels"] == alerts[1]["labels"] == {
        "alertname": "accuracy-drop", "severity": "warning", "project": "p1", "question": "toxicity",
        "annotator": "ann-17", "step": "annotate", "team": "quality",
    }  # fmt: skip
    assert alerts[0]["annotations"]["summary"] == "7 errors"
    assert (alerts[0]["startsAt"], alerts[0]["endsAt"]) == ("2027-01-15T08:00:00.000Z", "2027-01-15T08:05:00.000Z")


def test_alertmanager_times_are_never_ahead_of_the_sender() -> None:
    """A clock of events that runs ahead gives no alert that starts, or was resolved, in the future, nor ends before."""
    ahead = ended(fired_at=NOW + 3_600 * MICROSECONDS)
    alert = alertmanager_alert(ahead, now=SECONDS, holds_seconds=300)
    assert alert["startsAt"] == alert["endsAt"] == "2027-01-15T08:00:00.000Z"


def test_one_alertmanager_of_a_cluster_is_enough() -> None:
    """All are told; it is delivered if one took it, and failed with all reasons if none did."""
    with running_receiver(500, 500) as down, running_receiver(200) as up:
        urls = [receiver.url for receiver in (down, up)]
        cluster = Alertmanager(client_of(), urls=urls, resend_seconds=60, authorization="Bearer t")
        assert cluster.deliver([firing()], message_id="m", now=SECONDS).outcome is Outcome.DELIVERED
        up.faults.append(503)
        failed = cluster.deliver([firing()], message_id="m", now=SECONDS)
        cluster.close()
    assert (failed.outcome, failed.error) == (
        Outcome.FAILED, "500 Internal Server Error; 503 Service Unavailable"
    )  # fmt: skip
    assert {request.headers["authorization"] for request in up.requests + down.requests} == {"Bearer t"}
    assert up.requests[0].path == "/hook/api/v2/alerts"


def test_cloud_events_have_the_required_attributes() -> None:
    """Id, source, specversion and type, and an order that text can be sorted by."""
    event, end = cloud_event(firing(), source="/labelpulse"), cloud_event(ended(), source="/labelpulse")
    assert {name: value for name, value in event.items() if name != "data"} == {
        "specversion": "1.0", "id": f"{alert_of(7).alert_id}_firing", "source": "/labelpulse",
        "type": "labelpulse.alert.firing", "subject": "ann-17", "time": "2027-01-15T08:00:00.000Z",
        "datacontenttype": "application/json", "partitionkey": "p1", "sequence": "00000000000000000007",
    }  # fmt: skip
    assert end["sequence"] > event["sequence"] and end["id"] != event["id"]
    assert all(name.isalnum() and name.islower() for name in event)


def test_label_studio_pauses_whom_a_rule_recommends_to_pause() -> None:
    """One request with the reason in words; nothing for other actions, for ends, for ids that Label Studio has not."""
    paused = firing(project_id="31", annotator="7", action="pause")
    with running_receiver(201) as receiver:
        studio = LabelStudio(client_of(), url=receiver.url + "/", token="t", scheme="Token", reason="BEHAVIOR_BASED")
        outcomes = [
            studio.deliver([notification], message_id="m", now=SECONDS).outcome
            for notification in (
                paused, firing(action="check"), Notification(paused.alert, Kind.RESOLVED),
                replace(paused, is_test=True), firing(project_id="31", annotator="7/../8", action="pause"),
            )
        ]  # fmt: skip
        studio.close()
    assert outcomes == [Outcome.DELIVERED, *[Outcome.NOT_APPLICABLE] * 3, Outcome.REFUSED]
    (request,) = receiver.requests
    assert request.path == "/hook/api/projects/31/members/7/pauses/"
    assert request.headers["authorization"] == "Token t"
    assert json.loads(request.body) == {"reason": "BEHAVIOR_BASED", "verbose_reason": paused.alert.summary}


def command_of(*words: str, **options: Any) -> Command:
    """Return a receiver that runs a program."""
    return Command(words, **{"environment": {"PATH": "/usr/bin:/bin"}, "timeout_seconds": 30.0, **options})


def test_a_command_gets_the_alert_and_its_own_environment_only() -> None:
    """JSON of one line on standard input, with an id; variables that it is not given it does not see."""
    told = command_of("cat").deliver([firing()], message_id="m_1", now=SECONDS)
    assert told.outcome is Outcome.DELIVERED
    assert told.body.count("\n") == 1
    content = json.loads(told.body)
    assert (content["id"], content["type"], content["data"]["annotator_id"]) == ("m_1", "alert.firing", "ann-17")
    seen = command_of("env", environment={"PATH": "/usr/bin:/bin", "TEAM": "q"}).deliver(
        [firing()], message_id="m", now=SECONDS
    )
    assert sorted(seen.body.split()) == ["PATH=/usr/bin:/bin", "TEAM=q"]


def test_a_command_that_fails_is_tried_again_and_one_that_hangs_is_killed() -> None:
    """Another exit code than 0 is a failure with what it said; after the time it is killed with all it started."""
    failure = command_of("sh", "-c", "echo no such room; exit 3").deliver([firing()], message_id="m", now=SECONDS)
    assert (failure.outcome, failure.status_code) == (Outcome.FAILED, 3)
    assert failure.error == "the command ended with exit code 3: no such room"
    hangs = command_of("sh", "-c", "sleep 600 & wait", timeout_seconds=0.2)
    assert hangs.deliver([firing()], message_id="m", now=SECONDS).error == "the command was killed after 0.2 s"
    missing = command_of("no-such-program").deliver([firing()], message_id="m", now=SECONDS)
    assert (missing.outcome, missing.error) == (
        Outcome.FAILED, "the command cannot be run: No such file or directory"
    )  # fmt: skip
