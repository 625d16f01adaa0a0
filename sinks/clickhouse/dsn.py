"""Where the database is, read from one line of text."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from schemas.errors import ConfigurationError

DEFAULT_DATABASE = "labelpulse"
EMBEDDED_SCHEME = "chdb"
MEMORY_PATH = ":memory:"
SCHEMES = {"clickhouse": "http", "clickhouses": "https", "http": "http", "https": "https"}
OPTIONS = (
    "database", "connect_timeout", "send_receive_timeout", "secure", "verify", "ca_cert", "client_cert",
    "client_cert_key", "compress", "server_host_name", "proxy_path", "http_proxy", "https_proxy",
)  # fmt: skip
"""What may follow the ``?`` of a DSN, beside ``database``: options of clickhouse-connect's client."""

_EXAMPLES = "chdb:///var/lib/labelpulse or clickhouse://USER:PASSWORD@HOST:8123/DATABASE"
_DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_PASSWORD = re.compile(r"(?<=://)([^/?#]*?):[^/?#]*@")
_SECRET_OPTION = re.compile(r"([?&][^=&]*(?:password|secret|token|key)[^=&]*=)[^&]+", flags=re.IGNORECASE)
_HIDDEN = "***"


@dataclass(frozen=True)
class Dsn:
    """Where the database is.

    Parameters
    ----------
    database
        Name of the database.
    path
        Folder of the embedded engine (or ``:memory:``); None for a server.
    interface
        ``http`` or ``https``, for a server.
    host, port, username, password
        The server and who connects to it; an absent port is the interface's default.
    options
        Further options of the client, as text.
    """

    database: str
    path: str | None = None
    interface: str = "http"
    host: str = "localhost"
    port: int | None = None
    username: str | None = None
    password: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where the database is, for messages."""
        if self.path is not None:
            return self.path
        return self.host if self.port is None else f"{self.host}:{self.port}"


def redacted(dsn: str) -> str:
    """Return a DSN without its password, for messages and logs.

    >>> redacted("clickhouse://me:p%40ss@db:8123/labelpulse")
    'clickhouse://me:***@db:8123/labelpulse'
    """
    return _SECRET_OPTION.sub(rf"\g<1>{_HIDDEN}", _PASSWORD.sub(rf"\g<1>:{_HIDDEN}@", dsn))


def parse_dsn(dsn: str) -> Dsn:
    """Read a DSN.

    ``chdb:///abs/path``, ``chdb://relative/path`` and ``chdb://:memory:`` are the embedded engine; ``clickhouse://``
    and ``http://`` a server, ``clickhouses://`` and ``https://`` one behind TLS.

    >>> parse_dsn("chdb:///var/lib/labelpulse").path
    '/var/lib/labelpulse'
    >>> parse_dsn("https://db/metrics").database
    'metrics'

    Raises
    ------
    ConfigurationError
        If it is none, or has an unknown option.
    """
    scheme, separator, rest = dsn.partition("://")
    if not separator or (scheme != EMBEDDED_SCHEME and scheme not in SCHEMES):
        raise ConfigurationError(
            f"{redacted(dsn)!r} is not a ClickHouse address", remedy=f"give one such as {_EXAMPLES}"
        )
    return _parse_embedded(rest) if scheme == EMBEDDED_SCHEME else _parse_server(dsn, SCHEMES[scheme])


def _parse_embedded(rest: str) -> Dsn:
    location, _, query = rest.partition("?")
    options = _parse_options(query)
    database = _checked_database(options.pop("database", DEFAULT_DATABASE))
    if options:
        raise ConfigurationError(f"the embedded database has no option {min(options)!r}", remedy="leave it out")
    if not location:
        raise ConfigurationError("chdb:// names no folder", remedy=f"give one, such as {_EXAMPLES}")
    path = unquote(location)
    return Dsn(database, path if path == MEMORY_PATH else os.path.abspath(os.path.expanduser(path)))


def _parse_server(dsn: str, interface: str) -> Dsn:
    try:
        parts = urlsplit(dsn)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigurationError(f"{redacted(dsn)!r} is not a ClickHouse address: {error}") from error
    if not host:
        raise ConfigurationError(f"{redacted(dsn)!r} names no host", remedy=f"give one such as {_EXAMPLES}")
    options = _parse_options(parts.query)
    if options.pop("secure", "false").lower() in ("1", "true", "yes"):
        interface = "https"
    database = options.pop("database", None) or unquote(parts.path.strip("/")) or DEFAULT_DATABASE
    return Dsn(
        _checked_database(database), None, interface, host, port,
        unquote(parts.username) if parts.username else None, unquote(parts.password or ""), options,
    )  # fmt: skip


def _parse_options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(options.keys() - set(OPTIONS))
    if unknown:
        raise ConfigurationError(
            f"a ClickHouse address has no option {unknown[0]!r}", remedy=f"known are {', '.join(OPTIONS)}"
        )
    return options


def _checked_database(database: str) -> str:
    if not _DATABASE.fullmatch(database):
        raise ConfigurationError(
            f"{database!r} is no name of a database", remedy="use letters, digits and underscores, no digit first"
        )
    return database
