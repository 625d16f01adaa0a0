"""What people write after ``--source``, read into plain parts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from schemas.errors import ConfigurationError

FORMS = "kafka://HOST:PORT[,HOST:PORT]/TOPIC, file:PATH, - (standard input) or simulate:NAME=VALUE,…"
KAFKA_PORT = 9092
STARTING_OFFSETS = ("earliest", "latest")

_BROKER = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\[\]:@\s,]+)(?::(?P<port>\d{1,5}))?")
_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_SECRET_OPTION = re.compile(r"password|secret|token|jaas|key\.pem$", flags=re.IGNORECASE)
_USER = re.compile(r"//[^/]*@")
_AFTER_EQUALS = re.compile(r"(?<==)[^&]+")

StartingOffset = Literal["earliest", "latest"]


@dataclass(frozen=True, slots=True)
class KafkaSpec:
    """A topic of Kafka.

    Parameters
    ----------
    brokers
        Addresses to begin with, as host:port, separated by commas.
    topic
        Name of the topic.
    starting_offset
        Where the first run begins.
    group_id
        Consumer group to show the progress in; None for the one of the settings.
    options
        Settings of librdkafka, by their own names.
    """

    brokers: str
    topic: str
    starting_offset: StartingOffset = "earliest"
    group_id: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileSpec:
    """A file of JSON lines, or a directory of them."""

    path: Path


@dataclass(frozen=True, slots=True)
class StandardInputSpec:
    """Standard input."""


@dataclass(frozen=True, slots=True)
class SimulateSpec:
    """A simulated stream; what its parameters mean is for the simulator to say."""

    parameters: Mapping[str, str]


SourceSpec = KafkaSpec | FileSpec | StandardInputSpec | SimulateSpec


def parse_source(url: str) -> SourceSpec:
    """Read where events come from.

    Parameters
    ----------
    url
        ``kafka://host:port[,host:port]/topic[?start=latest&group=NAME&LIBRDKAFKA.OPTION=VALUE]``, ``file:PATH`` or the
        path of a file or directory that exists, ``-``, or ``simulate:name=value,…``.

    Raises
    ------
    ConfigurationError
        If it has none of these forms.

    Examples
    --------
    >>> parse_source("kafka://a:9092,b/events?start=latest")
    KafkaSpec(brokers='a:9092,b:9092', topic='events', starting_offset='latest', group_id=None, options={})
    >>> parse_source("simulate:events=1000,seed=7")
    SimulateSpec(parameters={'events': '1000', 'seed': '7'})
    >>> parse_source("-")
    StandardInputSpec()
    """
    if url == "-":
        return StandardInputSpec()
    scheme, colon, rest = url.partition(":")
    if scheme == "kafka" and rest.startswith("//"):
        return _kafka(url)
    if scheme == "simulate":
        return SimulateSpec(_simulate_parameters(url, rest))
    if scheme == "file" and colon:
        return FileSpec(_file_path(url, rest))
    if url and Path(url).exists():
        return FileSpec(Path(url))
    raise _wrong(url, "is not a source, nor a file or directory that exists")


def _kafka(url: str) -> KafkaSpec:
    parts = urlsplit(url)
    options = dict(_query(url, parts))
    starting_offset = options.pop("start", "earliest")
    if starting_offset not in STARTING_OFFSETS:
        raise _wrong(url, "has a start that is neither earliest nor latest")
    group_id = options.pop("group", None)
    if group_id == "":
        raise _wrong(url, "has an empty group")
    return KafkaSpec(
        _brokers(url, parts.netloc), _topic(url, parts), cast(StartingOffset, starting_offset), group_id, options
    )


def _brokers(url: str, netloc: str) -> str:
    if "@" in netloc:
        raise ConfigurationError(
            "the source must not hold a user or password",
            remedy="set kafka_options, such as LABELPULSE_KAFKA_OPTIONS__SASL_USERNAME and …__SASL_PASSWORD",
        )
    brokers = []
    for part in netloc.split(","):
        match = _BROKER.fullmatch(part)
        port = KAFKA_PORT if match is None or match["port"] is None else int(match["port"])
        if match is None or not 0 < port < 2**16:
            raise _wrong(url, f"names a broker {part!r} that is not HOST:PORT")
        brokers.append(f"{match['host']}:{port}")
    return ",".join(brokers)


def _topic(url: str, parts: SplitResult) -> str:
    topic = unquote(parts.path).removeprefix("/").removesuffix("/")
    if parts.fragment or topic in (".", "..") or not _TOPIC.fullmatch(topic):
        raise _wrong(url, "does not end with the name of a topic (letters, digits, dot, underscore, hyphen)")
    return topic


def _query(url: str, parts: SplitResult) -> list[tuple[str, str]]:
    try:
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise _wrong(url, "has options that are not NAME=VALUE&…") from error
    names = [name for name, _ in options]
    if len(set(names)) < len(names):
        raise _wrong(url, "has an option twice")
    for name in names:
        if _SECRET_OPTION.search(name):
            variable = f"LABELPULSE_KAFKA_OPTIONS__{name.upper().replace('.', '_')}"
            raise ConfigurationError(f"the source must not hold the secret {name}", remedy=f"set {variable} instead")
    return options


def _file_path(url: str, rest: str) -> Path:
    if rest.startswith("//"):
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost"):
            raise _wrong(url, f"names a file of another machine, {parts.netloc!r}")
        rest = unquote(parts.path)
    if not rest:
        raise _wrong(url, "does not name a file or directory")
    return Path(rest).expanduser()


def _simulate_parameters(url: str, rest: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        name, equals, value = part.partition("=")
        if not (name.strip() and equals and value.strip()):
            raise _wrong(url, f"has a part {part!r} that is not NAME=VALUE")
        if name.strip() in parameters:
            raise _wrong(url, f"has the parameter {name.strip()} twice")
        parameters[name.strip()] = value.strip()
    return parameters


def _wrong(url: str, reason: str) -> ConfigurationError:
    return ConfigurationError(f"the source {_shown(url)!r} {reason}", remedy=f"write {FORMS}")


def _shown(url: str) -> str:
    """Return what of a source may be shown: neither a user and password nor the values of options."""
    return _AFTER_EQUALS.sub("…", _USER.sub("//…@", url)) if url.startswith("kafka:") else url
