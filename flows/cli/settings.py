"""``labelpulse settings``: the effective settings, where each comes from, and what it means."""

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.options import ClickhouseOption, ConfigOption, RecoveryOption, SetOption, SourceOption, settings_from

if TYPE_CHECKING:
    from flows.settings import LoadedSettings


class SettingsFormat(StrEnum):
    """How settings are shown."""

    TABLE = "table"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("settings")(print_settings)


def print_settings(
    source: SourceOption = None,
    clickhouse: ClickhouseOption = None,
    recovery: RecoveryOption = None,
    config: ConfigOption = None,
    overrides: SetOption = None,
    describe: Annotated[bool, typer.Option("--describe", help="Say what each setting means.")] = False,
    form: Annotated[SettingsFormat, typer.Option("--format", help="How to print them.")] = SettingsFormat.TABLE,
) -> None:
    """Show the settings as they would be used, with secrets hidden.

    The first one given wins: a flag, an environment variable (LABELPULSE_ and
    the name in capitals), a file in the directory that LABELPULSE_SECRETS_DIR
    names, the configuration file, the default.
    """
    loaded = settings_from(config=config, overrides=overrides, source=source, clickhouse=clickhouse, recovery=recovery)
    if form is SettingsFormat.JSON:
        print(json.dumps(loaded.settings.shown(), indent=2, ensure_ascii=False))
    else:
        _print_table(loaded, describes=describe)


def _print_table(loaded: "LoadedSettings", *, describes: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    from flows.cli.tables import output_console

    table = Table("setting", "value", "from", *(["meaning"] if describes else []), box=None, pad_edge=False)
    for name, value in loaded.settings.shown().items():
        meaning = [type(loaded.settings).model_fields[name].description or ""] if describes else []
        table.add_row(name, Text(_shown(value)), loaded.origins[name], *meaning)
    output_console().print(table)


def _shown(value: object) -> str:
    return "-" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
