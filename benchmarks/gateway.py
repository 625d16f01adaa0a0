"""Speed of the gateway, beside a bare ASGI endpoint that only parses JSON on the same server.

``python -m benchmarks.gateway [--quick] [--kafka] [--json FILE]``; needs wrk (Debian's package of that name).

All servers are up at once and take turns, a few seconds each: whatever else the machine does meets all of them alike,
and shares of the bare endpoint are taken within a turn. Servers have one core and wrk another; the disk's interrupts,
and Kafka's broker, have no core of their own.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.gateway_servers import TOKEN, Server, running_bare, running_gateway
from benchmarks.measure import machine

BARE, BARE_MSGSPEC, SPOOL, KAFKA = "bare", "bare_msgspec", "gateway_spool", "gateway_kafka"
PAYLOAD = Path("tests/payloads/label-studio/002_ANNOTATION_CREATED__choices_single.json")
PATH = "/v1/ingest/label-studio"
SECONDS, SECONDS_QUICK, WARM_UP_SECONDS = 3, 1, 1
ROUNDS, ROUNDS_QUICK = 7, 2
CONNECTIONS = (32, 64, 128)
RATE_TARGET, P99_TARGET_MS, SHARE_TARGET = 2_000.0, 50.0, 0.5

SCRIPT = """
local file = io.open(os.getenv("BENCHMARK_BODY"), "rb")
local before, after = file:read("*a"):match("^(.*)@ANNOTATION@(.*)$")
file:close()
local number = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCHMARK_TOKEN")
request = function()
  number = number + 1
  return wrk.format(nil, nil, nil, before .. number .. after)
end
done = function(summary, latency, requests)
  io.write(string.format(
    '\\n{"requests":%d,"seconds":%f,"p50_ms":%f,"p99_ms":%f,"max_ms":%f,"not_2xx":%d,"failed":%d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    latency.max / 1e3, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What one turn of requests came to.

    Parameters
    ----------
    requests_per_second
        As the sender saw it, by the clock on the wall.
    requests_per_cpu_second
        Per second of the server's CPU time, in all of its threads: what a core gives that does nothing else.
    p50_ms, p99_ms, max_ms
        Time to answer where each connection sends the next request at once.
    failed
        Requests that were not answered, or not with 2xx.
    """

    requests_per_second: float
    requests_per_cpu_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    failed: int


def main() -> int:
    """Measure, print, and return 1 if a request failed."""
    arguments = _arguments()
    if shutil.which("wrk") is None:
        print("error: NOTHING WAS MEASURED: wrk is missing", file=sys.stderr)
        print("  try: apt-get install wrk", file=sys.stderr)
        return 1
    seconds = SECONDS_QUICK if arguments.quick else SECONDS
    rounds = ROUNDS_QUICK if arguments.quick else ROUNDS
    with tempfile.TemporaryDirectory(prefix="labelpulse-gateway-") as folder:
        body = _write_inputs(Path(folder), with_gold=arguments.gold)
        with _parts(Path(folder), with_kafka=arguments.kafka) as parts, ExitStack() as running:
            servers = {name: running.enter_context(start()) for name, start in parts.items()}
            for server in servers.values():
                _wrk(server, Path(folder), WARM_UP_SECONDS, CONNECTIONS[0])
            loads = {count: _turns(servers, Path(folder), rounds, seconds, count) for count in CONNECTIONS}
    payload = {"file": str(PAYLOAD), "bytes": body, "events": 1 + arguments.gold}
    document = _document(loads, payload=payload, seconds=seconds)
    _print(document)
    if arguments.json:
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")
    return int(any(load.failed for parts in loads.values() for part in parts.values() for load in part))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{ROUNDS_QUICK} turns of {SECONDS_QUICK} s each in place of {ROUNDS} of {SECONDS} s",
    )
    parser.add_argument("--kafka", action="store_true", help="measure with a real Kafka, too (Java 17 and Maven)")
    parser.add_argument(
        "--gold", action="store_true", help="leave the known answer in the payload: two events in place of one"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    return parser.parse_args()


def _write_inputs(folder: Path, *, with_gold: bool) -> int:
    """Write the request's body and the sender's script; return the size of the body in bytes."""
    payload = json.loads(PAYLOAD.read_text())["body"]
    if not with_gold:
        del payload["task"]["meta"]["gold"]
    payload["annotation"]["id"] = "@ANNOTATION@"
    body = json.dumps(payload).replace('"@ANNOTATION@"', "@ANNOTATION@")
    (folder / "body").write_text(body)
    (folder / "load.lua").write_text(SCRIPT)
    return len(body)


Starter = Callable[[], AbstractContextManager[Server]]


@contextmanager
def _parts(folder: Path, *, with_kafka: bool) -> Iterator[dict[str, Starter]]:
    core, _ = _cores()

    def with_spool() -> AbstractContextManager[Server]:
        return running_gateway(["--spool-only", "--spool", tempfile.mkdtemp(dir=folder)], core=core)

    parts: dict[str, Starter] = {
        BARE: lambda: running_bare("json", core),
        BARE_MSGSPEC: lambda: running_bare("msgspec", core),
        SPOOL: with_spool,
    }
    if not with_kafka:
        yield parts
        return
    from tests.support.kafka.node import running_broker

    with running_broker() as broker:
        topic = broker.create_topic(partitions=4)
        address = f"kafka://{broker.bootstrap}/{topic}"

        def with_broker() -> AbstractContextManager[Server]:
            return running_gateway(["--kafka", address, "--spool", tempfile.mkdtemp(dir=folder)], core=core)

        yield {**parts, KAFKA: with_broker}


def _cores() -> tuple[int | None, int | None]:
    """Return a core for the server and one for the sender; None where there are not two."""
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


def _turns(
    servers: dict[str, Server], folder: Path, rounds: int, seconds: int, connections: int
) -> dict[str, list[Load]]:
    loads: dict[str, list[Load]] = {name: [] for name in servers}
    for _ in range(rounds):
        for name, server in servers.items():
            loads[name].append(_load(server, folder, seconds, connections))
    return loads


def _load(server: Server, folder: Path, seconds: int, connections: int) -> Load:
    before = server.cpu_seconds()
    told = _wrk(server, folder, seconds, connections)
    cpu_seconds = server.cpu_seconds() - before
    return Load(
        requests_per_second=told["requests"] / told["seconds"],
        requests_per_cpu_second=told["requests"] / cpu_seconds,
        p50_ms=told["p50_ms"],
        p99_ms=told["p99_ms"],
        max_ms=told["max_ms"],
        failed=told["not_2xx"] + told["failed"],
    )


def _wrk(server: Server, folder: Path, seconds: int, connections: int) -> dict[str, Any]:
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(folder / "load.lua"), server.url + PATH]
    _, core = _cores()
    if core is not None:
        command = ["taskset", "--cpu-list", str(core), *command]
    environment = {**os.environ, "BENCHMARK_BODY": str(folder / "body"), "BENCHMARK_TOKEN": TOKEN}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=seconds + 60)
    return json.loads(done.stdout.splitlines()[-1])


def _document(loads: dict[int, dict[str, list[Load]]], *, payload: dict[str, Any], seconds: int) -> dict[str, Any]:
    return {
        "benchmark": "gateway",
        "machine": machine(),
        "payload": payload,
        "seconds": seconds,
        "rounds": len(loads[CONNECTIONS[0]][BARE]),
        "connections": {
            str(count): {name: _figures(turns, parts[BARE]) for name, turns in parts.items()}
            for count, parts in loads.items()
        },
    }


def _figures(turns: list[Load], bare: list[Load]) -> dict[str, Any]:
    pairs = list(zip(turns, bare, strict=True))
    return {
        **{figure: median(getattr(load, figure) for load in turns) for figure in Load.__dataclass_fields__},
        "share_of_bare": median(load.requests_per_second / other.requests_per_second for load, other in pairs),
        "share_of_bare_by_cpu": median(
            load.requests_per_cpu_second / other.requests_per_cpu_second for load, other in pairs
        ),
        "turns": [asdict(load) for load in turns],
    }


def _print(document: dict[str, Any]) -> None:
    of, payload = document["machine"], document["payload"]
    print(f"{of['processor']}, {of['cores']} cores, Python {of['python']}, load average {of['load_average']}")
    print(f"{payload['file']}: {payload['bytes']:,} bytes, {payload['events']} event(s); "
          f"medians of {document['rounds']} turns of {document['seconds']} s")  # fmt: skip
    for connections, parts in document["connections"].items():
        print(f"\n{connections + ' connections':16}{'requests/s':>12}{'/CPU second':>13}{'p50 ms':>9}{'p99 ms':>9}"
              f"{'max ms':>9}{'of bare':>10}{'by CPU':>9}{'failed':>8}")  # fmt: skip
        for name, part in parts.items():
            print(f"{name:16}{part['requests_per_second']:12,.0f}{part['requests_per_cpu_second']:13,.0f}"
                  f"{part['p50_ms']:9.2f}{part['p99_ms']:9.2f}{part['max_ms']:9.1f}"
                  f"{part['share_of_bare']:10.2f}{part['share_of_bare_by_cpu']:9.2f}{part['failed']:8.0f}")  # fmt: skip
    print(f"\ntargets: {RATE_TARGET:,.0f} requests/s a core, p99 under {P99_TARGET_MS:g} ms, "
          f"{SHARE_TARGET:g} of the bare endpoint's rate")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
