"""``labelpulse migrate``: brings a database to the form that this version writes."""

import typer

from flows.cli.options import ClickhouseOption, ConfigOption, SetOption, settings_from


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("migrate")(migrate)


def migrate(clickhouse: ClickhouseOption = None, config: ConfigOption = None, overrides: SetOption = None) -> None:
    """Create or upgrade the tables and views of a database; running it again changes nothing.

    An embedded database is migrated by run itself; a server by this command,
    before a new version of the flow starts.

    Example: labelpulse migrate --clickhouse clickhouse://labelpulse@localhost:8123
    """
    settings = settings_from(config=config, overrides=overrides, clickhouse=clickhouse).settings
    from sinks.clickhouse.client import connect
    from sinks.clickhouse.dsn import parse_dsn
    from sinks.clickhouse.migrate import apply

    with connect(settings.clickhouse) as client:
        applied = apply(client, parse_dsn(settings.clickhouse).database)
    for migration in applied:
        print(f"applied {migration.name}")
    if not applied:
        print("nothing to do: the database is up to date")
