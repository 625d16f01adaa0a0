"""A real browser: Debian's Chromium without a window, in which it is seen whom a page talks to and what goes wrong."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, Request, sync_playwright

CHROMIUM = shutil.which("chromium")
FLAGS = (
    "--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-domain-reliability", "--no-first-run", "--no-default-browser-check", "--force-color-profile=srgb",
)  # fmt: skip


@contextmanager
def opened_browser() -> Iterator[Browser]:
    """Start the browser, and end it after the block."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page, and all that went wrong in it.

    Parameters
    ----------
    page
        The page.
    host
        Host and port that the page may talk to.
    """

    def __init__(self, page: Page, *, host: str) -> None:
        self.page = page
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self._host = host
        page.on("console", self._see_message)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._see_request)

    def _see_message(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.type}: {message.text}")

    def _see_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != self._host:
            self.foreign.append(request.url)


@contextmanager
def watched_page(browser: Browser, url: str, *, is_dark: bool = False, width: int = 1440) -> Iterator[Watched]:
    """Open a page that is watched; its context is closed after the block."""
    context = browser.new_context(
        base_url=url, viewport={"width": width, "height": 900}, color_scheme="dark" if is_dark else "light",
        timezone_id="Europe/Berlin", locale="en-GB", reduced_motion="reduce", device_scale_factor=1,
    )  # fmt: skip
    context.set_default_timeout(30_000)
    try:
        yield Watched(context.new_page(), host=urlsplit(url).netloc)
    finally:
        context.close()
