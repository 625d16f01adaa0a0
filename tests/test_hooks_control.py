"""People's actions: read once each from a file or a topic, and carried out while alerts are delivered."""

import json
from pathlib import Path
from typing import Any

import pytest

from flows.hooks import AlertDelivery, control_sources, open_delivery, outbox_path, wall_clock
from flows.settings import load_settings
from flows.sources.urls import KafkaSpec
from schemas.alerts import DELIVERIES_NAME
from schemas.control import CONTROL_FILE, AlertAcknowledged, parse_control_event
from schemas.errors import ConfigurationError
from schemas.hooks import HOOKS_ADAPTER
from schemas.records import RowBatch
from schemas.timestamps import moment_of
from sinks.hooks.control_file import ControlFile
from sinks.hooks.control_topic import ControlTopic
from sinks.hooks.traits import Suppression
from tests.support.alerts import NOW, alert_of
from tests.support.hooks_process import SECRET, webhook_delivery
from tests.support.receiver import running_receiver


def acknowledgement(alert_id: str) -> bytes:
    """Return a control event as the monitor writes it."""
    event = AlertAcknowledged(
        type="alert.acknowledged", event_id="e1", occurred_at=moment_of(NOW), by="kim", alert_id=alert_id
    )
    return event.model_dump_json(exclude_none=True).encode() + b"\n"


def test_control_events_survive_a_round_trip() -> None:
    """What the monitor writes is what is read here."""
    event = parse_control_event(acknowledgement("a1"))
    assert isinstance(event, AlertAcknowledged) and (event.alert_id, event.occurred_at) == ("a1", moment_of(NOW))


def test_a_file_is_read_in_whole_lines_and_once(tmp_path: Path) -> None:
    """A line that is being written waits for its end; a file that was begun anew is read from its beginning."""
    path = tmp_path / CONTROL_FILE
    source = ControlFile(path)
    assert source.read(None) == ([], None)
    path.write_bytes(b"one\n\ntwo\nthr")
    lines, position = source.read(None)
    assert lines == [b"one", b"two"]
    with path.open("ab") as file:
        file.write(b"ee\n")
    assert source.read(position)[0] == [b"three"]
    assert ControlFile(path).read(source.read(position)[1])[0] == []
    path.write_bytes(b"new\n")
    assert source.read("999")[0] == [b"new"]


def test_an_acknowledgement_from_the_file_reaches_the_receiver(tmp_path: Path) -> None:
    """Said while the flow runs, it is told to the hook that was told of the alert; after a restart not again."""
    alert, file = alert_of(1, fired_at=wall_clock()), tmp_path / CONTROL_FILE
    with running_receiver() as receiver:
        for _ in range(2):
            delivery = AlertDelivery(
                tmp_path / "alerts.sqlite3", webhook_delivery(receiver.url), suppression=Suppression(),
                control=[ControlFile(file)],
            )  # fmt: skip
            delivery.intake.add_alerts([alert])
            receiver.wait_until(1)
            if not file.exists():
                file.write_bytes(b"not JSON\n" + acknowledgement(alert.alert_id))
            receiver.wait_until(2)
            delivery.stop(seconds=10)
    assert [json.loads(request.body)["type"] for request in receiver.accepted] == ["alert.firing", "alert.acknowledged"]
    assert json.loads(receiver.accepted[1].body)["data"]["acknowledged_by"] == "kim"


def settings_of(**values: Any) -> Any:
    """Return settings."""
    return load_settings(values).settings


def test_where_the_outbox_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the recovery directory, never in it: the engine takes files there for its own; or by the data."""
    monkeypatch.chdir(tmp_path)
    assert outbox_path(settings_of(recovery=tmp_path / "state")) == tmp_path / "state-alerts.sqlite3"
    assert outbox_path(settings_of()) == tmp_path / "labelpulse-data" / "alerts.sqlite3"
    assert outbox_path(settings_of(outbox=tmp_path / "o")) == tmp_path / "o"


def test_where_actions_come_from(tmp_path: Path) -> None:
    """The file in the recovery directory; with Kafka the topic as well, unless that is none."""
    kafka = KafkaSpec("127.0.0.1:1", "events")
    found = control_sources(settings_of(recovery=tmp_path), kafka)
    assert [source.name for source in found] == ["file:control.jsonl", "kafka:labelpulse.control"]
    assert control_sources(settings_of(control_topic="none"), kafka) == []


def test_a_topic_that_cannot_be_reached_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read, and nothing raised; it is looked for again later."""
    monkeypatch.setattr("sinks.hooks.control_topic.LIST_SECONDS", 0.2)
    topic = ControlTopic(brokers="127.0.0.1:1")
    assert topic.read(None) == ([], None) == topic.read(None)
    topic.close()


def test_a_flow_delivers_by_its_settings_and_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hooks as a policy holds them, secrets from the environment; a replay sends nothing and leaves a trace."""
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    settings = settings_of(
        recovery=tmp_path / "state", clickhouse=f"chdb://{tmp_path}/db", hook_networks_allowed="127.0.0.0/8"
    )
    with running_receiver() as receiver:
        hooks = HOOKS_ADAPTER.validate_python(
            {"ops": {"kind": "webhook", "url": receiver.url, "secret": "env:HOOK_SECRET"}}
        )
        monkeypatch.setattr("flows.hooks.TABLES", {})  # this test has no database
        for is_replay, number in ((True, 1), (False, 2)):
            delivery = open_delivery(settings, hooks, is_replay=is_replay)
            slot = delivery.sink().build_part("alerts", "alerts-00", None)
            alert = alert_of(number, annotator=f"ann-{number}", fired_at=wall_clock())
            slot.write_batch([RowBatch({"alerts_versions": [alert.to_row()], DELIVERIES_NAME: [("other",)]})])
            slot.snapshot()
            slot.close()
            delivery.stop(seconds=10)
    assert [json.loads(request.body)["data"]["annotator_id"] for request in receiver.accepted] == ["ann-2"]


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        ({"kind": "webhook", "url": "https://10.0.0.1/", "secret": "env:S"}, "hook ops: .*no public address"),
        ({"kind": "webhook", "url": "https://example.com/", "secret": "env:ABSENT"}, "hook ops: .*ABSENT is empty"),
        ({"kind": "webhook", "url": "https://example.com/", "secret": "env:SHORT"}, "hook ops: .*not base64"),
        ({"kind": "slack", "url": "file:/no/such/file"}, "hook ops: .*cannot be read"),
        ({"kind": "slack", "url": "env:S"}, "hook ops: .*not over HTTPS"),
        ({"kind": "alertmanager", "urls": ["http://alertmanager:9093"]}, "hook ops: .*not encrypted"),
    ],
)
def test_what_is_wrong_with_a_hook_is_told_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: dict[str, Any], reason: str
) -> None:
    """A missing secret or an address that may not be called, with the hook's name and without the secret."""
    monkeypatch.setenv("S", SECRET)
    monkeypatch.setenv("SHORT", "c2hvcnQ=")
    with pytest.raises(ConfigurationError, match=reason) as refused:
        open_delivery(settings_of(recovery=tmp_path), HOOKS_ADAPTER.validate_python({"ops": hook}))
    assert SECRET not in refused.value.message
