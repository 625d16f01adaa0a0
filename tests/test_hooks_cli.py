"""``labelpulse hooks``: where alerts go, and whether a hook works."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.cli.failures import ExitCode
from flows.cli.main import run_arguments
from flows.hooks import outbox_path
from flows.settings import load_settings
from tests.support.alerts import Bench, alert_of
from tests.support.hooks_process import SECRET
from tests.support.receiver import Receiver, running_receiver


@pytest.fixture
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Receiver], Path]:
    """Write a policy with hooks of several kinds, one of which leads to a receiver."""
    monkeypatch.setenv("HOOK_SECRET", SECRET)

    def write(receiver: Receiver) -> Path:
        path = tmp_path / "policy.yaml"
        path.write_text(
            "rules: []\nhooks:\n"
            f"  ops: {{kind: webhook, url: '{receiver.url}?key=hunter2', secret: 'env:HOOK_SECRET'}}\n"
            "  chat: {kind: slack, url: 'file:/run/secrets/slack'}\n"
            "  shell: {kind: command, command: [cat, '-']}\n"
        )
        return path

    return write


def call(*words: str | Path) -> int:
    """Run the command with this machine's addresses allowed."""
    return run_arguments(["hooks", *map(str, words), "--set", "hook_networks_allowed=127.0.0.0/8"])


def test_a_hook_is_tried_and_its_answer_shown(
    policy: Callable[[Receiver], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A sample that says that it is one, then its resolution, each once and signed; the answer is shown."""
    with running_receiver() as receiver:
        assert call("test", "ops", "--policy", policy(receiver)) == ExitCode.OK
    shown = capsys.readouterr().out.splitlines()
    assert [line.partition(" ms")[0].rpartition(",")[0] for line in shown] == [
        "firing: delivered, status 204", "resolved: delivered, status 204",
    ]  # fmt: skip
    bodies = [json.loads(request.body) for request in receiver.requests]
    assert [(body["type"], body["data"]["is_test"]) for body in bodies] == [
        ("alert.firing", True), ("alert.resolved", True),
    ]  # fmt: skip
    assert all("webhook-signature" in request.headers for request in receiver.requests)


def test_a_hook_that_fails_is_told_and_not_tried_again(
    policy: Callable[[Receiver], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code says so, and the line why; the address's secret part is not shown."""
    with running_receiver(500, 404) as receiver:
        assert call("test", "ops", "--policy", policy(receiver)) == ExitCode.FAILED
        assert len(receiver.requests) == 2
    shown = capsys.readouterr()
    assert "firing: failed, status 500" in shown.out and "500 Internal Server Error" in shown.out
    assert "hunter2" not in shown.out + shown.err


def test_a_command_is_tried_too(policy: Callable[[Receiver], Path], capsys: pytest.CaptureFixture[str]) -> None:
    """What it says is shown."""
    with running_receiver() as receiver:
        assert call("test", "shell", "--policy", policy(receiver)) == ExitCode.OK
    assert '"is_test":true' in capsys.readouterr().out


def test_a_hook_that_does_not_exist_is_told(
    policy: Callable[[Receiver], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Together with those that do; a missing secret is told by the hook's name."""
    with running_receiver() as receiver:
        assert call("test", "opps", "--policy", policy(receiver)) == ExitCode.REFUSED
        assert "its hooks are: chat, ops, shell" in capsys.readouterr().err
        assert call("test", "--policy", policy(receiver)) == ExitCode.REFUSED
        assert call("test", "chat", "--policy", policy(receiver)) == ExitCode.REFUSED
    assert "hook chat: the secret in /run/secrets/slack cannot be read" in capsys.readouterr().err


def test_hooks_are_listed_with_how_their_deliveries_go(
    policy: Callable[[Receiver], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kind, place without secrets, and numbers of the outbox where there is one."""
    recovery = tmp_path / "state"
    bench = Bench(outbox_path(load_settings({"recovery": recovery}).settings))
    bench.take(alert_of(1), alert_of(2, annotator="b"))
    bench.send_all()
    bench.take(alert_of(3, annotator="c"))
    with running_receiver() as receiver:
        assert call("list", "--policy", policy(receiver), "--recovery", recovery) == ExitCode.OK
    shown = capsys.readouterr().out
    (ops,) = (line for line in shown.splitlines() if line.startswith("ops"))
    assert ops.split() == ["ops", "webhook", f"http://127.0.0.1:{receiver.port}", "in", "use", "1", "2", "0"]
    assert "file:/run/secrets/slack" in shown and "hunter2" not in shown
