"""What an audit is made with: the log that is named, and the rules that the flow runs under."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from flows.audit.kafka_log import KafkaLog
from flows.audit.log import ArchiveLog, FileLog, Log
from flows.audit.recount import Limits
from flows.audit.rules import Rules
from flows.dataflow import FROZEN_SETTINGS, decode_settings_of, fold_settings_of
from flows.policy import load_policy
from flows.recovery import Manifest, read_manifest
from flows.settings import Settings
from flows.sources.urls import FileSpec, KafkaSpec, parse_source
from schemas.errors import ConfigurationError

ARCHIVE_PREFIX = "archive:"
FORMS = "kafka://HOST:PORT/TOPIC, file:PATH or archive:DIRECTORY"


def open_log(url: str, settings: Settings) -> Log:
    """Return the log that a person names.

    Raises
    ------
    ConfigurationError, UnavailableError
        If there is none there that can be read from its beginning.
    """
    if url.startswith(ARCHIVE_PREFIX):
        return ArchiveLog(Path(url.removeprefix(ARCHIVE_PREFIX)).expanduser())
    match parse_source(url):
        case KafkaSpec() as spec:
            return KafkaLog(spec, options=settings.kafka_options)
        case FileSpec(path):
            return FileLog(path)
        case _:
            raise ConfigurationError(f"{url} cannot be read again from its beginning", remedy=f"name {FORMS}")


def frozen_flags(recovery: Path | None) -> tuple[dict[str, Any], Manifest | None]:
    """Return the settings that a recovery directory was made under, as flags, and its manifest if it has one.

    Raises
    ------
    ConfigurationError
        If a directory is named that is not one.
    """
    manifest = read_manifest(recovery) if recovery is not None else None
    if recovery is not None and manifest is None:
        raise ConfigurationError(
            f"{recovery} is not a recovery directory of the flow", remedy="name the one that `labelpulse run` was given"
        )
    frozen = manifest.frozen if manifest is not None else {}
    return {name: frozen[name] for name in FROZEN_SETTINGS if name in frozen}, manifest


def rules_of(settings: Settings) -> Rules:
    """Return what decides how events become figures."""
    fold = fold_settings_of(settings)
    policy = load_policy(settings.policy) if settings.alerts else None
    return Rules(
        window=fold.window,
        disorder=fold.disorder,
        memory=fold.disorder + fold.retention,
        annotator_memory=fold.disorder + fold.annotator_retention,
        classes_max=fold.classes_max,
        events_per_minute_max=fold.events_per_minute_max,
        new_items_per_day_max=fold.new_items_per_day_max,
        has_agreement=fold.has_agreement,
        attributes_of=None if policy is None else cache(lambda project_id: policy.for_project(project_id).attributes),
    )


def limits_of(settings: Settings, manifest: Manifest | None) -> Limits:
    """Return what an event must keep to; the latest possible time follows from the flow's first start."""
    started_at = manifest.created_at if manifest is not None else datetime.now(UTC)
    decode = decode_settings_of(settings, first_started_at=started_at)
    return Limits(
        occurred_at_min=decode.occurred_at_min,
        occurred_at_max=decode.occurred_at_max,
        future_max=decode.future_max,
        record_bytes_max=settings.record_bytes_max,
    )
