"""What a named query is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from monitor.queries.columns import COLUMNS
from monitor.queries.recent import Period
from schemas.errors import ConfigurationError

DATABASE = "{database:Identifier}"
IN_SCOPE = "(empty({scope:Array(String)}) OR has({scope:Array(String)}, project_id))"
"""Holds for the projects that whoever asks may see; an empty scope is all of them."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that may be asked for; its value is bound by the database, never written into SQL.

    Parameters
    ----------
    name
        Its name.
    type
        Its ClickHouse type: String, UInt64 or DateTime64(6, 'UTC').
    default
        What stands for it if it is not given.
    meaning
        What it does, in a few words.
    minimum, maximum
        Least and greatest whole number.
    """

    name: str
    type: str
    default: str | int
    meaning: str
    minimum: int = 0
    maximum: int = 10_000_000

    @property
    def placeholder(self) -> str:
        """How it stands in SQL."""
        return f"{{{self.name}:{self.type}}}"

    def bound(self, value: Any) -> str | int:
        """Return a value as the database takes it.

        Raises
        ------
        ConfigurationError
            If the value does not fit.
        """
        try:
            if self.type == "UInt64":
                return self._whole_number(value)
            return str(value) if self.type == "String" else _timestamp(value)
        except ValueError as error:
            raise ConfigurationError(
                f"{value!r} is no value for {self.name}: {error}", remedy=f"give {self.meaning}"
            ) from error

    def _whole_number(self, value: Any) -> int:
        number = int(value)
        if not self.minimum <= number <= self.maximum:
            raise ValueError(f"it is not from {self.minimum} to {self.maximum:,}")
        return number


def _timestamp(value: Any) -> str:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    if moment.tzinfo is None:
        if isinstance(value, datetime) or len(value) > len("2026-01-05"):
            raise ValueError("it has no zone, such as a trailing Z")
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment, _EARLIEST), _LATEST).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2299, 1, 1, tzinfo=UTC)
"""The database's timestamps reach no further."""

_MOMENT = "DateTime64(6, 'UTC')"
ITEM = Parameter("item", "String", "", "one item")
PROJECT = Parameter("project", "String", "", "one project")
QUESTION = Parameter("question", "String", "", "one question")
ANNOTATOR = Parameter("annotator", "String", "", "one annotator")
SINCE = Parameter(
    "since", _MOMENT, "1970-01-01 00:00:00", "the earliest time, as in 2026-01-05 or 2026-01-05T09:00:00Z"
)
UNTIL = Parameter(
    "until", _MOMENT, "2299-01-01 00:00:00", "the time before which, as in 2026-01-06 or 2026-01-05T17:00:00Z"
)
LIMIT = Parameter("limit", "UInt64", 0, "the most rows; 0 for all")
OFFSET = Parameter("offset", "UInt64", 0, "how many rows to leave out at the beginning")
BUCKET_SECONDS = Parameter("bucket_seconds", "UInt64", 3600, "the length of a bucket of time, in seconds", minimum=1)
SLICE = Parameter("slice", "String", "", "the attribute to split by, such as team or language")
HOURS = Parameter("hours", "UInt64", 24, "how many hours of the project's clock count as now", minimum=1)

_IDENTIFIERS = {PROJECT: "project_id", QUESTION: "question_id", ANNOTATOR: "annotator_id", ITEM: "item_id"}


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A question to the database.

    Parameters
    ----------
    name
        What it is called.
    title
        What it tells, in a few words.
    sql
        One SELECT, with placeholders for its parameters and the database.
    parameters
        Parameters by name, all of them optional.
    columns
        What each column of the result means, in order.
    period
        How the rows of a range of time of one project are found sooner; None if there is no such way.
    """

    name: str
    title: str
    sql: str
    parameters: Mapping[str, Parameter]
    columns: Mapping[str, str]
    period: Period | None = None

    def sql_for(self, given: Mapping[str, Any]) -> str:
        """Return the SELECT to ask when these parameters are given: the quickest one that gives the same rows."""
        sql = self.sql
        if self.period is not None and given.get(PROJECT.name) and given.get(SINCE.name):
            sql = self.period.applied(sql, database=DATABASE)
        for parameter, column in _IDENTIFIERS.items():
            if given.get(parameter.name):
                sql = sql.replace(_chosen(parameter), f"{column} = {parameter.placeholder}")
        return sql

    @property
    def is_scoped(self) -> bool:
        """Whether its rows belong to projects, so that whoever may see some projects only can be given those."""
        return "{scope:" in self.sql


def named_query(
    name: str,
    title: str,
    *,
    view: str,
    columns: tuple[str, ...],
    order: tuple[str, ...],
    identifiers: tuple[Parameter, ...] = (),
    time: str | None = None,
    expressions: Mapping[str, str] | None = None,
) -> NamedQuery:
    """Return a query on one view.

    Parameters
    ----------
    view
        View that is read.
    columns
        Columns of the result.
    order
        What the rows are sorted by: enough of it to leave no choice.
    identifiers
        Parameters that choose one project, question or annotator.
    time
        Expression that `since` and `until` limit; None if the rows have no time.
    expressions
        How columns are computed that the view does not have as they are.
    """
    parameters = (*identifiers, *((SINCE, UNTIL) if time is not None else ()))
    return written_query(
        name,
        title,
        sql=_sql(view, _selected(columns, expressions or {}), conditions(identifiers, time=time)),
        order=order,
        parameters=parameters,
        columns=columns,
        period=period_of(view, identifiers, time=time),
    )


def period_of(view: str, identifiers: tuple[Parameter, ...], *, time: str | None) -> Period | None:
    """Return how the rows of a range of time of a view are found sooner; None if they are not."""
    if view not in ("labels", "items") or time is None:
        return None
    keys = tuple(parameter for parameter in identifiers if parameter is not ANNOTATOR)
    return Period(view, of_key=tuple(conditions(keys)), of_time=tuple(_times(time)))


def written_query(
    name: str,
    title: str,
    *,
    sql: str,
    order: tuple[str, ...],
    columns: tuple[str, ...],
    parameters: tuple[Parameter, ...] = (),
    period: Period | None = None,
) -> NamedQuery:
    """Return a query of its own SQL, to which order, limit and offset are added.

    Parameters
    ----------
    sql
        One SELECT without ORDER BY and LIMIT.
    order
        What the rows are sorted by: enough of it to leave no choice.
    columns
        Columns of the result, as in the SELECT.
    parameters
        What may be asked for, beside limit and offset.
    period
        How the rows of a range of time are found sooner; `sql` reads the view once, with a WHERE behind it.
    """
    all_parameters = (*parameters, LIMIT, OFFSET)
    tail = f"ORDER BY {', '.join(order)}\nLIMIT {LIMIT.placeholder} OFFSET {OFFSET.placeholder}"
    return NamedQuery(
        name=name,
        title=title,
        sql=f"{sql}\n{tail}",
        parameters={parameter.name: parameter for parameter in all_parameters},
        columns={column: COLUMNS[column] for column in columns},
        period=period,
    )


def conditions(identifiers: tuple[Parameter, ...], *, time: str | None = None) -> list[str]:
    """Return the conditions of a WHERE: the scope, each identifier that is given, and a range of time."""
    chosen = [_chosen(parameter) for parameter in identifiers]
    scope = [IN_SCOPE] if PROJECT in identifiers else []
    return [*scope, *chosen, *(_times(time) if time is not None else ())]


def _chosen(parameter: Parameter) -> str:
    """Return the condition that holds for all rows, or for those of the identifier that is given."""
    return f"({parameter.placeholder} = '' OR {_IDENTIFIERS[parameter]} = {parameter.placeholder})"


def _times(time: str) -> list[str]:
    return [f"{time} >= {SINCE.placeholder}", f"{time} < {UNTIL.placeholder}"]


def where(identifiers: tuple[Parameter, ...], *, time: str | None = None) -> str:
    """Return a WHERE clause of `conditions`."""
    return "WHERE " + " AND ".join(conditions(identifiers, time=time))


def _selected(columns: tuple[str, ...], expressions: Mapping[str, str]) -> list[str]:
    return [f"{expressions[name]} AS `{name}`" if name in expressions else f"`{name}`" for name in columns]


def _sql(view: str, selected: list[str], found: list[str]) -> str:
    lines = ["SELECT", ",\n".join(f"    {column}" for column in selected), f"FROM {DATABASE}.{view}"]
    if found:
        lines.append("WHERE " + "\n  AND ".join(found))
    return "\n".join(lines)
