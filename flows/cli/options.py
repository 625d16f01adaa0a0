"""Options that several commands share, and how they become settings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.errors import ConfigurationError

if TYPE_CHECKING:
    from flows.settings import LoadedSettings

ClickhouseOption = Annotated[
    str | None,
    typer.Option(
        "--clickhouse",
        metavar="DSN",
        help="Database: chdb:///PATH (inside this process) or clickhouse://USER@HOST:8123/NAME. "
        "Default: chdb in ./labelpulse-data.",
        show_default=False,
    ),
]
SourceOption = Annotated[
    str | None,
    typer.Option(
        "--source",
        metavar="SOURCE",
        help="Events: kafka://HOST:PORT/TOPIC, file:PATH (file or directory, also .gz and .zst), - (standard input) "
        "or simulate:events=N,seed=N,… (`labelpulse simulate --describe` lists the names).",
        show_default=False,
    ),
]
RecoveryOption = Annotated[
    Path | None,
    typer.Option(
        "--recovery",
        metavar="DIRECTORY",
        help="Keep offsets and state here, so that the next start goes on where this one ended.",
        show_default=False,
    ),
]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", metavar="FILE", help="Settings as TOML; LABELPULSE_CONFIG_FILE names one too.", show_default=False
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Any setting (`labelpulse settings --describe` lists them), as often as needed; "
        "librdkafka's as kafka_options.NAME=VALUE.",
        show_default=False,
    ),
]

_KAFKA_PREFIX = "kafka_options."


def settings_from(*, config: Path | None, overrides: list[str] | None, **flags: Any) -> "LoadedSettings":
    """Gather the settings of a command from its flags and everything below them.

    Raises
    ------
    ConfigurationError
        If a setting is wrong.
    """
    from flows.settings import load_settings

    return load_settings({**_parsed(overrides or []), **_given(flags)}, config_file=config)


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in flags.items() if value is not None}


def _parsed(overrides: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for override in overrides:
        name, separator, value = override.partition("=")
        if not separator:
            raise ConfigurationError(f"--set {override} has no value", remedy="write --set NAME=VALUE")
        if name.startswith(_KAFKA_PREFIX):
            values.setdefault("kafka_options", {})[name.removeprefix(_KAFKA_PREFIX)] = value
        else:
            values[name.strip().replace("-", "_")] = value
    return values
