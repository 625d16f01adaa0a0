"""What a named query is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from monitor.queries.columns import COLUMNS
from schemas.errors import ConfigurationError

DATABASE = "{database:Identifier}"


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
    """

    name: str
    type: str
    default: str | int
    meaning: str

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
                return _whole_number(value)
            return str(value) if self.type == "String" else _timestamp(value)
        except ValueError as error:
            raise ConfigurationError(
                f"{value!r} is no value for {self.name}: {error}", remedy=f"give {self.meaning}"
            ) from error


def _whole_number(value: Any) -> int:
    number = int(value)
    if number < 0:
        raise ValueError("it is negative")
    return number


def _timestamp(value: Any) -> str:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    if moment.tzinfo is None:
        if isinstance(value, datetime) or len(value) > len("2026-01-05"):
            raise ValueError("it has no zone, such as a trailing Z")
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


_MOMENT = "DateTime64(6, 'UTC')"
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

_IDENTIFIERS = {PROJECT: "project_id", QUESTION: "question_id", ANNOTATOR: "annotator_id"}


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
    """

    name: str
    title: str
    sql: str
    parameters: Mapping[str, Parameter]
    columns: Mapping[str, str]


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
    conditions = [
        f"({parameter.placeholder} = '' OR {_IDENTIFIERS[parameter]} = {parameter.placeholder})"
        for parameter in identifiers
    ]
    if time is not None:
        conditions += [f"{time} >= {SINCE.placeholder}", f"{time} < {UNTIL.placeholder}"]
    parameters = (*identifiers, *((SINCE, UNTIL) if time is not None else ()), LIMIT)
    return NamedQuery(
        name=name,
        title=title,
        sql=_sql(view, _selected(columns, expressions or {}), conditions, order),
        parameters={parameter.name: parameter for parameter in parameters},
        columns={column: COLUMNS[column] for column in columns},
    )


def _selected(columns: tuple[str, ...], expressions: Mapping[str, str]) -> list[str]:
    return [f"{expressions[name]} AS `{name}`" if name in expressions else f"`{name}`" for name in columns]


def _sql(view: str, selected: list[str], conditions: list[str], order: tuple[str, ...]) -> str:
    lines = ["SELECT", ",\n".join(f"    {column}" for column in selected), f"FROM {DATABASE}.{view}"]
    if conditions:
        lines.append("WHERE " + "\n  AND ".join(conditions))
    lines += [f"ORDER BY {', '.join(order)}", f"LIMIT {LIMIT.placeholder}"]
    return "\n".join(lines)
