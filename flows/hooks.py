"""Puts the delivery of alerts together: the outbox, the hooks of a policy, people's actions, and reports of it all."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from flows.receivers import delivery_of, environment_of_process
from flows.setting_values import DATA_FOLDER
from flows.settings import Settings
from flows.sources.urls import KafkaSpec
from schemas.alerts import DELIVERIES_NAME
from schemas.control import CONTROL_FILE
from schemas.hooks import AnyHook
from schemas.records import RowBatch
from schemas.rows import TABLES
from sinks.clickhouse.client import connect
from sinks.clickhouse.writer import RowWriter
from sinks.hooks import store
from sinks.hooks.addresses import parse_networks
from sinks.hooks.background import ControlSource, Record, control_background, report_background
from sinks.hooks.control_file import ControlFile
from sinks.hooks.control_topic import ControlTopic
from sinks.hooks.intake import Intake, beside
from sinks.hooks.outbox import Outbox
from sinks.hooks.publisher import Delivery, Publisher
from sinks.hooks.reports import counts_by_hook
from sinks.hooks.sink import AlertSink
from sinks.hooks.traits import Suppression

OUTBOX_NAME = "alerts.sqlite3"
STOP_SECONDS = 3.0
REPORT_FLUSH_SECONDS = 30.0


class DeliveryOnDemand:
    """The delivery of a flow, opened in that process of a cluster which is given the alerts: they have one outbox.

    Parameters
    ----------
    open_delivery
        Returns the delivery, running.
    """

    def __init__(self, open_delivery: Callable[[], "AlertDelivery"]) -> None:
        self._open = open_delivery
        self._delivery: AlertDelivery | None = None

    def sink(self) -> AlertSink:
        """Return the sink of the flow: takes all row batches, puts the alerts among them into the outbox."""
        return AlertSink(self._intake)

    def stop(self, *, seconds: float) -> None:
        """End; see `AlertDelivery.stop`."""
        if self._delivery is not None:
            self._delivery.stop(seconds=seconds)

    def _intake(self) -> Intake:
        self._delivery = self._delivery or self._open()
        return self._delivery.intake


class AlertDelivery:
    """Everything that delivers alerts in one process, from its making until `stop`.

    Parameters
    ----------
    path
        The outbox.
    deliveries
        The hooks, by name.
    suppression
        What is not delivered.
    control
        Where people's actions come from.
    record
        Writes rows of ``alert_deliveries_versions``; None if nobody keeps them.
    """

    def __init__(
        self,
        path: Path,
        deliveries: Mapping[str, Delivery],
        *,
        suppression: Suppression,
        control: Sequence[ControlSource] = (),
        record: Record | None = None,
    ) -> None:
        store.connect(path).close()  # what is wrong with it is told now, and not by a thread later
        hooks = {name: delivery.traits for name, delivery in deliveries.items()}
        self._record = record
        self._publisher = Publisher(path, deliveries, clock=wall_clock)
        self.intake = Intake(
            lambda: Outbox(store.connect(path), hooks=hooks, suppression=suppression),
            on_commit=self._publisher.wake,
            clock=wall_clock,
        )
        self._control = control_background(path, control, hooks=hooks, wake=self._publisher.wake_all, clock=wall_clock)
        self._reports = report_background(path, record, clock=wall_clock)

    def sink(self, *, slots: int = 1) -> AlertSink:
        """Return the sink of the flow: takes all row batches, puts the alerts among them into the outbox."""
        return AlertSink(lambda: self.intake, slots=slots)

    def stop(self, *, seconds: float) -> None:
        """End, once what can be delivered now has been, within so many seconds; the rest waits in the outbox.

        Parameters
        ----------
        seconds
            How long deliveries may take. Threads get a few seconds more to end.
        """
        self.intake.close()
        self._publisher.drain(seconds)
        self._publisher.stop(STOP_SECONDS)
        self._control.stop(STOP_SECONDS)
        self._reports.stop(STOP_SECONDS)
        if isinstance(self._record, DeliveryRecorder):
            self._record.close()


def delivery_on_demand(
    settings: Settings, hooks: Mapping[str, AnyHook], *, kafka: KafkaSpec | None = None, is_replay: bool = False
) -> DeliveryOnDemand:
    """Return the delivery of a flow, opened when it is given alerts to deliver; see `open_delivery`.

    Raises
    ------
    ConfigurationError
        If a secret is missing, or an address may not be called.
    """
    _deliveries(settings, hooks)
    return DeliveryOnDemand(lambda: open_delivery(settings, hooks, kafka=kafka, is_replay=is_replay))


def open_delivery(
    settings: Settings, hooks: Mapping[str, AnyHook], *, kafka: KafkaSpec | None = None, is_replay: bool = False
) -> AlertDelivery:
    """Return the delivery of a flow, running; what is wrong with hooks is found here, before anything is read.

    Parameters
    ----------
    settings
        Outbox, age, networks, database.
    hooks
        The section ``hooks`` of the policy.
    kafka
        The source, where it is Kafka: people's actions come from a topic there as well.
    is_replay
        Whether nothing is to be delivered, only recorded.

    Raises
    ------
    ConfigurationError
        If a secret is missing, an address may not be called, or the outbox cannot be used.
    """
    return AlertDelivery(
        outbox_path(settings),
        _deliveries(settings, hooks),
        suppression=Suppression(age_seconds_max=settings.deliver_age_seconds_max, is_replay=is_replay),
        control=control_sources(settings, kafka),
        record=DeliveryRecorder(settings.clickhouse) if DELIVERIES_NAME in TABLES else None,
    )


def _deliveries(settings: Settings, hooks: Mapping[str, AnyHook]) -> dict[str, Delivery]:
    networks, environment = parse_networks(settings.hook_networks_allowed or ""), environment_of_process()
    return {name: delivery_of(name, hook, networks=networks, environment=environment) for name, hook in hooks.items()}


def outbox_path(settings: Settings) -> Path:
    """Return where the outbox of a flow is: beside its recovery directory, unless it is set."""
    if settings.outbox is not None:
        return settings.outbox
    return beside(settings.recovery) if settings.recovery is not None else Path.cwd() / DATA_FOLDER / OUTBOX_NAME


def control_sources(settings: Settings, kafka: KafkaSpec | None) -> list[ControlSource]:
    """Return where people's actions come from: the file in the recovery directory, and a topic where there is Kafka."""
    sources: list[ControlSource] = []
    if settings.recovery is not None:
        sources.append(ControlFile(settings.recovery / CONTROL_FILE))
    if kafka is not None and settings.control_topic is not None:
        options = {**settings.kafka_options, **kafka.options}
        sources.append(ControlTopic(brokers=kafka.brokers, topic=settings.control_topic, options=options))
    return sources


class DeliveryRecorder:
    """Writes what became of deliveries to the database, over a connection of its own.

    The flow's own writer ends with the flow, and the last deliveries come after that.

    Parameters
    ----------
    dsn
        Of the database.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._writer: RowWriter | None = None

    def __call__(self, rows: list[tuple[Any, ...]]) -> None:
        """Write rows, and return when they are in the database."""
        if self._writer is None:
            self._writer = RowWriter(connect(self._dsn))
        try:
            self._writer.add(RowBatch({DELIVERIES_NAME: rows}))
            self._writer.flush(REPORT_FLUSH_SECONDS)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()


def wall_clock() -> int:
    """Return the microseconds since the epoch."""
    return time.time_ns() // 1_000


def hook_counts(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return state and numbers of deliveries of each hook in the outbox, by name; nothing where there is no outbox."""
    path = outbox_path(settings)
    if not path.exists():
        return {}
    with closing(store.connect(path)) as connection:
        return counts_by_hook(connection)
