"""One shard: whole projects and the accounts of partitions; batches in, rows out. Plain Python, without Bytewax."""

from collections.abc import Iterable
from typing import Any

import msgspec

from operators.accounts import Account, Accounts
from operators.decode import DeadLetter, EventBatch, IntakeReport
from operators.project.items import item_count
from operators.project.machine import ProjectMachine
from operators.project.settings import FoldSettings
from operators.project.state import ProjectRecord
from operators.segments import ProjectFigures
from schemas.errors import ErrorCode, PoisonError, Stage
from schemas.records import RowBatch
from schemas.rows import row_version


class ShardState(msgspec.Struct):
    """All that a shard remembers."""

    projects: dict[str, ProjectRecord]
    accounts: dict[str, dict[int, list[Account]]]


class Shard:
    """Folds the events of the projects that live in it.

    Parameters
    ----------
    state
        What was remembered; changed in place.
    settings
        What decides how events become rows.
    """

    def __init__(self, state: ShardState, settings: FoldSettings) -> None:
        self.state = state
        self._settings = settings
        self._accounts = Accounts(state.accounts, generation=settings.generation)
        self._machines: dict[str, ProjectMachine] = {}
        for record in state.projects.values():
            self._load(record)

    def take(self, batches: Iterable[EventBatch | IntakeReport]) -> RowBatch:
        """Fold batches in order; return the rows of all that they touched."""
        out: dict[str, list[tuple[Any, ...]]] = {}
        touched: dict[str, ProjectMachine] = {}
        for batch in batches:
            if isinstance(batch, IntakeReport):
                self._accounts.take_report(batch, out)
            else:
                touched.update(self._fold(batch, out))
        for machine in touched.values():
            machine.flush()
        return RowBatch(out)

    def take_again(self, batches: Iterable[EventBatch | IntakeReport]) -> None:
        """Fold batches whose rows were written before."""
        touched: dict[str, ProjectMachine] = {}
        for batch in batches:
            if isinstance(batch, IntakeReport):
                self._accounts.take_report(batch, {})
            else:
                touched.update(self._fold(batch, {}, makes_rows=False))
        for machine in touched.values():
            machine.flush()

    def save(self) -> None:
        """Bring the state into the form that can be encoded."""
        for machine in self._machines.values():
            if machine.watch is not None:
                machine.watch.detectors.save()

    def figures(self) -> list[ProjectFigures]:
        """Return the projects in a few figures."""
        return [figures_of(project) for project in self.state.projects.values()]

    def _fold(
        self, batch: EventBatch, out: dict[str, list[tuple[Any, ...]]], *, makes_rows: bool = True
    ) -> dict[str, ProjectMachine]:
        account = self._accounts.of(batch.stream, batch.partition, batch.shard)
        first_version = row_version(generation=self._settings.generation, offset=0)
        touched: dict[str, ProjectMachine] = {}
        for project_id, events in batch.projects.items():
            machine = touched[project_id] = self._project_of(project_id, batch)
            machine.out = out if makes_rows else None
            try:
                folded, duplicate, refused = machine.fold_all(
                    events.events, events.times, [first_version + offset for offset in events.offsets]
                )
            except Exception as error:
                if isinstance(error, MemoryError):
                    raise
                raise PoisonError(batch.stream, batch.partition, machine.version - first_version, error) from error
            account.folded += folded
            account.duplicate += duplicate
            for index, code in refused:
                payload = events.payloads[index]
                letter = DeadLetter(
                    events.offsets[index], Stage.FOLD, code, _DETAILS[code], payload, len(payload), project_id
                )
                self._refuse(letter, account, batch, out)
        account.offset = batch.last_offset
        self._accounts.add_row(account, batch.stream, batch.partition, out)
        return touched

    def _refuse(
        self, letter: DeadLetter, account: Account, batch: EventBatch, out: dict[str, list[tuple[Any, ...]]]
    ) -> None:
        if letter.code is ErrorCode.LATE:
            account.late += 1
        else:
            account.dead += 1
        self._accounts.add_dead_letter(letter, batch.stream, batch.partition, out)

    def _project_of(self, project_id: str, batch: EventBatch) -> ProjectMachine:
        found = self._machines.get(project_id)
        if found is None:
            record = ProjectRecord(project_id, batch.stream, batch.partition, {}, {}, {}, set(), set())
            self.state.projects[project_id] = record
            return self._load(record)
        record = found.record
        if (batch.stream, batch.partition) != (record.stream, record.partition):
            record.is_unordered = True
        return found

    def _load(self, record: ProjectRecord) -> ProjectMachine:
        machine = self._machines[record.project_id] = ProjectMachine(record, self._settings)
        return machine


def figures_of(project: ProjectRecord) -> ProjectFigures:
    """Return a project in a few figures."""
    questions = project.questions.values()
    return ProjectFigures(
        project.project_id,
        len(questions),
        sum(item_count(question.items) for question in questions),
        project.labels,
        sum(len(question.annotators) for question in questions),
        sum(len(question.windows) for question in questions),
        project.newest_at,
    )


_DETAILS = {
    ErrorCode.LATE: "older than the project's clock less the retention",
    ErrorCode.LABEL_KIND_MISMATCH: "the question's labels so far are of another kind",
    ErrorCode.TOO_MANY_CLASSES: "the question has as many classes as classes_max allows",
    ErrorCode.OVER_QUOTA: "the project brings more than it may in a minute (events) or a day (new items) of its time",
}
