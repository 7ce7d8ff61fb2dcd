"""A run from its beginning to its end, in the browser: seen at work, cancelled, resumed, answered."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.records import Json
from tests.run.project import HELLO, call, turn
from tests.ui.place import Place, serving
from tests.ui.test_browser import Visit

ASK = call(
    "Write", file_path=".orchestrator/complete/TASK-4.blocked", content="Which <b>words</b>?"
)


@contextmanager
def scripted(*turns: Json) -> Generator[ScriptedServer]:
    """A scripted model in a thread: Playwright's synchronous calls allow no loop in this one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    server = ScriptedServer(read_script({"turns": list(turns)}))
    asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(60)
    try:
        yield server
    finally:
        closing = server.__aexit__(None, None, None)
        asyncio.run_coroutine_threadsafe(closing, loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def holding(place: Place) -> Path:
    """Let every Write of an agent wait for the file that is returned."""
    folder = Path(place.shell.environment["XDG_CONFIG_HOME"]) / "agentflow"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(
        "[[hooks]]\non = ['tool.before']\ntools = ['Write']\ntimeout = '5m'\n"
        "command = 'until test -e go; do sleep 0.1; done'\n"
    )
    return folder / "go"


@pytest.mark.sandbox
def test_a_run_is_seen_cancelled_resumed_and_answered(
    chromium: Browser, other: Place, bwrap: str
) -> None:
    go = holding(other)
    project = other.shell.project
    project.write(
        ".orchestrator/tasks/TASK-4.md", "---\nallow: [app/**]\n---\n\n# Tags for notes\n\nDo it.\n"
    )
    project.commit()
    with scripted(turn(ASK, text="I look."), turn(HELLO), turn(text="Written.")) as model:
        other.shell.environment["AGENTFLOW_BASE_URL"] = model.url
        with serving(other) as url, chromium.new_context() as context:
            visit = Visit(context, url)
            page = visit.page
            assert page.locator("#at-work").inner_text().split("\n")[-1] == "Nothing is at work."

            process = other.shell.start("run", "TASK-4")
            card = page.locator("#at-work .card", has_text="TASK-4")
            card.locator(".doing", has_text="Write").wait_for()
            told = card.inner_text()
            assert "app/**" in told
            assert "no network" in told
            card.get_by_role("link", name="TASK-4").click()
            page.wait_for_selector("#live.on")
            run = page.url.rpartition("/")[2]
            assert page.locator("h1 .outcome").inner_text() == "running"

            page.locator("summary", has_text="Cancel").click()
            page.get_by_role("button", name="Cancel this run").click()
            page.wait_for_selector("h1 .outcome:has-text('interrupted')")
            process.communicate(timeout=60)
            assert process.returncode == 130
            assert page.locator("#now section").count() == 0

            go.touch()
            page.get_by_role("button", name="Resume").click()
            page.wait_for_selector("h1 .outcome:has-text('blocked')", timeout=60_000)
            assert page.url.endswith(run)
            assert page.locator("#run-head .reason").inner_text() == "Which <b>words</b>?"

            visit.go("/")
            page.get_by_label("Your answer to TASK-4").fill("Say hello.\nIn one line.")
            page.locator(".asks", has_text="TASK-4").get_by_role("button").click()
            page.wait_for_selector("h1 .outcome:has-text('done')", timeout=60_000)
            assert page.url.endswith(run)
            assert "app/hello.txt" in page.locator("#parts").inner_text()
            assert "Say hello.\\nIn one line." in str(model.requests[-1].body["messages"])
            assert visit.told == []

            page.locator("#retry > summary").click()
            page.get_by_role("button", name="Begin a new run").click()
            page.wait_for_url(lambda found: "/runs/TASK-4-" in found and not found.endswith(run))
            page.wait_for_selector("h1 .outcome:has-text('blocked')", timeout=60_000)
