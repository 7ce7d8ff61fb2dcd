"""One dashboard for all tests that only look, and a browser."""

from collections.abc import Generator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.needs import need
from tests.ui.place import Place, make_place, serving, tell_hostile


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    made = make_place(tmp_path_factory.mktemp("ui"))
    made.runs["TASK-666"] = tell_hostile(made.root)
    return made


@pytest.fixture(scope="session")
def url(place: Place) -> Generator[str]:
    """With its token."""
    with serving(place) as url:
        yield url


@pytest.fixture(scope="module")
def chromium() -> Generator[Browser]:
    """Not for the whole session: while Playwright is open, no other test can run a loop."""
    need("chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield started
        started.close()


@pytest.fixture
def other(tmp_path: Path) -> Place:
    """A place of its own, for a test that changes it."""
    return make_place(tmp_path)
