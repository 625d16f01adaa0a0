"""An environment for a server that tests talk to: made once with pip, in a cache folder of the user.

``python -m tests.support.label_studio.environment`` makes Label Studio's ahead of the tests.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
MARK = ".complete"
INSTALL_SECONDS_MAX = 1_200


class EnvironmentUnavailableError(Exception):
    """An environment cannot be made on this machine; the message says why."""


def environment_of(name: str, requirements: Path = REQUIREMENTS) -> Path:
    """Return the folder of an environment with the packages of a requirements file; make it if it is not there yet.

    Parameters
    ----------
    name
        What the folder is called; the content of the file is part of its name as well.
    requirements
        Exact versions, a line each.

    Raises
    ------
    EnvironmentUnavailableError
        If pip cannot install them.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "labelpulse"
    content = hashlib.blake2b(requirements.read_bytes(), digest_size=6).hexdigest()
    folder = cache / f"{name}-{sys.version_info.major}.{sys.version_info.minor}-{content}"
    if not (folder / MARK).exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run(sys.executable, "-m", "venv", str(folder))
        pip = (str(folder / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check")
        _run(*pip, "install", "setuptools", "wheel")
        _run(*pip, "install", "--no-deps", "--requirement", str(requirements))
        (folder / MARK).touch()
    return folder


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS_MAX)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentUnavailableError(f"{command[0]} does not end: {error}") from error
    if done.returncode:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise EnvironmentUnavailableError(f"pip cannot make it: {lines[-1] if lines else 'no reason told'}")


if __name__ == "__main__":
    try:
        print(environment_of("label-studio"))
    except EnvironmentUnavailableError as unavailable:
        sys.exit(f"error: {unavailable}")
