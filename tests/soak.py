"""Simulated histories for as long as one likes: ``python -m tests.soak [--minutes M] [--seed S]``, or ``make soak``.

Each seed is a history: logs, settings, crashes and faults, all drawn from the seed (`tests/support/simulation`). The
flow's own sources, shards and sinks run through it, and the invariants are checked. A seed that fails is printed, and
``--seed S`` runs it again, the same in every step.
"""

import argparse
import logging
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count, islice

from tests.support.simulation.history import EVENTS, described, history_of
from tests.support.simulation.run import HistoryFailed, Outcome, run_history

AT_ONCE = 50
TOLD_SECONDS = 10.0
FAILURES_MAX = 10

Result = tuple[int, Outcome | None, str]


def main() -> int:
    """Run histories until the time is over, or one; return 0 if all invariants held."""
    logging.disable(logging.CRITICAL)
    arguments = _arguments()
    if arguments.seed is not None:
        return _run_one(arguments.seed, arguments.events)
    began, told_at, totals, failures = time.monotonic(), 0.0, Counter[str](), list[str]()
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        jobs = ((seed, arguments.events) for seed in _seeds(arguments.first_seed, arguments.histories))
        for _, outcome, failure in _results(pool, jobs):
            seconds = time.monotonic() - began
            totals["histories"] += 1
            if outcome is None:
                failures.append(failure)
                print(failure, "\n", flush=True)
            else:
                totals += outcome.counts + Counter(records=outcome.records, executions=outcome.executions)
            if seconds - told_at >= TOLD_SECONDS:
                told_at = seconds
                print(_told(totals, seconds, len(failures)), file=sys.stderr, flush=True)
            if seconds >= arguments.minutes * 60 or len(failures) >= FAILURES_MAX:
                break
        pool.terminate()
    print(_told(totals, time.monotonic() - began, len(failures)))
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Simulated histories, with faults.")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long (default 60)")
    parser.add_argument("--histories", type=int, help="at most so many")
    parser.add_argument("--first-seed", type=int, default=int(time.time()), help="default: the time, so ever new ones")
    parser.add_argument("--seed", type=int, help="run this one history, and show what happens in it")
    parser.add_argument("--events", type=int, default=EVENTS, help=f"of a history, about (default {EVENTS})")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="default: one a core")
    return parser.parse_args()


def _seeds(first: int, histories: int | None) -> Iterator[int]:
    return islice(count(first), histories)


def _results(pool: "multiprocessing.pool.Pool", jobs: Iterator[tuple[int, int]]) -> Iterator[Result]:
    """Run jobs a few at a time, so that no more are begun than will be looked at."""
    while block := list(islice(jobs, AT_ONCE)):
        yield from pool.imap_unordered(_run, block)


def _run(job: tuple[int, int]) -> Result:
    logging.disable(logging.CRITICAL)
    seed, events = job
    try:
        return seed, run_history(seed, events=events), ""
    except HistoryFailed as failure:
        return seed, None, str(failure)


def _run_one(seed: int, events: int) -> int:
    print(described(history_of(seed, events=events)))
    try:
        outcome = run_history(seed, events=events, tell=print)
    except HistoryFailed as failure:
        print(failure)
        return 1
    print(f"all invariants hold: {outcome}")
    return 0


def _told(totals: Counter[str], seconds: float, failures: int) -> str:
    names = ("records", "executions", "epochs", "crashes", "failed sinks")
    counts = totals | Counter({"failed sinks": totals["TransientSinkError"] + totals["TerminalSinkError"]})
    told = ", ".join(f"{counts[name]:,} {name}" for name in names)
    rate = totals["histories"] / seconds * 60
    return f"{totals['histories']:,} histories in {seconds:.0f} s ({rate:,.0f} a minute): {told}; {failures} failed"


if __name__ == "__main__":
    sys.exit(main())
