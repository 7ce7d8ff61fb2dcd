"""Names of tools: what each gives, at most."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.prompts.tool_names import ALIASES, Grant, Unreadable, grant, names
from agentflow.tools import DEFAULT_TOOLS


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ("", ()),
        ("Read", ("Read",)),
        ("Read, Bash(a, b),Grep,", ("Read", "Bash(a, b)", "Grep")),
        (["Read", " Grep "], ("Read", "Grep")),
    ],
)
def test_names_in_lists_and_between_commas(declared: Any, found: tuple[str, ...]) -> None:
    assert names(declared) == found


@pytest.mark.parametrize("declared", [{"Read": "true"}, [["Read"]], [1], "[Read", "{Read}", None])
def test_other_shapes_are_unreadable(declared: Any) -> None:
    with pytest.raises(Unreadable):
        names(declared)


def test_nothing_declared_gives_the_known_ones() -> None:
    assert grant(None, (), DEFAULT_TOOLS) == Grant(None, DEFAULT_TOOLS)
    assert grant(("*",), (), DEFAULT_TOOLS) == Grant(("*",), DEFAULT_TOOLS)


@pytest.mark.parametrize(
    ("declared", "tools", "scopes"),
    [
        (("Bash(git:*)",), ("Bash",), ("git:*",)),
        (("Bash(git:*)", "Bash"), ("Bash",), ()),
        (("Bash(git:*)", "runCommands"), ("Bash",), ()),
        (("Bash(*)",), ("Bash",), ()),
        (("Bash()", "Read"), ("Read",), ()),
        (("Read(src/**)", "Grep"), ("Grep",), ()),
        (("codebase",), ("Read", "Grep", "Glob"), ()),
        (("EDIT/editFiles",), ("Write", "Edit"), ()),
        (("runTests", "search"), ("Grep", "Glob"), ()),
    ],
)
def test_what_is_granted(
    declared: tuple[str, ...], tools: tuple[str, ...], scopes: tuple[str, ...]
) -> None:
    found = grant(declared, (), DEFAULT_TOOLS)
    assert (found.tools, found.scopes, found.error) == (tools, scopes, "")


@pytest.mark.parametrize(
    ("denied", "tools"),
    [
        (("Bash",), ("Read", "Write", "Edit", "Grep", "Glob")),
        (("bash(rm:*)", "search"), ("Read", "Write", "Edit")),
        (("mcp__x__*", "WebFetch"), DEFAULT_TOOLS),
        (("*",), ()),
    ],
)
def test_what_is_denied_is_taken_away(denied: tuple[str, ...], tools: tuple[str, ...]) -> None:
    found = grant(None, denied, DEFAULT_TOOLS)
    assert found.tools == tools
    assert bool(found.error) == (not tools)


def test_no_tool_at_all_is_an_error() -> None:
    found = grant(("WebFetch", "mcp__a__b"), (), DEFAULT_TOOLS)
    assert (found.tools, found.error) == (
        (),
        "none of its tools is available (WebFetch, mcp__a__b)",
    )
    assert grant((), (), DEFAULT_TOOLS).error.endswith("(an empty list)")


ANY = st.lists(st.sampled_from([*DEFAULT_TOOLS, *ALIASES, "Task", "Bash(git:*)", "Read(x)", ""]))


@given(ANY, ANY)
def test_no_name_gives_more_than_the_table_says(declared: list[str], denied: list[str]) -> None:
    found = grant(tuple(declared), tuple(denied), DEFAULT_TOOLS)
    most = {tool for name in declared for tool in (name, *ALIASES.get(name, ()))}
    most |= {"Bash"} if "Bash(git:*)" in declared else set()
    assert set(found.tools) <= most - set(denied)
    if "Bash" in found.tools and "Bash" not in {*declared} - {"Bash(git:*)"}:
        unscoped = any("Bash" in ALIASES.get(name, ()) for name in declared)
        assert unscoped or set(found.scopes) == {"git:*"}
