"""The accounts of a shard: what became of each event, by partition of the log, so that nothing is lost in silence."""

from typing import Any

import msgspec

from operators.decode import DeadLetter, IntakeReport
from schemas import rows

SOURCE_PART = "source"


class Account(msgspec.Struct, array_like=True):
    """Counts of one partition: of one shard, or (part ``source``) of what was read and refused before any shard."""

    part: str
    offset: int = -1
    events_in: int = 0
    folded: int = 0
    duplicate: int = 0
    late: int = 0
    dead: int = 0


class Accounts:
    """Accounts by (stream, partition, part)."""

    def __init__(self, accounts: dict[str, dict[int, list[Account]]], *, generation: int) -> None:
        self.by_stream = accounts
        self._generation = generation

    def of(self, stream: str, partition: int, part: str) -> Account:
        """Return the account of a part, new if need be."""
        accounts = self.by_stream.setdefault(stream, {}).setdefault(partition, [])
        for account in accounts:
            if account.part == part:
                return account
        accounts.append(Account(part))
        return accounts[-1]

    def take_report(self, report: IntakeReport, out: dict[str, list[tuple[Any, ...]]]) -> None:
        """Enter what was read from a partition and refused at once; add the rows that say so to `out`."""
        account = self.of(report.stream, report.partition, SOURCE_PART)
        account.offset = report.last_offset
        account.events_in = report.records_in
        account.dead += len(report.dead)
        for letter in report.dead:
            self.add_dead_letter(letter, report.stream, report.partition, out)
        self.add_row(account, report.stream, report.partition, out)

    def add_dead_letter(
        self, letter: DeadLetter, stream: str, partition: int, out: dict[str, list[tuple[Any, ...]]]
    ) -> None:
        """Add the row of a refused record to `out`."""
        out.setdefault(rows.DEAD_LETTERS.name, []).append(
            (
                stream, partition, letter.offset, str(letter.stage), str(letter.code), letter.detail, letter.project_id,
                letter.payload, letter.size, self._generation, self._version(letter.offset), 0,
            )
        )  # fmt: skip

    def add_row(self, account: Account, stream: str, partition: int, out: dict[str, list[tuple[Any, ...]]]) -> None:
        """Add the row of an account to `out`."""
        out.setdefault(rows.PROGRESS.name, []).append(
            (
                stream, partition, account.part, account.offset, account.events_in, account.folded, account.duplicate,
                account.late, account.dead, self._generation, self._version(account.offset), 0,
            )
        )  # fmt: skip

    def _version(self, offset: int) -> int:
        return rows.row_version(generation=self._generation, offset=offset)
