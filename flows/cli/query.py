"""``labelpulse query``: asks the database a named question."""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.failures import note
from flows.cli.options import ClickhouseOption, ConfigOption, SetOption, settings_from
from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

TABLE_ROWS_DEFAULT = 200


class QueryFormat(StrEnum):
    """How a result is written."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("query")(query)


def query(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The query; without one, all are listed.")
    ] = None,
    clickhouse: ClickhouseOption = None,
    form: Annotated[
        QueryFormat, typer.Option("--format", help="json is an array of objects; parquet needs a file or pipe.")
    ] = QueryFormat.TABLE,
    project: Annotated[str | None, typer.Option("--project", metavar="P", help="One project only.")] = None,
    question: Annotated[str | None, typer.Option("--question", metavar="Q", help="One question only.")] = None,
    annotator: Annotated[str | None, typer.Option("--annotator", metavar="A", help="One annotator only.")] = None,
    item: Annotated[str | None, typer.Option("--item", metavar="I", help="One item only.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="From this time on, as in 2026-01-05T09:00:00Z.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="Before this time.")] = None,
    split_by: Annotated[
        str | None, typer.Option("--slice", metavar="NAME", help="Attribute to split by, such as team.")
    ] = None,
    bucket_seconds: Annotated[
        int | None, typer.Option("--bucket-seconds", min=1, help="Length of a bucket of the trends. Default: 3600.")
    ] = None,
    hours: Annotated[
        int | None, typer.Option("--hours", min=1, help="How many hours count as now. Default: 24.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help=f"Most rows. Default: all, in a table {TABLE_ROWS_DEFAULT}.")
    ] = None,
    describe: Annotated[bool, typer.Option("--describe", help="Say what the columns of the query mean.")] = False,
    config: ConfigOption = None,
    overrides: SetOption = None,
) -> None:
    """Ask the database: who is accurate, what changed, what was refused, how far the flow has come.

    Examples:
      labelpulse query
      labelpulse query annotators --project sentiment
      labelpulse query trend --bucket-seconds 86400 --format json
      labelpulse query items --format parquet > items.parquet
    """
    if name is None:
        _list_queries()
    elif describe:
        _describe(name)
    else:
        settings = settings_from(config=config, overrides=overrides, clickhouse=clickhouse).settings
        asked = {
            "project": project, "question": question, "annotator": annotator, "item": item, "since": since,
            "until": until, "slice": split_by, "bucket_seconds": bucket_seconds, "hours": hours,
        }  # fmt: skip
        _answer(name, dsn=settings.clickhouse, form=form, limit=limit, parameters=asked)


def _list_queries() -> None:
    from flows.cli.tables import output_console, rows_table
    from monitor.queries.catalogue import QUERIES

    rows = [{"query": query.name, "tells": query.title} for query in QUERIES.values()]
    table, _ = rows_table(rows, columns=("query", "tells"))
    output_console().print(table)


def _describe(name: str) -> None:
    from flows.cli.tables import output_console, rows_table
    from monitor.queries.run import find_query

    rows = [{"column": column, "means": meaning} for column, meaning in find_query(name).columns.items()]
    table, _ = rows_table(rows, columns=("column", "means"))
    output_console().print(table)


def _answer(name: str, *, dsn: str, form: QueryFormat, limit: int | None, parameters: dict[str, Any]) -> None:
    from flows.cli.database import opened_for_reading
    from monitor.queries.run import find_query, run_query

    find_query(name)
    if form is QueryFormat.PARQUET and sys.stdout.isatty():
        raise ConfigurationError("parquet is not for a terminal", remedy=f"add > {name}.parquet")
    with opened_for_reading(dsn) as client:
        if form is QueryFormat.TABLE:
            _print_table(client, name, limit=limit or TABLE_ROWS_DEFAULT, parameters=parameters)
            return
        answer = run_query(client, name, format=form.value, parameters={**parameters, "limit": limit})
    sys.stdout.buffer.write(answer)
    if form is not QueryFormat.PARQUET and not answer.endswith(b"\n"):
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()


def _print_table(client: "Client", name: str, *, limit: int, parameters: dict[str, Any]) -> None:
    from flows.cli.tables import output_console, rows_table
    from monitor.queries.run import fetch_rows

    result = fetch_rows(client, name, limit=limit, parameters=parameters)
    console = output_console()
    table, hidden = rows_table(
        result.rows, columns=result.columns, width=console.width if console.is_terminal else None
    )
    console.print(table)
    if not result.rows:
        note("no rows")
    if result.is_truncated:
        note(f"the first {limit:,} rows; --limit N shows more")
    if hidden:
        note(f"no room for {len(hidden)} columns ({', '.join(hidden)}); a wider terminal or --format json shows them")
