"""The jars of Apache Kafka, fetched once with Maven into a cache folder of the user."""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
JAVA_VERSION_MIN = 17
FETCH_SECONDS_MAX = 600


class BrokerUnavailableError(Exception):
    """A broker cannot be had on this machine; the message says what is missing."""


def kafka_version() -> str:
    """Return the version of Kafka that the project's pom.xml names."""
    match = re.search(r"<kafka\.version>([^<]+)<", POM.read_text())
    assert match is not None
    return match[1]


def java_command() -> str:
    """Return the path of Java.

    Raises
    ------
    BrokerUnavailableError
        If there is none, or one older than 17.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else None
    java = java or shutil.which("java")
    if java is None:
        raise BrokerUnavailableError("Java is missing: install Java 17, such as openjdk-17-jre-headless")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < JAVA_VERSION_MIN:
        raise BrokerUnavailableError(f"Java {JAVA_VERSION_MIN} or newer is needed, but {java} says: {said.strip()}")
    return java


def kafka_jars() -> Path:
    """Return the folder that holds the jars of Kafka and of all it needs; fetch them if it is not there yet.

    Raises
    ------
    BrokerUnavailableError
        If Maven is missing, or cannot fetch them.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "labelpulse"
    folder = cache / f"kafka-{kafka_version()}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            fetched = Path(scratch, "jars")
            _fetch(fetched)
            _publish(fetched, folder)
    return folder


def _fetch(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerUnavailableError("Maven is missing, which fetches Apache Kafka: install maven 3.8 or newer")
    command = [maven, "--quiet", "--batch-mode", "--file", str(POM), "dependency:copy-dependencies"]
    command += ["-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS_MAX)
    except subprocess.TimeoutExpired as error:
        raise BrokerUnavailableError(f"Maven did not fetch Apache Kafka within {FETCH_SECONDS_MAX} s") from error
    if done.returncode:
        first_error = next((line for line in done.stdout.splitlines() if "ERROR" in line), done.stderr.strip())
        raise BrokerUnavailableError(f"Maven cannot fetch Apache Kafka {kafka_version()}: {first_error}")


def _publish(fetched: Path, folder: Path) -> None:
    """Move the jars to their place in one step; where another process was faster, its jars are as good."""
    try:
        fetched.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
