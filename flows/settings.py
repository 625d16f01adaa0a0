"""Settings: one flat list, from flags, the environment, secret files and a configuration file; the first one wins."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from flows.setting_values import (
    HIDDEN,
    default_clickhouse,
    default_spool,
    hidden_dsn,
    hidden_options,
    normalised_options,
)
from schemas.errors import ConfigurationError

ENVIRONMENT_PREFIX = "LABELPULSE_"
CONFIG_FILE_VARIABLE = "LABELPULSE_CONFIG_FILE"
SECRETS_DIR_VARIABLE = "LABELPULSE_SECRETS_DIR"
DAY_SECONDS = 86_400

_KUBERNETES_VARIABLE = re.compile(r".*_(SERVICE_(HOST|PORT)(_.*)?|PORT(_\d+_(TCP|UDP)(_.*)?)?)")
"""What Kubernetes adds to every container beside a service that happens to be called labelpulse."""


class Settings(BaseSettings):
    """Everything that can be set about a flow; each field's description says what it means and in which unit."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, env_nested_delimiter="__", env_ignore_empty=True, extra="forbid", frozen=True
    )

    source: str | None = Field(
        None, description="Where events come from: kafka://…, file:PATH, - (standard input) or simulate:events=N,…"
    )
    clickhouse: str = Field(
        default_factory=default_clickhouse,
        description="Where rows go: chdb:///PATH (embedded) or clickhouse://USER:PASSWORD@HOST:8123/DATABASE",
    )
    recovery: Path | None = Field(
        None, description="Directory that holds offsets and state over restarts; none: no state is kept."
    )
    until_eof: bool = Field(
        False, description="End when the source has been read to its end, instead of waiting for more."
    )
    workers: int = Field(
        1, ge=1, le=64, description="Processes of this machine that run the flow together; more need a server database."
    )
    process_id: int | None = Field(
        None, ge=0, lt=64, description="Number of this process in a cluster that is started process by process."
    )
    addresses: str | None = Field(
        None, description="Where each process of the cluster listens for the others, HOST:PORT;HOST:PORT, by number."
    )

    snapshot_seconds: float = Field(30.0, ge=0, le=3600, description="Seconds between two recovery snapshots.")
    flush_seconds: float = Field(1.0, gt=0, le=300, description="Rows are written at the latest after so many seconds.")
    flush_rows: int = Field(50_000, ge=1, le=5_000_000, description="Rows are written at the latest when so many wait.")
    grace_seconds: float = Field(
        25.0, gt=0, le=3600, description="After SIGTERM or Ctrl-C, rows that cannot be written in so many seconds wait."
    )
    batch_records_max: int = Field(25_000, ge=1, le=1_000_000, description="Most records in one batch of the source.")
    batch_bytes_max: int = Field(
        8_388_608,
        ge=1_024,
        le=268_435_456,
        description="Most bytes in one batch of the source (one record may be more).",
    )
    record_bytes_max: int = Field(
        1_048_576, ge=256, le=67_108_864, description="A record of more bytes is a dead letter (oversized)."
    )

    shards: int = Field(
        64, ge=1, le=4_096, description="Parts of the state, by project; fixed once a recovery store exists."
    )
    source_slots: int = Field(
        8, ge=1, le=1_024, description="Readers of the source; fixed once a recovery store exists."
    )
    sink_slots: int = Field(
        8, ge=1, le=1_024, description="Writers to the database; fixed once a recovery store exists."
    )

    window_seconds: int = Field(
        900, ge=1, le=DAY_SECONDS, description="Length of a window in seconds; divides a day without remainder."
    )
    disorder_seconds: float = Field(
        120.0, ge=0, le=DAY_SECONDS, description="A project's clock stays so many seconds behind its newest event."
    )
    retention_days: float = Field(
        90.0,
        gt=0,
        le=3_660,
        description="Days of event time that items and windows are kept and can be corrected.",
    )
    annotator_retention_days: float = Field(
        400.0, gt=0, le=3_660, description="An annotator's figures start anew after so many days without an event."
    )
    judgement_age_hours_max: float = Field(
        168.0, gt=0, le=87_840, description="A label judged more hours later than this does not enter drift or decay."
    )
    future_seconds_max: float = Field(
        3_600.0, ge=0, le=31_536_000, description="An event stamped more seconds ahead of the log is a dead letter."
    )
    occurred_at_min: AwareDatetime = Field(
        datetime(2000, 1, 1, tzinfo=UTC), description="An event before this moment is a dead letter."
    )
    occurred_at_max: AwareDatetime | None = Field(
        None,
        description="An event after this moment is a dead letter if the log has no stamps; none: fixed at first start.",
    )

    project_events_per_minute_max: int | None = Field(
        None, ge=1, description="Most events of a project in a minute of its own time; more are dead letters."
    )
    project_new_items_per_day_max: int | None = Field(
        None, ge=1, description="Most new items of a project in a day of its own time; more are dead letters."
    )
    classes_max: int = Field(1_000, ge=2, le=100_000, description="Most classes of one question.")
    decay_half_life_judgements: float = Field(
        50.0, gt=0, le=1_000_000, description="A judgement counts half in decayed accuracy after so many newer ones."
    )
    adwin_delta: float = Field(
        0.002, gt=0, lt=1, description="Confidence of the adaptive window (ADWIN); smaller means fewer false alarms."
    )
    consensus: bool = Field(True, description="Learn the consensus of each item.")
    consensus_confidence: float = Field(
        0.95, gt=0.5, le=1, description="An item is settled once its consensus is so probable."
    )
    consensus_labels_max: int = Field(
        7, ge=1, le=1_000, description="An item with so many labels that is not settled needs an expert."
    )
    agreement: bool = Field(True, description="Count the annotators' agreement: alpha, AC1, kappa of pairs.")
    estimates: bool = Field(
        True, description="See annotators in the light of the others: estimated accuracy, too fast, repeated answers."
    )
    generation: int | None = Field(
        None, ge=0, lt=2**15, description="Rows of each stay apart; none: the one of the recovery directory, or else 0."
    )
    hooks: bool = Field(True, description="Deliver alerts to the hooks of the policy.")
    replay: bool = Field(
        False, description="An old log is read again: alerts are recorded as suppressed, and delivered to nobody."
    )
    alerts: bool = Field(True, description="Watch for drift, and evaluate the rules of the policy.")
    policy: Path | None = Field(
        None, description="YAML file of rules, hooks and promised false alarms; none: the policy that holds by default."
    )

    kafka_options: Annotated[dict[str, str], BeforeValidator(normalised_options)] = Field(
        default_factory=dict, description="Passed through to librdkafka: TLS, SASL, time-outs."
    )
    kafka_group: str = Field(
        "labelpulse", min_length=1, max_length=249, description="Consumer group under which the lag can be seen."
    )
    dead_letter_topic: Annotated[str, Field(max_length=249, pattern=r"^[a-zA-Z0-9._-]+$")] | None = Field(
        "labelpulse.dead-letters",
        description="Topic for refused records when Kafka is the source; the word none: the table only.",
    )

    supervise_restarts_max: int = Field(
        10, ge=0, le=10_000, description="`run --supervise` gives up at more failures than this within the window."
    )
    supervise_window_seconds: float = Field(
        600.0, gt=0, le=86_400, description="`run --supervise` counts failures so many seconds back."
    )
    supervise_backoff_seconds_max: float = Field(
        60.0, ge=1, le=3_600, description="`run --supervise` waits 1, 2, 4 … seconds before a restart, at most so many."
    )

    unknown_version_share_max: float = Field(
        0.5, ge=0, le=1, description="With a greater share of unknown schema versions in a partition the flow ends."
    )
    poison_attempts: int = Field(
        3,
        ge=1,
        le=100,
        description="A record that has crashed the flow so often is a dead letter (poison) from then on.",
    )
    poison_records_max: int = Field(
        100,
        ge=0,
        le=100_000,
        description="With so many records set aside as poison, the next crash ends the flow for good.",
    )

    monitor: bool = Field(False, description="`run` serves the monitor as well, from the same process.")
    monitor_host: str = Field(
        "127.0.0.1", min_length=1, description="Address the monitor listens at; other than this machine needs tokens."
    )
    monitor_port: int = Field(8_321, ge=0, le=65_535, description="Port the monitor listens at; 0: any free one.")
    monitor_tokens: Path | None = Field(
        None, description="File of the monitor's tokens, a line each: NAME TOKEN PROJECT,PROJECT (or *) (act)."
    )
    monitor_token: str | None = Field(
        None,
        description="One token of the monitor, for all projects and actions; from the environment or a secret file.",
    )
    monitor_requests_per_second: float = Field(
        50.0, gt=0, le=100_000, description="Requests a second that one caller may make of the monitor."
    )

    metrics: str | None = Field(
        None, description="Address at which `run` serves /metrics and /healthz, HOST:PORT; none: nowhere."
    )

    gateway_listen: str = Field(
        "127.0.0.1:8080", min_length=3, description="Address the gateway listens on, HOST:PORT."
    )
    gateway_kafka: str | None = Field(None, description="Topic the gateway writes to: kafka://HOST:PORT/TOPIC.")
    gateway_spool_only: bool = Field(
        False, description="The gateway writes to its spool alone; `run` reads it with file:DIRECTORY."
    )
    gateway_spool: Path = Field(
        default_factory=default_spool,
        description="Directory for events while no broker answers, or for all of them; one gateway each.",
    )
    gateway_spool_bytes_max: int = Field(
        1_073_741_824,
        ge=1_048_576,
        le=2**50,
        description="Most bytes in the spool; beyond it requests are answered 503.",
    )
    gateway_acknowledge_seconds: float = Field(
        0.4, gt=0, le=60, description="Brokers may take so many seconds before the spool takes over."
    )
    gateway_body_bytes_max: int = Field(
        8_388_608, ge=1_024, le=268_435_456, description="Most bytes of a request's body, packed or unpacked."
    )
    gateway_events_max: int = Field(10_000, ge=1, le=1_000_000, description="Most native events in one request.")
    gateway_requests_per_second: float = Field(
        1_000.0, ge=0, le=1_000_000, description="Requests a second that one address may send; 0: any number."
    )
    gateway_replay_seconds: float = Field(
        300.0, gt=0, le=86_400, description="A signed time may lie so many seconds before or after now."
    )
    gateway_sources: Path | None = Field(
        None, description="TOML file of further sources: tool, secret file and what its adapter is told."
    )
    gateway_open: bool = Field(
        False, description="Sources without a secret take events from anybody; for a gateway on loopback only."
    )
    gateway_secret_events: SecretStr | None = Field(
        None, description="Secret of native events at the gateway; two lines while it is changed."
    )
    gateway_secret_label_studio: SecretStr | None = Field(
        None, description="Secret of Label Studio at the gateway; two lines while it is changed."
    )
    gateway_secret_argilla: SecretStr | None = Field(
        None, description="Secret of Argilla at the gateway; two lines while it is changed."
    )
    gateway_secret_cvat: SecretStr | None = Field(
        None, description="Secret of CVAT at the gateway; two lines while it is changed."
    )
    gateway_secret_labelbox: SecretStr | None = Field(
        None, description="Secret of Labelbox at the gateway; two lines while it is changed."
    )
    gateway_secret_toloka: SecretStr | None = Field(
        None, description="Secret of Toloka at the gateway; two lines while it is changed."
    )
    gateway_secret_sagemaker: SecretStr | None = Field(
        None, description="Secret of SageMaker Ground Truth at the gateway; two lines while it is changed."
    )
    gateway_secret_prodigy: SecretStr | None = Field(
        None, description="Secret of Prodigy at the gateway; two lines while it is changed."
    )

    outbox: Path | None = Field(
        None,
        description="File of alerts to deliver; none: beside the recovery directory, or else in ./labelpulse-data.",
    )
    deliver_age_seconds_max: float = Field(
        3_600.0, ge=0, le=31_536_000, description="Alerts that fired longer ago when they come are not delivered."
    )
    hook_networks_allowed: str | None = Field(
        None,
        description="Private networks that hooks may call, such as 10.0.0.0/8,127.0.0.1/32; none: public https only.",
    )
    control_topic: Annotated[str, Field(max_length=249, pattern=r"^[a-zA-Z0-9._-]+$")] | None = Field(
        "labelpulse.control",
        description="Topic of people's actions on alerts when Kafka is the source; the word none: the file only.",
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severity that is logged."
    )
    log_format: Literal["text", "json"] = Field("text", description="Form of a log line on standard error.")
    progress_seconds: float = Field(
        10.0, gt=0, le=3_600, description="Seconds between two progress lines where standard error is no terminal."
    )

    @field_validator("source", "clickhouse", mode="after")
    @classmethod
    def _require_text(cls, value: str | None) -> str | None:
        if value is not None and not value.strip():
            raise ValueError("must not be empty")
        return value

    @field_validator("dead_letter_topic", "control_topic", mode="before")
    @classmethod
    def _read_none(cls, value: Any) -> Any:
        return None if value == "none" else value

    @field_validator("window_seconds", mode="after")
    @classmethod
    def _require_divisor_of_day(cls, value: int) -> int:
        if DAY_SECONDS % value:
            raise ValueError(f"must divide a day of {DAY_SECONDS} seconds without remainder, such as 300, 900 or 3600")
        return value

    @model_validator(mode="after")
    def _require_order(self) -> Self:
        retention_seconds = self.retention_days * DAY_SECONDS
        if self.window_seconds > retention_seconds:
            raise ValueError("window_seconds must not be longer than retention_days")
        if self.disorder_seconds > retention_seconds:
            raise ValueError("disorder_seconds must not be longer than retention_days")
        if self.annotator_retention_days < self.retention_days:
            raise ValueError("annotator_retention_days must not be shorter than retention_days")
        if self.occurred_at_max is not None and self.occurred_at_max <= self.occurred_at_min:
            raise ValueError("occurred_at_max must be after occurred_at_min")
        return self

    def shown(self) -> dict[str, Any]:
        """Return the settings by name as plain values, with secrets hidden."""
        values = self.model_dump(mode="json")
        values["clickhouse"] = hidden_dsn(self.clickhouse)
        values["source"] = None if self.source is None else hidden_dsn(self.source)
        values["kafka_options"] = hidden_options(self.kafka_options)
        values["monitor_token"] = None if self.monitor_token is None else HIDDEN
        return values


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings, and where each came from.

    Parameters
    ----------
    settings
        The effective values.
    origins
        Name of a setting → ``flag``, ``environment``, ``secret file``, the configuration file, or ``default``.
    """

    settings: Settings
    origins: dict[str, str]


def load_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    config_file: Path | None = None,
) -> LoadedSettings:
    """Gather the settings: flags win over the environment, over secret files, over the configuration file.

    Parameters
    ----------
    flags
        Settings given on the command line, by name; None where a flag was not given.
    config_file
        A TOML file; ``LABELPULSE_CONFIG_FILE`` names one where this is None.

    Raises
    ------
    ConfigurationError
        With one line a mistake.
    """
    named = config_file or os.environ.get(CONFIG_FILE_VARIABLE)
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    sources = _sources(given, config_file=Path(named) if named else None)
    states = {origin: _state(source) for origin, source in sources.items()}
    mistakes = [*_unknown_variables(), *_unknown_names(states)]
    origins = _origins(states)
    try:
        settings = Settings(_build_sources=(tuple(sources.values()), {}))
    except ValidationError as error:
        mistakes += [_mistake(detail, origins) for detail in error.errors() if detail["type"] != "extra_forbidden"]
        raise _refused(mistakes) from error
    if mistakes:
        raise _refused(mistakes)
    return LoadedSettings(settings, origins)


def _sources(flags: dict[str, Any], *, config_file: Path | None) -> dict[str, PydanticBaseSettingsSource]:
    sources: dict[str, PydanticBaseSettingsSource] = {
        "flag": InitSettingsSource(Settings, flags),
        "environment": EnvSettingsSource(Settings),
    }
    if secrets_dir := os.environ.get(SECRETS_DIR_VARIABLE):
        _require_exists(Path(secrets_dir), what="directory of secrets", variable=SECRETS_DIR_VARIABLE)
        sources["secret file"] = SecretsSettingsSource(Settings, secrets_dir=secrets_dir)
    if config_file is not None:
        _require_exists(config_file, what="configuration file", variable=CONFIG_FILE_VARIABLE)
        sources[str(config_file)] = _toml_source(config_file)
    return sources


def _toml_source(path: Path) -> TomlConfigSettingsSource:
    try:
        return TomlConfigSettingsSource(Settings, path)
    except (ValueError, OSError) as error:
        raise ConfigurationError(
            f"cannot read the configuration file {path}: {error}", remedy="write it as TOML, one `name = value` a line"
        ) from error


def _require_exists(path: Path, *, what: str, variable: str) -> None:
    if not path.exists():
        raise ConfigurationError(f"the {what} {path} does not exist", remedy=f"mend the path, or unset {variable}")


def _state(source: PydanticBaseSettingsSource) -> dict[str, Any]:
    try:
        return source()
    except SettingsError as error:
        raise ConfigurationError(
            "kafka_options in the environment should be a JSON object",
            remedy=f'write {variable_of("kafka_options")}=\'{{"security.protocol": "SSL"}}\'',
        ) from error


def _unknown_variables() -> Iterator[str]:
    known = {CONFIG_FILE_VARIABLE, SECRETS_DIR_VARIABLE, *(variable_of(name) for name in Settings.model_fields)}
    for variable in sorted(os.environ):
        name, _, nested = variable.upper().partition("__")
        is_ours = name.startswith(ENVIRONMENT_PREFIX) and not _KUBERNETES_VARIABLE.fullmatch(name)
        if is_ours and (name not in known or (nested and name != variable_of("kafka_options"))):
            yield f"{variable} in the environment is no setting{_suggestion(name, known)}"


def _unknown_names(states: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for origin, state in states.items():
        for name in sorted(set(state) - set(Settings.model_fields)):
            yield f"{name} is no setting{_suggestion(name, set(Settings.model_fields))} (from {_told(origin, name)})"


def _suggestion(name: str, known: set[str]) -> str:
    close = get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def variable_of(name: str) -> str:
    """Return the environment variable of a setting.

    >>> variable_of("flush_seconds")
    'LABELPULSE_FLUSH_SECONDS'
    """
    return ENVIRONMENT_PREFIX + name.upper()


def _origins(states: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {
        name: next((origin for origin, state in states.items() if name in state), "default")
        for name in Settings.model_fields
    }


def _told(origin: str, name: str) -> str:
    if origin == "environment":
        return f"the environment variable {variable_of(name)}"
    return f"a {origin}" if origin in ("flag", "secret file") else origin


def _mistake(detail: Mapping[str, Any], origins: Mapping[str, str]) -> str:
    reason = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if not detail["loc"]:
        return reason
    name = str(detail["loc"][0])
    return f"{name} {reason}{_got(name, detail['input'])} (from {_told(origins.get(name, 'default'), name)})"


def _got(name: str, value: Any) -> str:
    is_hidden = name in ("kafka_options", "clickhouse", "source", "monitor_token") or name.startswith("gateway_secret")
    return "" if is_hidden else f", not {value!r}"


def _refused(mistakes: list[str]) -> ConfigurationError:
    return ConfigurationError(
        "\n".join(mistakes), remedy="`labelpulse settings --describe` lists every setting with its meaning and default"
    )
