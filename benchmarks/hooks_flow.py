"""From the event that completes the evidence to the hook's request, through the whole flow.

``python -m benchmarks.hooks_flow``: a simulated log of now is written line by line, at a steady pace, into the standard
input of ``labelpulse run`` with all features, an embedded ClickHouse and a recovery directory. An HTTP receiver notes
when each request has arrived whole. Each alert names the record that completed its evidence; the delay runs from when
that line was written, so that it holds reading, decoding, the wait for a batch, the fold, the flush of the database,
the outbox and the request. Processor time of the flow's process is told per event.
"""

import argparse
import fcntl
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from flows.simulator.settings import SimulationSettings
from flows.simulator.simulation import simulate

TARGET_SECONDS = 1.5
SEED = 7
SLICE_SECONDS = 0.02
OFFSETS = 2**48
EMPTY_LINES = 1
SECRET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
RULES: list[dict[str, Any]] = [
    {"name": "accuracy-drift", "when": {"drift": "accuracy"}},
    {"name": "agreement-drift", "when": {"drift": "agreement"}},
    {"name": "class-use-drift", "when": {"drift": "class_use"}},
    {"name": "speed-drift", "when": {"drift": "speed"}},
    {"name": "common-cause", "scope": "project", "when": {"common_cause": "accuracy", "direction": "worse"}},
    {"name": "accuracy-low", "when": {"signal": "accuracy_high", "below": 0.7, "hysteresis": 0.05},
     "evidence": {"gold_labels": 20}},
    {"name": "recent-errors", "when": {"signal": "accuracy", "below": 0.3, "last": 10, "of_at_least": 10}},
    {"name": "same-answer", "when": {"signal": "repeated_answers", "at_least": 12}},
]  # fmt: skip


def main() -> int:
    """Measure, print, and return 1 if the target is missed."""
    arguments = _arguments()
    settings = SimulationSettings(
        events=int(arguments.rate * arguments.seconds), annotators=arguments.annotators, projects=arguments.projects,
        seed=SEED, drift_share=0.3, events_per_second=arguments.rate, start=datetime.now(UTC), disorder_seconds=2,
    )  # fmt: skip
    lines = list(simulate(settings))
    with tempfile.TemporaryDirectory() as folder:
        results = measured(lines, rate=arguments.rate, folder=Path(folder))
    _print(results, arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))
    return int(results["p99"] >= TARGET_SECONDS)


def measured(lines: Sequence[bytes], *, rate: float, folder: Path) -> dict[str, Any]:
    """Return delays in seconds, the lag of the writer behind its pace, and the cost of the flow.

    Parameters
    ----------
    lines
        The log.
    rate
        Lines a second.
    folder
        For the database, the recovery directory and the policy.
    """
    with Receiver() as receiver:
        policy = folder / "policy.yaml"
        hook = {"kind": "webhook", "url": receiver.url, "secret": "env:HOOK_SECRET", "rate_per_minute": 60_000}
        rules = [{**rule, "hooks": ["ops"]} for rule in RULES]
        policy.write_text(json.dumps({"hooks": {"ops": {**hook, "burst": 10_000}}, "rules": rules}))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with _flow(folder, policy) as flow:
            written, lag = _paced(flow, lines, rate)
            flow.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert flow.returncode == 0, "the flow has ended well"
    delays = [(arrived - written[offset - EMPTY_LINES], is_drift) for offset, is_drift, arrived in receiver.requests]
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        **summary([delay for delay, _ in delays]),
        "drift": summary([delay for delay, is_drift in delays if is_drift]),
        "writer_lag_seconds_max": lag,
        "cpu_us_an_event": cpu / len(lines) * 1e6,
        "loadavg": os.getloadavg()[0],
    }


class Receiver:
    """Notes the record and the arrival of each request."""

    def __init__(self) -> None:
        self.requests: list[tuple[int, bool, float]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> "Receiver":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        requests = self.requests

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                arrived = time.monotonic()
                data = json.loads(body)["data"]
                for alert in data if isinstance(data, list) else data.get("alerts", [data]):
                    is_drift = alert["rule"].endswith("drift") and alert["state"] == "firing"
                    requests.append((alert["sequence"] % OFFSETS - 1, is_drift, arrived))
                self.send_response(204)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing is printed."""

        return Handler


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Return percentiles in seconds."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"number": len(seconds), "p50": cuts[49], "p90": cuts[89], "p99": cuts[98], "max": max(seconds)}


@contextmanager
def _flow(folder: Path, policy: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the flow while the block runs; it is ended if the block fails."""
    command = [
        sys.executable, "-m", "flows.cli.main", "run", "--source", "-", "--clickhouse", f"chdb://{folder / 'database'}",
        "--recovery", str(folder / "state"), "--log",
    ]  # fmt: skip
    settings = {
        "POLICY": str(policy), "HOOK_NETWORKS_ALLOWED": "127.0.0.0/8", "OUTBOX": str(folder / "outbox.sqlite3"),
        "LOG_LEVEL": "warning",
    }  # fmt: skip
    environment = {**os.environ, "HOOK_SECRET": SECRET, **{f"LABELPULSE_{name}": at for name, at in settings.items()}}
    flow = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment)
    try:
        yield flow
    finally:
        if flow.poll() is None:
            flow.kill()
            flow.wait()


def _paced(flow: subprocess.Popen[bytes], lines: Sequence[bytes], rate: float) -> tuple[list[float], float]:
    """Write lines at a pace, once the first was read; return when each was written, and how far behind at most."""
    assert flow.stdin is not None
    written: list[float] = []
    with flow.stdin as pipe:
        pipe.write(b"\n")
        pipe.flush()
        while fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)) != bytes(4):
            time.sleep(SLICE_SECONDS)
        lag, began = 0.0, time.monotonic()
        while len(written) < len(lines):
            due = min(int((time.monotonic() - began) * rate) + 1, len(lines))
            part = lines[len(written) : due]
            if part:
                now = time.monotonic()
                lag = max(lag, now - began - len(written) / rate)
                written += [now] * len(part)
                pipe.write(b"\n".join(part) + b"\n")
                pipe.flush()
            time.sleep(SLICE_SECONDS)
    return written, lag


def _print(results: dict[str, Any], arguments: argparse.Namespace) -> None:
    print(
        f"seed {SEED}, {arguments.rate:g} events a second for {arguments.seconds:g} s, {arguments.annotators} "
        f"annotators in {arguments.projects} projects, flushes of 1 s, snapshots of 30 s"
    )
    for name, figures in (("all", results), ("drift", results["drift"])):
        told = " ".join(f"{column} {figures[column] * 1000:7.0f} ms" for column in ("p50", "p90", "p99", "max"))
        print(f"{name:<8}{figures['number']:>6} requests  {told}")
    verdict = "kept" if results["p99"] < TARGET_SECONDS else "MISSED"
    print(f"p99 {results['p99']:.3f} s, target {TARGET_SECONDS} s: {verdict}")
    print(
        f"processor time of the flow {results['cpu_us_an_event']:.0f} µs an event, start-up included; writer behind "
        f"its pace by at most {results['writer_lag_seconds_max']:.2f} s; load average {results['loadavg']:.1f} on "
        f"{os.cpu_count()} cores"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hooks_flow", description=__doc__)
    parser.add_argument("--rate", type=float, default=5_000.0, help="events a second (default 5,000)")
    parser.add_argument("--seconds", type=float, default=90.0, help="for how long (default 90)")
    parser.add_argument("--annotators", type=int, default=300, help="over all projects (default 300)")
    parser.add_argument("--projects", type=int, default=8, help="how many projects (default 8)")
    parser.add_argument("--quick", action="store_true", help="a fifth of the events at a fifth of the rate, for checks")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures for machines")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rate, arguments.annotators, arguments.seconds = arguments.rate / 5, 60, arguments.seconds / 3
    return arguments


if __name__ == "__main__":
    sys.exit(main())
