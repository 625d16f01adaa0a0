"""Threads that take turns: one runs at a time, a seed decides which is next, and waiting costs virtual time only.

Code that waits on conditions and events of the module ``threading`` runs unchanged once `Turns.taking_over` has put
these in their place: greenlets. So what threads do to one another is the same each time, and a crash can end them
anywhere.
"""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType, SimpleNamespace
from unittest import mock

from greenlet import GreenletExit, getcurrent, greenlet


class Deadlock(AssertionError):
    """All threads wait for one another."""


class Participant:
    """A thread as `Turns` sees it."""

    def __init__(self, name: str, body: greenlet) -> None:
        self.name = name
        self.body = body
        self.is_runnable = True
        self.is_done = self.was_woken = False
        self.deadline: float | None = None


class Turns:
    """Lets one thread run at a time; the one that makes it is the main one.

    Parameters
    ----------
    rng
        Decides who is next.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._main = self.current = Participant("main", getcurrent())
        self._others: list[Participant] = []
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
            stack.callback(self._kill_all)
            yield

    def give_way(self) -> None:
        """Let another thread go on, perhaps; this one can go on as well."""
        self._pass_on()

    def fail(self, error: BaseException) -> None:
        """Let the main thread raise an error, from whichever thread this is called."""
        if self.current is self._main:
            raise error
        self._failure = error
        self._switch_to(self._main)

    def start(self, name: str, target: Callable[[], object]) -> Participant:
        """Begin a thread; it runs at a later turn."""

        def run() -> None:
            try:
                target()
            except Exception as error:
                self._failure = error
            thread.is_done, thread.is_runnable = True, False
            self._switch_to(self._main if self._failure is not None else self._next())

        thread = Participant(name, greenlet(run))
        self._others.append(thread)
        return thread

    def block(self, timeout: float | None) -> bool:
        """Wait until woken, True, or until the time has passed, False."""
        thread = self.current
        thread.is_runnable, thread.was_woken = False, False
        thread.deadline = None if timeout is None else self.now + max(timeout, 0.0)
        self._pass_on()
        return thread.was_woken

    def wake(self, thread: Participant) -> None:
        """Let a waiting thread go on at its next turn."""
        if not thread.is_runnable and not thread.is_done:
            thread.is_runnable, thread.was_woken, thread.deadline = True, True, None

    def _pass_on(self) -> None:
        self._switch_to(self._next())

    def _next(self) -> Participant:
        runnable = [thread for thread in (self._main, *self._others) if thread.is_runnable]
        return self._rng.choice(runnable) if runnable else self._next_in_time()

    def _next_in_time(self) -> Participant:
        waiting = [thread for thread in (self._main, *self._others) if thread.deadline is not None]
        if not waiting:
            self._failure = Deadlock("every thread waits for another one")
            return self._main
        first = min(waiting, key=lambda thread: thread.deadline or 0.0)
        assert first.deadline is not None
        self.now = max(self.now, first.deadline)
        first.is_runnable, first.deadline = True, None
        return first

    def _switch_to(self, thread: Participant) -> None:
        before, self.current = self.current, thread
        if thread is not before:
            thread.body.switch()
        if before is self._main and self._failure is not None:
            self._main.is_runnable, self._main.deadline = True, None
            error, self._failure = self._failure, None
            raise error

    def _kill_all(self) -> None:
        """End all threads but the main one, as the end of their process would."""
        assert self.current is self._main
        for thread in self._others:
            thread.is_done = True
            if thread.body:
                thread.body.parent = self._main.body
                thread.body.throw(GreenletExit)
        self._others.clear()


class _Thread:
    def __init__(self, turns: Turns, *, target: Callable[[], object], name: str = "", daemon: bool = True) -> None:
        self._turns = turns
        self._target = target
        self._name = name
        self._participant: Participant | None = None
        self._over = _Event(turns)

    def start(self) -> None:
        self._participant = self._turns.start(self._name, self._run)

    def join(self, timeout: float | None = None) -> None:
        self._over.wait(timeout)

    def is_alive(self) -> bool:
        return self._participant is not None and not self._over.is_set()

    def _run(self) -> None:
        self._target()
        self._over.set()


class _Condition:
    """Needs no lock: nothing else runs until the thread that holds it waits."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._waiting: list[Participant] = []

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
