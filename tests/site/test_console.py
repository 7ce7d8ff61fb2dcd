"""Every command in the documentation, run as its reader would run it."""

import re
from pathlib import Path

import pytest

from tests.conformance.postgresql import OWNER, ROLE, Server
from tests.site.conftest import Place
from tests.site.console import Left, Step, fits, read_page, run_steps

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks/README.md")
    if "```console" in path.read_text("utf-8")
)


@pytest.mark.sandbox
@pytest.mark.usefixtures("bwrap")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_tells_to_do_works(
    page: Path, place: Place, request: pytest.FixtureRequest
) -> None:
    text = page.read_text("utf-8")
    steps = [each for each in read_page(text) if isinstance(each, Step)]
    environment = dict(place.environment)
    if "$DATABASE_OF_ITS_OWNER" in text:
        server: Server = request.getfixturevalue("server")
        owner = environment["DATABASE_OF_ITS_OWNER"] = server.make_empty()
        environment["DATABASE"] = owner.replace(f"{OWNER}@", f"{ROLE}@")
    done = 0
    for step, output, code in run_steps(steps, place.start, environment):
        where = f"{page.relative_to(ROOT)}:{step.line}: {step.command}\n{output}"
        assert code == step.code, where
        assert not step.expected or fits(step.expected, output), f"{where}\n--- {step.expected}"
        done += 1
    assert done == len(steps)


NOT_RUN = {
    "CONTRIBUTING.md": 2,
    "README.md": 4,
    "docs/ci.md": 1,
    "docs/cluster.md": 1,
    "docs/local-models.md": 1,
    "docs/mcp.md": 1,
    "docs/ui.md": 1,
    "docs/models.md": 1,
    "docs/security-tests.md": 1,
    "docs/security.md": 1,
    "docs/telemetry.md": 1,
    "docs/tutorial.md": 1,
}
"""Blocks that say why they are not run, by page."""


def test_what_is_not_run_says_why_and_is_counted() -> None:
    left = {
        str(page.relative_to(ROOT)): [each.reason for each in steps if isinstance(each, Left)]
        for page in PAGES
        if (steps := read_page(page.read_text("utf-8")))
    }
    print("\n".join(f"{page}: {reason}" for page, reasons in left.items() for reason in reasons))  # noqa: T201  # the list
    assert {page: len(reasons) for page, reasons in left.items() if reasons} == NOT_RUN
    assert all(len(reason.split()) > 2 for reasons in left.values() for reason in reasons)
    assert (
        sum(isinstance(each, Step) for page in PAGES for each in read_page(page.read_text())) > 60
    )


def test_every_command_is_run_on_a_page() -> None:
    reference = (ROOT / "docs/reference/commands.md").read_text("utf-8")
    commands = re.findall(r"^#+ `?(agentflow [a-z0-9 -]+?)`?$", reference, re.MULTILINE)
    pages = [read_page(page.read_text("utf-8")) for page in PAGES]
    run = " ".join(each.command for page in pages for each in page if isinstance(each, Step))
    assert len(commands) > 40
    assert [each for each in commands if not re.search(rf"{re.escape(each)}(?!\S)", run)] == []


@pytest.mark.parametrize(
    ("expected", "output", "same"),
    [
        ("a\n...\nc", "a\nb\nb\nc", True),
        ("a\n...\nc", "a\nc", True),
        ("a ... c", "a b c", True),
        ("a ... c", "a\nc", False),
        ("took 1.2 s", "took  300 ms", True),
        ("took 1.2 s", "took long", False),
        ("TASK-1-20261128T104434-5373 at 4f0c2a9", "TASK-1-20261129T000000-abcd at 0000000", True),
        ("done", "done\nand more", False),
        ("done", "failed", False),
    ],
)
def test_outputs_are_compared(expected: str, output: str, *, same: bool) -> None:
    assert fits(expected, output) is same


def test_a_command_that_stays_is_waited_for_and_ends_with_the_page(tmp_path: Path) -> None:
    page = (
        "<!-- stays: it serves -->\n```console\n$ echo a; sleep 0.3; echo b; exec sleep 600\na\nb\n```\n"
        "```console\n$ echo next\n```\n<!-- stays: it should -->\n```console\n$ false\n```\n"
    )
    steps = [each for each in read_page(page) if isinstance(each, Step)]
    ran = list(run_steps(steps, tmp_path, {"PATH": "/usr/bin:/bin"}))
    assert [(output.strip(), code) for _, output, code in ran[:2]] == [("a\nb", 0), ("next", 0)]
    assert ran[2][2] == 1


def test_a_page_that_says_what_is_not_so_is_noticed(tmp_path: Path) -> None:
    page = "```console\n$ cd /\n$ pwd\n/\n$ false\n$ echo never\n```\n"
    steps = [each for each in read_page(page) if isinstance(each, Step)]
    ran = list(run_steps(steps, tmp_path, {"PATH": "/usr/bin:/bin"}))
    assert [(step.command, output.strip(), code) for step, output, code in ran] == [
        ("cd /", "", 0), ("pwd", "/", 0), ("false", "", 1),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="no block of commands"):
        read_page("<!-- not run: for a reason that is none -->\n```text\nx\n```\n")
