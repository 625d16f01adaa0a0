"""What a worker tells the process that started it: its counters now and then, and how it failed; a JSON line each."""

import os
import select
from collections.abc import Iterable
from typing import IO

import msgspec

from flows.run_state import DRIFTS_SHOWN_MAX, DriftSeen, RunState
from schemas import errors
from schemas.errors import ClusterError, LabelpulseError

COUNTS = (
    "events_in", "folded", "duplicate", "late", "dead", "rows_written", "annotators", "projects", "drifts_total",
)  # fmt: skip


class Failure(msgspec.Struct, frozen=True):
    """How a worker failed: the error that is told to people, by the name of its class."""

    kind: str
    message: str
    remedy: str

    @property
    def is_consequence(self) -> bool:
        """Whether the end of another worker was the reason."""
        return self.kind == ClusterError.__name__

    def error(self) -> LabelpulseError:
        """Return the error, as the worker would have told it."""
        return getattr(errors, self.kind)(self.message, remedy=self.remedy)


def failure_of(error: LabelpulseError) -> Failure:
    """Return what a worker tells of an error.

    >>> failure_of(errors.SourceError("no", remedy="yes")).error()
    SourceError('no')
    """
    plain = next(kind for kind in type(error).__mro__ if kind.__init__ is LabelpulseError.__init__)
    return Failure(plain.__name__, error.message, error.remedy)


class Report(msgspec.Struct, frozen=True):
    """What one worker has done so far.

    Parameters
    ----------
    records_read, bytes_read, lag, notice
        Of its intake; of each partition's lag its stream, number and records.
    counts
        Counters of its run by name.
    clock_at
        The clock of its project that is furthest behind, in microseconds since the epoch.
    drifts
        The last drift alerts it has seen.
    is_draining
        Whether it has been asked to end.
    failure
        Why it ended, if it failed by itself.
    """

    records_read: int = 0
    bytes_read: int = 0
    lag: list[tuple[str, int, int | None]] = []
    notice: str = ""
    counts: dict[str, int] = {}
    clock_at: int | None = None
    drifts: list[DriftSeen] = []
    is_draining: bool = False
    failure: Failure | None = None


def report_of(state: RunState, *, is_draining: bool, failure: Failure | None = None) -> Report:
    """Return a report of a run's counters."""
    intake = state.intake
    return Report(
        records_read=intake.records_read,
        bytes_read=intake.bytes_read,
        lag=[(stream, partition, behind) for (stream, partition), behind in list(intake.lag.items())],
        notice=intake.notice,
        counts={name: getattr(state, name) for name in COUNTS},
        clock_at=state.clock_at,
        drifts=list(state.drifts),
        is_draining=is_draining,
        failure=failure,
    )


def add_up(reports: Iterable[Report], state: RunState) -> None:
    """Bring the counters of a whole cluster up to date with the last report of each worker."""
    told = list(reports)
    for name in COUNTS:
        setattr(state, name, sum(report.counts.get(name, 0) for report in told))
    intake = state.intake
    intake.records_read = sum(report.records_read for report in told)
    intake.bytes_read = sum(report.bytes_read for report in told)
    intake.lag = {(stream, partition): behind for report in told for stream, partition, behind in report.lag}
    intake.notice = next((report.notice for report in told if report.notice), "")
    clocks = enumerate(report.clock_at for report in told)
    state.clocks = {str(number): clock for number, clock in clocks if clock is not None}
    drifts = sorted((drift for report in told for drift in report.drifts), key=lambda drift: drift.detected_at)
    state.drifts.clear()
    state.drifts.extend(drifts[-DRIFTS_SHOWN_MAX:])


class Reporter:
    """Writes reports to the parent.

    Parameters
    ----------
    descriptor
        The writing end of a pipe that the parent reads.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, 0)

    def is_orphaned(self) -> bool:
        """Return whether the parent has gone away."""
        return any(events & select.POLLERR for _, events in self._poll.poll(0))

    def send(self, report: Report) -> None:
        """Send a report; raise BrokenPipeError if the parent has gone away."""
        line = msgspec.json.encode(report) + b"\n"
        while line:
            line = line[os.write(self._descriptor, line) :]


def read_reports(stream: IO[bytes]) -> Iterable[Report]:
    """Yield the reports of a worker as they come, until it has ended; a line that was cut short is left out."""
    decoder = msgspec.json.Decoder(Report)
    for line in stream:
        if line.endswith(b"\n"):
            yield decoder.decode(line)
