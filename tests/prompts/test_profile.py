"""Profiles: the `agentflow:` block of a prompt's header."""

import pytest

from agentflow.errors import UsageError
from agentflow.prompts.profile import missing_documents, read_profile
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
        ({"comits": "agent"}, "p.md: agentflow: unknown key 'comits'; did you"),
        ({"commits": "me"}, "p.md: agentflow.commits: it must be 'agent', 'orchestrator'"),
        ({"completion": ""}, "p.md: agentflow.completion: it must be"),
        ({"variables": "x"}, "p.md: agentflow.variables: it must be a list"),
        ({"output_schema": "{"}, "p.md: agentflow.output_schema: Expecting property"),
        ({"output_schema": "[1]"}, "p.md: agentflow.output_schema: not a JSON obj"),
        ({"output_schema": ["x"]}, "p.md: agentflow.output_schema: it must hold keys"),
        ({"output_schema": "[" * 60_000}, "p.md: agentflow.output_schema: nested too"),
        (
            {"output_schema": '{"properties": {"a": {"pattern": "(a+)+"}}}'},
            "p.md: agentflow.output_schema: the schema.properties.a: the keyword "
            "'pattern' is not supported",
        ),
        (
            {"output_schema": {"type": "object", "additionalProperties": "false"}},
            "p.md: agentflow.output_schema: the schema: 'additionalProperties' holds",
        ),
    ],
)
def test_a_bad_block_is_named_by_key(block: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_profile(block, where="p.md")
    assert caught.value.message.startswith(message)


def test_documents_that_are_named_literally_must_be_there() -> None:
    profile = Profile(documents=("docs/plan.md", "/docs/intent.md", "docs/**", "notes/", "*.md"))
    asked: list[str] = []

    def exists(path: str) -> bool:
        asked.append(path)
        return path == "docs/plan.md"

    assert missing_documents(profile, exists) == ("docs/intent.md",)
    assert asked == ["docs/plan.md", "docs/intent.md"]
    assert missing_documents(Profile(), exists) == ()
    with pytest.raises(UsageError, match=r"^documents: the boundary '\.\./x'"):
        missing_documents(Profile(documents=("../x",)), exists)
