"""Reads the log again, from the first record of the generation to the last one counted, and keeps what is in force."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from flows.audit.history import DEAD, LATE, History
from flows.audit.log import Log, RawRecord
from flows.audit.rules import Rules
from schemas.errors import ConfigurationError, IncompatibleStateError
from schemas.events import parse_event
from schemas.timestamps import microseconds

PROGRESS_RECORDS = 100_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What an event must keep to beside its form; times in microseconds since the epoch.

    Parameters
    ----------
    occurred_at_min, occurred_at_max
        The earliest possible time, and the time from which on none is possible.
    future_max
        How far an event may be ahead of the time at which the log took it in.
    record_bytes_max
        A record of more bytes is refused.
    """

    occurred_at_min: int
    occurred_at_max: int
    future_max: int
    record_bytes_max: int


@dataclass(frozen=True, slots=True)
class Account:
    """What the flow says of a partition: its last record that is counted, and how many it has read."""

    last_offset: int
    events_in: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A record that became a dead letter."""

    partition: int
    offset: int
    payload: bytes
    size: int
    is_late: bool


@dataclass(slots=True)
class Recount:
    """What the log says.

    Attributes
    ----------
    histories
        Project → its history.
    home
        Project → the partition that it lives in.
    scattered
        Projects in more than one partition, whose order is not certain; they have no history.
    outcomes
        Partition → how many of its records were folded, duplicates, late and dead.
    refused
        The dead letters.
    records
        Records read.
    """

    histories: dict[str, History] = field(default_factory=dict)
    home: dict[str, int] = field(default_factory=dict)
    scattered: set[str] = field(default_factory=set)
    outcomes: dict[int, Counter[str]] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    records: int = 0


class Reader:
    """Reads records into a recount.

    Parameters
    ----------
    rules, limits
        What decides how events become figures, and which are refused.
    records_max
        Most records that are read: what is in force is held in memory, about 1.5 kB a record.
    on_progress
        Called now and then with the number of records read.
    quarantined
        Partition and offset of records that the flow has set aside as poison: it says so, and nothing else can.
    """

    def __init__(
        self,
        rules: Rules,
        limits: Limits,
        *,
        records_max: int,
        on_progress: Callable[[int], None] = lambda _: None,
        quarantined: Collection[tuple[int, int]] = (),
    ) -> None:
        self.recount = Recount()
        self._rules = rules
        self._limits = limits
        self._records_max = records_max
        self._on_progress = on_progress
        self._quarantined = frozenset(quarantined)

    def read(self, log: Log, accounts: dict[int, Account]) -> Recount:
        """Read what the flow has counted of each partition.

        Raises
        ------
        IncompatibleStateError
            If the log begins after the generation did, or lacks records of it.
        """
        self._require_room(sum(account.events_in for account in accounts.values()))
        partitions = set(log.partitions())
        for partition, account in sorted(accounts.items()):
            if partition not in partitions:
                raise IncompatibleStateError(
                    f"{log.stream} has no partition {partition}; the flow has read {account.events_in:,} records of it",
                    remedy="audit against the log that the flow has read, or an archive of it",
                )
            self.recount.outcomes[partition] = Counter()
            for record in _counted(log, partition, account):
                self._take(partition, record)
        return self.recount

    def _take(self, partition: int, record: RawRecord) -> None:
        recount = self.recount
        outcome = self._outcome(partition, record)
        recount.outcomes[partition][outcome] += 1
        if outcome in (DEAD, LATE):
            payload = record.payload[: self._limits.record_bytes_max]
            recount.refused.append(Refused(partition, record.offset, payload, record.size, outcome is LATE))
        recount.records += 1
        if recount.records % PROGRESS_RECORDS == 0:
            self._on_progress(recount.records)

    def _outcome(self, partition: int, record: RawRecord) -> str:
        if record.size > self._limits.record_bytes_max or (partition, record.offset) in self._quarantined:
            return DEAD
        try:
            event = parse_event(record.payload)
        except ValidationError:
            return DEAD
        at = microseconds(event.occurred_at)
        if not self._is_possible(event, at, record):
            return DEAD
        return self._history(event.project_id, partition).take(event, at)

    def _is_possible(self, event: Any, at: int, record: RawRecord) -> bool:
        limits, stamp = self._limits, record.stamp
        if stamp is None and event.received_at is not None:
            stamp = microseconds(event.received_at)
        is_far_future = stamp is not None and at > stamp + limits.future_max
        return limits.occurred_at_min <= at < limits.occurred_at_max and not is_far_future

    def _history(self, project: str, partition: int) -> History:
        if self.recount.home.setdefault(project, partition) != partition:
            self.recount.scattered.add(project)
        history = self.recount.histories.get(project)
        if history is None:
            history = self.recount.histories[project] = History(self._rules, project)
        return history

    def _require_room(self, records: int) -> None:
        if records > self._records_max:
            raise ConfigurationError(
                f"the flow has read {records:,} records; the audit holds what is in force of at most "
                f"{self._records_max:,} in memory",
                remedy=f"run it with --records-max {records} where {1.5 * records / 1e6:.1f} GB of memory are free",
            )


def _counted(log: Log, partition: int, account: Account) -> Iterator[RawRecord]:
    """Yield the records that the flow has counted: the last so many up to an offset."""
    there = log.count_to(partition, account.last_offset)
    if there < account.events_in:
        raise IncompatibleStateError(
            f"partition {partition} of {log.stream} begins after the generation did, or has lost records: it holds "
            f"{there:,} up to offset {account.last_offset:,}, of which the flow has read {account.events_in:,}",
            remedy="audit against an archive that holds the whole log, or begin a new generation",
        )
    for ordinal, record in enumerate(log.records(partition)):
        if record.offset > account.last_offset:
            return
        if ordinal >= there - account.events_in:
            yield record
