"""How long each named query takes for a project's last day, over 20 million label facts and 5 million window rows.

``python -m benchmarks.queries`` makes an embedded database in a temporary folder (about 3 GB, some minutes), asks each
query as the dashboard does, and prints its median and 99 % quantile, and the CPU time of all threads; then how long the
first page takes, over HTTP, with nothing kept. ``--quick`` does the same over a hundredth; ``--folder`` keeps the
database, and uses it again. It wants a machine at rest.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import urllib3
from clickhouse_connect.driver.client import Client

from benchmarks.queries_data import Size, fill
from monitor.api.access import TokenBook
from monitor.api.application import create_app
from monitor.queries.catalogue import QUERIES
from monitor.queries.named import NamedQuery
from monitor.queries.run import run_query
from monitor.server import MonitorServer
from sinks.clickhouse import migrate
from sinks.clickhouse.client import connect

P50_MS_MAX, P99_MS_MAX, FIRST_PAGE_SECONDS_MAX = 30.0, 150.0, 1.0
PROJECT = "project-01"
LIMIT = 1_000
MERGES_SECONDS_MAX = 300.0
ASSETS = ("/", "/static/style.css", "/static/app.js", "/static/vendor/echarts.esm.min.mjs")
FIRST_QUERIES = ("projects", "overview?hours=24", "attention?hours=24&limit=500")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the rows")
    parser.add_argument("--folder", type=Path, help="keep the database here, and use it if it is there")
    parser.add_argument("--repeats", type=int, default=50, help="how often each query is asked")
    arguments = parser.parse_args()
    size = Size(labels=200_000, annotator_windows=50_000, projects=4, annotators=50) if arguments.quick else Size()
    if arguments.folder is not None:
        measure(arguments.folder, size, repeats=arguments.repeats)
        return
    with tempfile.TemporaryDirectory(prefix="labelpulse-queries-") as folder:
        measure(Path(folder), size, repeats=arguments.repeats)


def measure(folder: Path, size: Size, *, repeats: int) -> None:
    """Fill a database in a folder and print how long each query takes."""
    dsn = f"chdb://{folder}/db"
    with connect(dsn) as client:
        migrate.apply(client, "labelpulse")
        print(f"{size.labels:,} labels, {size.annotator_windows:,} rows of annotators in windows, {size.projects} "
              f"projects over {size.days:.1f} days")  # fmt: skip
        if not client.command("SELECT count() FROM projects"):
            began = time.perf_counter()
            fill(client, size)
            _settle(client)
            print(f"filled in {time.perf_counter() - began:.0f} s")
        print(f"\nwithin {P50_MS_MAX:g} ms at the median and {P99_MS_MAX:g} ms at 99 %:")
        print(f"{'query':<22}{'rows':>7}{'p50 ms':>9}{'p99 ms':>9}{'CPU ms':>9}  within")
        for query in QUERIES.values():
            print(_line(client, query, repeats=repeats), flush=True)
        print(f"\nfirst page: {_first_page_seconds(dsn):.2f} s (at most {FIRST_PAGE_SECONDS_MAX:g} s)")


def _settle(client: Client) -> None:
    """Wait until the merges that filling has started are done: they are not what is measured."""
    deadline = time.monotonic() + MERGES_SECONDS_MAX
    while client.command("SELECT count() FROM system.merges") and time.monotonic() < deadline:
        time.sleep(1)


def _line(client: Client, query: NamedQuery, *, repeats: int) -> str:
    parameters = _parameters(client, query)
    times, cpu_times, rows = [], [], 0
    for _ in range(repeats + 1):
        began, cpu_began = time.perf_counter(), time.process_time()
        answer = run_query(client, query.name, format="json", parameters=parameters)
        times.append(1000 * (time.perf_counter() - began))
        cpu_times.append(1000 * (time.process_time() - cpu_began))
        rows = answer.count(b"\n{")
    p50, p99 = np.quantile(times[1:], [0.5, 0.99])
    verdict = "yes" if p50 <= P50_MS_MAX and p99 <= P99_MS_MAX else "NO"
    return f"{query.name:<22}{rows:>7}{p50:>9.1f}{p99:>9.1f}{np.median(cpu_times[1:]):>9.1f}  {verdict}"


def _parameters(client: Client, query: NamedQuery) -> dict[str, Any]:
    """Return what the dashboard asks of a query for the last day of a project."""
    latest = client.command("SELECT toString(max(last_at)) FROM projects")
    day_before = np.datetime64(str(latest).replace(" ", "T")) - np.timedelta64(1, "D")
    wanted = {"project": PROJECT, "question": "label", "since": f"{day_before}Z", "slice": "team", "limit": LIMIT}
    if query.name == "evidence":
        wanted["annotator"] = "annotator-7"
    if query.name == "labels":
        wanted = {**wanted, "item": "item-7", "since": None}
    return {name: value for name, value in wanted.items() if name in query.parameters}


def _first_page_seconds(dsn: str) -> float:
    """Return how long the overview takes over HTTP: its page, its assets and its figures, one after the other."""
    app = create_app(lambda: connect(dsn), tokens=TokenBook(), fresh_seconds=0.0)
    with MonitorServer(app, host="127.0.0.1", port=0) as server, urllib3.PoolManager() as pool:
        paths = [*ASSETS, *(f"/api/v1/queries/{query}" for query in FIRST_QUERIES)]
        began = time.perf_counter()
        for path in paths:
            response = pool.request("GET", server.url.rstrip("/") + path)
            assert response.status == 200, response.data
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
