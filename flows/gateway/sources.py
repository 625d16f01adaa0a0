"""Who sends: the sources that the gateway knows, by the name in their address."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

from flows.gateway.authentication import Authentication, Scheme
from flows.gateway.limits import RateLimit
from flows.settings import Settings
from flows.tool_settings import tool_settings
from schemas.adapters.common import AdapterSettings
from schemas.adapters.registry import ADAPTERS, Adapter, adapter_of
from schemas.errors import ConfigurationError

NATIVE = "events"
"""Name of the source of native events, in settings and metrics."""

SCHEMES = {
    "argilla": Scheme.STANDARD_WEBHOOKS,
    "cvat": Scheme.HMAC_SHA256,
    "labelbox": Scheme.HMAC_SHA1,
    "toloka": Scheme.TOLOKA,
}
"""How tools sign; those that do not send a secret in a header."""


@dataclass(frozen=True, slots=True)
class Source:
    """One sender of webhooks, or of native events.

    Parameters
    ----------
    name
        The last part of its address.
    authentication
        What its requests must show.
    adapter
        Converts its payloads; None for native events.
    settings
        What the adapter is told.
    rate
        How many requests it takes in all, whoever sends them.
    """

    name: str
    authentication: Authentication
    adapter: Adapter | None = None
    settings: AdapterSettings = field(default_factory=AdapterSettings)
    rate: RateLimit = field(default_factory=partial(RateLimit, 0))


class _SourceEntry(BaseModel):
    """A table of the file of sources; what else it holds is for the adapter."""

    model_config = ConfigDict(extra="allow")

    tool: str | None = None
    secret_file: Path | None = None
    authentication: Scheme | None = None
    header: str = ""
    requests_per_second: Annotated[float, Field(ge=0)] = 0


_ENTRIES = TypeAdapter(dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")], _SourceEntry])


def load_sources(settings: Settings) -> dict[str, Source]:
    """Return the sources by name: one for each tool and one for native events, and those of the file of sources.

    Raises
    ------
    ConfigurationError
        If the file or a secret is wrong, or nobody could send anything.
    """
    sources = {NATIVE: Source(NATIVE, _authentication(settings, Scheme.SHARED_SECRET, _secret(settings, NATIVE)))}
    for tool, adapter in ADAPTERS.items():
        scheme = SCHEMES.get(tool, Scheme.SHARED_SECRET)
        sources[tool] = Source(tool, _authentication(settings, scheme, _secret(settings, tool)), adapter)
    if settings.gateway_sources is not None:
        for name, entry in _entries(settings.gateway_sources).items():
            sources[name] = _source(name, entry, settings)
    for source in sources.values():
        source.authentication.check()
    if not any(source.authentication.is_open or source.authentication.secrets for source in sources.values()):
        raise ConfigurationError(
            "no source has a secret, so nobody may send anything",
            remedy="set LABELPULSE_GATEWAY_SECRET_LABEL_STUDIO or another tool's, or try it out with --open",
        )
    return sources


def _secret(settings: Settings, name: str) -> tuple[str, ...]:
    value: SecretStr | None = getattr(settings, f"gateway_secret_{name.replace('-', '_')}")
    return () if value is None else _lines(value.get_secret_value())


def _authentication(settings: Settings, scheme: Scheme, secrets: tuple[str, ...], header: str = "") -> Authentication:
    if settings.gateway_open and not secrets:
        scheme = Scheme.OPEN
    replay_seconds = settings.gateway_replay_seconds
    return Authentication(scheme=scheme, secrets=secrets, header=header.lower(), replay_seconds_max=replay_seconds)


def _entries(path: Path) -> Mapping[str, _SourceEntry]:
    try:
        return _ENTRIES.validate_python(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the file of sources {path} cannot be used: {_told(error)}",
            remedy="docs/gateway.md shows what it may hold",
        ) from error


def _told(error: OSError | ValueError) -> str:
    if isinstance(error, ValidationError):
        detail = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}"
    return str(error)


def _source(name: str, entry: _SourceEntry, settings: Settings) -> Source:
    if name == NATIVE:
        raise ConfigurationError(f"a source cannot be called {NATIVE}", remedy="that is the name of native events")
    adapter = adapter_of(entry.tool or name)
    scheme = entry.authentication or SCHEMES.get(adapter.tool, Scheme.SHARED_SECRET)
    secrets = _secret(settings, adapter.tool) if name == adapter.tool else ()
    if entry.secret_file is not None:
        secrets = _read_secrets(entry.secret_file)
    told = tool_settings(**(entry.model_extra or {}))
    authentication = _authentication(settings, scheme, secrets, entry.header)
    return Source(name, authentication, adapter, told, RateLimit(entry.requests_per_second))


def _read_secrets(path: Path) -> tuple[str, ...]:
    try:
        secrets = _lines(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"the secret in {path} cannot be read", remedy="check the path and its rights"
        ) from error
    if not secrets:
        raise ConfigurationError(f"there is no secret in {path}", remedy="write it into the file, on a line of its own")
    return secrets


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())
