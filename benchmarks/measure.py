"""Measures what a process costs: wall time, CPU of all its threads and children, peak memory; and on which machine."""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Self

BYTES_PER_MB = 1_000_000
MICROSECONDS_PER_SECOND = 1_000_000
KILOBYTE = 1_024
VERSIONS_OF = ("bytewax", "river", "chdb", "clickhouse-connect", "pydantic", "msgspec", "confluent-kafka", "numpy")


@dataclass(frozen=True, slots=True)
class Usage:
    """What has been used so far, or between two moments.

    Parameters
    ----------
    seconds
        Wall time; of the machine's monotonic clock, which all processes share.
    cpu_seconds
        User and system time of the process, with all its threads and the children it has waited for.
    """

    seconds: float
    cpu_seconds: float

    @classmethod
    def now(cls) -> Self:
        """Return what this process has used so far."""
        own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        return cls(time.monotonic(), own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime)

    def __sub__(self, earlier: "Usage") -> "Usage":
        return Usage(self.seconds - earlier.seconds, self.cpu_seconds - earlier.cpu_seconds)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run of a part cost, or the medians over several.

    Parameters
    ----------
    events
        Records of the log that were worked through.
    startup_seconds, startup_cpu_seconds
        From the start of the process to the moment when the first record is read.
    seconds, cpu_seconds
        From then on until all rows are in the database and it is closed.
    peak_memory_mb
        Largest resident memory of the process, in 10⁶ bytes.
    """

    events: int
    startup_seconds: float
    startup_cpu_seconds: float
    seconds: float
    cpu_seconds: float
    peak_memory_mb: float

    @property
    def events_per_second(self) -> float:
        """Throughput without the start-up."""
        return self.events / self.seconds

    @property
    def events_per_second_with_startup(self) -> float:
        """Throughput from the start of the process on."""
        return self.events / (self.startup_seconds + self.seconds)

    @property
    def cpu_us_per_event(self) -> float:
        """CPU time without the start-up, in microseconds."""
        return self.cpu_seconds / self.events * MICROSECONDS_PER_SECOND

    @classmethod
    def between(cls, started_at: float, ready: Usage, done: Usage, *, events: int) -> Self:
        """Return the cost of this process.

        Parameters
        ----------
        started_at
            When it was started, on the machine's monotonic clock.
        ready, done
            What it had used when it was ready for the first record, and at the end.
        """
        steady = done - ready
        return cls(
            events, ready.seconds - started_at, ready.cpu_seconds, steady.seconds, steady.cpu_seconds, peak_memory_mb()
        )

    @classmethod
    def median_of(cls, costs: Sequence[Self]) -> Self:
        """Return the median of each figure."""
        return cls(**{name: median(getattr(cost, name) for cost in costs) for name in cls.__dataclass_fields__})

    def document(self) -> dict[str, Any]:
        """Return all figures by name."""
        return asdict(self) | {
            "events_per_second": self.events_per_second,
            "events_per_second_with_startup": self.events_per_second_with_startup,
            "cpu_us_per_event": self.cpu_us_per_event,
        }


def peak_memory_mb() -> float:
    """Return the largest resident memory of this process so far, in 10⁶ bytes.

    What the kernel reports with the times (``ru_maxrss``) starts from the memory of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * KILOBYTE / BYTES_PER_MB
    unit = 1 if sys.platform == "darwin" else KILOBYTE
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / BYTES_PER_MB


def run_module(module: str, arguments: Sequence[str], *, result: Path, seconds_max: float) -> dict[str, Any]:
    """Run ``python -m module …`` in a process of its own and return what it wrote as JSON.

    It is told ``--started-at`` (on the machine's monotonic clock) and ``--result`` beside its arguments.

    Raises
    ------
    RuntimeError
        If it fails, or takes longer than `seconds_max`.
    """
    command = [sys.executable, "-m", module, *arguments, "--result", str(result)]
    command += ["--started-at", repr(time.monotonic())]
    try:
        ended = subprocess.run(command, env=child_environment(), capture_output=True, timeout=seconds_max, check=False)
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{' '.join(arguments)} took longer than {seconds_max:.0f} s") from error
    if ended.returncode != 0:
        told = (ended.stdout + ended.stderr).decode(errors="backslashreplace")[-4_000:]
        raise RuntimeError(f"{' '.join(arguments)} ended with exit code {ended.returncode}:\n{told}")
    return json.loads(result.read_text())


def child_environment() -> dict[str, str]:
    """Return the environment of a measured process: no settings of ours, one thread of linear algebra."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("LABELPULSE_")}
    return kept | {"OPENBLAS_NUM_THREADS": "1"}


def machine() -> dict[str, Any]:
    """Return what the figures depend on beside the code."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_mb": round(memory_bytes / BYTES_PER_MB),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in VERSIONS_OF},
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
