"""Delivers what is in the outbox: a thread a hook, so that a receiver that hangs holds up nobody else."""

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from schemas.alerts import DeliveryState
from sinks.hooks.leader import Leader
from sinks.hooks.notification import Answer, Outcome, Receiver, failed
from sinks.hooks.queue import DeliveryQueue, Message
from sinks.hooks.retries import TokenBucket, backoff_seconds
from sinks.hooks.store import connect
from sinks.hooks.traits import MICROSECONDS, HookTraits

LOGGER = structlog.get_logger("labelpulse")

PAUSE_SECONDS_MIN = 0.001
RESTART_SECONDS_MAX = 60.0
POLL_SECONDS = 1.0
"""How often the outbox is looked at where nothing says that it has changed: another process may have written to it."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A hook, and how to reach its receiver.

    Parameters
    ----------
    traits
        Of the hook.
    open_receiver
        Makes the receiver; called in the thread that uses it.
    """

    traits: HookTraits
    open_receiver: Callable[[], Receiver]


class Publisher:
    """Delivers from the outbox until it is stopped. Of several processes on one outbox, one delivers at a time.

    Parameters
    ----------
    path
        The outbox.
    deliveries
        The hooks, by name.
    clock
        Microseconds since the epoch.
    seed
        Of the jitter.
    """

    def __init__(
        self,
        path: Path,
        deliveries: Mapping[str, Delivery],
        *,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000,
        seed: int | None = None,
    ) -> None:
        connect(path).close()  # made once, and not by several threads at a time
        self._leader = Leader(path)
        self._stop = threading.Event()
        self._workers = {
            name: _Worker(path, delivery, leader=self._leader, stop=self._stop, clock=clock, seed=seed)
            for name, delivery in deliveries.items()
        }

    def wake(self, hooks: set[str]) -> None:
        """Say that hooks have something to do."""
        for name in hooks:
            if name in self._workers:
                self._workers[name].wake()

    def wake_all(self) -> None:
        """Say that every hook may have something to do."""
        self.wake(set(self._workers))

    def drain(self, seconds: float) -> bool:
        """Wait until nothing is left that could be sent now, so many seconds at most; return whether that is so."""
        ends_at = time.monotonic() + seconds
        return all([worker.wait_idle(max(0.0, ends_at - time.monotonic())) for worker in self._workers.values()])

    def stop(self, seconds: float) -> None:
        """End; attempts under way are waited for, so many seconds at most. What they deliver may be sent again."""
        self._stop.set()
        self.wake_all()
        ends_at = time.monotonic() + seconds
        for worker in self._workers.values():
            worker.join(max(0.0, ends_at - time.monotonic()))
        self._leader.close()


class _Worker:
    """The thread of one hook."""

    def __init__(
        self,
        path: Path,
        delivery: Delivery,
        *,
        leader: Leader,
        stop: threading.Event,
        clock: Callable[[], int],
        seed: int | None,
    ) -> None:
        self._path = path
        self._delivery = delivery
        self._leader = leader
        self._stop = stop
        self._clock = clock
        self._rng = random.Random(seed)
        self._woken = threading.Event()
        self._idle = threading.Event()
        self._idle_lock = threading.Lock()
        self._failures_in_a_row = 0
        self._not_before = 0
        name = delivery.traits.name
        self._thread = threading.Thread(target=self._run, name=f"labelpulse-hook-{name}", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        with self._idle_lock:
            self._idle.clear()
            self._woken.set()

    def wait_idle(self, seconds: float) -> bool:
        return self._idle.wait(seconds)

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        """Work until asked to stop; whatever goes wrong in it is logged, and the work begun anew after a pause."""
        failures = 0
        while not self._stop.is_set():
            try:
                self._work()
            except Exception as error:  # it must not end the flow, nor go unnoticed
                failures += 1
                LOGGER.exception("hook_failed", hook=self._delivery.traits.name, error=type(error).__name__)
                self._stop.wait(backoff_seconds(failures, first=1.0, longest=RESTART_SECONDS_MAX, rng=self._rng))

    def _work(self) -> None:
        traits = self._delivery.traits
        connection = connect(self._path)
        receiver = self._delivery.open_receiver()
        try:
            queue = DeliveryQueue(connection, traits)
            bucket = TokenBucket(
                per_second=traits.rate_per_minute / 60.0, burst=traits.burst, now=self._clock() / MICROSECONDS
            )
            while not self._stop.is_set():
                self._woken.clear()
                seconds = self._step(queue, bucket, receiver)
                if seconds > 0:
                    self._woken.wait(min(seconds, POLL_SECONDS))
        finally:
            receiver.close()
            connection.close()

    def _step(self, queue: DeliveryQueue, bucket: TokenBucket, receiver: Receiver) -> float:
        """Send one message if there is one to be sent; return how long to wait before the next step, in seconds."""
        if not self._leader.is_leading():
            self._note_idle()
            return POLL_SECONDS
        now = self._clock()
        if now < self._not_before:
            self._note_idle()
            return (self._not_before - now) / MICROSECONDS
        wait = bucket.seconds_until_free(now / MICROSECONDS)
        message = queue.next_message(now) if wait == 0 else None
        if message is None:
            due_at = queue.next_due_at()
            if due_at is None or due_at > now:
                self._note_idle()
            pause = POLL_SECONDS if due_at is None else (due_at - now) / MICROSECONDS
            return max(pause, wait, PAUSE_SECONDS_MIN)
        bucket.take()
        self._send(queue, receiver, message)
        return 0.0

    def _note_idle(self) -> None:
        with self._idle_lock:
            if not self._woken.is_set():
                self._idle.set()

    def _send(self, queue: DeliveryQueue, receiver: Receiver, message: Message) -> None:
        answer = self._attempt(receiver, message)
        now = self._clock()
        pause_seconds = self._pause_seconds(answer, message)
        try:
            state = queue.settle(message, answer, now=now, pause_seconds=pause_seconds)
        except sqlite3.Error as error:
            LOGGER.error("hook_outcome_not_noted", hook=self._delivery.traits.name, error=str(error))
            raise
        self._tell(message, answer, state)

    def _attempt(self, receiver: Receiver, message: Message) -> Answer:
        try:
            return receiver.deliver(
                message.notifications, message_id=message.message_id, now=self._clock() / MICROSECONDS
            )
        except Exception as error:  # a bug in one receiver: the alert is kept, and tried again
            LOGGER.exception("receiver_failed", hook=self._delivery.traits.name)
            return failed(f"{type(error).__name__} in the receiver")

    def _pause_seconds(self, answer: Answer, message: Message) -> float:
        """Return when to try again, and leave the receiver alone for a while if it is in trouble."""
        traits = self._delivery.traits
        if answer.outcome is not Outcome.FAILED:
            self._failures_in_a_row = 0
            self._not_before = 0
            return 0.0
        self._failures_in_a_row += 1
        of_hook = self._backoff(self._failures_in_a_row)
        of_message = max(of_hook, self._backoff(message.failures + 1))
        if answer.retry_after_seconds is not None:
            of_hook = max(of_hook, answer.retry_after_seconds)
            of_message = max(of_message, answer.retry_after_seconds)
        self._not_before = self._clock() + round(min(of_hook, traits.give_up_seconds) * MICROSECONDS)
        return of_message

    def _backoff(self, failures: int) -> float:
        traits = self._delivery.traits
        return backoff_seconds(failures, first=traits.retry_seconds, longest=traits.retry_seconds_max, rng=self._rng)

    def _tell(self, message: Message, answer: Answer, state: str) -> None:
        if message.is_resend and answer.outcome is Outcome.DELIVERED:
            return
        log = LOGGER.info if state in (DeliveryState.DELIVERED, DeliveryState.SUPPRESSED) else LOGGER.warning
        log(
            "hook_delivery",
            hook=self._delivery.traits.name,
            state=str(state),
            message_id=message.message_id,
            alerts=len(message.notifications),
            attempt=message.failures + 1,
            status_code=answer.status_code,
            error=answer.error or None,
        )
