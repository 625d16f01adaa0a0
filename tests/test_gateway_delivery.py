"""Delivery to Kafka with a spool behind it: what is promised of order and durability, with a scripted client."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from flows.gateway.delivery import KeyedLine, SpoolDelivery
from flows.gateway.kafka_delivery import KafkaDelivery, Mode
from flows.gateway.metrics import Metrics
from flows.gateway.refusals import RequestError
from sinks.spool.segments import ASIDE_NAME
from sinks.spool.spool import Spool
from tests.support.gateway import ids_in_spool, started

ACKNOWLEDGE_SECONDS = 0.05
WAIT_SECONDS = 30


class Client:
    """Stands for Kafka's client: what is produced is acknowledged at the next poll, while it is told to."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.answers = True
        self.queue_max = 1_000
        self.error_of: Callable[[str], int | None] = lambda _: None
        self.is_fatal = False
        self._queue: list[tuple[str, Callable[..., None]]] = []

    @property
    def waiting(self) -> list[str]:
        """What was produced and not acknowledged."""
        return [event_id for event_id, _ in self._queue]

    def produce(self, topic: str, value: bytes, key: bytes, *, on_delivery: Callable[..., None]) -> None:
        document = json.loads(value)
        assert document["project_id"].encode() == key
        if len(self._queue) >= self.queue_max:
            raise BufferError
        if self.error_of(document["event_id"]) == KafkaError._MSG_TIMED_OUT:
            raise KafkaException(KafkaError(KafkaError._MSG_TIMED_OUT))
        self._queue.append((document["event_id"], on_delivery))

    def poll(self, _: float) -> None:
        queue, self._queue = (self._queue, []) if self.answers else ([], self._queue)
        for event_id, on_delivery in queue:
            code = self.error_of(event_id)
            if code is None:
                self.log.append(event_id)
                on_delivery(None, None)
            else:
                on_delivery(KafkaError(code, fatal=self.is_fatal), None)

    def purge(self) -> None:
        self._queue = []


def line(event_id: str, project: str = "p") -> KeyedLine:
    """Return an event as it is delivered."""
    return project.encode(), json.dumps({"event_id": event_id, "project_id": project}).encode()


def run(
    folder: Path,
    scenario: Callable[[KafkaDelivery, Client], Awaitable[None]],
    *,
    client: Client | None = None,
    others: list[Client] | None = None,
    bytes_max: int = 1_000_000,
) -> tuple[Client, Metrics]:
    """Run a scenario with a delivery to a scripted client; return the client and what was counted."""
    client, metrics = client or Client(), Metrics()

    async def play() -> None:
        delivery = KafkaDelivery(
            client,
            make_producer=lambda: others.pop(0),  # type: ignore[union-attr, arg-type, return-value]
            topic="events",
            spool_of=lambda on_commit: Spool(folder, bytes_max=bytes_max, on_commit=on_commit),
            metrics=metrics,
            acknowledge_seconds=ACKNOWLEDGE_SECONDS,
        )
        async with asyncio.timeout(WAIT_SECONDS), started(delivery):
            await scenario(delivery, client)

    asyncio.run(play())
    return client, metrics


async def until(condition: Callable[[], bool]) -> None:
    """Let others go on until a condition holds, looking at each pass of the loop: some hold for a few passes only."""
    while not condition():
        await asyncio.sleep(0)


def shown(metrics: Metrics, name: str) -> float:
    """Return a figure of the metrics' page."""
    (found,) = (text for text in metrics.page().decode().splitlines() if text.startswith(f"labelpulse_gateway_{name}"))
    return float(found.split()[-1])


def unique(ids: list[str]) -> list[str]:
    """Return ids without repeats, in the order in which each came first."""
    return list(dict.fromkeys(ids))


def test_events_go_to_kafka_and_leave_the_spool_alone(tmp_path: Path) -> None:
    """While Kafka acknowledges in time nothing is written to the disk."""

    async def scenario(delivery: KafkaDelivery, client: Client) -> None:
        await asyncio.gather(*(delivery.deliver([line(f"{number}a"), line(f"{number}b")]) for number in range(9)))

    client, metrics = run(tmp_path, scenario)
    assert client.log == [f"{number}{part}" for number in range(9) for part in "ab"]
    assert ids_in_spool(tmp_path) == []
    assert shown(metrics, 'stored_events_total{place="kafka"}') == 18


def test_a_stream_of_requests_does_not_put_off_their_answers(tmp_path: Path) -> None:
    """Requests that come faster than the client is polled, without waiting for each other, are answered by Kafka."""

    async def scenario(delivery: KafkaDelivery, client: Client) -> None:
        client.queue_max = 1_000_000
        first = asyncio.ensure_future(delivery.deliver([line("0")]))
        requests = [first]
        while not first.done():
            requests.append(asyncio.ensure_future(delivery.deliver([line(str(len(requests)))])))
            await asyncio.sleep(0)
        assert client.log[0] == "0"
        await asyncio.gather(*requests)

    _, metrics = run(tmp_path, scenario)
    assert shown(metrics, "fall_backs_total") == 0


def test_no_answer_in_time_means_the_spool(tmp_path: Path) -> None:
    """Requests end although Kafka is silent, and their events are in the spool, in the order in which they came."""

    async def scenario(delivery: KafkaDelivery, client: Client) -> None:
        client.answers = False
        await asyncio.gather(*(delivery.deliver([line(str(number))]) for number in range(5)))
        await delivery.deliver([line("5")])
        assert delivery.mode is Mode.SPOOLING

    client, metrics = run(tmp_path, scenario)
    assert client.log == []
    assert ids_in_spool(tmp_path) == ["0", "1", "2", "3", "4", "5"]
    assert shown(metrics, "fall_backs_total") == 1


def test_the_spool_is_forwarded_when_kafka_is_back(tmp_path: Path) -> None:
    """All events reach the topic in order, first occurrences counted; then they go there directly again."""

    async def scenario(delivery: KafkaDelivery, client: Client) -> None:
        await delivery.deliver([line("0")])
        client.answers = False
        for number in range(1, 6):
            await delivery.deliver([line(str(number))])
        client.answers = True
        for number in range(6, 60):
            await delivery.deliver([line(str(number))])
        await until(lambda: delivery.mode is Mode.DIRECT)
        await delivery.deliver([line("60")])

    client, metrics = run(tmp_path, scenario)
    assert unique(client.log) == [str(number) for number in range(61)]
    assert shown(metrics, "spool_bytes") == 0
    assert shown(metrics, "mode") == 0


def test_an_outage_under_a_stream_of_requests_keeps_their_order(tmp_path: Path) -> None:
    """Kafka comes and goes while events keep coming: none is lost, none overtakes another."""

    async def scenario(delivery: KafkaDelivery, client: Client) -> None:
        for number in range(300):
            client.answers = number % 100 < 40
            await delivery.deliver([line(str(number))])
        client.answers = True
        await until(lambda: delivery.mode is Mode.DIRECT)

    client, _ = run(tmp_path, scenario)
    assert unique(client.log) == [str(number) for number in range(300)]


def test_requests_in_a_handover_wait_for_the_spool(tmp_path: Path) -> None:
    """What comes while the last of the spool is forwarded goes behind all of it."""

    async def scenario(delivery: KafkaDelivery, client: Client) -> None:
        client.answers = False
        await delivery.deliver([line("0")])
        await until(lambda: client.waiting == ["0", "0"])
        for number in range(1, 4):
            await delivery.deliver([line(str(number))])
        client.answers = True
        await until(lambda: delivery.mode is not Mode.SPOOLING)
        await delivery.deliver([line("4")])
        await until(lambda: delivery.mode is Mode.DIRECT)

    client, _ = run(tmp_path, scenario)
    assert unique(client.log) == ["0", "1", "2", "3", "4"]


def test_a_handover_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    """Requests that waited for it go to the spool in time, and to Kafka when it answers again."""

    async def scenario(delivery: KafkaDelivery, client: Client) -> None:
        client.answers = False
        await delivery.deliver([line("0")])
        client.answers = True
        await until(lambda: delivery.mode is Mode.HANDOVER)
        client.answers = False
        await delivery.deliver([line("1")])
        assert delivery.mode is Mode.SPOOLING
        client.answers = True
        await until(lambda: delivery.mode is Mode.DIRECT)

    client, _ = run(tmp_path, scenario)
    assert unique(client.log) == ["0", "1"]


def test_what_an_earlier_process_left_goes_first(tmp_path: Path) -> None:
    """After a restart the spool is forwarded before new events are."""

    async def fill(delivery: KafkaDelivery, client: Client) -> None:
        client.answers = False
        for number in range(3):
            await delivery.deliver([line(str(number))])

    async def go_on(delivery: KafkaDelivery, client: Client) -> None:
        await delivery.deliver([line("3")])
        await until(lambda: delivery.mode is Mode.DIRECT)

    run(tmp_path, fill)
    client, _ = run(tmp_path, go_on)
    assert client.log == ["0", "1", "2", "3"]


def test_a_full_spool_and_a_silent_kafka_are_503(tmp_path: Path) -> None:
    """What cannot be made durable is refused and not written; it is accepted again once there is room."""

    async def scenario(delivery: KafkaDelivery, client: Client) -> None:
        client.answers = False
        await delivery.deliver([line("0")])
        with pytest.raises(RequestError) as caught:
            await delivery.deliver([line("1" * 200)])
        assert (caught.value.status, caught.value.retry_after_seconds) == (503, 10)
        client.answers = True
        await until(lambda: delivery.mode is Mode.DIRECT)
        await delivery.deliver([line("2")])

    client, _ = run(tmp_path, scenario, bytes_max=100)
    assert unique(client.log) == ["0", "2"]


def test_readiness_says_that_the_spool_is_full(tmp_path: Path) -> None:
    """There is an obstacle while neither Kafka nor the spool takes anything, and none before."""

    async def scenario(delivery: KafkaDelivery, client: Client) -> None:
        assert delivery.obstacle() == ""
        client.answers = False
        _, body = line("0")
        await delivery.deliver([line("0")])
        assert delivery.obstacle() == f"the spool is full: {len(body) + 1} bytes"

    _, body = line("0")
    run(tmp_path, scenario, bytes_max=len(body) + 1)


@pytest.mark.parametrize("code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError._MSG_TIMED_OUT])
def test_what_kafka_refuses_waits_in_the_spool(tmp_path: Path, code: int) -> None:
    """An error of the brokers or of the client is no error of the sender's; it is tried again until it works."""

    async def scenario(delivery: KafkaDelivery, client: Client) -> None:
        client.error_of = lambda _: code
        await delivery.deliver([line("0")])
        assert delivery.mode is not Mode.DIRECT
        client.error_of = lambda _: None
        await until(lambda: delivery.mode is Mode.DIRECT)

    client, _ = run(tmp_path, scenario)
    assert unique(client.log) == ["0"]


def test_a_full_queue_of_the_client_means_the_spool(tmp_path: Path) -> None:
    """Nothing waits in memory without bounds; forwarding goes at the client's pace."""

    async def scenario(delivery: KafkaDelivery, client: Client) -> None:
        client.queue_max = 3
        await delivery.deliver([line(str(number)) for number in range(10)])
        await until(lambda: delivery.mode is Mode.DIRECT)

    client, _ = run(tmp_path, scenario)
    assert unique(client.log) == [str(number) for number in range(10)]


def test_an_event_that_the_topic_never_takes_is_refused_or_put_aside(tmp_path: Path) -> None:
    """Directly its sender is told (413); out of the spool it stops nobody else."""

    def too_large(event_id: str) -> int | None:
        return KafkaError.MSG_SIZE_TOO_LARGE if event_id == "large" else None

    async def scenario(delivery: KafkaDelivery, client: Client) -> None:
        client.error_of = too_large
        with pytest.raises(RequestError) as caught:
            await delivery.deliver([line("large")])
        assert caught.value.status == 413
        client.answers = False
        await asyncio.gather(delivery.deliver([line("large")]), delivery.deliver([line("1")]))
        client.answers = True
        await until(lambda: delivery.mode is Mode.DIRECT)

    client, metrics = run(tmp_path, scenario)
    assert unique(client.log) == ["1"]
    assert b"large" in (tmp_path / ASIDE_NAME).read_bytes()
    assert shown(metrics, "undeliverable_events_total") == 1


def test_a_client_that_fails_for_good_is_replaced(tmp_path: Path) -> None:
    """What was on its way with it is sent by the next one."""
    second = Client()

    async def scenario(delivery: KafkaDelivery, client: Client) -> None:
        client.is_fatal = True
        client.error_of = lambda _: KafkaError._FATAL
        await delivery.deliver([line("0")])
        await until(lambda: delivery.mode is Mode.DIRECT)
        await delivery.deliver([line("1")])

    client, _ = run(tmp_path, scenario, others=[second])
    assert client.log == []
    assert second.log == ["0", "1"]


def test_an_error_of_the_disk_does_not_end_forwarding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A spool that cannot be read for a moment is forwarded later; one that never can be does not put off the end."""
    monkeypatch.setattr("flows.gateway.kafka_delivery.RETRY_SECONDS", (0.001, 0.001))

    def broken(*_: Any, **__: Any) -> Any:
        raise OSError(5, "Input/output error")

    async def scenario(delivery: KafkaDelivery, client: Client) -> None:
        client.answers = False
        with monkeypatch.context() as patch:
            patch.setattr(Spool, "read", broken)
            await delivery.deliver([line("0")])
            await until(lambda: "Input/output error" in caplog.text)
        client.answers = True
        await until(lambda: delivery.mode is Mode.DIRECT)
        monkeypatch.setattr(Spool, "read", broken)
        client.answers = False
        await delivery.deliver([line("1")])

    client, _ = run(tmp_path, scenario)
    assert unique(client.log) == ["0"]


def test_a_requester_that_goes_away_harms_nobody(tmp_path: Path) -> None:
    """A request that was given up is delivered all the same, and others are answered."""

    async def scenario(delivery: KafkaDelivery, client: Client) -> None:
        client.answers = False
        gone = asyncio.ensure_future(delivery.deliver([line("0")]))
        await asyncio.sleep(0)
        gone.cancel()
        await delivery.deliver([line("1")])

    run(tmp_path, scenario)
    assert ids_in_spool(tmp_path) == ["0", "1"]


def test_a_spool_alone_keeps_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Kafka the directory is the log; a disk that fails is 503, for those requests alone."""

    async def play() -> None:
        make = partial(Spool, tmp_path, bytes_max=1_000)
        delivery = SpoolDelivery(lambda on_commit: make(on_commit=on_commit), Metrics())
        async with asyncio.timeout(WAIT_SECONDS), started(delivery):
            await asyncio.gather(*(delivery.deliver([line(str(number))]) for number in range(9)))
            assert delivery.obstacle() == ""
            with monkeypatch.context() as patch:
                patch.setattr("os.write", failing)
                with pytest.raises(RequestError, match="No space") as caught:
                    await delivery.deliver([line("lost")])
                assert caught.value.status == 503
            await delivery.deliver([line("9")])
            with pytest.raises(RequestError, match="at most"):
                await delivery.deliver([line("x" * 2_000)])

    def failing(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    asyncio.run(play())
    assert [event_id for event_id in ids_in_spool(tmp_path) if event_id != "lost"] == [str(n) for n in range(10)]
