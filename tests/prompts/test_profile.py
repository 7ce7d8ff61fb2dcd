"""Profiles: the `agentflow:` block of a prompt's header."""

import pytest

from agentflow.errors import UsageError
from agentflow.prompts.profile import read_profile
from agentflow.records import Profile


def test_no_block_gives_the_default() -> None:
    assert read_profile(None, where="p.md") == Profile()
    assert read_profile({}, where="p.md") == Profile((), "orchestrator", "message", None, ())


def test_every_key_is_read() -> None:
    block = {
        "variables": ["$TASK_DESCRIPTION"],
        "commits": "agent",
        "completion": "json",
        "output_schema": '{"type": "object", "required": ["ok"]}',
        "documents": ["docs/**"],
    }
    assert read_profile(block, where="p.md") == Profile(
        ("$TASK_DESCRIPTION",),
        "agent",
        "json",
        {"type": "object", "required": ["ok"]},
        ("docs/**",),
    )


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("text", "p.md: `agentflow:` must hold `key: value` lines"),
        (["commits"], "p.md: `agentflow:` must hold `key: value` lines"),
        ({"comits": "agent"}, "p.md: agentflow.comits: Extra inputs are not permitted; did you"),
        ({"commits": "me"}, "p.md: agentflow.commits: Input should be 'agent', 'orchestrator'"),
        ({"completion": ""}, "p.md: agentflow.completion: Input should be"),
        ({"variables": "x"}, "p.md: agentflow.variables: Input should be a valid tuple"),
        ({"output_schema": "{"}, "p.md: agentflow.output_schema: Value error"),
        ({"output_schema": "[1]"}, "p.md: agentflow.output_schema: Input should be a valid dict"),
        ({"output_schema": "[" * 60_000}, "p.md: agentflow.output_schema: Value error, it nests"),
    ],
)
def test_a_bad_block_is_named_by_key(block: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_profile(block, where="p.md")
    assert caught.value.message.startswith(message)
