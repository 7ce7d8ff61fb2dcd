"""Agents of Codex."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentflow.errors import UsageError
from agentflow.prompts.listing import list_prompts
from agentflow.prompts.loader import find_prompt, load_prompt
from agentflow.prompts.reading import Reading, take_apart
from agentflow.tools import DEFAULT_TOOLS
from tests.growth import check_growth

BODY = 'developer_instructions = """\nDo it.\nCommit your work.\n"""\n'


def read(text: str) -> Reading:
    return take_apart(Path("a.toml"), text.encode(), DEFAULT_TOOLS)


def test_a_file_in_full() -> None:
    found = read(
        'name = "my_scout"\ndescription = "d"\nmodel = "opus"\nmodel_reasoning_effort = "high"\n'
        f'sandbox_mode = "read-only"\n{BODY}\n[mcp_servers.x]\ncommand = "x"\n'
    )
    assert (found.name, found.model, found.parse) == ("my_scout", "opus", "toml")
    assert found.header.body == "Do it.\nCommit your work.\n"
    assert set(found.grant.tools) == {"Read", "Grep", "Glob"}
    assert found.lines_above == 6
    assert [(each.line, each.severity, each.code) for each in found.problems] == [
        (4, "warning", "key-ignored"),
        (11, "warning", "key-ignored"),
    ]


@pytest.mark.parametrize(
    ("more", "tools", "codes"),
    [
        ("", set(DEFAULT_TOOLS), []),
        ('sandbox_mode = "workspace-write"', set(DEFAULT_TOOLS), []),
        ('sandbox_mode = "read-only"', {"Read", "Grep", "Glob"}, []),
        ('sandbox_mode = "Read-Only"', set[str](), ["tools-unclear"]),
        ("sandbox_mode = 3", set[str](), ["tools-unclear"]),
        ('sandbox_mode = "read-only"\ntools = ["Bash"]', set[str](), ["tools-unclear"]),
        ('tools = ["Read"]', {"Read"}, []),
        ("tools.web_search = true", set[str](), ["tools-unclear"]),
        ('default_permissions = "x"', set[str](), ["tools-unclear"]),
        ('instructions = "old"', set(DEFAULT_TOOLS), ["key-ignored"]),
    ],
)
def test_tools_are_never_widened(more: str, tools: set[str], codes: list[str]) -> None:
    found = read(f"{more}\n{BODY}")
    assert set(found.grant.tools) == tools
    assert [each.code for each in found.problems] == codes


def test_older_files_and_those_without_a_text() -> None:
    assert read('instructions = "one"').header.body == "one"
    assert read('\n\ninstructions = "one"').lines_above == 2
    for text in ('name = "a"', "developer_instructions = 3"):
        error = read(text).error
        assert error is not None
        assert error.code == "empty"
    with pytest.raises(UsageError, match=r"a\.toml is not valid TOML"):
        read("name = ")


def test_they_are_found_by_name_in_their_folder_only(tmp_path: Path) -> None:
    file = tmp_path / ".codex/agents/deep/x.toml"
    for path in (file, tmp_path / ".claude/agents/x.toml", tmp_path / ".codex/agents/config.toml"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "[features]\nx = true\n" if path.stem == "config" else f'name = "my_x"\n{BODY}'
        )
    assert find_prompt("my-x", tmp_path) == file
    assert find_prompt(".codex/agents/deep/x.toml", tmp_path) == tmp_path / file
    prompt = load_prompt(file, DEFAULT_TOOLS)
    assert (prompt.name, prompt.body) == ("my_x", "Do it.\nCommit your work.\n")
    listed = [each.path for each in list_prompts(tmp_path, DEFAULT_TOOLS) if not each.builtin]
    assert listed == [file]


@given(st.text() | st.dictionaries(st.sampled_from(["name", "model", "tools", "x"]), st.text()))
def test_no_file_crashes(value: str | dict[str, str]) -> None:
    text = value if isinstance(value, str) else "\n".join(f"{k} = {v}" for k, v in value.items())
    try:
        read(text.replace("\0", "").encode("utf-8", "replace").decode())
    except UsageError:
        return


def test_time_grows_with_the_number_of_keys_only() -> None:
    check_growth(
        read, lambda size: "".join(f"k{number} = 1\n" for number in range(size)) + BODY, 8_000
    )
