"""Throughput of the flow, against the straightforward version of the same job and against reading alone.

``python -m benchmarks.throughput [--quick] [--json FILE]``
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import Cost, machine, run_module
from benchmarks.throughput_parts import FLOOR, FLOW, FLOW_KAFKA, PARTS, TUTORIAL, measure_part
from benchmarks.throughput_report import print_report
from benchmarks.throughput_results import differences
from flows.simulator.settings import parse_simulation
from flows.simulator.simulation import simulate

SIMULATION = (
    "annotators=300,projects=3,seed=7,revision_rate=0,retraction_rate=0,duplicate_rate=0,gold_corrected_share=0"
)
"""The log: labels out of order, known answers before and after their labels, drift, bad records. It is without what the
tutorial's version cannot do: revisions, retractions, repeats, corrected known answers, labels behind its windows."""
EVENTS, EVENTS_QUICK = 300_000, 50_000
ROUNDS, ROUNDS_QUICK_MAX = 3, 5
QUICK_SECONDS = 42.0
"""With ``--quick``, a further round is begun only if it can be expected to end within so many seconds of the start."""
PART_SECONDS_MAX = 900.0
TARGET = 5.0
ROUND = (FLOW, TUTORIAL, FLOOR)


@dataclass(slots=True)
class Log:
    """The log that all parts read."""

    path: Path
    simulation: str
    events: int
    size_bytes: int
    sha256: str

    def document(self) -> dict[str, Any]:
        """Return what is to be known about it."""
        return {
            "simulation": self.simulation, "events": self.events, "bytes": self.size_bytes, "sha256": self.sha256,
        }  # fmt: skip


@dataclass(slots=True)
class Session:
    """What has been measured so far.

    Parameters
    ----------
    log
        The log.
    folder
        Where the parts keep their databases and state.
    costs
        Costs of each part, a round each.
    results
        Results of the first run of each part that has some.
    left_out
        What was not measured, and why.
    """

    log: Log
    folder: Path
    costs: dict[str, list[Cost]] = field(default_factory=dict)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def measure(self, part: str, *, source: str | None = None) -> None:
        """Run a part in a process of its own."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            arguments = [
                "--part",
                part,
                "--log",
                str(self.log.path),
                "--events",
                str(self.log.events),
                "--folder",
                folder,
            ]
            arguments += ["--source", source] if source is not None else []
            arguments += ["--with-results"] if part not in self.results else []
            result = Path(folder) / "result.json"
            found = run_module("benchmarks.throughput", arguments, result=result, seconds_max=PART_SECONDS_MAX)
        self.costs.setdefault(part, []).append(
            Cost(**{name: found["cost"][name] for name in Cost.__dataclass_fields__})
        )
        if part not in self.results:
            self.results[part] = found["results"]

    def ratios(self) -> dict[str, float]:
        """Return how the parts compare: medians over the rounds, each ratio within its round."""
        ours, tutorial, floor = (self.costs[part] for part in ROUND)
        rounds = list(zip(ours, tutorial, floor, strict=True))
        return {
            "ratio_to_tutorial": median(a.events_per_second / b.events_per_second for a, b, _ in rounds),
            "ratio_to_tutorial_with_startup": median(
                a.events_per_second_with_startup / b.events_per_second_with_startup for a, b, _ in rounds
            ),
            "ratio_to_tutorial_cpu": median(b.cpu_us_per_event / a.cpu_us_per_event for a, b, _ in rounds),
            "ratio_to_floor": median(a.cpu_us_per_event / c.cpu_us_per_event for a, _, c in rounds),
        }

    def differences(self) -> list[str]:
        """Return in what the results differ."""
        ours = self.results[FLOW]
        found = [f"{FLOW} and {TUTORIAL}: {line}" for line in differences(ours, self.results[TUTORIAL])]
        if FLOW_KAFKA in self.results:
            found += [f"{FLOW} and {FLOW_KAFKA}: {line}" for line in differences(ours, self.results[FLOW_KAFKA])]
        return found

    def document(self, *, is_quick: bool) -> dict[str, Any]:
        """Return everything, for ``--json``."""
        parts = {
            part: Cost.median_of(costs).document() | {"rounds": [cost.document() for cost in costs]}
            for part, costs in self.costs.items()
        }
        return {
            **self.ratios(),
            "target_ratio_to_tutorial": TARGET,
            "is_quick": is_quick,
            "parts": parts,
            "are_results_equal": not self.differences(),
            "differences": self.differences(),
            "rows_compared": {table: len(rows) for table, rows in self.results[FLOW].items()},
            "log": self.log.document(),
            "machine": machine(),
            "left_out": self.left_out,
        }


def main(given: list[str] | None = None) -> int:
    """Measure, print and write; return the exit code: 1 if the results of the parts differ."""
    began, arguments = time.monotonic(), parse_arguments(given)
    if arguments.part is not None:
        measure_part(arguments)
        return 0
    with tempfile.TemporaryDirectory(prefix="labelpulse-throughput-") as folder:
        log = write_log(
            Path(folder) / "events.jsonl", arguments.events or (EVENTS_QUICK if arguments.quick else EVENTS)
        )
        session = Session(log, Path(folder))
        for number in rounds_of(arguments, began):
            for part in ROUND if number % 2 == 0 else reversed(ROUND):
                session.measure(part)
        if arguments.quick:
            session.left_out.append(f"{FLOW_KAFKA}: not part of --quick")
        else:
            measure_kafka(session)
        document = session.document(is_quick=arguments.quick)
    print_report(document)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")
    return 0 if document["are_results_equal"] else 1


def rounds_of(
    arguments: argparse.Namespace, began: float, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[int]:
    """Count the rounds: a fixed number, or with ``--quick`` as many as there is time for.

    Parameters
    ----------
    began
        When the benchmark was started, in seconds of `clock`.
    """
    if arguments.rounds is not None or not arguments.quick:
        yield from range(arguments.rounds or ROUNDS)
        return
    first_began = clock()
    for number in range(ROUNDS_QUICK_MAX):
        round_seconds = (clock() - first_began) / max(number, 1)
        if number and clock() + round_seconds > began + QUICK_SECONDS:
            return
        yield number


def measure_kafka(session: Session) -> None:
    """Measure our flow from Kafka, or note why that cannot be done here."""
    from benchmarks.throughput_kafka import BrokerUnavailableError, kafka_source

    with ExitStack() as stack:
        try:
            source = stack.enter_context(kafka_source(session.log.path))
        except BrokerUnavailableError as error:
            session.left_out.append(f"{FLOW_KAFKA}: NO REAL KAFKA here, so nothing about it was measured ({error})")
            return
        for _ in session.costs[FLOW]:
            session.measure(FLOW_KAFKA, source=source)


def write_log(path: Path, events: int) -> Log:
    """Write the simulated log."""
    simulation = f"events={events},{SIMULATION}"
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for record in simulate(parse_simulation(simulation)):
            line = record + b"\n"
            file.write(line)
            digest.update(line)
    return Log(path, simulation, events, path.stat().st_size, digest.hexdigest())


def parse_arguments(given: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.throughput", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help=f"{EVENTS_QUICK:,} events from a file, within 50 s")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to a file")
    parser.add_argument("--events", type=int, metavar="N", help=f"length of the log (default {EVENTS:,})")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"how often each part runs (default {ROUNDS})")
    part = parser.add_argument_group("one part (what the benchmark starts itself)")
    part.add_argument("--part", choices=PARTS, help="run this part only, in this process")
    part.add_argument("--log", type=Path, help="the log")
    part.add_argument("--source", help="read from here instead of the log")
    part.add_argument("--folder", type=Path, help="keep database and state here")
    part.add_argument("--result", type=Path, help="write what was found here")
    part.add_argument("--started-at", type=float, help="when this process was started, on the monotonic clock")
    part.add_argument("--with-results", action="store_true", help="read the results from the database, too")
    return parser.parse_args(given)


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main())
