"""The dashboard in Debian's Chromium: every page, as it is looked at and used."""

import json
import shutil
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # pyright: ignore[reportMissingTypeStubs]
from playwright.sync_api import Browser, BrowserContext, Page

from agentflow.runs import FOLDER
from tests.ui.place import QUESTION, Place, ended, serving, tell, tell_hostile

DESK: Any = {"width": 1280, "height": 720}
PHONE: Any = {"width": 390, "height": 844}


class Visit:
    """One page in a browser that has shown the token, and what the browser had to say."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.page: Page = context.new_page()
        self.told: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.told.append(message.text))
        self.page.on("pageerror", lambda error: self.told.append(str(error)))
        self.page.on("dialog", lambda dialog: self.told.append(dialog.message))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.base = url.partition("/?")[0]
        self.page.goto(url)
        self.page.wait_for_selector("#live.on")

    def go(self, path: str) -> Page:
        self.page.goto(f"{self.base}{path}")
        self.page.wait_for_selector("#live.on")
        return self.page

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()


@pytest.fixture
def visit(chromium: Browser, url: str) -> Generator[Visit]:
    with chromium.new_context() as context:
        made = Visit(context, url)
        yield made
        assert made.told == []
        assert not [each for each in made.asked if not each.startswith(made.base)]


def paths(place: Place) -> list[str]:
    return ["/", "/runs", "/tasks", "/costs", f"/runs/{place.runs['TASK-3']}"]


def test_the_token_leaves_the_address_and_pages_show_what_there_is(
    visit: Visit, place: Place
) -> None:
    page = visit.page
    assert page.url == f"{visit.base}/"
    assert page.title().startswith("(2) Overview")
    card = page.locator(".asks", has_text="TASK-3")
    assert QUESTION in card.inner_text()
    assert page.locator("#rows tbody tr").count() == 5

    page = visit.go("/runs?outcome=failed")
    assert page.locator("tbody tr").all_inner_texts()[0].split()[1:3] == ["failed", "TASK-2"]
    page.get_by_label("Outcome").select_option("all")
    page.get_by_label("Task or title").fill("csv")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**text=csv**")
    assert [each.split()[2] for each in page.locator("tbody tr").all_inner_texts()] == ["TASK-5"]

    page = visit.go("/tasks")
    rows = {
        text.split("\n")[0].split("\t")[1]: text.split()
        for text in page.locator("tbody tr").all_inner_texts()
    }
    states = {task: words[1] for task, words in rows.items()}
    assert states == {
        "TASK-1": "done", "TASK-2": "stopped", "TASK-3": "blocked", "TASK-4": "waiting",
        "TASK-5": "stopped", "TASK-6": "waiting",
    }  # fmt: skip
    assert page.locator(".plan .task").count() == 4
    assert page.locator(".plan .edge").count() == 2

    page = visit.go("/costs")
    assert page.locator("h2").all_inner_texts() == ["By day", "By task", "By prompt", "By model"]
    assert page.locator("svg.chart rect").count() == 30
    page = visit.go("/costs?days=7")
    assert page.locator("svg.chart rect").count() == 7

    page = visit.go(f"/runs/{place.runs['TASK-1']}")
    page.get_by_role("link", name="Timeline").click()
    page.locator(".turn > summary").first.click()
    page.locator(".turn[open] .call").first.wait_for()
    assert page.locator(".turn[open] .call").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(chromium: Browser, url: str, place: Place, scheme: Any) -> None:
    """axe-core finds nothing on any page, on a desk and on a phone."""
    with chromium.new_context(color_scheme=scheme) as context:
        visit = Visit(context, url)
        for path in paths(place):
            page = visit.go(path)
            page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
            for size in (DESK, PHONE):
                page.set_viewport_size(size)
                width = page.evaluate("document.documentElement.scrollWidth")
                assert width == size["width"], path
                if (scheme, size) == ("dark", PHONE):  # colours and layout were both judged
                    continue
                found: Any = Axe().run(page)  # pyright: ignore[reportUnknownMemberType]
                assert found.response["passes"]
                assert found.violations_count == 0, path + found.generate_report()


def test_what_a_model_wrote_stays_text(visit: Visit, place: Place) -> None:
    for path in ("/", "/runs", "/costs", f"/runs/{place.runs['TASK-666']}"):
        page = visit.go(path)
        assert "</script><script>" in page.locator("main").inner_text()
        assert not {"\x1b", "\x07", "\u202e"} & set(page.content())
        assert not page.title().startswith("owned")
        assert visit.count("img, iframe, object, main script, [onload], [onerror]") == 0


def test_what_a_model_wrote_stays_text_when_it_comes_later(chromium: Browser, other: Place) -> None:
    with serving(other) as url, chromium.new_context() as context:
        visit = Visit(context, url)
        tell_hostile(other.root)
        visit.page.wait_for_selector(".asks:has-text('TASK-666')")
        assert "</script><script>" in visit.page.locator("main").inner_text()
        assert visit.count("img, iframe, object, main script, [onload], [onerror]") == 0
        assert visit.told == []


def test_the_keyboard_does_everything(visit: Visit) -> None:
    page = visit.page
    focused = "document.activeElement.matches"
    page.keyboard.press("Tab")
    assert page.evaluate(f"{focused}('.skip')")
    page.keyboard.press("Enter")
    assert page.evaluate(f"{focused}('main')")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate(f"{focused}('textarea')"):
            break
    page.keyboard.type("a table of its own")
    page.keyboard.press("Tab")
    assert page.evaluate(f"{focused}('button.primary')")
    page.goto(page.locator("#rows tbody tr:has-text('TASK-2') a").evaluate("each => each.href"))
    page.locator("#retry > summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Begin a new run"


def test_what_comes_in_leaves_what_a_person_does_alone(chromium: Browser, other: Place) -> None:
    """While somebody types, another run is blocked: the words, the cursor and open parts stay."""
    with serving(other) as url, chromium.new_context() as context:
        visit = Visit(context, url)
        page = visit.page
        box = page.locator(f"[id='answer-{other.runs['TASK-3']}']")
        box.fill("a table of its own")
        box.evaluate("each => each.setSelectionRange(2, 7)")
        now = datetime.now(UTC)
        tell(other.root, "TASK-7", now, story=ended("blocked", 3, "Which words?"))
        page.wait_for_selector(".asks:has-text('TASK-7')")
        assert page.title().startswith("(2) ")
        assert box.input_value() == "a table of its own"
        assert box.evaluate("each => document.activeElement === each")
        assert box.evaluate("each => [each.selectionStart, each.selectionEnd]") == [2, 7]

        page = visit.go(f"/runs/{other.runs['TASK-2']}")
        page.locator("#turn-7 > summary, .turn > summary").first.click()
        page.wait_for_selector(".turn[open] .call")
        page.locator(".turn[open] .call > summary").first.click()
        folder = other.root / FOLDER / other.runs["TASK-2"]
        report = json.loads((folder / "report.json").read_text())
        (folder / "report.json").write_text(json.dumps({**report, "title": "Another title"}))
        page.wait_for_selector("h1:has-text('Another title')")
        assert page.locator(".turn[open] .call[open] pre").count() == 2

        for task in ("TASK-3", "TASK-7"):
            for run in (other.root / FOLDER).glob(f"{task}-*"):
                shutil.rmtree(run)
        page = visit.go("/")
        page.wait_for_selector(".asks", state="detached")
        assert not page.title().startswith("(")
        assert visit.told == []


def test_a_page_that_nobody_sees_asks_for_nothing(visit: Visit) -> None:
    page = visit.page
    state = "source && source.readyState"
    assert page.evaluate(state) == 1
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(hide % "true")
    assert page.evaluate("source") is None
    assert page.locator("#live").inner_text() == "Paused"
    page.evaluate(hide % "false")
    page.wait_for_selector("#live.on")


def test_a_thousand_runs_are_a_page_at_a_time(chromium: Browser, other: Place) -> None:
    folder = other.root / FOLDER
    report = json.loads((folder / other.runs["TASK-2"] / "report.json").read_text())
    began = datetime.now(UTC) - timedelta(days=200)
    for number in range(1000):
        task = f"MANY-{number}"
        run = f"{task}-{began + timedelta(hours=4 * number):%Y%m%dT%H%M%S}-{number:04x}"
        (folder / run).mkdir()
        (folder / run / "report.json").write_text(json.dumps({**report, "task": task, "run": run}))
    with serving(other) as url, chromium.new_context() as context:
        visit = Visit(context, url)
        assert "All 1,004 runs" in visit.page.locator("#rows").inner_text()
        page = visit.go("/runs")
        assert page.locator("tbody tr").count() == 50
        assert visit.count("*") < 1_500
        page.get_by_role("link", name="Older").click()
        page.wait_for_selector("text=page 2 of 21")
        page = visit.go("/runs?page=99999999999")
        assert page.locator("tbody tr").count() == 50
        page = visit.go("/runs?page=9999")
        assert page.locator("tbody tr").count() == 4
        page = visit.go("/costs?days=90")
        assert page.locator("[aria-label='Costs by task'] tbody tr").count() == 21
        assert visit.told == []
