"""A real browser for pages: the system's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

SCREENSHOTS = Path(__file__).parents[1] / "build" / "screenshots"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium, headless, with a profile of its own; skip without one."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("there is no Chromium here; install one: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=list(_FLAGS))
        yield browser
        browser.close()


class Visit:
    """A page and what happened on it.

    Attributes:
        page: open at the file.
        problems: errors and warnings of its console, and exceptions.
        requests: addresses that it asked for, the file itself and embedded data left out.
    """

    def __init__(self, page: Page, path: Path) -> None:
        self.page = page
        self.problems: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.problems.append(message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self._note(request.url, path))
        page.goto(path.as_uri())

    def _note(self, url: str, path: Path) -> None:
        if not url.startswith("data:") and url.partition("#")[0] != path.as_uri():
            self.requests.append(url)


@contextmanager
def visiting(
    browser: Browser, path: Path, *, width: int = 1280, scheme: str = "light", scripts: bool = True
) -> Iterator[Visit]:
    """Open a file in a fresh window; nothing may go wrong, and nothing may be asked for."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=scripts,
    )
    visit = Visit(context.new_page(), path)
    yield visit
    context.close()
    assert visit.problems == []
    assert visit.requests == []
