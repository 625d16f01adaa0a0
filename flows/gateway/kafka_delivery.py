"""Delivery to Kafka, with a spool that takes over while the brokers do not answer in time.

Three modes, so that events of a project keep their order::

    DIRECT ──no acknowledgement in time──▶ SPOOLING ──spool nearly forwarded──▶ HANDOVER ──all forwarded──▶ DIRECT
                                              ▲──────────no end in time───────────┘

In DIRECT an event is given to Kafka; in SPOOLING to the spool, whose events are forwarded meanwhile; in HANDOVER new
ones wait a moment for the last of the spool. An event that was given to Kafka and then, for want of an answer, to the
spool as well is delivered twice, with the same id and no other before it that came later.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import IntEnum
from functools import partial

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from flows.gateway.delivery import KAFKA, KeyedLine, SpoolFiles, SpoolMaker
from flows.gateway.metrics import Metrics
from flows.gateway.refusals import RequestError
from schemas.errors import ErrorCode
from sinks.spool.spool import SpooledEvents

POLL_SECONDS = 0.002
IDLE_POLL_SECONDS = 1.0
FULL_QUEUE_SECONDS = 0.02
RETRY_SECONDS = (0.2, 10.0)
HANDOVER_BYTES_MAX = 1_048_576

_log = logging.getLogger("labelpulse.gateway")


class Mode(IntEnum):
    """How events become durable just now."""

    DIRECT = 0
    SPOOLING = 1
    HANDOVER = 2


class _Project(msgspec.Struct):
    project_id: str


class _Ticket:
    """The events of one request, on their way."""

    __slots__ = ("deadline", "done", "events", "left")

    def __init__(self, events: Sequence[KeyedLine], done: "asyncio.Future[None]", deadline: float) -> None:
        self.events = events
        self.done = done
        self.deadline = deadline
        self.left = len(events)


class KafkaDelivery:
    """Events go to a topic, keyed by their project; see the module for when they go to the spool.

    Everything but the spool's writing happens on the loop: the client calls back from `poll`, which never waits.

    Parameters
    ----------
    producer
        A client that keeps the order of messages and never gives one up.
    make_producer
        Makes another one, should it fail for good.
    topic
        Name of the topic.
    spool_of
        Makes the spool.
    metrics
        Where events are counted.
    acknowledge_seconds
        How long the brokers may take before the spool takes over, above 0.
    """

    def __init__(
        self,
        producer: Producer,
        *,
        make_producer: Callable[[], Producer],
        topic: str,
        spool_of: SpoolMaker,
        metrics: Metrics,
        acknowledge_seconds: float,
    ) -> None:
        assert acknowledge_seconds > 0
        self._producer = producer
        self._make_producer = make_producer
        self._topic = topic
        self._spool_of = spool_of
        self._metrics = metrics
        self._acknowledge_seconds = acknowledge_seconds
        self._mode = Mode.DIRECT
        self._pending: dict[_Ticket, None] = {}
        self._unanswered = 0
        self._is_stopped = False
        self._is_poll_near = False
        self._read_project = msgspec.json.Decoder(_Project).decode
        self._timer: asyncio.TimerHandle | None = None
        self._forwarding: asyncio.Task[None] | None = None
        metrics.watch("mode", "0: events go to Kafka; 1: to the spool; 2: about to go to Kafka.", lambda: self._mode)
        metrics.watch("spool_bytes", "Bytes that wait in the spool.", lambda: self._files.spool.bytes_held)

    @property
    def mode(self) -> Mode:
        """How events become durable just now."""
        return self._mode

    async def start(self) -> None:
        """Open the spool; what is in it goes first."""
        self._loop = asyncio.get_running_loop()
        self._files = SpoolFiles(self._spool_of, self._metrics)
        if self._files.spool.bytes_held:
            self._mode = Mode.SPOOLING
            self._begin_forwarding()
        self._poll_soon()

    async def stop(self) -> None:
        """End: what waits in the spool stays there for the next start."""
        self._is_stopped = True
        if self._forwarding is not None and not self._forwarding.done():
            self._forwarding.cancel()
            with suppress(asyncio.CancelledError):
                await self._forwarding
        if self._timer is not None:
            self._timer.cancel()
        self._files.close()
        self._producer.purge()

    async def deliver(self, events: Sequence[KeyedLine]) -> None:
        """Return once events are acknowledged by all replicas, or on the disk."""
        ticket = _Ticket(events, self._loop.create_future(), self._loop.time() + self._acknowledge_seconds)
        if self._mode is Mode.SPOOLING:
            self._files.append(ticket.events, ticket.done)
        else:
            self._pending[ticket] = None
            if self._mode is Mode.DIRECT:
                self._send(ticket)
            self._poll_soon()
        await ticket.done

    def obstacle(self) -> str:
        """Return why nothing could be made durable now; empty if it could."""
        return self._files.obstacle() if self._mode is Mode.SPOOLING else ""

    # Direct

    def _send(self, ticket: _Ticket) -> None:
        told = partial(self._on_delivery, ticket)
        for key, line in ticket.events:
            try:
                self._producer.produce(self._topic, line, key, on_delivery=told)
            except (BufferError, KafkaException) as error:
                if not self._is_too_large(ticket, error):
                    self._fall_back(str(error))
                return
            self._unanswered += 1

    def _on_delivery(self, ticket: _Ticket, error: KafkaError | None, _: Message) -> None:
        self._unanswered -= 1
        if ticket not in self._pending:
            return  # the spool has it
        if error is not None:
            if not self._is_too_large(ticket, KafkaException(error)):
                self._fall_back(error.str())
            return
        ticket.left -= 1
        if not ticket.left:
            del self._pending[ticket]
            self._metrics.stored(KAFKA, len(ticket.events))
            if not ticket.done.done():
                ticket.done.set_result(None)

    def _is_too_large(self, ticket: _Ticket, error: Exception) -> bool:
        """Tell whether the brokers take no message of such a size; then that is the answer."""
        if not (isinstance(error, KafkaException) and error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE):
            return False
        del self._pending[ticket]
        if not ticket.done.done():
            ticket.done.set_exception(
                RequestError(413, ErrorCode.OVERSIZED, "an event is larger than the topic of Kafka takes")
            )
        return True

    def _poll_soon(self) -> None:
        """Poll again in a moment if answers are due, else now and then."""
        if self._is_stopped or self._is_poll_near:
            return  # a poll that is due is never put off, however fast requests come
        if self._timer is not None:
            self._timer.cancel()
        self._is_poll_near = bool(self._unanswered or self._pending)
        self._timer = self._loop.call_later(POLL_SECONDS if self._is_poll_near else IDLE_POLL_SECONDS, self._poll)

    def _poll(self) -> None:
        self._is_poll_near = False
        try:
            self._producer.poll(0)
            oldest = next(iter(self._pending), None)
            if oldest is not None and oldest.deadline <= self._loop.time():
                self._fall_back(f"no acknowledgement within {self._acknowledge_seconds:g} s")
        finally:
            self._poll_soon()

    # Spooling

    def _fall_back(self, reason: str) -> None:
        """Let the spool take what has not been acknowledged, in the order in which it came, and all that follows."""
        if self._mode is not Mode.SPOOLING:
            self._mode = Mode.SPOOLING
            self._metrics.fell_back()
            _log.warning("events go to the spool %s: %s", self._files.spool.folder, reason)
        pending, self._pending = self._pending, {}
        for ticket in pending:
            self._files.append(ticket.events, ticket.done)
        self._begin_forwarding()

    def _begin_forwarding(self) -> None:
        if not self._is_stopped and (self._forwarding is None or self._forwarding.done()):
            self._forwarding = self._loop.create_task(self._forward())
            self._forwarding.add_done_callback(self._forwarding_ended)

    async def _forward(self) -> None:
        """Forward the spool until it is empty, then have events go to Kafka again."""
        retry_seconds = RETRY_SECONDS[0]
        while True:
            is_idle = self._files.is_idle
            events = await asyncio.to_thread(self._files.spool.read)
            if events.lines and await self._publish(events.lines):
                self._forwarded(events)
                retry_seconds = RETRY_SECONDS[0]
            elif events.lines:
                await asyncio.sleep(retry_seconds)
                retry_seconds = min(2 * retry_seconds, RETRY_SECONDS[1])
            elif not is_idle:
                await asyncio.sleep(POLL_SECONDS)
            elif self._mode is Mode.SPOOLING:
                self._mode = Mode.HANDOVER
            elif self._go_direct():
                return

    def _forwarding_ended(self, task: "asyncio.Task[None]") -> None:
        """Begin again after an error, such as one of the disk."""
        if task.cancelled() or task.exception() is None:
            return
        _log.error("the spool cannot be forwarded; trying again", exc_info=task.exception())
        self._loop.call_later(RETRY_SECONDS[1], self._begin_forwarding)

    def _forwarded(self, events: SpooledEvents) -> None:
        self._files.spool.set_forwarded(events.end)
        self._metrics.forwarded(len(events.lines))
        if self._files.spool.bytes_held <= HANDOVER_BYTES_MAX:
            self._mode = Mode.HANDOVER

    def _go_direct(self) -> bool:
        """Give Kafka what waited for the spool; return whether all is well with it."""
        self._mode = Mode.DIRECT
        _log.info("the spool is forwarded; events go to the topic %s", self._topic)
        for ticket in list(self._pending):
            if self._mode is Mode.DIRECT:
                self._send(ticket)
        self._poll_soon()
        return self._mode is Mode.DIRECT

    async def _publish(self, lines: list[bytes]) -> bool:
        """Give spooled events to Kafka in order; return whether it has all of them."""
        batch = _Batch(len(lines), self._loop.create_future())
        for line in lines:
            key = self._key_of(line)
            if key is None:
                batch.told(None)
                continue
            while not self._give(line, key, partial(self._on_forwarded, batch, line)):
                self._poll_soon()
                await asyncio.sleep(FULL_QUEUE_SECONDS)
        self._poll_soon()
        if await batch.done:
            return True
        if batch.is_fatal:
            _log.error("the client of Kafka has failed for good; a new one is made")
            self._producer, self._unanswered = self._make_producer(), 0
        return False

    def _give(self, line: bytes, key: bytes, told: Callable[[KafkaError | None, Message | None], None]) -> bool:
        try:
            self._producer.produce(self._topic, line, key, on_delivery=told)
        except BufferError:
            return False
        except KafkaException as error:
            self._unanswered += 1
            told(error.args[0], None)
            return True
        self._unanswered += 1
        return True

    def _on_forwarded(self, batch: "_Batch", line: bytes, error: KafkaError | None, _: Message | None) -> None:
        self._unanswered -= 1
        if error is not None and error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            self._put_aside(line, "it is larger than the topic takes")
            error = None
        batch.told(error)

    def _key_of(self, line: bytes) -> bytes | None:
        try:
            return self._read_project(line).project_id.encode()
        except msgspec.MsgspecError:
            self._put_aside(line, "it is no event: the disk has changed it")
            return None

    def _put_aside(self, line: bytes, reason: str) -> None:
        _log.error("an event of the spool is put aside: %s", reason)
        self._files.spool.put_aside(line)
        self._metrics.put_aside()


class _Batch:
    """Spooled events on their way to Kafka."""

    def __init__(self, left: int, done: "asyncio.Future[bool]") -> None:
        self.done = done
        self.is_fatal = False
        self._left = left
        self._has_failed = False

    def told(self, error: KafkaError | None) -> None:
        """Count an answer."""
        self._left -= 1
        if error is not None:
            if not self._has_failed:
                _log.warning("spooled events cannot be forwarded: %s", error.str())
            self._has_failed = True
            self.is_fatal |= error.fatal()
        if (self.is_fatal or not self._left) and not self.done.done():
            self.done.set_result(not self._has_failed)
