"""The dashboard in a real browser: each page shows real rows, lives, can be acted in, and shuts nobody out."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.replays import LogReplays
from monitor.api.access import read_tokens
from schemas.control import parse_control_event
from schemas.rows import PROJECTS, row_version
from sinks.clickhouse import migrate
from sinks.clickhouse.client import connect
from tests.support.clickhouse_front import ClickHouseFront, Fault, FaultKind
from tests.support.clickhouse_rows import migrated, row, write
from tests.support.monitored import CLOCK, world_labels, world_rows
from tests.support.monitoring import Caller, served, submitted

playwright = pytest.importorskip("playwright.sync_api")
axe_module = pytest.importorskip("axe_playwright_python.sync_playwright")

from tests.support.browser import CHROMIUM, Watched, opened_browser, watched_page  # noqa: E402

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")]
expect = playwright.expect
expect.set_options(timeout=60_000)

ANNOTATOR = "/annotator?project=sentiment&question=label&annotator=bob&range=24h"
PAGES = {
    "/": ["What needs attention", "sentiment", "toxicity", "bob"],
    "/project?project=sentiment&range=24h": ["Accuracy against known answers", "Which class is taken for which"],
    "/annotators?project=sentiment&range=24h": ["ann", "bob", "hurried", "unproven"],
    ANNOTATOR: ["bob", "got worse", "Evidence", "✗ wrong"],
    "/items?project=sentiment": ["item-", "Most disputed"],
    "/alerts": ["became less accurate", "95 % → 40 %", "no known answer"],
    "/health": ["balanced", "not_json", "one order"],
}
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A database with the small world in it: its DSN and folder."""
    path = tmp_path_factory.mktemp("dashboard")
    with migrated(path) as (dsn, _):
        write(dsn, world_rows(world_labels()))
        yield dsn, path


@pytest.fixture(scope="module")
def control() -> list[bytes]:
    """Control events that were written."""
    return []


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log that records are appended to."""
    return tmp_path_factory.mktemp("log") / "log.jsonl"


@pytest.fixture(scope="module")
def monitor(database: tuple[str, Path], control: list[bytes], log: Path) -> Iterator[Caller]:
    """A monitor without tokens."""
    replays = LogReplays(lambda: connect(database[0]), log=f"file:{log}", options={})
    with served(
        lambda: connect(database[0]), write_control=control.append, replays=replays, fresh_seconds=0.2
    ) as caller:
        yield caller


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser."""
    with opened_browser() as opened:
        yield opened


@pytest.fixture
def watched(browser: Any, monitor: Caller) -> Iterator[Watched]:
    """A page of the monitor in which nothing may go wrong, and which may talk to nobody else."""
    with watched_page(browser, monitor.url) as page:
        yield page
        assert page.errors == []
        assert page.foreign == []


def opened(watched: Watched, address: str, texts: list[str]) -> Any:
    """Open a page and wait until it shows texts and nothing is loading any more."""
    watched.page.goto(address)
    for text in texts:
        expect(watched.page.locator("main")).to_contain_text(text)
    expect(watched.page.locator(".skeleton:visible")).to_have_count(0)
    return watched.page


@pytest.mark.parametrize("address", PAGES)
def test_each_page_shows_real_rows(watched: Watched, address: str) -> None:
    """What is in the database is on the page, with one heading; charts are drawn and say what they show."""
    page = opened(watched, address, PAGES[address])
    assert page.locator("h1").count() == 1
    charts = page.locator(".chart:visible")
    for number in range(charts.count()):
        expect(charts.nth(number).locator("canvas").first).to_be_visible()
        assert charts.nth(number).get_attribute("aria-label")
    assert page.locator(".error:visible").count() == 0


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("address", PAGES)
def test_no_page_shuts_anybody_out(browser: Any, monitor: Caller, address: str, is_dark: bool) -> None:
    """axe finds no serious fault, in light and dark."""
    with watched_page(browser, monitor.url, is_dark=is_dark) as watched:
        page = opened(watched, address, PAGES[address])
        found = axe_module.Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in SERIOUS] == []


@pytest.mark.parametrize("address", PAGES)
def test_each_page_fits_a_phone(browser: Any, monitor: Caller, address: str) -> None:
    """At 390 pixels nothing makes the page wider than the screen; tables scroll by themselves."""
    with watched_page(browser, monitor.url, width=390) as watched:
        page = opened(watched, address, PAGES[address])
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_new_rows_appear_by_themselves(watched: Watched, database: tuple[str, Path]) -> None:
    """Rows that are written while a page is open are shown without anybody doing anything."""
    page = opened(watched, "/", ["toxicity"])
    expect(page.locator("#freshness")).to_contain_text("Live")
    newer = row(PROJECTS, project_id="toxicity", clock_at=CLOCK, last_at=CLOCK, labels=20, annotators=77,
                version=row_version(generation=0, offset=50_000))  # fmt: skip
    write(database[0], {PROJECTS: [newer]})
    expect(page.locator("tr", has_text="toxicity")).to_contain_text("77")


def test_a_table_is_sorted_filtered_and_followed_by_keyboard(watched: Watched) -> None:
    """Headers sort, the filter and the flags choose rows, a link leads on, Back returns: without a mouse."""
    page = opened(watched, "/annotators?project=sentiment&range=24h", ["bob"])
    names = page.locator("tbody td:first-child a")
    page.get_by_role("button", name="Annotator").focus()
    page.keyboard.press("Enter")
    assert names.all_inner_texts() == ["ann", "bob", "cat", "dan", "eve"]
    page.keyboard.press("Enter")
    assert names.all_inner_texts() == ["eve", "dan", "cat", "bob", "ann"]
    page.get_by_role("button", name="hurried").press("Enter")
    assert names.all_inner_texts() == ["cat"]
    page.get_by_role("button", name="hurried").press("Enter")
    page.get_by_role("searchbox").fill("bo")
    assert names.all_inner_texts() == ["bob"]
    names.first.press("Enter")
    expect(page.locator("h1")).to_contain_text("bob")
    page.go_back()
    expect(page.locator("h1")).to_contain_text("Annotators of sentiment")


def test_who_said_what_is_behind_an_item(watched: Watched) -> None:
    """An item opens to each label, by whom, and how accurate they are."""
    page = opened(watched, "/items?project=sentiment", ["item-"])
    page.get_by_role("button", name="Most disputed").click()
    page.get_by_role("button", name="Show").first.click()
    inner = page.get_by_role("table", name=re.compile("Who said what"))
    expect(inner).to_contain_text("cat")
    assert inner.locator("tbody tr").count() >= 4


def test_a_refused_record_shows_its_bytes(watched: Watched) -> None:
    """A dead letter opens to its reason and text, and its raw bytes can be downloaded as they came."""
    page = opened(watched, "/health", ["Refused records"])
    page.get_by_role("button", name="Show").first.click()
    expect(page.get_by_label("The record as text")).to_contain_text('{"half": ')
    with page.expect_download() as download:
        page.get_by_role("link", name="download the raw bytes").click()
    assert Path(download.value.path()).read_bytes() == b'{"half": \xff'


def test_a_refused_record_is_mended_and_replayed(watched: Watched, control: list[bytes], log: Path) -> None:
    """Its text can be changed; what is still no event is told, what is one is appended to the log and noted."""
    control.clear()
    page = opened(watched, "/health", ["Refused records"])
    page.get_by_role("button", name="Show").first.click()
    page.get_by_text("Mend and replay").click()
    page.get_by_label("Reason").fill("the tool cut it")
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("form.replay [role=status]")).to_contain_text("still no event")
    page.get_by_label("Record", exact=True).fill(submitted("sentiment"))
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("form.replay [role=status]")).to_contain_text("Appended to the log, as an event of sentiment")
    assert log.read_text() == submitted("sentiment") + "\n"
    [event] = [parse_control_event(event) for event in control]
    assert (event.type, event.comment) == ("dead_letter.replayed", "the tool cut it")
    watched.errors[:] = [error for error in watched.errors if "409" not in error]  # the browser notes what was refused


def test_alerts_are_acknowledged_and_silenced_with_a_reason(watched: Watched, control: list[bytes]) -> None:
    """Both ask for a reason, become control events, and are shown at the alert."""
    control.clear()
    page = opened(watched, "/alerts?range=24h", ["became less accurate"])
    alert = page.locator("li[data-alert^='worse/sentiment']")
    for button, reason in (("Acknowledge", "talking to bob"), ("Silence", "retrained tomorrow")):
        alert.get_by_role("button", name=button).click()
        page.get_by_label("Reason").fill(reason)
        page.get_by_role("button", name="Confirm").click()
        expect(page.locator("main")).to_contain_text(reason)
    events = [parse_control_event(event) for event in control]
    assert [(event.type, event.comment) for event in events] == [
        ("alert.acknowledged", "talking to bob"), ("alerts.silenced", "retrained tomorrow")
    ]  # fmt: skip
    expect(alert.get_by_role("button", name="Acknowledge")).to_have_count(0)
    expect(alert).to_contain_text("acknowledged by local: talking to bob")


def test_a_trend_is_split_by_an_attribute(watched: Watched) -> None:
    """Choosing an attribute splits trend and table by what it says, and the choice is in the address."""
    page = opened(watched, "/project?project=sentiment&range=24h", ["Classes over time"])
    page.get_by_label("Split by").select_option("team")
    split = page.get_by_role("region", name="Slices: table")
    expect(split).to_contain_text("north")
    expect(split).to_contain_text("south")
    assert "slice=team" in page.url
    for name in ("Classes by slice: table", "Confusions by slice: table"):
        expect(page.get_by_role("region", name=name)).to_contain_text("north")
    expect(page.get_by_label(re.compile("^Labels of sentiment over time by team"))).to_be_visible()


def test_an_annotators_trends_are_split_by_an_attribute(watched: Watched) -> None:
    """The same choice on the page of one annotator."""
    page = opened(watched, ANNOTATOR, PAGES[ANNOTATOR])
    page.get_by_label("Split by").select_option("team")
    expect(page.get_by_label(re.compile("^Labels of bob over time by team"))).to_be_visible()
    assert "slice=team" in page.url and "annotator=bob" in page.url


def test_what_is_not_there_is_said(browser: Any, monitor: Caller) -> None:
    """An unknown project or annotator is an error in words, not an empty page."""
    with watched_page(browser, monitor.url) as watched:
        watched.page.goto("/project?project=nobody")
        expect(watched.page.get_by_role("alert")).to_contain_text("there is no project 'nobody'")
        watched.page.goto("/annotator?project=sentiment&annotator=zoe")
        expect(watched.page.get_by_role("alert")).to_contain_text("zoe")


def test_while_the_database_is_down_the_page_says_so(browser: Any, database: tuple[str, Path]) -> None:
    """The last figures stay, with a banner; when the database is back, the banner goes by itself."""
    with (
        ClickHouseFront(database[1]) as front,
        served(lambda: connect(front.dsn)) as caller,
        watched_page(browser, caller.url) as watched,
    ):
        page = opened(watched, "/", ["sentiment"])
        front.inject(Fault(FaultKind.STATUS, status=503, times=100_000))
        expect(page.locator("#banner")).to_contain_text("The database does not answer")
        expect(page.locator("main")).to_contain_text("sentiment")
        front.clear()
        expect(page.locator("#banner")).to_be_hidden()


def test_a_token_is_asked_for_once(browser: Any, database: tuple[str, Path], tmp_path: Path) -> None:
    """With tokens the page asks for one, keeps it in a cookie, and shows that token's projects only."""
    (tmp_path / "tokens").write_text("viewer viewer-token-0123456789 toxicity\n")
    with (
        served(lambda: connect(database[0]), tokens=read_tokens(tmp_path / "tokens")) as caller,
        watched_page(browser, caller.url) as watched,
    ):
        watched.page.goto("/")
        watched.page.get_by_label("Token").fill("viewer-token-0123456789")
        watched.page.get_by_role("button", name="Open").click()
        page = opened(watched, "/", ["toxicity"])
        expect(page.locator("main")).not_to_contain_text("sentiment")


def test_before_any_event_the_pages_say_so(browser: Any, database: tuple[str, Path]) -> None:
    """With empty tables no page is broken or blank."""
    dsn = f"{database[0]}?database=nothing_yet"
    with connect(dsn) as client:
        migrate.apply(client, "nothing_yet")
    with served(lambda: connect(dsn)) as caller, watched_page(browser, caller.url) as watched:
        for address in ("/", "/project", "/annotators", "/items", "/alerts", "/health"):
            watched.page.goto(address)
            expect(watched.page.locator(".empty:visible").first).to_be_visible()
        assert watched.errors == []
