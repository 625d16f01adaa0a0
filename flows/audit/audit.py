"""Recomputes the figures of a log and compares them with the database."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass

import duckdb
from clickhouse_connect.driver.client import Client

from flows.audit.comparison import Comparison, Difference, TableComparison
from flows.audit.coverage import AGREEMENT_VIEWS, KEYS, Omission, omissions
from flows.audit.facts import store_facts
from flows.audit.figures import store_figures, store_intervals
from flows.audit.log import Log
from flows.audit.recount import Account, Limits, Reader
from flows.audit.rules import Rules
from schemas.errors import ConfigurationError, ErrorCode

THREADS = 2


@dataclass(frozen=True, slots=True)
class AuditReport:
    """The outcome of an audit.

    Parameters
    ----------
    stream, generation
        What was audited.
    records
        Records of the log that were read.
    tables
        How each view compares.
    differences
        The first differences, in the order of the tables.
    omissions
        What was not compared, and why.
    left_out
        Projects that were not compared, and why.
    """

    stream: str
    generation: int
    records: int
    tables: list[TableComparison]
    differences: list[Difference]
    omissions: list[Omission]
    left_out: dict[str, str]

    @property
    def differences_total(self) -> int:
        """Rows that are not as the log says."""
        return sum(table.differences for table in self.tables)


def audit(
    log: Log,
    client: Client,
    *,
    rules: Rules,
    limits: Limits,
    records_max: int,
    differences_max: int,
    stream: str | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> AuditReport:
    """Compare the database with its log.

    Parameters
    ----------
    log
        The raw log, from the beginning of the generation at the latest.
    client
        Connection to the database.
    rules, limits
        What the flow runs with.
    records_max
        Most records to be read.
    differences_max
        Most differences to be told one by one.
    stream
        Name of the log in the database, if it is another than the log's own.
    on_progress
        Called now and then with the number of records read.

    Raises
    ------
    ConfigurationError
        If the database holds no figures of this log.
    IncompatibleStateError
        If the log begins after the generation did.
    """
    stream = stream or log.stream
    generation, accounts = _accounts(client, stream)
    left_out = dict.fromkeys(_projects_of_other_generations(client), "it has a generation of its own")
    quarantined = _quarantined(client, stream)
    reader = Reader(rules, limits, records_max=records_max, on_progress=on_progress, quarantined=quarantined)
    recount = reader.read(log, accounts)
    left_out |= dict.fromkeys(sorted(recount.scattered), "it is in more than one partition: its order is not certain")
    for project in left_out:
        recount.scattered.add(project)
    with tempfile.TemporaryDirectory() as spill, _scratch_database(spill) as database:
        store_facts(database, recount)
        store_intervals(database)
        store_figures(database, window=rules.window, stream=stream)
        comparison = Comparison(database, client, left_out=set(left_out), stream=stream)
        tables = [comparison.compare(view) for view in KEYS if rules.has_agreement or view not in AGREEMENT_VIEWS]
        differences: list[Difference] = []
        for table in tables:
            if table.differences and len(differences) < differences_max:
                differences += comparison.differences(table.view, differences_max - len(differences))
    return AuditReport(
        stream,
        generation,
        recount.records,
        tables,
        differences[:differences_max],
        omissions(has_agreement=rules.has_agreement),
        left_out,
    )


def _scratch_database(spill: str) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": THREADS, "temp_directory": spill})


def _accounts(client: Client, stream: str) -> tuple[int, dict[int, Account]]:
    """Return the active generation, and by partition what the flow says it has read."""
    generation = int(client.query("SELECT default_generation FROM active_generations").first_item["default_generation"])
    rows = client.query("SELECT stream, `partition`, `offset`, events_in FROM progress").result_rows
    accounts = {row[1]: Account(row[2], row[3]) for row in rows if row[0] == stream}
    if not accounts:
        there = ", ".join(sorted({row[0] for row in rows})) or "no log at all"
        raise ConfigurationError(
            f"generation {generation} of the database holds no figures of {stream}, but of {there}",
            remedy="name the log that the flow reads; --stream NAME if it lies elsewhere now",
        )
    return generation, accounts


def _quarantined(client: Client, stream: str) -> list[tuple[int, int]]:
    """Return partition and offset of the records that the flow has set aside, since they made it crash."""
    query = (
        "SELECT `partition`, `offset` FROM dead_letters WHERE error_code = {code:String} AND stream = {stream:String}"
    )
    return client.query(query, parameters={"code": str(ErrorCode.POISON), "stream": stream}).result_rows


def _projects_of_other_generations(client: Client) -> list[str]:
    rows = client.query("SELECT scope FROM generations FINAL WHERE scope != '' ORDER BY scope").result_rows
    return [row[0] for row in rows]
