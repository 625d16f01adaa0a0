"""Refused records over the HTTP API: mended, appended to the log again and noted, by whoever may."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.monitor import control_writer
from flows.replays import LogReplays, log_replays
from flows.settings import Settings
from monitor.api.access import read_tokens
from schemas.control import DeadLetterReplayed, parse_control_event
from schemas.rows import DEAD_LETTERS, PROJECTS
from sinks.clickhouse.client import connect
from tests.support.clickhouse_rows import migrated, row, write
from tests.support.monitoring import Caller, served, submitted

TOXIC, ALL, LOOKING = "toxicity-token-0123456789", "all-token-0123456789", "looking-token-0123456789"
WHOLE = submitted("toxicity").encode()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log that records are appended to; its last line has no end."""
    path = tmp_path_factory.mktemp("log") / "log.jsonl"
    path.write_text("first")
    return path


@pytest.fixture(scope="module")
def control() -> list[bytes]:
    """Control events that were written."""
    return []


@pytest.fixture(scope="module")
def monitor(tmp_path_factory: pytest.TempPathFactory, log: Path, control: list[bytes]) -> Iterator[Caller]:
    """A monitor with tokens, over three refused records."""
    folder = tmp_path_factory.mktemp("replays")
    tokens = folder / "tokens"
    tokens.write_text(f"toxic {TOXIC} toxicity act\nlead {ALL} * act\nviewer {LOOKING} *\n")
    letters = [
        row(DEAD_LETTERS, offset=3, project_id=None, payload=b'{"half": \xff', payload_bytes=10),
        row(DEAD_LETTERS, offset=4, project_id="toxicity", payload=WHOLE, payload_bytes=len(WHOLE)),
        row(DEAD_LETTERS, offset=5, project_id="toxicity", payload=WHOLE[:9], payload_bytes=len(WHOLE)),
    ]
    with migrated(folder / "db") as (dsn, _):
        write(dsn, {DEAD_LETTERS: letters, PROJECTS: [row(PROJECTS, project_id="toxicity")]})
        replays = LogReplays(lambda: connect(dsn), log=f"file:{log}", options={})
        with served(
            lambda: connect(dsn), tokens=read_tokens(tokens), write_control=control.append, replays=replays, hosts=()
        ) as caller:
            yield caller


def replayed(monitor: Caller, *, token: str = ALL, **asked: Any) -> Any:
    """Return the response to a replay of a record of the log."""
    body = {"stream": "log", "partition": 0, "offset": 4, "reason": "mended", **asked}
    return monitor.ask("/api/v1/actions/replay", method="POST", token=token, json=body)


def test_a_record_is_appended_and_noted(monitor: Caller, log: Path, control: list[bytes]) -> None:
    """As it is, or with its text replaced; the event of control tells which record, who and why."""
    control.clear()
    assert replayed(monitor, token=TOXIC).status == 201
    assert replayed(monitor, offset=3, payload=submitted("sentiment")).status == 201
    assert log.read_text().splitlines() == ["first", submitted("toxicity"), submitted("sentiment")]
    first, second = (parse_control_event(event) for event in control)
    assert isinstance(first, DeadLetterReplayed) and isinstance(second, DeadLetterReplayed)
    assert (first.offset, first.project_id, first.is_changed, first.by) == (4, "toxicity", False, "toxic")
    assert (second.offset, second.project_id, second.is_changed, second.comment) == (3, "sentiment", True, "mended")
    assert monitor.ask("/api/v1/session", token=ALL).json()["may_replay"] is True


@pytest.mark.parametrize(
    ("asked", "status", "told"),
    [
        ({"offset": 3}, 409, "still no event"), ({"offset": 5}, 409, "bytes were kept"),
        ({"offset": 9}, 404, "no record was refused"), ({"stream": "other"}, 404, "no record was refused"),
        ({"payload": "{}"}, 409, "still no event"), ({"token": LOOKING}, 403, "may look, not act"),
        ({"token": TOXIC, "offset": 3, "payload": submitted("toxicity")}, 403, "does not open"),
        ({"token": TOXIC, "payload": submitted("sentiment")}, 403, "does not open"), ({"reason": ""}, 422, "reason"),
    ],
)  # fmt: skip
def test_what_may_not_be_replayed_is_told(
    monitor: Caller, log: Path, control: list[bytes], asked: dict[str, Any], status: int, told: str
) -> None:
    """No event, cut, not there, somebody else's project before or after: refused, and nothing is written."""
    control.clear()
    before = log.read_text()
    response = replayed(monitor, **asked)
    assert response.status == status, response.data
    assert told in response.json()["detail"]
    assert (log.read_text(), control) == (before, [])


def test_actions_go_where_the_flow_reads_them(tmp_path: Path) -> None:
    """A plain file can be appended to, a simulated stream cannot; actions need a topic or a recovery directory."""
    plain = tmp_path / "log.jsonl"
    plain.touch()
    assert log_replays(Settings(source=f"file:{plain}"), connect) is not None
    assert log_replays(Settings(source="kafka://nowhere:1/events"), connect) is not None
    for source in ("simulate:events=1", "-", f"file:{tmp_path}", None):
        assert log_replays(Settings(source=source), connect) is None
    assert control_writer(Settings(source=f"file:{plain}")) is None
    assert control_writer(Settings(source="kafka://nowhere:1/events")) is not None
    write = control_writer(Settings(source="kafka://nowhere:1/events", control_topic="none", recovery=tmp_path))
    assert write is not None
    write(b"{}")
    assert (tmp_path / "control.jsonl").read_bytes() == b"{}\n"
