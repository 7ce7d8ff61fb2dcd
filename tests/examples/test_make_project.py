"""The make-driven project by itself: green, red, changed, formatted."""

from pathlib import Path

import pytest

from tests.examples.example import build
from tests.examples.make_project import MAKE, UNFORMATTED
from tests.examples.outside import passes, shell
from tests.needs import need

GATES = "make build && make test && make lint"


@pytest.fixture(autouse=True)
def _programs() -> None:
    need("make", "cc")


def test_the_project_is_green_before_and_after_the_feature(tmp_path: Path) -> None:
    example = build(MAKE, tmp_path)

    passes(example, "make deps")
    assert passes(example, GATES).count(": passed") == 1
    MAKE.feature.apply(example.root)
    assert passes(example, GATES).count(": passed") == 2


def test_libraries_need_no_second_build_in_a_younger_checkout(tmp_path: Path) -> None:
    example = build(MAKE, tmp_path)
    passes(example, "make deps && touch vendor/*/* && chmod -R a-w deps")

    assert ": passed" in passes(example, GATES)


def test_the_added_package_is_compiled_by_setup(tmp_path: Path) -> None:
    example = build(MAKE, tmp_path)
    passes(example, "make deps")
    MAKE.package.apply(example.root)

    assert shell(example, "make build").returncode != 0
    passes(example, "make deps")
    assert passes(example, GATES).count(": passed") == 2


def test_a_changed_library_is_refused_by_its_checksum(tmp_path: Path) -> None:
    example = build(MAKE, tmp_path)
    example.project.write("vendor/utf8/utf8.c", "")

    ended = shell(example, "make deps")

    assert ended.returncode != 0
    assert "vendor/utf8 is not version 1.0.0" in ended.stderr


def test_a_red_main_fails_its_tests_and_nothing_else(tmp_path: Path) -> None:
    example = build(MAKE, tmp_path, red=True)

    passes(example, "make deps && make build && make lint")
    ended = shell(example, "make test")

    assert ended.returncode != 0
    assert "Assertion" in ended.stderr


def test_the_formatter_mends_what_lint_refuses(tmp_path: Path) -> None:
    example = build(MAKE, tmp_path)
    UNFORMATTED.apply(example.root)
    passes(example, "make deps")

    assert "not formatted: tests/test_spaces.c" in shell(example, "make lint").stdout
    passes(example, "make format")
    assert passes(example, GATES).count(": passed") == 3
