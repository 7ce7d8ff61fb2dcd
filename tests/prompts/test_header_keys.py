"""Keys of a header: whatever stands in them, they are read or told, and nothing is widened."""

from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from agentflow.frontmatter import Header
from agentflow.prompts.dialects import Problem
from agentflow.prompts.header_keys import (
    IGNORED,
    MAX_INITIAL,
    MAX_SKILLS,
    Wishes,
    is_plan_mode,
    read_wishes,
)
from agentflow.records import Effort

KEYS = ("maxTurns", "effort", "skills", "initialPrompt", "permissionMode", *IGNORED)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.text() | st.sampled_from(["plan", "high", "5", "a, b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def header(fields: dict[str, Any]) -> Header:
    return Header(fields, {key: number for number, key in enumerate(fields, 2)}, "x", present=True)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES))
def test_any_value_is_honoured_or_told_with_its_line(fields: dict[str, Any]) -> None:
    problems: list[Problem] = []
    given_ = header(fields)
    wishes = read_wishes(given_, problems)
    assert wishes.effort in {None, *get_args(Effort)}
    assert len(wishes.skills) <= MAX_SKILLS
    assert len(wishes.initial_prompt) <= MAX_INITIAL
    planned = is_plan_mode(given_, problems)
    said = fields.get("permissionMode")
    told = {each.line: each.severity for each in problems}
    if said is not None and not planned:
        assert told[given_.lines["permissionMode"]] == (
            "warning" if isinstance(said, str) else "error"
        )
    assert {given_.lines[key] for key in IGNORED if key in fields} <= told.keys()
    assert told.keys() <= set(given_.lines.values())


def test_a_header_without_these_keys_asks_for_nothing() -> None:
    problems: list[Problem] = []
    assert read_wishes(header({"name": "a"}), problems) == Wishes()
    assert not is_plan_mode(header({"name": "a"}), problems)
    assert problems == []
