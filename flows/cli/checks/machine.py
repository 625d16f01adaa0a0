"""Python, packages, processor, time zones: what the flow finds on this machine."""

import os
import platform
import sys
from collections.abc import Iterator
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flows.cli.checks.finding import Finding, failure, ok, warning
from flows.cli.version import installed_version

PYTHONS = ((3, 11), (3, 12))
EXACT_PACKAGES = {"bytewax": "0.21.1", "river": "0.26.1"}
TIME_ZONE_TRIED = "Europe/Berlin"
ENGINE_SERVER_VARIABLE = "BYTEWAX_DATAFLOW_API_ENABLED"


def check_machine() -> Iterator[Finding]:
    """Yield what is found about this machine and installation."""
    yield _python()
    yield from _packages()
    yield _processors()
    yield _time_zones()
    if ENGINE_SERVER_VARIABLE in os.environ:
        yield warning(
            "engine",
            f"{ENGINE_SERVER_VARIABLE} is set, so the engine opens port 3030 on all addresses",
            remedy=f"unset {ENGINE_SERVER_VARIABLE}",
        )


def _python() -> Finding:
    found = platform.python_version()
    if sys.version_info[:2] in PYTHONS:
        return ok("python", found)
    return failure("python", f"{found} is not supported", remedy="use Python 3.11 or 3.12")


def _packages() -> Iterator[Finding]:
    wrong = {name: version for name, version in _exact_versions() if version != EXACT_PACKAGES[name]}
    for name, version in wrong.items():
        yield failure(
            "packages",
            f"{name} is {version}, and a recovery store holds state of {EXACT_PACKAGES[name]}",
            remedy="install from the lock file: pip install --require-hashes --requirement requirements.lock",
        )
    if not wrong:
        yield ok("packages", ", ".join(f"{name} {version}" for name, version in _exact_versions()))


def _exact_versions() -> Iterator[tuple[str, str]]:
    return ((name, installed_version(name)) for name in EXACT_PACKAGES)


def _processors() -> Finding:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if count > 1 and os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        return warning(
            "processor",
            f"{count} usable; the last bits of figures may depend on that number",
            remedy="set OPENBLAS_NUM_THREADS=1",
        )
    return ok("processor", f"{count} usable")


def _time_zones() -> Finding:
    try:
        ZoneInfo(TIME_ZONE_TRIED)
    except ZoneInfoNotFoundError:
        return failure("time zones", "there is no time zone data", remedy="install the package tzdata")
    return ok("time zones", "data is there")
