"""From an alert handed over to the hook's request: ``python -m benchmarks.hooks``.

Alerts are handed to the intake one by one, at random moments, as the flow's sink does; an HTTP receiver on loopback in
a process of its own notes when each request has arrived whole. Both read the same monotonic clock. Beside it the same
disk is asked for the least that durable delivery could do: one small write and ``fsync``.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import structlog

from flows.hooks import wall_clock
from flows.receivers import delivery_of
from schemas.alerts import Alert, AlertState, Severity, alert_id_of
from schemas.hooks import HOOKS_ADAPTER
from sinks.hooks import store
from sinks.hooks.addresses import parse_networks
from sinks.hooks.intake import Intake
from sinks.hooks.outbox import Outbox
from sinks.hooks.publisher import Publisher
from sinks.hooks.traits import Suppression

SECRET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
TARGET_SECONDS = 1.5
FLUSH_SECONDS = 1.0
WAIT_SECONDS = 60.0
SEED = 7
CRITICAL = 50


def main() -> int:
    """Measure, print, and return 1 if the target is missed."""
    arguments = _arguments()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(CRITICAL))
    with tempfile.TemporaryDirectory() as folder:
        single = measured(Path(folder) / "single", alerts=arguments.alerts, per_second=arguments.rate)
        burst = measured(Path(folder) / "burst", alerts=arguments.burst, per_second=None)
        fsync = fsync_seconds(Path(folder) / "probe", writes=arguments.alerts)
    results = {
        "one_by_one": summary(single), "burst": summary(burst), "fsync": summary(fsync),
        "loadavg": os.getloadavg()[0],
    }  # fmt: skip
    _print(results, arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))
    return int(FLUSH_SECONDS + results["one_by_one"]["p99"] >= TARGET_SECONDS)  # type: ignore[index]


def measured(path: Path, *, alerts: int, per_second: float | None) -> list[float]:
    """Return for each alert the seconds from handing it over to the arrival of its request.

    Parameters
    ----------
    path
        Folder for the outbox.
    alerts
        How many.
    per_second
        Mean rate of arrivals, by a Poisson process; None: all at once.
    """
    rng = random.Random(SEED)
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.hooks", "--receive", str(alerts)], stdout=subprocess.PIPE, text=True
    ) as receiver:
        assert receiver.stdout is not None
        port = int(receiver.stdout.readline())
        intake, publisher = _delivery(path, f"http://127.0.0.1:{port}/")
        handed: dict[str, float] = {}
        for number in range(alerts):
            if per_second is not None:
                time.sleep(rng.expovariate(per_second))
            alert = _alert(number + 1)
            handed[f"{alert.alert_id}_firing"] = time.monotonic()
            intake.add_alerts([alert])
        arrived: dict[str, float] = json.loads(receiver.stdout.readline())
        intake.close()
        publisher.stop(WAIT_SECONDS)
    assert arrived.keys() == handed.keys(), "each alert has arrived"
    return [arrived[name] - handed[name] for name in handed]


def fsync_seconds(path: Path, *, writes: int) -> list[float]:
    """Return the seconds of single small writes that are on the disk when they return."""
    seconds = []
    with path.open("wb") as file:
        for _ in range(writes):
            began = time.monotonic()
            file.write(b"x" * 500)
            file.flush()
            os.fsync(file.fileno())
            seconds.append(time.monotonic() - began)
    return seconds


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Return percentiles in seconds."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"number": len(seconds), "p50": cuts[49], "p99": cuts[98], "max": max(seconds)}


def _delivery(path: Path, url: str) -> tuple[Intake, Publisher]:
    hook = {"kind": "webhook", "url": url, "secret": "env:SECRET", "rate_per_minute": 60_000, "burst": 10_000}
    (parsed,) = HOOKS_ADAPTER.validate_python({"ops": hook}).values()
    networks = parse_networks("127.0.0.0/8")
    deliveries = {"ops": delivery_of("ops", parsed, networks=networks, environment={"SECRET": SECRET})}
    outbox = path / "alerts.sqlite3"
    publisher = Publisher(outbox, deliveries)
    hooks = {name: delivery.traits for name, delivery in deliveries.items()}
    intake = Intake(
        lambda: Outbox(store.connect(outbox), hooks=hooks, suppression=Suppression()),
        on_commit=publisher.wake,
        clock=wall_clock,
    )
    return intake, publisher


def _alert(number: int) -> Alert:
    key = ("p1", "toxicity", f"ann-{number}", "annotate", "")
    return Alert(
        project_id=key[0], alert_id=alert_id_of(generation=0, rule="drift", key=key, sequence=number), rule="drift",
        severity=Severity.WARNING, question_id=key[1], annotator_id=key[2], step=key[3], label_class=key[4],
        state=AlertState.FIRING, sequence=number, fired_at=wall_clock(), resolved_at=None, changed_at=None,
        signal="accuracy", direction="worse", summary="errors 4 % → 19 %", evidence="{}", action="check", hooks="ops",
        false_alarm_value=None, discovery_level=None, generation=0, version=number, is_deleted=0,
    )  # fmt: skip


def _receive(requests: int) -> None:
    """Print a port, then, once so many requests have arrived, when each of them first did."""
    arrived: dict[str, float] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            arrived.setdefault(self.headers["webhook-id"], time.monotonic())
            self.send_response(204)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        server.timeout = 0.05
        print(server.server_port, flush=True)
        ends_at = time.monotonic() + WAIT_SECONDS + requests
        while len(arrived) < requests and time.monotonic() < ends_at:
            server.handle_request()
        print(json.dumps(arrived), flush=True)


def _print(results: dict[str, Any], arguments: argparse.Namespace) -> None:
    print(f"seed {SEED}, {arguments.alerts} alerts at {arguments.rate:g} a second, a burst of {arguments.burst}")
    for name in ("one_by_one", "burst", "fsync"):
        one = results[name]
        figures = " ".join(f"{column} {one[column] * 1000:8.1f} ms" for column in ("p50", "p99", "max"))
        print(f"{name:<12}{one['number']:>6}  {figures}")
    whole = FLUSH_SECONDS + results["one_by_one"]["p99"]
    verdict = "kept" if whole < TARGET_SECONDS else "MISSED"
    print(
        f"with a flush of {FLUSH_SECONDS:g} s before it: p99 below {whole:.3f} s, target {TARGET_SECONDS} s: {verdict}"
    )
    print(f"load average {results['loadavg']:.1f} on {os.cpu_count()} cores")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hooks", description=__doc__)
    parser.add_argument("--alerts", type=int, default=500, help="alerts that come one by one (default 500)")
    parser.add_argument("--rate", type=float, default=20.0, help="how many of them a second (default 20)")
    parser.add_argument("--burst", type=int, default=500, help="alerts that come at once (default 500)")
    parser.add_argument("--quick", action="store_true", help="a tenth of each, for checks")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures for machines")
    parser.add_argument("--receive", type=int, metavar="N", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.receive:
        _receive(arguments.receive)
        sys.exit(0)
    if arguments.quick:
        arguments.alerts, arguments.burst = max(10, arguments.alerts // 10), max(10, arguments.burst // 10)
    return arguments


if __name__ == "__main__":
    sys.exit(main())
