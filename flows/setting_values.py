"""Values of settings that need more than a type: the default database, librdkafka's options, and what is secret."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

HIDDEN = "********"
DATA_FOLDER = "labelpulse-data"

_SECRET_WORDS = ("password", "secret", "key", "token")
_SECRET_PARAMETER = re.compile(rf"([?&][^=&]*(?:{'|'.join(_SECRET_WORDS)})[^=&]*=)[^&]+", flags=re.IGNORECASE)
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^:@/?#]*):.*@")


def default_clickhouse() -> str:
    """Return the DSN of the embedded database in the working directory's data folder."""
    return embedded_dsn(Path.cwd() / DATA_FOLDER / "clickhouse")


def default_spool() -> Path:
    """Return the gateway's spool in the working directory's data folder."""
    return Path.cwd() / DATA_FOLDER / "spool"


def embedded_dsn(path: Path) -> str:
    """Return the DSN of the embedded database at `path`.

    >>> embedded_dsn(Path("/var/lib/labelpulse"))
    'chdb:///var/lib/labelpulse'
    """
    return f"chdb://{quote(str(path.absolute()))}"


def normalised_options(value: Any) -> Any:
    """Read librdkafka's options from a mapping or a JSON object; underscores in names stand for dots.

    An environment variable cannot have a dot in its name, so ``LABELPULSE_KAFKA_OPTIONS__SASL_PASSWORD`` sets
    ``sasl.password``.

    >>> normalised_options({"SASL_PASSWORD": "p", "ssl.ca.location": "/ca.pem"})
    {'sasl.password': 'p', 'ssl.ca.location': '/ca.pem'}
    """
    if isinstance(value, str):
        value = _parsed_object(value)
    if not isinstance(value, Mapping):
        return value
    return {name.lower().replace("_", "."): _as_text(option) for name, option in _flattened(value).items()}


def _parsed_object(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError('should be a JSON object such as {"security.protocol": "SSL"}') from error


def _flattened(options: Mapping[str, Any]) -> dict[str, Any]:
    """Join the names of nested tables, as TOML makes them of unquoted dotted keys."""
    flat: dict[str, Any] = {}
    for name, option in options.items():
        if isinstance(option, Mapping):
            flat |= {f"{name}.{inner}": value for inner, value in _flattened(option).items()}
        else:
            flat[name] = option
    return flat


def _as_text(option: Any) -> Any:
    if isinstance(option, bool):
        return str(option).lower()
    return str(option) if isinstance(option, int | float) else option


def hidden_options(options: Mapping[str, str]) -> dict[str, str]:
    """Return options with the values of secret ones hidden.

    >>> hidden_options({"sasl.password": "p", "security.protocol": "SSL"})
    {'sasl.password': '********', 'security.protocol': 'SSL'}
    """
    return {name: HIDDEN if _is_secret(name) else option for name, option in options.items()}


def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in _SECRET_WORDS)


def hidden_dsn(dsn: str) -> str:
    """Return a DSN without its password and secret parameters.

    >>> hidden_dsn("clickhouse://me:p%40ss@db:8123/labelpulse?access_token=abc&compress=1")
    'clickhouse://me:********@db:8123/labelpulse?access_token=********&compress=1'
    """
    return _SECRET_PARAMETER.sub(rf"\g<1>{HIDDEN}", _PASSWORD_IN_URL.sub(rf"\g<1>:{HIDDEN}@", dsn))
