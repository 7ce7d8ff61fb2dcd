"""Fixtures of the git tests."""

import shutil
from pathlib import Path

import pytest

from tests.workspace.place import Place, Work, make_place


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Made once, because eight git processes are slow."""
    return make_place(tmp_path_factory.mktemp("template"))


@pytest.fixture
def place(tmp_path: Path, template: Place) -> Place:
    """A user's repository with two commits."""
    shutil.copytree(template.root, tmp_path / "user")
    place = Place(tmp_path)
    place.user("git update-index --refresh")
    return place


@pytest.fixture
def work(place: Place) -> Work:
    """The repositories of a run at the user's HEAD."""
    return place.borrow()
