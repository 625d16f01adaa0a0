"""Where events come from: is it there, and can it be read."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from flows.cli.checks.finding import Finding, Level, failure, ok, warning
from flows.opening import records_expected
from flows.settings import Settings
from flows.sources.urls import FileSpec, KafkaSpec, SimulateSpec, StandardInputSpec, parse_source
from schemas.errors import LabelpulseError


def check_source(settings: Settings) -> Iterator[Finding]:
    """Yield what is found about the source of the settings; nothing is consumed."""
    if settings.source is None:
        yield warning("source", "none is set", remedy="set --source, or LABELPULSE_SOURCE")
        return
    try:
        spec = parse_source(settings.source)
        match spec:
            case KafkaSpec():
                yield from _kafka(spec, settings)
            case FileSpec(path):
                yield _file(path)
            case StandardInputSpec():
                yield _standard_input()
            case SimulateSpec():
                yield ok("source", f"a simulated stream of {records_expected(spec):,} records")
    except LabelpulseError as error:
        yield failure("source", error.message, remedy=error.remedy)


def _kafka(spec: KafkaSpec, settings: Settings) -> Iterator[Finding]:
    from flows.cli.checks.kafka import check_dead_letter_topic, check_topic

    options = {**settings.kafka_options, **spec.options}
    is_there = True
    for finding in check_topic(
        brokers=spec.brokers, topic=spec.topic, options=options, retention_days=settings.retention_days
    ):
        is_there &= finding.subject != "topic" or finding.level is not Level.FAIL
        yield finding
    if is_there and settings.dead_letter_topic is not None:
        yield check_dead_letter_topic(brokers=spec.brokers, topic=settings.dead_letter_topic, options=options)


def _file(path: Path) -> Finding:
    if not path.exists():
        return failure("source", f"{path} does not exist", remedy="check the path")
    if not os.access(path, os.R_OK):
        return failure("source", f"{path} cannot be read", remedy="give this user the right to read it")
    if path.is_dir():
        return ok("source", f"{path}, a directory of {sum(1 for entry in path.iterdir() if entry.is_file())} files")
    return ok("source", f"{path}, {path.stat().st_size:,} bytes")


def _standard_input() -> Finding:
    if sys.stdin is not None and sys.stdin.isatty():
        return warning("source", "standard input is a terminal", remedy="pipe events into the command")
    return ok("source", "standard input")
