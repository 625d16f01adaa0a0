"""Threads that take turns: one runs at a time, a seed decides which is next, and waiting costs virtual time only.

Code that waits on conditions and events of the module ``threading`` runs unchanged once `Turns.taking_over` has put
these in their place. So what threads do to one another is the same each time, and a crash can end them anywhere.
"""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock


class Killed(BaseException):
    """Ends a thread as the end of its process would."""


class Deadlock(AssertionError):
    """All threads wait for one another."""


class Turns:
    """Lets one thread run at a time.

    Parameters
    ----------
    rng
        Decides who is next.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._main = _Participant("main")
        self._current = self._main
        self._others: list[_Participant] = []
        self._failure: BaseException | None = None
        self.now = 0.0

    def clock(self) -> float:
        """Return the virtual seconds."""
        return self.now

    @contextmanager
    def taking_over(self, *modules: ModuleType) -> Iterator[None]:
        """Let modules use these threads while the block runs; those that are left at its end are killed."""
        stand_in = SimpleNamespace(
            Condition=lambda: _Condition(self),
            Event=lambda: _Event(self),
            Lock=threading.Lock,
            Thread=lambda **options: _Thread(self, **options),
        )
        with ExitStack() as stack:
            for module in modules:
                stack.enter_context(mock.patch.object(module, "threading", stand_in))
            stack.callback(self.kill_all)
            yield

    def give_way(self) -> None:
        """Let another thread go on, perhaps; this one can go on as well."""
        self._pass_on()

    def fail(self, error: BaseException) -> None:
        """Let the main thread raise an error, from wherever this is called."""
        self._failure = error
        if self._current is self._main:
            raise self._taken_failure()
        self._main.deadline, self._main.is_runnable = None, True
        self._switch_to(self._main)

    def kill_all(self) -> None:
        """End all threads but the main one at once."""
        assert self._current is self._main
        for thread in self._others:
            if not thread.is_done:
                thread.is_killed = True
                self._current = thread
                thread.baton.release()
                assert thread.thread is not None
                thread.thread.join()
        self._current = self._main
        self._others.clear()

    def begin(self, thread: "_Participant") -> None:
        """Let a thread have turns from now on."""
        self._others.append(thread)

    def end(self, thread: "_Participant", error: BaseException | None) -> None:
        """Take a thread out, from within it."""
        thread.is_done, thread.is_runnable = True, False
        for waiting in thread.joined_by:
            self.wake(waiting)
        if thread.is_killed:
            return
        if error is not None:
            self._failure = error
            self._main.is_runnable = True
        self._pass_on(is_over=True)

    def block(self, timeout: float | None) -> bool:
        """Wait until woken, True, or until the time has passed, False."""
        thread = self._current
        if thread.is_killed:
            raise Killed
        thread.is_runnable, thread.was_woken = False, False
        thread.deadline = None if timeout is None else self.now + max(timeout, 0.0)
        self._pass_on()
        return thread.was_woken

    def wake(self, thread: "_Participant") -> None:
        """Let a waiting thread go on at its next turn."""
        if not thread.is_runnable and not thread.is_done:
            thread.is_runnable, thread.was_woken, thread.deadline = True, True, None

    @property
    def current(self) -> "_Participant":
        """The thread that runs."""
        return self._current

    def _pass_on(self, *, is_over: bool = False) -> None:
        runnable = [thread for thread in (self._main, *self._others) if thread.is_runnable]
        if not runnable:
            runnable = [self._next_in_time()]
        self._switch_to(runnable[0] if len(runnable) == 1 else self._rng.choice(runnable), is_over=is_over)

    def _next_in_time(self) -> "_Participant":
        waiting = [thread for thread in (self._main, *self._others) if thread.deadline is not None]
        if not waiting:
            self._failure = Deadlock("every thread waits for another one")
            self._main.is_runnable = True
            return self._main
        first = min(waiting, key=lambda thread: thread.deadline or 0.0)
        assert first.deadline is not None
        self.now = max(self.now, first.deadline)
        first.is_runnable, first.deadline = True, None
        return first

    def _switch_to(self, thread: "_Participant", *, is_over: bool = False) -> None:
        before = self._current
        if thread is not before:
            self._current = thread
            thread.baton.release()
            if not is_over:
                before.baton.acquire()
        if before.is_killed:
            raise Killed
        if before is self._main and self._failure is not None:
            raise self._taken_failure()

    def _taken_failure(self) -> BaseException:
        assert self._failure is not None
        error, self._failure = self._failure, None
        return error


class _Participant:
    """A thread as `Turns` sees it; it runs while it holds its baton."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.baton = threading.Lock()
        self.baton.acquire()
        self.thread: threading.Thread | None = None
        self.is_runnable = True
        self.is_done = self.is_killed = self.was_woken = False
        self.deadline: float | None = None
        self.joined_by: list[_Participant] = []


class _Thread:
    def __init__(self, turns: Turns, *, target: Callable[[], object], name: str = "", daemon: bool = True) -> None:
        self._turns = turns
        self._target = target
        self._participant = _Participant(name)

    def start(self) -> None:
        self._participant.thread = threading.Thread(target=self._run, name=self._participant.name, daemon=True)
        self._participant.thread.start()
        self._turns.begin(self._participant)

    def join(self, timeout: float | None = None) -> None:
        if not self._participant.is_done:
            self._participant.joined_by.append(self._turns.current)
            self._turns.block(timeout)

    def is_alive(self) -> bool:
        return not self._participant.is_done

    def _run(self) -> None:
        self._participant.baton.acquire()
        error: BaseException | None = None
        try:
            if not self._participant.is_killed:
                self._target()
        except Killed:
            pass
        except BaseException as raised:
            error = raised
        self._turns.end(self._participant, error)


class _Condition:
    """Needs no lock: nothing else runs until the thread that holds it waits."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._waiting: list[_Participant] = []

    def __enter__(self) -> bool:
        return True

    def __exit__(self, *_: object) -> None:
        return None

    def wait(self, timeout: float | None = None) -> bool:
        me = self._turns.current
        self._waiting.append(me)
        try:
            return self._turns.block(timeout)
        finally:
            if me in self._waiting:
                self._waiting.remove(me)

    def notify_all(self) -> None:
        for thread in self._waiting:
            self._turns.wake(thread)
        self._waiting.clear()

    notify = notify_all


class _Event:
    def __init__(self, turns: Turns) -> None:
        self._condition = _Condition(turns)
        self._is_set = False

    def set(self) -> None:
        self._is_set = True
        self._condition.notify_all()

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout: float | None = None) -> bool:
        if not self._is_set:
            self._condition.wait(timeout)
        return self._is_set


def running_threads(turns: Turns) -> list[Any]:
    """Return the names of the threads that have not ended."""
    return [thread.name for thread in turns._others if not thread.is_done]
