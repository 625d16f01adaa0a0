"""Pictures of the dashboard for the documentation: ``python -m tests.support.screenshots [FOLDER]``.

Runs a simulated stream through the whole flow into an embedded database, serves the monitor, and photographs each
page in a real browser. Needs Debian's chromium.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import expect

from sinks.clickhouse.client import connect
from tests.support.browser import opened_browser, watched_page
from tests.support.command import ROOT, call
from tests.support.monitoring import Caller, served

SOURCE = (
    "simulate:events=200000,annotators=60,projects=3,teams=3,gold_rate=0.3,seed=7,bad_rate=0.001,events_per_second=0.7"
)
WIDTH = 1360
PAGES = {
    "overview": ("/", False), "overview-dark": ("/", True), "project": ("/project?project=sentiment", False),
    "annotators": ("/annotators?project=sentiment", False), "items": ("/items?project=sentiment", False),
    "annotator": ("/annotator?project=sentiment&question=label&annotator=ann-012", False),
    "health": ("/health", False),
}  # fmt: skip


def main() -> None:
    """Write the pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="labelpulse-screenshots-") as place:
        dsn = f"chdb://{place}/db"
        call("run", "--source", SOURCE, "--clickhouse", dsn, "--until-eof")
        with served(lambda: connect(dsn), write_control=lambda _: None) as caller:
            photograph(caller, folder)


def photograph(caller: Caller, folder: Path) -> None:
    """Photograph each page once nothing is loading any more."""
    with opened_browser() as browser:
        for name, (address, is_dark) in PAGES.items():
            with watched_page(browser, caller.url, is_dark=is_dark, width=WIDTH) as watched:
                page = watched.page
                page.goto(address)
                page.locator("main td, main canvas").first.wait_for()
                expect(page.locator(".skeleton:visible")).to_have_count(0, timeout=60_000)
                page.wait_for_timeout(800)  # the charts come in over a quarter of a second
                page.screenshot(path=folder / f"dashboard-{name}.png", full_page=True)
                assert watched.errors == []
                print(folder / f"dashboard-{name}.png")


if __name__ == "__main__":
    main()
