"""The report as people meet it: in a browser, by mouse and by keyboard, in any light."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from foodvision.home import Home
from tests.browsers import SCREENSHOTS, chromium, visiting
from tests.reporting import (
    EIGHT,
    NASTY,
    hundred_with_failures,
    plan_of_photos,
    write_board,
    write_board_with_alerts,
)
from tests.running import make_photos

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

_LIMIT = 5_000_000  # bytes for 100 cells
_PAPER = 703  # CSS pixels of A4 between its margins


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_board(Home(tmp_path_factory.mktemp("it's a # home")), EIGHT)


@pytest.fixture(scope="module")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hundred_with_failures(Home(tmp_path_factory.mktemp("home")))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("cells", ["eight", "hundred"])
def test_it_opens_quietly_and_fits_the_window(
    browser: Browser, request: pytest.FixtureRequest, cells: str, width: int, scheme: str
) -> None:
    path: Path = request.getfixturevalue(cells)
    with visiting(browser, path, width=width, scheme=scheme) as visit:
        page = visit.page
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate("getComputedStyle(document.body).colorScheme") == scheme
        assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth)")
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{cells}-{width}-{scheme}.png", full_page=True)


def test_a_hundred_cells_stay_small(hundred: Path) -> None:
    assert hundred.stat().st_size < _LIMIT


def test_lines_are_sorted_by_click_and_by_keyboard(browser: Browser, hundred: Path) -> None:
    with visiting(browser, hundred) as visit:
        heading = visit.page.locator("#leaderboard th", has_text="Test loss")
        assert _ranks(visit.page)[:3] == ["1", "2", "3"]
        heading.get_by_role("button").click()
        assert heading.get_attribute("aria-sort") == "ascending"
        losses = _values(visit.page, "Test loss")
        assert losses == sorted(losses)
        heading.get_by_role("button").focus()
        visit.page.keyboard.press("Enter")
        assert heading.get_attribute("aria-sort") == "descending"
        assert _values(visit.page, "Test loss") == losses[::-1]
        assert _ranks(visit.page)[-2:] == ["", ""]  # what has no value stays below
        visit.page.keyboard.press("Shift+Tab")
        visit.page.keyboard.press("Space")
        assert heading.get_attribute("aria-sort") == "none"
        assert visit.page.locator("#leaderboard th[aria-sort=ascending]").count() == 1


def test_lines_are_filtered_by_words_and_by_axis(browser: Browser, hundred: Path) -> None:
    with visiting(browser, hundred) as visit:
        board = visit.page.locator("#leaderboard")
        said = board.locator("output")
        assert said.inner_text() == "22 models"
        board.get_by_label("Filter").fill("hidden 128 epochs")
        assert said.inner_text() == "4 of 22 models"
        assert all("hidden 128" in label for label in _labels(visit.page))
        board.get_by_label("optimizer.lr").select_option("0.001")
        assert said.inner_text() == "2 of 22 models"
        board.get_by_label("Filter").fill("diverged")
        board.get_by_label("optimizer.lr").select_option("")
        assert said.inner_text() == "1 of 22 models"
        board.get_by_label("Filter").fill("nothing of the kind")
        assert said.inner_text() == "0 of 22 models"


def test_curves_are_chosen_filtered_and_coloured(browser: Browser, hundred: Path) -> None:
    with visiting(browser, hundred) as visit:
        curves = visit.page.locator("#curves")
        shown = curves.locator(".curve:visible")
        assert shown.count() == 2 * 98
        assert set(_attribute(shown, "data-split")) == {"test"}
        curves.get_by_label("training", exact=True).check()
        assert set(_attribute(shown, "data-split")) == {"train"}
        curves.locator("[data-axis='model.hidden']").select_option("64")
        assert shown.count() == 2 * 20
        curves.get_by_label("Colour by").select_option("epochs")
        assert curves.locator("#legend li").all_inner_texts() == ["3", "6"]
        stroke = "es => es.map(e => getComputedStyle(e.lastElementChild).stroke)"
        assert len(set(shown.evaluate_all(stroke))) == 2


def test_the_theme_is_the_readers(browser: Browser, eight: Path) -> None:
    with visiting(browser, eight) as visit:
        button = visit.page.get_by_role("button", name="Theme")
        grounds = []
        for theme in ("as the system", "light", "dark"):
            assert theme in button.inner_text()
            grounds.append(visit.page.evaluate("getComputedStyle(document.body).backgroundColor"))
            button.press("Enter")
        assert grounds[0] == grounds[1] != grounds[2]
        button.press("Enter")
        button.press("Enter")
        visit.page.reload()
        assert "dark" in button.inner_text()


def test_the_keyboard_skips_to_the_content_and_sees_where_it_is(
    browser: Browser, eight: Path
) -> None:
    with visiting(browser, eight) as visit:
        visit.page.keyboard.press("Tab")
        skip = visit.page.locator(":focus")
        assert skip.inner_text() == "Skip to the content"
        assert skip.evaluate("e => e.getBoundingClientRect().top >= 0")
        visit.page.keyboard.press("Tab")
        assert (
            visit.page.locator(":focus").evaluate("e => getComputedStyle(e).outlineStyle") != "none"
        )


def test_it_is_whole_without_scripts_and_on_paper(browser: Browser, eight: Path) -> None:
    with visiting(browser, eight, scripts=False) as visit:
        assert visit.page.locator("#leaderboard tbody tr[data-entry]:visible").count() == 8
        assert visit.page.locator(".confusion:visible").count() > 1
        assert visit.page.locator(".choices:visible").count() == 0
    with visiting(browser, eight, scheme="dark") as visit:
        visit.page.emulate_media(media="print")
        assert visit.page.locator("nav:visible, .theme:visible").count() == 0
        ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == "rgb(255, 255, 255)"
        visit.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        visit.page.set_viewport_size({"width": _PAPER, "height": 1000})
        assert visit.page.evaluate("document.documentElement.scrollWidth") == _PAPER
        visit.page.pdf(path=SCREENSHOTS / "eight.pdf", format="A4", print_background=True)


def test_names_of_all_kinds_are_shown_as_they_are(browser: Browser, tmp_path: Path) -> None:
    photos = make_photos(tmp_path / "photos")
    names = ('it\'s "quoted" & <b>bold<', "🍕 ピザ ステーキ", "寿司" * 30 + "x" * 40)
    for split in ("train", "test"):
        for old, new in zip(("pizza", "steak", "sushi"), names, strict=True):
            (photos / split / old).rename(photos / split / new)
    path = write_board(Home(tmp_path / "home"), plan_of_photos(photos, NASTY))
    with visiting(browser, path, width=390) as visit:
        shown = visit.page.locator("#classes tbody th").all_inner_texts()
        assert sorted(shown) == sorted(names)
        assert {label.splitlines()[0] for label in _labels(visit.page)} == set(NASTY)
        options = visit.page.locator("#leaderboard select option").all_inner_texts()
        assert set(options) == {"all", *NASTY}
        visit.page.locator("#leaderboard select").select_option(NASTY[1])
        assert len(_labels(visit.page)) == 1
        assert visit.page.evaluate("document.documentElement.scrollWidth") == 390
        assert visit.page.locator("script").count() == 2


def test_alerts_are_cards_on_a_phone_and_a_table_elsewhere(
    browser: Browser, tmp_path: Path
) -> None:
    path = write_board_with_alerts(Home(tmp_path / "home"))
    for width in (390, 1280):
        with visiting(browser, path, width=width) as visit:
            place = visit.page.locator("#alerts .scroll")
            assert place.evaluate("e => e.scrollWidth <= e.clientWidth")  # all of it is seen
            rows = visit.page.get_by_role("row").filter(has_text="calibration_error is 0.25")
            assert rows.count() == 2
            told = rows.last.get_by_role("cell").nth(1).inner_text()
            assert "log delivered" in told
            assert "it answers 500" in told
            tops = rows.last.locator("th, td").evaluate_all(
                "cells => new Set(cells.map(e => e.getBoundingClientRect().top)).size"
            )
            assert tops == (4 if width == 390 else 1)
            place.screenshot(path=SCREENSHOTS / f"alerts-{width}.png")


def _labels(page: Page) -> list[str]:
    return page.locator("#leaderboard tr[data-entry]:visible > th").all_inner_texts()


def _ranks(page: Page) -> list[str]:
    return _attribute(page.locator("#leaderboard tr[data-entry] > td:first-child"), "data-value")


def _values(page: Page, title: str) -> list[float]:
    titles = page.locator("#leaderboard table.board > thead th").all_inner_texts()
    place = next(at for at, text in enumerate(titles, start=1) if text.startswith(title))
    cells = page.locator(f"#leaderboard tr[data-entry] > :nth-child({place})")
    return [float(value) for value in _attribute(cells, "data-value") if value]


def _attribute(found: Locator, name: str) -> list[str]:
    read = f"es => es.map(e => e.getAttribute('{name}') ?? '')"
    values: list[str] = found.evaluate_all(read)
    return values
