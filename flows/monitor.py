"""Puts the monitor together from settings: connection, tokens, address, and where people's actions go."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clickhouse_connect.driver.client import Client

from flows.dead_letters import Mended, TopicWriter
from flows.replays import log_replays
from flows.settings import Settings
from flows.sources.urls import KafkaSpec, parse_source
from monitor.api.access import TokenBook, read_tokens
from monitor.api.application import create_app
from monitor.server import LOOPBACK_NAMES, MonitorServer, is_loopback
from schemas.control import CONTROL_FILE
from schemas.errors import ConfigurationError, UnavailableError
from sinks.clickhouse.client import connect

if TYPE_CHECKING:
    from flows.metrics import FlowMetrics


CONTROL_KEY = "control"
"""Key of all control events, so that they keep one order."""


def monitor_server(
    settings: Settings, *, opened: Callable[[], Client] | None = None, metrics: "FlowMetrics | None" = None
) -> MonitorServer:
    """Return a monitor that is ready to be started.

    Parameters
    ----------
    settings
        Address, tokens, database.
    opened
        Opens a connection to the database; by default to the settings' one.
    metrics
        Those of the flow in this process; None if there is none.

    Raises
    ------
    ConfigurationError
        If the address is not of this machine only and there are no tokens, or a token is wrong.
    UnavailableError
        If the port is taken.
    """
    tokens = read_tokens(settings.monitor_tokens, token=settings.monitor_token)
    host = settings.monitor_host
    _require_tokens(host, tokens)
    opened = opened or (lambda: connect(settings.clickhouse))
    app = create_app(
        opened,
        tokens=tokens,
        hosts=LOOPBACK_NAMES if tokens.is_open else (),
        write_control=control_writer(settings),
        replays=log_replays(settings, opened),
        requests_per_second=settings.monitor_requests_per_second,
        metrics=metrics.page if metrics is not None else None,
        trouble=metrics.trouble if metrics is not None else None,
    )
    return MonitorServer(app, host=host, port=settings.monitor_port)


def _require_tokens(host: str, tokens: TokenBook) -> None:
    if tokens.is_open and not is_loopback(host):
        raise ConfigurationError(
            f"the monitor would show everything to anybody who reaches {host}",
            remedy="name a file of tokens with --set monitor_tokens=FILE, or listen at 127.0.0.1",
        )


def control_writer(settings: Settings) -> Callable[[bytes], None] | None:
    """Return what takes control events to the flow.

    Where Kafka is the source it is the topic of control events beside it, wherever the flow runs; else the file in the
    recovery directory; None without either.
    """
    spec = parse_source(settings.source) if settings.source is not None else None
    if isinstance(spec, KafkaSpec) and settings.control_topic is not None:
        topic = replace(spec, topic=settings.control_topic)
        return lambda event: _send(topic, settings.kafka_options, event)
    if settings.recovery is None:
        return None
    path = settings.recovery / CONTROL_FILE
    return lambda event: _append(path, event)


def _send(topic: KafkaSpec, options: Mapping[str, str], event: bytes) -> None:
    writer = TopicWriter(topic, options=options)
    writer.append(Mended(CONTROL_KEY, event))
    writer.close()


def _append(path: Path, event: bytes) -> None:
    try:
        with path.open("ab") as file:
            file.write(event + b"\n")
    except OSError as error:
        raise UnavailableError(
            f"the action cannot be written to {path}: {error.strerror}",
            remedy="name the recovery directory of the flow with --recovery",
        ) from error
