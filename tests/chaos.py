"""The flow on real parts that fail all the time: ``python -m tests.chaos [--kills N]``, or ``make chaos``.

A real Apache Kafka with several partitions, the flow in processes of its own, ClickHouse over HTTP. Events come all the
while, one in twenty of them twice, and out of order. Processes of the flow are killed (SIGKILL) at random moments and
started again with another number of workers; the broker is killed and started; ClickHouse resets connections, answers
503, half or late, and is away for seconds. In the end ``labelpulse audit`` recomputes all figures from the log, and an
undisturbed run over the same log is compared with what is in the tables, row by row. Exit code 0: no difference.
"""

import argparse
import itertools
import json
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from flows.simulator.settings import SimulationSettings
from tests.support.chaos.database import REFERENCE, BadDatabase
from tests.support.chaos.flow import Flow
from tests.support.chaos.producer import EventStream
from tests.support.command import call
from tests.support.kafka.jars import BrokerUnavailableError
from tests.support.kafka.node import Broker, running_broker

PARTITIONS = 6
WORKERS_MAX = 3
RECOVER_SECONDS_MAX = 300.0
CATCH_UP_SECONDS_MAX = 600.0
POLL_SECONDS = 0.05
POLICY = """
version: 1
rules:
  - {name: worse, when: {drift: accuracy}}
  - {name: low, when: {signal: accuracy, below: 0.75}, evidence: {gold_labels: 5}}
"""


@dataclass
class Figures:
    """What happened."""

    kills: Counter[str] = field(default_factory=Counter)
    drains: int = 0
    broker_restarts: int = 0
    recoveries: list[float] = field(default_factory=list)


class ChaosFailed(Exception):
    """Something did not come back, or differs; the message says what."""


class Chaos:
    """One run, from an empty topic to a verdict."""

    def __init__(self, arguments: argparse.Namespace, broker: Broker, database: BadDatabase, folder: Path) -> None:
        self._kills = arguments.kills
        self._blows_until = time.monotonic() + 60 * arguments.minutes
        self._rng = random.Random(arguments.seed)
        self._broker = broker
        self._database = database
        self._folder = folder
        self._topic = broker.create_topic(partitions=PARTITIONS, config={"message.timestamp.type": "LogAppendTime"})
        self._source = f"kafka://{broker.bootstrap}/{self._topic}"
        (folder / "policy.yaml").write_text(POLICY)
        self._settings = {"policy": folder / "policy.yaml", "source_slots": PARTITIONS, "progress_seconds": 5}
        self._flow = Flow(
            source=self._source, dsn=database.dsn(), recovery=folder / "recovery", log=folder / "flow.log",
            snapshot_seconds=arguments.snapshot_seconds, flush_seconds=0.3, **self._settings,
        )  # fmt: skip
        stream = SimulationSettings(
            events=10**9, annotators=60, projects=12, seed=arguments.seed, duplicate_rate=0.05, disorder_seconds=120.0,
            bad_rate=0.005, gold_rate=0.3,
        )  # fmt: skip
        self._events = EventStream(broker.bootstrap, self._topic, stream, rate=arguments.rate)
        self._is_under_way = False
        self.figures = Figures()

    def run(self) -> None:
        """Let everything fail, then compare."""
        call("migrate", "--clickhouse", self._database.dsn())
        self._events.start()
        try:
            self._database.trouble()
            self._start()
            self._await_news(0)
            blows = itertools.count()
            while self.figures.kills.total() < self._kills and time.monotonic() < self._blows_until:
                self._one_blow(next(blows))
            self._tell("calm: catching up")
            self._database.calm()
            self._events.stop()
            self._catch_up()
        finally:
            self._flow.end()
        self._judge()

    def _one_blow(self, number: int) -> None:
        """Let something go wrong beside, then kill the flow at a random moment, and start it again."""
        rng = self._rng
        if number % 12 == 5:
            self._restart_broker()
        elif rng.random() < 0.15:
            with self._database.outage():
                time.sleep(rng.uniform(0.5, 4.0))
        elif rng.random() < 0.2:
            self._database.hiccup()
        time.sleep(rng.choice((0.0, 0.2, 1.0)) * rng.random())
        if not self._flow.is_running and (self._is_under_way or not self._flow.could_not_start):
            raise ChaosFailed(f"the flow ended by itself; it said:\n{self._flow.last_words()}")
        if self._flow.is_running and rng.random() < 0.08:
            self.figures.drains += 1
            self._drain()
        self._start_again()

    def _start_again(self) -> None:
        rng = self._rng
        if self._flow.is_running:
            self.figures.kills[self._flow.kill(rng)] += 1
        began, before = time.monotonic(), self._database.position()
        self._start()
        if rng.random() < 0.25:  # the next blow falls while it is still starting
            time.sleep(rng.uniform(0.1, 3.0))
            return
        self._await_news(before)
        self.figures.recoveries.append(time.monotonic() - began)
        number = self.figures.kills.total()
        if number % 5 == 0:
            self._tell(f"{number} kills, {self._events.records:,} events, {self._database.faults} faults")

    def _start(self) -> None:
        self._is_under_way = False
        self._flow.start(self._rng.randrange(1, WORKERS_MAX + 1))

    def _restart_broker(self) -> None:
        self._broker.kill() if self._rng.random() < 0.5 else self._broker.stop()
        time.sleep(self._rng.uniform(0.0, 2.0))
        self._broker.start()
        self.figures.broker_restarts += 1

    def _await_news(self, before: int) -> None:
        """Wait until the flow has accounted for a record that it had not before."""
        self._await(lambda: self._database.position() > before, RECOVER_SECONDS_MAX, "no new rows")
        self._is_under_way = True

    def _catch_up(self) -> None:
        """Wait until all that was produced is accounted for; end the flow in good order."""
        high = sum(self._high_watermarks())
        if not self._flow.is_running:
            self._start()
        self._await(lambda: self._database.position() >= high, CATCH_UP_SECONDS_MAX, "it does not catch up")
        self._drain()

    def _drain(self) -> None:
        """Ask the flow to end: exit code 0, unless it is still starting and has nothing to keep."""
        code = self._flow.drain(self._rng)
        if code and (self._is_under_way or code != -signal.SIGTERM):
            raise ChaosFailed(f"asked to end, it ended with exit code {code}:\n{self._flow.last_words()}")

    def _await(self, is_so: Callable[[], bool], seconds_max: float, complaint: str) -> None:
        deadline = time.monotonic() + seconds_max
        while not is_so():
            if not self._flow.is_running:
                raise ChaosFailed(f"the flow ended by itself; it said:\n{self._flow.last_words()}")
            if time.monotonic() > deadline:
                raise ChaosFailed(f"{complaint} within {seconds_max:g} s; it said:\n{self._flow.last_words()}")
            time.sleep(POLL_SECONDS)

    def _high_watermarks(self) -> list[int]:
        from flows.sources.kafka_topic import Topic

        topic = Topic(brokers=self._broker.bootstrap, name=self._topic, options={}, connect_seconds=30.0)
        return [high for _, high in topic.watermarks(range(PARTITIONS)).values()]

    def _judge(self) -> None:
        """Audit, and compare with an undisturbed run; print all figures."""
        self._tell("audit")
        dsn = self._database.dsn()
        audit = call(
            "audit", "--log", self._source, "--clickhouse", dsn, "--recovery", self._folder / "recovery",
            "--format", "json", check=False, **self._settings,
        )  # fmt: skip
        if not audit.stdout:
            raise ChaosFailed(f"the audit did not come to an end: {audit.stderr.decode()}")
        differences = json.loads(audit.stdout)["differences_total"]
        self._tell("undisturbed run")
        undisturbed = self._database.dsn(REFERENCE)
        call("migrate", "--clickhouse", undisturbed)
        call("run", "--source", self._source, "--clickhouse", undisturbed, "--until-eof", **self._settings)
        differing = self._database.differing_rows()
        self._print_figures(differences, differing)
        if differences or differing or self._flow.leftovers:
            raise ChaosFailed("there are differences" if differences or differing else "processes were left behind")

    def _print_figures(self, differences: int, differing: dict[str, int]) -> None:
        figures, times = self.figures, sorted(self.figures.recoveries)
        kills = ", ".join(f"{count} of {aim}" for aim, count in sorted(figures.kills.items()))
        print(f"kills:                   {figures.kills.total()} ({kills}), drains: {figures.drains}")
        print(f"starts of the flow:      {self._flow.starts}, processes left behind: {self._flow.leftovers}")
        print(f"restarts of the broker:  {figures.broker_restarts}")
        print(f"faults of ClickHouse:    {self._database.faults}, outages: {self._database.outages}")
        print(f"events:                  {self._events.records:,}; rows in force: {self._database.rows():,}")
        print(f"differences by audit:    {differences}")
        print(f"rows unlike undisturbed: {sum(differing.values())} {differing or ''}")
        median = statistics.median(times) if times else float("nan")
        print(f"time to recover, s:      median {median:.1f}, max {max(times, default=float('nan')):.1f}")

    @staticmethod
    def _tell(what: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


def main() -> int:
    """Run once; return the exit code."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing is left behind
    try:
        with tempfile.TemporaryDirectory(prefix="labelpulse-chaos-", ignore_cleanup_errors=True) as scratch:
            folder = Path(scratch)
            database = BadDatabase(folder / "db", random.Random(arguments.seed), fault_share=arguments.fault_share)
            with running_broker() as broker, database.running():
                Chaos(arguments, broker, database, folder).run()
    except (ChaosFailed, BrokerUnavailableError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Kills, outages, and then an audit.")
    parser.add_argument(
        "--kills", type=int, default=100, help="how often to kill the flow; drains come on top (default 100)"
    )
    parser.add_argument("--minutes", type=float, default=120.0, help="deal no more of them after so long (default 120)")
    parser.add_argument("--rate", type=int, default=500, help="events per second (default 500)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="default: the time")
    parser.add_argument("--snapshot-seconds", type=float, default=2.0, help="between two snapshots (default 2)")
    parser.add_argument("--fault-share", type=float, default=0.02, help="of insertions, of each kind (default 0.02)")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", file=sys.stderr)
    return arguments


if __name__ == "__main__":
    sys.exit(main())
