"""Asks the database a named question."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from monitor.queries.catalogue import QUERIES
from monitor.queries.named import LIMIT, NamedQuery
from schemas.errors import ConfigurationError, IncompatibleStateError, LabelpulseError, UnavailableError

FORMATS = {"json": "JSONEachRow", "csv": "CSVWithNames", "parquet": "Parquet", "arrow": "ArrowStream"}
"""Output formats, and what the database calls them. The database itself writes them, on a server and embedded alike."""
ROWS_MAX = 1_000_000
"""Most rows of a result for which no limit was asked: it is whole, or an error, never cut in silence."""

_OUTPUT_SETTINGS = ", ".join((
    "date_time_output_format = 'iso'",
    "output_format_json_array_of_rows = 1",
    "output_format_json_quote_64bit_integers = 0",
    "output_format_json_quote_denormals = 0",
    "format_csv_null_representation = ''",
    "output_format_arrow_low_cardinality_as_dictionary = 0",
))  # fmt: skip
_WHOLE_SETTINGS = f"max_result_rows = {ROWS_MAX}, result_overflow_mode = 'throw'"
_TOO_MANY_ROWS, _UNKNOWN_TABLE, _UNKNOWN_DATABASE, _UNKNOWN_COLUMN = 396, 60, 81, 47
_PREFIX = re.compile(r".*?DB::Exception: ", flags=re.DOTALL)
_TRAILER = re.compile(r"\s*\((version|for url) .*", flags=re.DOTALL)


@dataclass(frozen=True, slots=True)
class Rows:
    """A result for showing.

    Parameters
    ----------
    columns
        Names of the columns, in order.
    rows
        Values by column; timestamps are text (ISO 8601 with Z).
    is_truncated
        Whether there were more rows than asked for.
    """

    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    is_truncated: bool


def find_query(name: str) -> NamedQuery:
    """Return a named query.

    Raises
    ------
    ConfigurationError
        If there is none of that name.
    """
    if name in QUERIES:
        return QUERIES[name]
    close = get_close_matches(name, QUERIES, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(QUERIES)}"
    raise ConfigurationError(f"there is no query {name!r}", remedy=hint)


def run_query(
    client: Client,
    name: str,
    *,
    format: str,
    database: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    scope: Collection[str] = (),
    seconds_max: int = 0,
) -> bytes:
    """Ask a named question and return the result in a format.

    Timestamps are ISO 8601 with Z, missing is null (an empty field in CSV), counts are numbers.

    Parameters
    ----------
    client
        Connection to the database.
    name
        Name of the query.
    format
        ``json`` (an array of objects), ``csv`` (with a header), ``parquet`` or ``arrow`` (a stream).
    database
        Name of the database; the client's by default.
    parameters
        Values by name of parameter; None is as if it were not given.
    scope
        Projects whose rows may be shown; empty for all. A query whose rows belong to no project takes no scope.
    seconds_max
        The database gives up after so many seconds; 0 for no limit.

    Raises
    ------
    ConfigurationError
        If the query, a parameter or the format is unknown or wrong, or the result too large and no limit given.
    IncompatibleStateError
        If the database lacks the view.
    UnavailableError
        If the database does not answer.
    """
    if format not in FORMATS:
        raise ConfigurationError(f"there is no format {format!r}", remedy=f"there are {', '.join(FORMATS)}")
    query = find_query(name)
    given = {name: value for name, value in (parameters or {}).items() if value is not None}
    bound = _bound(query, given)
    settings = [_OUTPUT_SETTINGS]
    if bound[LIMIT.name] == LIMIT.default:
        bound[LIMIT.name] = ROWS_MAX + 1
        settings.append(_WHOLE_SETTINGS)
    if seconds_max:
        settings.append(f"max_execution_time = {int(seconds_max)}")
    assert query.is_scoped or not scope, "rows of no project would be shown to somebody who may see some projects only"
    bound |= {"database": database or client.database or "", "scope": list(scope)}
    try:
        return client.raw_query(f"{query.sql_for(given)}\nSETTINGS {', '.join(settings)}", bound, fmt=FORMATS[format])
    except ClickHouseError as error:
        _discard_output(client)
        raise _told(query, error, bound["database"]) from error


def _discard_output(client: Client) -> None:
    """Take what a failed query had begun to write: the embedded engine would put it before the next result."""
    if client.uri.startswith("chdb:"):
        client.raw_query("SELECT 1", fmt="TSV", use_database=False)


def fetch_rows(
    client: Client, name: str, *, limit: int, database: str | None = None, parameters: Mapping[str, Any] | None = None
) -> Rows:
    """Ask a named question and return at most `limit` rows for showing; raises as `run_query` does."""
    wanted = {**(parameters or {}), LIMIT.name: limit + 1}
    rows = json.loads(run_query(client, name, format="json", database=database, parameters=wanted))
    return Rows(tuple(QUERIES[name].columns), rows[:limit], len(rows) > limit)


def _bound(query: NamedQuery, parameters: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(parameters.keys() - query.parameters.keys())
    if unknown:
        raise ConfigurationError(
            f"the query {query.name!r} has no parameter {unknown[0]!r}",
            remedy=f"it has {', '.join(query.parameters)}",
        )
    bound: dict[str, Any] = {}
    for name, parameter in query.parameters.items():
        value = parameters.get(name)
        bound[name] = parameter.default if value is None else parameter.bound(value)
    return bound


def _told(query: NamedQuery, error: ClickHouseError, database: str) -> LabelpulseError:
    code = error.code if isinstance(error, Error) else None
    if code == _TOO_MANY_ROWS:
        return ConfigurationError(
            f"the query {query.name!r} has more than {ROWS_MAX:,} rows", remedy="narrow it, or give a limit"
        )
    if code in (_UNKNOWN_DATABASE, _UNKNOWN_TABLE, _UNKNOWN_COLUMN):
        return IncompatibleStateError(
            f"database {database!r} lacks what the query {query.name!r} reads",
            remedy="run `labelpulse migrate --clickhouse DSN`",
        )
    if code is None:
        return UnavailableError("the database does not answer", remedy="check that ClickHouse runs, and its address")
    text = " ".join(_TRAILER.sub("", _PREFIX.sub("", str(error))).split())
    return UnavailableError(f"the query {query.name!r} failed: {text}")
