"""Pictures of what people see, for the documentation: `scripts/screenshots` writes docs/images."""

import io
import os
import re
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from agentflow.events import RunStarted
from agentflow.pages.report import render_report
from agentflow.report import Summary
from agentflow.runs import task_lock
from agentflow.sinks.console import ConsoleSink
from agentflow.sinks.printer import Frame, TerminalPrinter
from agentflow.sinks.verdict import print_verdict
from agentflow.workspace.repository import open_repository
from tests.report.pages import sample
from tests.sinks.sample import BEGAN, events, timed
from tests.ui.place import TITLES, Place, make_place, serving, tell

SIZE: Any = {"width": 1100, "height": 760}
PHONE: Any = {"width": 390, "height": 844}
AT_WORK = 16
"""Events of the sample's story after which the agent waits for a command."""


def at_work(place: Place) -> Path:
    """Leave a run that is in its second turn; return the folder of locks."""
    first, *story = events()[:AT_WORK]
    if isinstance(first, RunStarted):
        first = replace(first, boundaries=(("notes/**", "kernel"), ("tests/**", "kernel")))
    tell(place.root, "TASK-4", datetime.now(UTC) - timedelta(minutes=3), story=[first, *story],
         title=TITLES["TASK-4"], finished=False)  # fmt: skip
    world = place.shell.project.world
    return open_repository(place.root, world.environment).locks(world.cache)


def dashboard(browser: Browser, place: Place, folder: Path) -> None:
    with task_lock(at_work(place), "TASK-4"), serving(place) as url:
        for scheme in ("light", "dark"):
            kind: Any = scheme
            page = browser.new_page(color_scheme=kind, viewport=SIZE)
            page.goto(url)
            page.wait_for_selector("#live.on")
            page.screenshot(path=str(folder / f"dashboard-{scheme}.png"))
            page.close()
        page = browser.new_page(viewport=SIZE)
        page.goto(url)
        page.wait_for_selector("#live.on")
        for name in ("tasks", "costs"):
            page.goto(url.partition("?")[0] + name)
            page.wait_for_selector("#live.on")
            page.screenshot(path=str(folder / f"{name}.png"))
        page.set_viewport_size(PHONE)
        for name, address in (("dashboard", ""), ("run", f"runs/{place.runs['TASK-1']}")):
            page.goto(url.partition("?")[0] + address)
            page.wait_for_selector("#live.on")
            page.screenshot(path=str(folder / f"{name}-phone.png"))


def report(browser: Browser, folder: Path) -> None:
    page = browser.new_page(viewport=SIZE)
    page.set_content(render_report(sample(report={**sample().report, "duration_ms": 308_000})))
    page.screenshot(path=str(folder / "report.png"))


def terminal(folder: Path) -> None:
    """A run's lines, its row and its verdict, as a terminal has them; no font is loaded."""
    stream, now = _Terminal(), BEGAN
    printer = _Lines(stream)
    console, summary = ConsoleSink(printer, now=lambda: now), Summary(lambda: now)
    for at, event in timed():
        now = at
        console.take(event, at)
        summary(event)
    console.close()
    print_verdict(printer, summary.as_json())
    shown = Console(record=True, width=100, file=io.StringIO())
    shown.print(Text.from_ansi(stream.getvalue()))
    form = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    form = re.sub(r"<!-- Generated .*?-->", "", form)
    picture = shown.export_svg(title="agentflow run TASK-1", code_format=form, unique_id="run")
    (folder / "terminal.svg").write_text(picture, "utf-8")


class _Lines(TerminalPrinter):
    """A terminal whose rows are not kept up to date: what scrolls is whole."""

    def follow(self, frame: Frame) -> None:  # pyright: ignore[reportImplicitOverride]
        return None


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:  # pyright: ignore[reportImplicitOverride]
        return True


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    terminal(folder)
    with tempfile.TemporaryDirectory() as work, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        dashboard(browser, make_place(Path(work) / "notes-service"), folder)
        report(browser, folder)
        browser.close()


if __name__ == "__main__":
    os.environ |= {"TERM": "xterm-256color", "COLUMNS": "100"}
    main(Path(sys.argv[1]))
