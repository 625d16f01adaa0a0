"""What a running flow tells about itself while it runs.

The flow's steps write, a display or a log line reads, each from its own thread: plain counters, no locks, nothing that
decides a row. ``flows.run.run(settings, state=state)`` fills one in and returns a :class:`RunSummary`.
"""

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from flows.sources.intake import Intake

DRIFTS_SHOWN_MAX = 8


@dataclass(frozen=True, slots=True)
class DriftSeen:
    """A drift alert, as shown to people.

    Parameters
    ----------
    detected_at
        Event time of the judgement that completed the evidence, in microseconds since the epoch.
    project_id, question_id, annotator_id
        Whom it is about.
    direction
        ``worse`` or ``better``.
    before, after
        Accuracy before and after the change, shares in [0, 1].
    """

    detected_at: int
    project_id: str
    question_id: str
    annotator_id: str
    direction: str
    before: float
    after: float


@dataclass(slots=True)
class RunState:
    """Counters of one run.

    Parameters
    ----------
    intake
        What the sources have read since this run began; they count for themselves.
    events_in, folded, duplicate, late, dead
        The accounts of the log since it began, so over restarts too: ``events_in = folded + duplicate + late + dead``
        whenever no batch is under way.
    rows_written
        Rows the sink has handed to the database, repeats included.
    annotators, projects
        How many distinct ones the state holds.
    drifts_total, drifts
        Drift alerts so far, and the last few of them.
    clocks
        Each project's clock, in microseconds since the epoch.
    records_expected
        Length of the log where it is known beforehand (a simulated stream); None else.
    monitor_url
        Where the monitor is, if it is served.
    generation
        Generation of the rows that are written.
    started_at
        Monotonic seconds when the run began.
    """

    intake: Intake = field(default_factory=Intake)
    events_in: int = 0
    folded: int = 0
    duplicate: int = 0
    late: int = 0
    dead: int = 0
    rows_written: int = 0
    annotators: int = 0
    projects: int = 0
    drifts_total: int = 0
    drifts: deque[DriftSeen] = field(default_factory=lambda: deque(maxlen=DRIFTS_SHOWN_MAX))
    clocks: dict[str, int] = field(default_factory=dict)
    records_expected: int | None = None
    monitor_url: str = ""
    generation: int = 0
    started_at: float = field(default_factory=time.monotonic)

    def note_written(self, rows: int) -> None:
        """Take note of how many rows have been written since the run began."""
        self.rows_written = rows

    def add_drift(self, drift: DriftSeen) -> None:
        """Count a drift alert and keep it among the last few."""
        self.drifts_total += 1
        self.drifts.append(drift)

    @property
    def records_read(self) -> int:
        """Records that the sources have handed on."""
        return self.intake.records_read

    @property
    def lag_records(self) -> int | None:
        """Records in the log that have not been read yet; None where the source cannot say."""
        return self.intake.lag_records

    @property
    def notice(self) -> str:
        """Why nothing may be coming in, such as a broker that cannot be reached; empty while all is well."""
        return self.intake.notice

    @property
    def clock_at(self) -> int | None:
        """The clock of the project that is furthest behind, in microseconds since the epoch; None before any event."""
        clocks = list(self.clocks.values())
        return min(clocks) if clocks else None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run ended.

    Parameters
    ----------
    ended_by
        ``end``: the log was read to its end; ``signal``: somebody asked the flow to stop.
    seconds
        Wall time from the start of the run to its end.
    state
        The counters as they were at the end.
    """

    ended_by: Literal["end", "signal"]
    seconds: float
    state: RunState
