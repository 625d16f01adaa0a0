"""`labelpulse policy test`: recorded events through the real fold, and the alerts that a policy would have raised."""

import gzip
import json
from pathlib import Path

import pytest

from flows.cli.main import run_arguments
from flows.dry_run import alerts_of
from flows.policy import parse_policy
from flows.settings import Settings
from schemas.alerts import Alert
from schemas.timestamps import moment_of
from tests.support.rules import SECOND, START

POLICY = """\
rules:
  - name: weak
    when: {signal: accuracy, below: 0.6}
    evidence: {gold_labels: 5}
  - name: skips
    when: {signal: skips_in_a_row, at_least: 3}
"""


def line(index: int, kind: str, **fields: object) -> bytes:
    """Return an event."""
    event = {"type": kind, "event_id": f"e{index}", "source": "test", "project_id": "p", "question_id": "q"}
    moment = moment_of(START + index * SECOND).isoformat()
    return json.dumps(event | {"occurred_at": moment, "item_id": f"i{index % 20}"} | fields).encode()


def log() -> list[bytes]:
    """Return gold of twenty items, ten wrong answers, ten right ones, three skips and a line that is no event."""
    label = {value: {"kind": "categorical", "value": value} for value in ("yes", "no")}
    lines = [line(index, "gold.set", answers=[{"label": label["yes"]}]) for index in range(20)]
    for index in range(20, 40):
        answer = label["no" if index < 30 else "yes"]
        lines.append(line(index, "annotation.submitted", annotator_id="ann", annotation_id=f"a{index}", label=answer))
    lines += [line(index, "annotation.skipped", annotator_id="ann") for index in range(40, 43)]
    return [*lines, b"{"]


def told(alerts: list[Alert]) -> list[tuple[str, str]]:
    """Return rule and state of alerts."""
    return [(alert.rule, alert.state) for alert in alerts]


@pytest.mark.parametrize("records", [1, 7, 10_000])
def test_the_real_fold_raises_the_alerts_whatever_the_batches(tmp_path: Path, monkeypatch, records: int):
    """Low accuracy fires at the fifth answer, skips at the third, in files that may be packed, cut as it may be."""
    monkeypatch.setattr("flows.dry_run.RECORDS_PER_BATCH", records)
    lines = log()
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines[:30]))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b"\n".join(lines[30:]) + b"\n"))
    alerts = list(alerts_of(parse_policy(POLICY.encode(), name="p"), tmp_path, Settings()))
    assert told(alerts) == [("weak", "firing"), ("skips", "firing")]
    assert [alert.fired_at for alert in alerts] == [START + 24 * SECOND, START + 42 * SECOND]
    assert alerts[0].summary == "ann in 'q': accuracy is 0 % (below 60 %)"


def test_the_command_lists_alerts(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Alerts are lines of text, or of JSON with all of their figures; how many there were goes to standard error."""
    policy, events = tmp_path / "policy.yaml", tmp_path / "events.jsonl"
    policy.write_text(POLICY)
    events.write_bytes(b"\n".join(log()))
    assert run_arguments(["policy", "test", str(policy), "--events", str(events)]) == 0
    output = capsys.readouterr()
    assert "p firing (warning, weak): ann in 'q': accuracy is 0 % (below 60 %)" in output.out
    assert "2 alerts would have been raised, 0 of them resolved" in output.err
    assert run_arguments(["policy", "test", str(policy), "--events", str(events), "--format", "json"]) == 0
    alerts = [Alert.from_json(text) for text in capsys.readouterr().out.splitlines()]
    assert told(alerts) == [("weak", "firing"), ("skips", "firing")]
    assert run_arguments(["policy", "test", str(policy), "--events", str(tmp_path / "none")]) == 3
