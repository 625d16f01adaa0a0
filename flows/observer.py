"""Keeps the run's counters by looking at the rows that pass."""

from typing import Any

from flows.run_state import DriftSeen, RunState
from schemas import rows
from schemas.records import RowBatch

_PROGRESS = {name: index for index, name in enumerate(rows.PROGRESS.columns)}
_PROJECTS = {name: index for index, name in enumerate(rows.PROJECTS.columns)}
_DRIFT = {name: index for index, name in enumerate(rows.DRIFT.columns)}
_COUNTS = ("events_in", "folded", "duplicate", "late", "dead")


class Observer:
    """Reads accounts, clocks and drift off the rows on their way to the database, and hands the rows on.

    Parameters
    ----------
    state
        The counters that are kept.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._accounts: dict[tuple[str, int, str], tuple[int, ...]] = {}
        self._annotators: dict[str, int] = {}

    def __call__(self, batches: list[tuple[str, RowBatch]]) -> list[tuple[str, RowBatch]]:
        """Look at batches; return them as they are, without those that hold nothing."""
        for _, batch in batches:
            for row in batch.rows.get(rows.PROGRESS.name, ()):
                self._see_progress(row)
            for row in batch.rows.get(rows.PROJECTS.name, ()):
                self._see_project(row)
            for row in batch.rows.get(rows.DRIFT.name, ()):
                self._state.add_drift(_drift_of(row))
        return [pair for pair in batches if pair[1].rows]

    def _see_progress(self, row: tuple[Any, ...]) -> None:
        key = (row[_PROGRESS["stream"]], row[_PROGRESS["partition"]], row[_PROGRESS["part"]])
        new = tuple(row[_PROGRESS[name]] for name in _COUNTS)
        old = self._accounts.get(key, (0,) * len(_COUNTS))
        self._accounts[key] = new
        for name, before, after in zip(_COUNTS, old, new, strict=True):
            setattr(self._state, name, getattr(self._state, name) + after - before)

    def _see_project(self, row: tuple[Any, ...]) -> None:
        project_id = row[_PROJECTS["project_id"]]
        self._state.clocks[project_id] = row[_PROJECTS["clock_at"]]
        self._annotators[project_id] = row[_PROJECTS["annotators"]]
        self._state.projects = len(self._annotators)
        self._state.annotators = sum(self._annotators.values())


def _drift_of(row: tuple[Any, ...]) -> DriftSeen:
    return DriftSeen(
        detected_at=row[_DRIFT["detected_at"]],
        project_id=row[_DRIFT["project_id"]],
        question_id=row[_DRIFT["question_id"]],
        annotator_id=row[_DRIFT["annotator_id"]],
        direction=row[_DRIFT["direction"]],
        before=row[_DRIFT["before"]],
        after=row[_DRIFT["after"]],
    )
