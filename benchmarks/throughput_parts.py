"""The parts that are measured; each runs in a process of its own and imports what it needs only then."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import Cost, Usage

FLOW, FLOW_KAFKA, TUTORIAL, FLOOR = "flow_file", "flow_kafka", "tutorial_file", "floor_file"
SNAPSHOT_SECONDS = 30.0
"""Time between snapshots in the tutorial's version: the default of ours."""
FLOOR_PASSES = 5
PIECE_BYTES = 1_048_576


def measure_part(arguments: argparse.Namespace) -> None:
    """Run the part that the arguments name; write its cost and, if asked for, its results to the file they name."""
    ready, results = PARTS[arguments.part](arguments)
    passes = FLOOR_PASSES if arguments.part == FLOOR else 1
    done = Usage.now()
    cost = Cost.between(arguments.started_at, ready, done, events=arguments.events * passes)
    found = results() if arguments.with_results else None
    arguments.result.write_text(json.dumps({"cost": cost.document(), "results": found}))


BEYOND_THE_JOB = ("consensus", "agreement", "estimates", "alerts")
"""Settings of what the straightforward version does not have: off, so that both do the same job."""

Results = Callable[[], dict[str, Any]]


def _flow(arguments: argparse.Namespace) -> tuple[Usage, Results]:
    """Run our flow with the default settings, but for the statistics that the tutorial's job does not have."""
    from benchmarks.throughput_results import flow_results
    from flows.run import run
    from flows.run_state import RunState
    from flows.settings import load_settings
    from flows.sources.intake import Intake

    class TimedIntake(Intake):
        """Notes the moment when the first records have been read."""

        ready: Usage | None = None

        def __setattr__(self, name: str, value: Any) -> None:
            if name == "records_read" and value and self.ready is None:
                self.ready = Usage.now()
            super().__setattr__(name, value)

    dsn = f"chdb://{arguments.folder / 'database'}"
    source = arguments.source or f"file:{arguments.log}"
    flags = {"source": source, "clickhouse": dsn, "recovery": arguments.folder / "recovery", "until_eof": True}
    flags |= dict.fromkeys(BEYOND_THE_JOB, False)
    intake = TimedIntake()
    summary = run(load_settings(flags).settings, state=RunState(intake=intake))
    assert summary.ended_by == "end"
    assert intake.ready is not None, "the log is not empty"
    return intake.ready, lambda: flow_results(dsn)


def _tutorial(arguments: argparse.Namespace) -> tuple[Usage, Results]:
    """Run the tutorial's version, with snapshots as often as ours."""
    from datetime import timedelta

    import clickhouse_connect
    from bytewax.recovery import RecoveryConfig, init_db_dir
    from bytewax.run import cli_main

    from benchmarks.throughput_results import tutorial_results
    from benchmarks.tutorial_flow import LinePartition, LineSource, build_tutorial_flow
    from benchmarks.tutorial_sink import create_tables

    ready: list[Usage] = []

    class TimedLines(LinePartition):
        """Notes the moment when the first lines are read."""

        def next_batch(self) -> list[bytes]:
            if not ready:
                ready.append(Usage.now())
            return super().next_batch()

    recovery, database = arguments.folder / "recovery", str(arguments.folder / "database")
    recovery.mkdir(parents=True)
    init_db_dir(str(recovery), 1)
    client = clickhouse_connect.get_client(interface="chdb", path=database)
    create_tables(client)
    flow = build_tutorial_flow(LineSource(arguments.log, TimedLines), client)
    cli_main(flow, epoch_interval=timedelta(seconds=SNAPSHOT_SECONDS), recovery_config=RecoveryConfig(str(recovery)))
    client.close()
    return ready[0], lambda: tutorial_results(database)


def _floor(arguments: argparse.Namespace) -> tuple[Usage, Results]:
    """Read the log and decode each record as our flow does, several times over, and do nothing with them."""
    from pydantic import ValidationError

    from operators.decode import read_event

    ready = Usage.now()
    for _ in range(FLOOR_PASSES):
        for line in _lines(arguments.log):
            try:
                read_event(line)
            except ValidationError:
                continue
    return ready, dict


def _lines(log: Path) -> Any:
    rest = b""
    with log.open("rb", buffering=0) as file:
        while piece := file.read(PIECE_BYTES):
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()
            yield from lines
    assert not rest, "the log ends with a line end"


PARTS: dict[str, Callable[[argparse.Namespace], tuple[Usage, Results]]] = {
    FLOW: _flow, FLOW_KAFKA: _flow, TUTORIAL: _tutorial, FLOOR: _floor,
}  # fmt: skip
"""Permanent ids of the parts, and what each runs: it returns what had been used when it was ready for the first record,
and a function that reads the results from the database."""
