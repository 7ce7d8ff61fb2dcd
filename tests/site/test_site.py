"""The documentation as a site: complete, without dead links, and without anybody else's host."""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import sync_playwright

from agentflow.cli import EXIT_CODES
from tests.needs import need
from tests.site.reference import FOLDER, PAGES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_reference_is_what_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == PAGES[name](), "run scripts/reference"


def test_every_setting_is_explained() -> None:
    rows = [line for line in PAGES["settings.md"]().splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert [row for row in rows if row.endswith("|  |")] == []


def test_the_exit_codes_of_the_readme_are_those_of_the_help() -> None:
    readme = (ROOT / "README.md").read_text("utf-8").partition("### Exit codes")[2]
    rows = re.findall(r"^\| ([\d, ]+) \| ?(\w*) ?\|", readme, re.MULTILINE)
    helped = re.findall(r"^  ([\d/]+) +(\w+)", EXIT_CODES, re.MULTILINE)
    told = [(code, "" if code == "70" else outcome) for code, outcome in helped]
    assert [(code.replace(", ", "/"), outcome) for code, outcome in rows] == told
    assert len(told) == 10


def test_every_page_stands_in_the_navigation() -> None:
    config = tomllib.loads((ROOT / "zensical.toml").read_text())
    listed = list(_pages(config["project"]["nav"]))
    there = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    decisions = {path for path in there if path.startswith("adr/")}
    assert len(listed) == len(set(listed))
    assert set(listed) == there - decisions


def _pages(entries: list[dict[str, Any]]) -> Iterator[str]:
    for entry in entries:
        for target in entry.values():
            if isinstance(target, str):
                yield target
            else:
                yield from _pages(target)


class Page(HTMLParser):
    """Where a page points to, what it loads, and what can be pointed to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(  # pyright: ignore[reportImplicitOverride]
        self, tag: str, attrs: list[tuple[str, str | None]]
    ) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.anchors.add(given["id"])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if "src" in given:
            self.loads.append(given["src"])
        if tag == "link" and given.get("rel") not in {"canonical", "prev", "next", "edit"}:
            self.loads.append(given.get("href", ""))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    """The built site, in a folder of its own."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "zensical.toml").write_bytes((ROOT / "zensical.toml").read_bytes())
    shutil.copytree(DOCS, folder / "docs")
    built = subprocess.run(
        [Path(sys.executable).with_name("zensical"), "build", "--strict"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    return {path: Page(path.read_text("utf-8")) for path in (folder / "site").rglob("*.html")}


def test_every_link_within_the_site_leads_somewhere(site: dict[Path, Page]) -> None:
    dead = [
        f"{path.name}: {link}"
        for path, page in site.items()
        if path.name != "404.html"
        for link in page.links
        if not _leads(link, path, site)
    ]
    assert sum(len(page.links) for page in site.values()) > 1000
    assert dead == []


def _leads(link: str, path: Path, site: dict[Path, Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return True
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    target = target / "index.html" if target.is_dir() else target
    return target in site and (
        not parts.fragment or unquote(parts.fragment) in site[target].anchors
    )


def anchors_of(text: str) -> set[str]:
    """What GitHub makes of the headings of a Markdown file."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", each.strip().lower()) for each in headings)
    return {each.replace(" ", "-") for each in plain}


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.md")), ids=lambda path: path.name)
def test_every_link_of_a_file_beside_the_site_leads_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    dead = list[str]()
    for link in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", text):
        place, _, anchor = link.partition("#")
        target = path.parent / place if place else path
        if not target.exists() or (anchor and anchor not in anchors_of(target.read_text("utf-8"))):
            dead.append(link)
    assert dead == []


def test_every_extra_that_a_page_names_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pages = [*DOCS.rglob("*.md"), ROOT / "README.md"]
    named = {
        each
        for page in pages
        for extras in re.findall(r"'\.\[([\w,-]+)\]'", page.read_text("utf-8"))
        for each in extras.split(",")
    }
    assert {"cluster", "otel"} <= named <= project["optional-dependencies"].keys()


def test_no_page_loads_anything_from_elsewhere(site: dict[Path, Page]) -> None:
    loaded = {load for page in site.values() for load in page.loads}
    assert any(re.search(r"\.js$", load) for load in loaded)
    assert [load for load in loaded if urlsplit(load).netloc] == []


def test_a_browser_asks_nobody_for_anything(site: dict[Path, Page]) -> None:
    need("chromium")
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        shown = browser.new_page()
        shown.on("request", lambda request: asked.append(request.url))
        for path in site:
            if path.name in {"index.html", "tutorial.html", "commands.html"}:
                shown.goto(path.as_uri())
                assert shown.locator("h1").count() == 1
        browser.close()
    assert len(asked) > 3
    assert [url for url in asked if urlsplit(url).scheme not in {"file", "data", "blob"}] == []
