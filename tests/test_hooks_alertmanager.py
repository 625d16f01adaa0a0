"""Alerts in a real Prometheus Alertmanager."""

import base64
from pathlib import Path
from typing import Any

import pytest

from flows.hook_trial import try_hook
from flows.hooks import AlertDelivery, wall_clock
from flows.receivers import delivery_of
from schemas.hooks import HOOKS_ADAPTER
from sinks.hooks.addresses import parse_networks
from sinks.hooks.notification import Outcome
from sinks.hooks.publisher import Delivery
from sinks.hooks.traits import Suppression
from tests.support.alertmanager import running_alertmanager
from tests.support.alerts import alert_of, resolved
from tests.support.kafka.node import free_port

pytestmark = pytest.mark.alertmanager

WAIT_SECONDS = 60.0
SECRET = base64.b64encode(b"k" * 24).decode()


def alertmanager_delivery(*urls: str, **options: Any) -> dict[str, Delivery]:
    """Return a hook that sends again every second."""
    fast = {"retry_seconds": 0.05, "retry_seconds_max": 0.2, "resend_seconds": 1.0, "rate_per_minute": 60_000}
    hooks = HOOKS_ADAPTER.validate_python({"ops": {"kind": "alertmanager", "urls": urls, **fast, **options}})
    networks = parse_networks("127.0.0.0/8")
    return {"ops": delivery_of("ops", hooks["ops"], networks=networks, environment={})}


def test_alerts_are_taken_kept_apart_and_resolved(tmp_path: Path) -> None:
    """Alertmanager takes the payload, holds one alert a condition however often it is sent, tells of each firing and
    each end once, and of a condition that fires again as new."""
    with running_alertmanager(tmp_path) as alertmanager:
        delivery = AlertDelivery(
            tmp_path / "alerts.sqlite3", alertmanager_delivery(alertmanager.url), suppression=Suppression()
        )
        first, second = (alert_of(n, annotator=f"ann-{n}", fired_at=wall_clock() - 5_000_000) for n in (1, 2))
        delivery.intake.add_alerts([first, second])
        alertmanager.told.wait_until(1, seconds=WAIT_SECONDS)
        alertmanager.wait_until(lambda: set(alertmanager.statuses()) == {("firing", "ann-1"), ("firing", "ann-2")})
        held = {alert["labels"]["annotator"]: alert for alert in alertmanager.alerts()}
        assert set(held) == {"ann-1", "ann-2"}
        assert held["ann-1"]["annotations"]["alert_id"] == first.alert_id
        assert held["ann-1"]["status"]["state"] == "active"
        alertmanager.wait_until(lambda: all(one["endsAt"] > held["ann-2"]["endsAt"] for one in alertmanager.alerts()))
        delivery.intake.add_alerts([resolved(first, sequence=3, resolved_at=wall_clock())])
        alertmanager.wait_until(lambda: ("resolved", "ann-1") in alertmanager.statuses())
        assert [alert["labels"]["annotator"] for alert in alertmanager.alerts()] == ["ann-2"]
        delivery.intake.add_alerts([alert_of(4, annotator="ann-1", fired_at=wall_clock())])
        alertmanager.wait_until(lambda: len(alertmanager.alerts()) == 2)
        alertmanager.wait_until(lambda: alertmanager.statuses()[-1][0] == "firing")
        delivery.stop(seconds=WAIT_SECONDS)
    told_of_end = [status for status in alertmanager.statuses() if status == ("resolved", "ann-1")]
    assert len(told_of_end) == 1
    assert ("resolved", "ann-2") not in alertmanager.statuses()


def test_an_alertmanager_that_starts_late_or_forgets_is_told(tmp_path: Path) -> None:
    """While none answers the alert waits; one that was restarted, and has forgotten it, is told again."""
    port = free_port()
    delivery = AlertDelivery(
        tmp_path / "alerts.sqlite3", alertmanager_delivery(f"http://127.0.0.1:{port}"), suppression=Suppression()
    )
    delivery.intake.add_alerts([alert_of(1, fired_at=wall_clock())])
    for life in range(2):
        folder = tmp_path / str(life)
        folder.mkdir()
        with running_alertmanager(folder, port=port) as alertmanager:
            alertmanager.told.wait_until(1, seconds=WAIT_SECONDS)
            assert set(alertmanager.statuses()) == {("firing", "ann-17")}
    delivery.stop(seconds=0.1)


def test_a_sample_is_taken(tmp_path: Path) -> None:
    """`labelpulse hooks test` gets a success for both of its messages, and leaves nothing that fires."""
    with running_alertmanager(tmp_path) as alertmanager:
        (hook,) = alertmanager_delivery(alertmanager.url).values()
        trials = list(try_hook(hook, now=wall_clock() / 1e6))
        assert [(trial.answer.outcome, trial.answer.status_code) for trial in trials] == [(Outcome.DELIVERED, 200)] * 2
        assert alertmanager.alerts() == []
