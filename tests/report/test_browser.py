"""The report in Debian's Chromium."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # pyright: ignore[reportMissingTypeStubs]
from playwright.sync_api import Browser, Page, sync_playwright

from tests.needs import need
from tests.report.pages import ALL, page

DESK: Any = {"width": 1280, "height": 720}
PHONE: Any = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    need("chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield started
        started.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pages")
    found: dict[str, str] = {}
    for name in ALL:
        file: Path = folder / f"{name}.html"
        file.write_text(page(name), "utf-8")
        found[name] = file.as_uri()
    return found


def count(shown: Page, selector: str) -> int:
    return shown.locator(selector).count()


@pytest.mark.parametrize("name", ALL)
def test_it_opens_alone_and_fits_a_phone(
    browser: Browser, files: dict[str, str], name: str
) -> None:
    shown = browser.new_page(viewport=PHONE)
    told: list[str] = []
    shown.on("console", lambda message: told.append(message.text))
    shown.on("pageerror", lambda error: told.append(str(error)))
    shown.on("dialog", lambda dialog: told.append(dialog.message))
    shown.on("request", lambda request: told.append(request.url))
    shown.goto(files[name])
    shown.get_by_role("button", name="Open all turns").click()
    width = "document.documentElement.scrollWidth"
    assert shown.evaluate(width) == PHONE["width"]
    assert told == [files[name]]
    assert shown.title() != "owned"
    assert count(shown, "img, iframe, object, [onload], [onerror]") == 0
    shown.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(browser: Browser, files: dict[str, str], scheme: Any) -> None:
    """axe-core finds nothing, with every part opened, on a desk and on a phone."""
    shown = browser.new_page(color_scheme=scheme)
    for name in ("failed", "sample"):
        shown.goto(files[name])
        shown.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        shown.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        for size in (DESK, PHONE):
            shown.set_viewport_size(size)
            assert shown.evaluate("document.documentElement.scrollWidth") == size["width"]
            if (scheme, size) == ("dark", PHONE):  # colours and layout were both judged
                continue
            found: Any = Axe().run(shown)  # pyright: ignore[reportUnknownMemberType]
            assert found.response["passes"]
            assert found.violations_count == 0, found.generate_report()
    shown.close()


def test_the_keyboard_reaches_everything(browser: Browser, files: dict[str, str]) -> None:
    shown = browser.new_page()
    shown.goto(files["sample"])
    focused = "document.activeElement.matches"
    shown.keyboard.press("Tab")
    assert shown.evaluate(f"{focused}('.skip')")
    shown.keyboard.press("Enter")
    assert shown.evaluate(f"{focused}('main')")
    for _ in range(40):
        shown.keyboard.press("Tab")
        if shown.evaluate(f"{focused}('.turn > summary')"):
            break
    assert count(shown, ".turn .call") == 0
    shown.keyboard.press("Enter")
    shown.wait_for_selector(".turn[open] .call")
    assert count(shown, ".turn[open] .call") == 1
    shown.keyboard.press("Tab")
    shown.keyboard.press("Space")
    shown.wait_for_selector(".turn[open] .call[open] pre", state="visible")
    shown.close()


def test_200_turns_cost_nothing_until_they_are_opened(
    browser: Browser, files: dict[str, str]
) -> None:
    shown = browser.new_page()
    shown.goto(files["long"])
    assert count(shown, ".turn") == 200
    assert count(shown, "pre, table") == 0
    assert count(shown, "*") < 4_000
    shown.locator(".turn > summary").nth(120).click()
    shown.wait_for_selector(".turn[open] pre", state="attached")
    assert count(shown, "pre") == 6
    shown.goto(f"{files['long']}#turn-7")
    assert shown.locator("#turn-7 .words").is_visible()
    shown.close()


def test_it_prints_without_what_only_a_screen_needs(
    browser: Browser, files: dict[str, str]
) -> None:
    shown = browser.new_page()
    shown.goto(files["failed"])
    shown.emulate_media(media="print")
    assert not shown.locator("nav").is_visible()
    assert shown.locator(".gate.failed pre").is_visible()
    assert shown.pdf()[:5] == b"%PDF-"
    shown.close()
