"""Executes a command, with the alert as JSON on its standard input."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import IO

from sinks.hooks.content import message_content
from sinks.hooks.http_client import json_body
from sinks.hooks.notification import BODY_CHARACTERS_MAX, Answer, Notification, Outcome, failed, one_line


class Command:
    """Runs a program without a shell; exit code 0 means that it has the alert.

    Parameters
    ----------
    command
        The program and its arguments.
    environment
        Its whole environment.
    timeout_seconds
        After so many seconds it is killed, with all that it started, above 0.
    link
        Template of the address of a page about an alert.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        timeout_seconds: float,
        link: str | None = None,
    ) -> None:
        assert command and timeout_seconds > 0
        self._command = list(command)
        self._environment = dict(environment)
        self._timeout_seconds = timeout_seconds
        self._link = link

    def deliver(self, notifications: Sequence[Notification], *, message_id: str, now: float) -> Answer:
        """Run the command to its end; the id of the message is the field ``id``."""
        content = {"id": message_id, **message_content(notifications, link=self._link)}
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output:
            given.write(json_body(content) + b"\n")
            given.seek(0)
            try:
                process = subprocess.Popen(
                    self._command,
                    stdin=given,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=self._environment,
                    start_new_session=True,
                )
            except OSError as error:
                return failed(f"the command cannot be run: {error.strerror}")
            return self._ended(process, output)

    def close(self) -> None:
        """Nothing is held."""

    def _ended(self, process: subprocess.Popen[bytes], output: IO[bytes]) -> Answer:
        try:
            code = _shell_code(process.wait(self._timeout_seconds))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return failed(f"the command was killed after {self._timeout_seconds:g} s")
        output.seek(0)
        said = output.read(BODY_CHARACTERS_MAX).decode(errors="replace")
        if code == 0:
            return Answer(Outcome.DELIVERED, code, body=said)
        return Answer(Outcome.FAILED, code, one_line(f"the command ended with exit code {code}: {said}"), body=said)


def _shell_code(code: int) -> int:
    """Return an exit code as shells tell it: 128 and the signal's number for what a signal ended.

    >>> _shell_code(3), _shell_code(-9)
    (3, 137)
    """
    return code if code >= 0 else 128 - code
