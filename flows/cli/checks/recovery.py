"""The recovery directory: can it be written, is it free, does it belong to this flow."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from flows.cli.checks.finding import Finding, failure, ok, warning
from flows.dataflow import frozen_settings
from flows.policy import load_policy
from flows.recovery import read_manifest
from flows.recovery_lock import LOCK_NAME
from flows.settings import Settings
from schemas.errors import LabelpulseError

FREE_BYTES_MIN = 1_073_741_824


def check_recovery(settings: Settings) -> Iterator[Finding]:
    """Yield what is found about the recovery directory of the settings; nothing is changed in it."""
    path = settings.recovery
    if path is None:
        yield warning(
            "recovery", "no directory is set: a restart begins from nothing", remedy="set --recovery DIRECTORY"
        )
        return
    folder = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        yield failure("recovery", f"{folder} cannot be written", remedy="give this user the right to, or name another")
        return
    yield _space(folder)
    if folder == path.absolute():
        yield _manifest(path, settings)
        yield from _lock(path)
    else:
        yield ok("recovery", f"{path} will be made at the first start")


def _space(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    told = f"{free / 1_073_741_824:.1f} GiB free"
    if free < FREE_BYTES_MIN:
        return warning("recovery space", told, remedy="make room: a snapshot that cannot be written stops the flow")
    return ok("recovery space", told)


def _manifest(path: Path, settings: Settings) -> Finding:
    try:
        manifest = read_manifest(path)
    except LabelpulseError as error:
        return failure("recovery", error.message, remedy=error.remedy)
    if manifest is None:
        return ok("recovery", f"{path} is empty")
    now = frozen_settings(settings, policy=load_policy(settings.policy), source=manifest.frozen.get("source", ""))
    changed = [name for name in sorted(now) if manifest.frozen.get(name) != now[name]]
    if changed:
        return failure(
            "recovery",
            f"{path} was made under other settings: {', '.join(changed)}",
            remedy="go back to those settings, or start a new recovery directory with a higher generation",
        )
    return ok("recovery", f"{path}, of the flow that was first started {manifest.created_at:%Y-%m-%d %H:%M}Z")


def _lock(path: Path) -> Iterator[Finding]:
    file = path / LOCK_NAME
    if not file.exists():
        return
    lock = os.open(file, os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        yield ok("recovery lock", "a flow is running on it")
    finally:
        os.close(lock)
