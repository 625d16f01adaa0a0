"""The gateway as a process: its socket, its server, and its end."""

import logging
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import uvicorn

from flows.gateway.app import GatewayApp
from flows.gateway.delivery import Delivery, SpoolDelivery
from flows.gateway.endpoints import Desk
from flows.gateway.kafka_client import make_producer, topic_answers
from flows.gateway.kafka_delivery import KafkaDelivery
from flows.gateway.limits import RateLimit
from flows.gateway.metrics import Metrics
from flows.gateway.sources import Source, load_sources
from flows.settings import Settings
from flows.sources.urls import KafkaSpec, parse_source
from schemas.errors import ConfigurationError, UnavailableError
from sinks.spool.spool import OnCommit, Spool

KEEP_ALIVE_SECONDS = 30
BACKLOG = 2_048
SWITCH_SECONDS = 0.0002
"""How long the thread that comes back from a sync waits for the interpreter, in place of 5 ms."""
LOOPBACK = ("127.0.0.1", "::1", "localhost")

_LISTEN = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^\[\]:\s]+)):(?P<port>\d{1,5})")
_log = logging.getLogger("labelpulse.gateway")


def serve(settings: Settings, *, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; then answer what was asked, and end.

    Parameters
    ----------
    settings
        Those of the gateway.
    on_ready
        Called with the address once connections are taken.

    Raises
    ------
    ConfigurationError
        If a setting is wrong.
    UnavailableError
        If the address or the spool cannot be used, or the topic does not exist.
    """
    host, port = listen_address(settings.gateway_listen)
    sources = load_sources(settings)
    _require_private(host, sources)
    metrics = Metrics()
    desk = Desk(
        sources=sources,
        delivery=_delivery(settings, metrics),
        metrics=metrics,
        rate=RateLimit(settings.gateway_requests_per_second),
        body_bytes_max=settings.gateway_body_bytes_max,
        events_max=settings.gateway_events_max,
    )
    sys.setswitchinterval(SWITCH_SECONDS)
    with _listening(host, port) as listener:
        tell = partial(on_ready, _shown(listener))
        server = _Server(_config(GatewayApp(desk), settings), delivery=desk.delivery, on_ready=tell)
        with _ending_with(server):
            server.run(sockets=[listener])


def listen_address(text: str) -> tuple[str, int]:
    """Return host and port.

    Raises
    ------
    ConfigurationError
        If the text is not HOST:PORT.

    Examples
    --------
    >>> listen_address("[::1]:8080")
    ('::1', 8080)
    """
    match = _LISTEN.fullmatch(text)
    if match is None or int(match["port"]) >= 2**16:
        raise ConfigurationError(f"the address {text!r} is not HOST:PORT", remedy="write it like 127.0.0.1:8080")
    return match["v6"] or match["host"], int(match["port"])


def _require_private(host: str, sources: dict[str, Source]) -> None:
    if host not in LOOPBACK and any(source.authentication.is_open for source in sources.values()):
        raise ConfigurationError(
            f"anybody who reaches {host} could send events",
            remedy="set secrets, or listen on 127.0.0.1 while --open is given",
        )


def _delivery(settings: Settings, metrics: Metrics) -> Delivery:
    def spool_of(on_commit: OnCommit) -> Spool:
        return Spool(settings.gateway_spool, bytes_max=settings.gateway_spool_bytes_max, on_commit=on_commit)

    if settings.gateway_spool_only:
        if settings.gateway_kafka is not None:
            raise ConfigurationError("both a topic and --spool-only are given", remedy="leave out one of them")
        return SpoolDelivery(spool_of, metrics)
    spec = _topic(settings.gateway_kafka)
    make = partial(make_producer, spec, settings.kafka_options)
    producer = make()
    if not topic_answers(producer, spec):
        _log.warning(
            "starting all the same: events wait in the spool %s until a broker answers", settings.gateway_spool
        )
    return KafkaDelivery(
        producer,
        make_producer=make,
        topic=spec.topic,
        spool_of=spool_of,
        metrics=metrics,
        acknowledge_seconds=settings.gateway_acknowledge_seconds,
    )


def _topic(url: str | None) -> KafkaSpec:
    if url is None:
        raise ConfigurationError(
            "where events go is not said",
            remedy="name a topic with --kafka kafka://HOST:PORT/TOPIC, or say --spool-only",
        )
    spec = parse_source(url)
    if not isinstance(spec, KafkaSpec):
        raise ConfigurationError(f"{url!r} is no topic of Kafka", remedy="write kafka://HOST:PORT/TOPIC")
    return spec


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UnavailableError(
            f"{host}:{port} cannot be listened on: {error.strerror or error}", remedy="choose another with --listen"
        ) from error
    with listener:
        yield listener


def _shown(listener: socket.socket) -> str:
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _config(app: Any, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(settings.grace_seconds)),
    )


class _Server(uvicorn.Server):
    """Starts the delivery before it takes connections, and stops it when the last request is answered."""

    def __init__(self, config: uvicorn.Config, *, delivery: Delivery, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._delivery = delivery
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await self._delivery.start()
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer what was asked, then stop."""
        await super().shutdown(sockets)
        await self._delivery.stop()


@contextmanager
def _ending_with(server: uvicorn.Server) -> Iterator[None]:
    """Have signals end the server and nothing else, before it looks for them itself and when it raises them again."""

    def end(*_: Any) -> None:
        server.should_exit = True

    signals = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, end) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
