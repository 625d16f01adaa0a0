"""From an event to the dashboard: ``python -m benchmarks.live``.

A flow reads a simulated stream from a pipe, so many events a second, into an embedded database, writes every second and
serves the monitor. At random moments a label of a project of its own is put among them, each by another annotator; a
page in a browser without a window notes when its table counts one annotator more. Both read the same clock. Beside it,
how long the overview takes in a browser that has never seen it, until its table is there. Needs Debian's chromium.
"""

import argparse
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page

from flows.simulator.settings import SimulationSettings
from flows.simulator.simulation import simulate
from tests.support.browser import opened_browser, watched_page

VISIBLE_SECONDS_MAX, FIRST_PAGE_SECONDS_MAX = 2.5, 1.0
TICK_SECONDS = 0.02
CATCH_UP = 5
PROBE_SECONDS = 0.25
PROJECT = "probe"
WARM_UP_SECONDS = 8.0
WAIT_SECONDS = 60.0
FIRST_PAGES = 5
SEED = 7
WATCH = """project => {
  window.seen = [];
  const look = () => {
    const row = [...document.querySelectorAll("main tr")].find((one) => one.cells[0]?.textContent === project);
    const cells = row ? [...row.cells].map((cell) => cell.textContent) : [];
    const count = Number((cells.at(-2) ?? "").replaceAll(/\\\\D/g, ""));
    if (count > (window.seen.at(-1)?.[0] ?? 0)) window.seen.push([count, Date.now() / 1000]);
  };
  const everything = { childList: true, subtree: true, characterData: true };
  new MutationObserver(look).observe(document.getElementById("main"), everything);
  look();
}"""


def main() -> int:
    """Measure, print, and return 1 if a target is missed."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory(prefix="labelpulse-live-") as folder, _flow(Path(folder)) as flow:
        feed = Feed(flow, per_second=arguments.rate)
        try:
            results = _measured(_address_of(flow), feed, seconds=arguments.seconds)
        finally:
            feed.stop()
            flow.terminate()
            flow.wait(timeout=WAIT_SECONDS)
    _print(results)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))
    return int(results["visible_p99"] > VISIBLE_SECONDS_MAX or results["first_page_max"] > FIRST_PAGE_SECONDS_MAX)


class Feed:
    """Writes a simulated stream to a flow, and probes among it, from a thread of its own.

    Parameters
    ----------
    flow
        The process whose standard input is written.
    per_second
        Events a second.
    """

    def __init__(self, flow: subprocess.Popen[bytes], *, per_second: int) -> None:
        self.sent: list[float] = []
        self.events = 0
        self.is_probing = threading.Event()
        self._flow = flow
        self._per_second = per_second
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the stream."""
        self._ended.set()
        self._thread.join(WAIT_SECONDS)

    def _run(self) -> None:
        rng = random.Random(SEED)
        lines = simulate(
            SimulationSettings(events=10**9, annotators=300, seed=SEED, events_per_second=self._per_second)
        )
        began, next_probe = time.monotonic(), 0.0
        self._write([_probe(0)])
        while not self._ended.wait(TICK_SECONDS):
            due = int((time.monotonic() - began) * self._per_second) - self.events
            most = int(CATCH_UP * TICK_SECONDS * self._per_second)  # a flow that cannot keep up is not buried
            self._write([line.rstrip(b"\n") for line in itertools.islice(lines, min(due, most))])
            if self.is_probing.is_set() and time.monotonic() >= next_probe:
                next_probe = time.monotonic() + rng.uniform(0.5, 1.5) * PROBE_SECONDS
                self._write([_probe(len(self.sent) + 1)])
                self.sent.append(time.time())

    def _write(self, lines: list[bytes]) -> None:
        assert self._flow.stdin is not None
        if lines:
            self._flow.stdin.write(b"\n".join(lines) + b"\n")
            self._flow.stdin.flush()
            self.events += len(lines)


def _probe(number: int) -> bytes:
    event = {
        "schema_version": 1, "type": "annotation.submitted", "event_id": f"probe-{number}", "project_id": PROJECT,
        "occurred_at": f"2026-01-05T09:{number // 60 % 60:02d}:{number % 60:02d}Z", "source": "benchmark",
        "annotation_id": f"probe-{number}", "annotator_id": f"annotator-{number}", "item_id": f"item-{number}",
        "question_id": "label", "label": {"kind": "categorical", "value": "yes"},
    }  # fmt: skip
    return json.dumps(event).encode()


def _flow(folder: Path) -> subprocess.Popen[bytes]:
    settings = {"LABELPULSE_FLUSH_SECONDS": "1", "LABELPULSE_RECOVERY": str(folder / "recovery")}
    return subprocess.Popen(
        [sys.executable, "-m", "flows.cli.main", "run", "--source", "-", "--clickhouse", f"chdb://{folder}/db",
         "--monitor", "--monitor-port", "0", "--log"],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **settings}, stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def _address_of(flow: subprocess.Popen[bytes]) -> str:
    assert flow.stderr is not None
    for line in flow.stderr:
        found = line.decode().partition("http://127.0.0.1:")[2]
        if found:
            threading.Thread(target=flow.stderr.read, daemon=True).start()
            return f"http://127.0.0.1:{found.split('/')[0]}/"
    raise RuntimeError("the flow told no address of its monitor")


def _measured(url: str, feed: Feed, *, seconds: float) -> dict[str, Any]:
    with opened_browser() as browser, watched_page(browser, url) as watched:
        page = watched.page
        page.goto("/")
        page.locator("main tr", has_text=PROJECT).wait_for(timeout=WAIT_SECONDS * 1000)
        page.wait_for_timeout(WARM_UP_SECONDS * 1000)
        page.evaluate(WATCH, PROJECT)
        events, began = feed.events, time.monotonic()
        feed.is_probing.set()
        page.wait_for_timeout(seconds * 1000)
        feed.is_probing.clear()
        rate = (feed.events - events) / (time.monotonic() - began)
        delays = np.array(list(_delays(page, feed.sent)))
        first = [_first_page_seconds(browser, url) for _ in range(FIRST_PAGES)]
    p50, p99 = np.quantile(delays, [0.5, 0.99])
    return {
        "events_per_second": rate, "probes": len(delays), "visible_p50": float(p50), "visible_p99": float(p99),
        "visible_max": float(delays.max()), "first_page_p50": float(np.median(first)), "first_page_max": max(first),
        "loadavg": os.getloadavg()[0],
    }  # fmt: skip


def _delays(page: Page, sent: list[float]) -> Iterator[float]:
    """Yield for each probe the seconds until the page counted it; the first annotator was there before."""
    page.wait_for_function("count => (window.seen.at(-1)?.[0] ?? 0) >= count", arg=len(sent) + 1)
    seen = iter(page.evaluate("window.seen"))
    count, at = next(seen)
    for number, moment in enumerate(sent, start=2):
        while count < number:
            count, at = next(seen)
        yield at - moment


def _first_page_seconds(browser: Browser, url: str) -> float:
    with watched_page(browser, url) as watched:
        began = time.monotonic()
        watched.page.goto("/", wait_until="commit")
        watched.page.locator("main td").first.wait_for()
        return time.monotonic() - began


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=5_000, help="events a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long probes are sent")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    return parser.parse_args()


def _print(results: dict[str, Any]) -> None:
    print(f"seed {SEED}, {results['events_per_second']:,.0f} events/s, flushes every second, "
          f"{results['probes']} probes, load average {results['loadavg']:.1f}")  # fmt: skip
    print(f"event to page: p50 {results['visible_p50']:.2f} s, p99 {results['visible_p99']:.2f} s "
          f"(at most {VISIBLE_SECONDS_MAX:g} s), max {results['visible_max']:.2f} s")  # fmt: skip
    print(f"first page: p50 {results['first_page_p50']:.2f} s, max {results['first_page_max']:.2f} s "
          f"(at most {FIRST_PAGE_SECONDS_MAX:g} s)")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
