"""Keeps a command running: starts it again after a failure, ever later, and gives up loudly if that does not help."""

import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

from flows.drain import handling_signals
from schemas.errors import SupervisionError

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class RestartLimits:
    """How often and how soon a command is started again.

    Parameters
    ----------
    restarts_max
        With more failures within the window the supervisor gives up; ≥ 0.
    window_seconds
        How far back failures are counted, > 0.
    backoff_seconds, backoff_seconds_max
        Pause before the first restart of a window, > 0; it doubles with each further one, up to the most.
    """

    restarts_max: int
    window_seconds: float
    backoff_seconds: float = 1.0
    backoff_seconds_max: float = 60.0

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after so many failures within the window, at least 1.

        >>> [RestartLimits(9, 600.0).pause(failures) for failures in (1, 2, 3, 9)]
        [1.0, 2.0, 4.0, 60.0]
        """
        return min(self.backoff_seconds * 2.0 ** (failures - 1), self.backoff_seconds_max)


class Supervisor:
    """Runs a command in a process of its own, again and again.

    It ends with the command when that ends well, is asked to end, or fails in a way that no restart mends. SIGTERM and
    SIGINT are passed on as SIGTERM, and the command's own end is waited for, however long its drain takes.

    Parameters
    ----------
    command
        The program and its arguments.
    limits
        When to give up.
    final_codes
        Exit codes after which there is no restart, 0 among them.
    tell
        Takes a line for people.
    clock
        Monotonic seconds.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        limits: RestartLimits,
        final_codes: frozenset[int],
        tell: Tell,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        assert 0 in final_codes
        self._command = list(command)
        self._limits = limits
        self._final_codes = final_codes
        self._tell = tell
        self._clock = clock
        self._asked = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._failed_at: deque[float] = deque()

    def run(self) -> int:
        """Run the command until it is done; return its exit code.

        Raises
        ------
        SupervisionError
            If it fails too often.
        """
        with handling_signals(self._ask):
            while True:
                code = self._run_once()
                if code in self._final_codes or self._asked.is_set():
                    return code
                pause = self._pause_after(code)
                if self._asked.wait(pause):
                    return 0

    def _run_once(self) -> int:
        self._child = subprocess.Popen(self._command)
        if self._asked.is_set():
            self._child.send_signal(signal.SIGTERM)
        return self._child.wait()

    def _pause_after(self, code: int) -> float:
        """Note a failure; return how long to wait before the next start."""
        now, limits = self._clock(), self._limits
        self._failed_at.append(now)
        while self._failed_at[0] < now - limits.window_seconds:
            self._failed_at.popleft()
        failures = len(self._failed_at)
        if failures > limits.restarts_max:
            raise SupervisionError(
                f"the flow failed {failures} times within {limits.window_seconds:g} s and is not started again; "
                f"it ended with {told_code(code)}",
                remedy="mend what the flow's own last lines tell of, then start it again: it goes on where it was",
            )
        pause = limits.pause(failures)
        self._tell(
            f"the flow ended with {told_code(code)}: restart {failures} of at most {limits.restarts_max} within "
            f"{limits.window_seconds:g} s, in {pause:g} s"
        )
        return pause

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked.set()
        if self._child is not None and self._child.returncode is None:
            self._child.send_signal(signal.SIGTERM)


def told_code(code: int) -> str:
    """Return an exit code in words.

    >>> told_code(1), told_code(-9)
    ('exit code 1', 'signal SIGKILL')
    """
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
