"""Tool calls as the model makes them, through the kit to a real toolbox."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.interfaces import Sandbox
from agentflow.messages import Signal, ToolCall, ToolResult
from agentflow.records import Json
from agentflow.tools import DEFAULT_TOOLS, TOOLS, Toolkit


class Answers:
    """A sandbox that gives one result and keeps the call."""

    name = "none"

    def __init__(self, result: Json | None = None) -> None:
        self.result = result
        self.calls = list[tuple[str, Mapping[str, object]]]()

    async def call(self, tool: str, arguments: Mapping[str, object]) -> Json:
        self.calls.append((tool, arguments))
        if self.result is None:
            raise EnvironmentFailure("the sandbox is gone")
        return self.result


async def run(sandbox: Sandbox, name: str, arguments: Json) -> tuple[Any, bool]:
    result = await Toolkit(sandbox).run(ToolCall("call", name, arguments))
    assert result.call_id == "call"
    return result.content, result.is_error


def bash_result(**changes: Any) -> Json:
    return {
        "exit_code": 0,
        "killed": None,
        "reason": None,
        "output": "",
        "truncated": False,
        "full_output": None,
    } | changes


def test_schemas_are_in_one_order_and_cheap() -> None:
    everything = Toolkit(Answers()).schemas
    assert [schema["name"] for schema in everything] == list(DEFAULT_TOOLS) == list(TOOLS)[:-1]
    asking = Toolkit(Answers(), ("AskUserQuestion",)).schemas
    assert [*asking[0]["input_schema"]["properties"]] == ["questions"]
    mixed = Toolkit(Answers(), ("Glob", "Read")).schemas
    assert mixed == [everything[0], everything[5]]
    text = json.dumps(everything, ensure_ascii=False)
    assert len(text) / 4 < 1700
    assert '"title"' not in text
    assert '"anyOf"' not in text
    assert all(schema["description"] for schema in everything)


def test_schema_of_bash() -> None:
    schema = Toolkit(Answers(), ("Bash",)).schemas[0]
    assert schema["input_schema"] == {
        "type": "object",
        "properties": {
            "command": {"minLength": 1, "type": "string"},
            "timeout": {
                "type": "integer",
                "exclusiveMinimum": 0,
                "description": "Milliseconds, at most 600000",
            },
            "description": {"type": "string", "description": "What it does, in 5 to 10 words"},
        },
        "required": ["command"],
        "additionalProperties": False,
    }


def test_a_name_that_is_no_tool_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no tool 'Task'"):
        Toolkit(Answers(), ("Read", "Task"))


def test_read_only_tools() -> None:
    kit = Toolkit(Answers(), tuple(TOOLS))
    names = (*TOOLS, "Nope")
    assert [name for name in names if kit.is_read_only(ToolCall("1", name, {}))] == [
        "Read",
        "Grep",
        "Glob",
        "Nope",
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "target"),
    [
        ("Read", {"file_path": "a.py"}, "a.py"),
        ("Write", {"file_path": "a.py", "content": ""}, "a.py"),
        ("Edit", {"file_path": "a.py", "old_string": "", "new_string": ""}, "a.py"),
        ("Bash", {"command": "echo \x1b[31mred\n  more"}, "echo red more"),
        ("Bash", {"command": "x" * 100}, "x" * 79 + "…"),
        ("Grep", {"pattern": "a"}, "a"),
        ("Grep", {"pattern": "a", "path": "src"}, "a in src"),
        ("Grep", {"pattern": "a", "glob": "*.py"}, "a in *.py"),
        ("Glob", {"pattern": "*.py", "path": "src"}, "*.py in src"),
        ("Glob", {}, ""),
        ("Nope", {}, ""),
    ],
)
def test_target(name: str, arguments: Json, target: str) -> None:
    assert Toolkit(Answers()).target(ToolCall("1", name, arguments)) == target


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            ToolCall("1", "bash", {}),
            "There is no tool 'bash' here. Did you mean Bash? Available: Bash, Glob.",
        ),
        (ToolCall("1", "Deploy", {}), "There is no tool 'Deploy' here. Available: Bash, Glob."),
        (
            ToolCall("1", "Bash", None, "Expecting ',' at column 7"),
            "Bash: Expecting ',' at column 7",
        ),
        (ToolCall("1", "Bash", {}), "Bash: `command` is required."),
        (
            ToolCall("1", "Bash", {"command": ["ls"], "timeout": -1}),
            "Bash: `command`: input should be a valid string (given: ['ls']). "
            "`timeout`: input should be greater than 0 (given: -1).",
        ),
        (
            ToolCall("1", "Glob", {"pattern": "*", "regex": True}),
            "Glob: `regex` is not a parameter; the parameters are pattern, path.",
        ),
    ],
)
async def test_a_wrong_call_is_explained(call: ToolCall, text: str) -> None:
    result = await Toolkit(Answers(), ("Bash", "Glob")).run(call)
    assert result == ToolResult("1", text, is_error=True)


async def test_a_lost_sandbox_is_not_the_models_fault() -> None:
    with pytest.raises(EnvironmentFailure):
        await Toolkit(Answers()).run(ToolCall("1", "Bash", {"command": "true"}))


@pytest.mark.parametrize(
    ("milliseconds", "seconds"), [(None, 120), (1500, 1.5), ("2000", 2), (3_600_000, 600)]
)
async def test_bash_takes_milliseconds(milliseconds: object, seconds: float) -> None:
    sandbox = Answers(bash_result())
    given = {} if milliseconds is None else {"timeout": milliseconds}
    await run(sandbox, "Bash", {"command": "true", **given})
    assert sandbox.calls == [("Bash", {"command": "true", "timeout": seconds})]


@pytest.mark.parametrize(
    ("command", "result", "text", "is_error"),
    [
        ("true", {}, "(no output)", False),
        ("true", {"output": "  a\n\n"}, "  a", False),
        ("x", {"output": "a\n", "exit_code": 2}, "Exit code 2\na", True),
        ("grep a b", {"exit_code": 1}, "Exit code 1", False),
        ("grep 'a|b' c", {"exit_code": 1}, "Exit code 1", False),
        ("diff a b", {"output": "<\n", "exit_code": 1}, "Exit code 1\n<", False),
        ("grep a b", {"exit_code": 2}, "Exit code 2", True),
        ("make && grep a b", {"exit_code": 1}, "Exit code 1", True),
        ("grep a b\nfalse", {"exit_code": 1}, "Exit code 1", True),
        ("pytest", {"exit_code": 1}, "Exit code 1", True),
        (
            "x",
            {"output": "a\n", "exit_code": None, "killed": "timeout", "reason": "it ran too long."},
            "The command was killed: it ran too long.\na",
            True,
        ),
        (
            "x",
            {
                "exit_code": None,
                "killed": "output",
                "reason": "it printed more than 64 MB.",
                "truncated": True,
                "full_output": "/tmp/o",
            },
            "[Output cut. All of it: Read /tmp/o]\n"
            "The command was killed: it printed more than 64 MB.",
            True,
        ),
        ("x", {"output": "\x1b[1;31mred\x1b[0m\x1b]0;t\x07 \x00\x08\ud800"}, "red \ufffd?", False),
    ],
)
async def test_bash_shape(command: str, result: Json, text: str, is_error: bool) -> None:
    assert await run(Answers(bash_result(**result)), "Bash", {"command": command}) == (
        text,
        is_error,
    )


async def test_the_six_tools_work_together(sandbox: Sandbox, root: Path) -> None:
    transcript = [
        await run(sandbox, name, arguments)
        for name, arguments in (
            ("Write", {"file_path": "src/a.py", "content": "x = 1\ny = 2\nz = 3\n"}),
            ("Read", {"file_path": "src/a.py", "offset": 2, "limit": 1}),
            ("Edit", {"file_path": "src/a.py", "old_string": "y = 2", "new_string": "y = 5"}),
            ("Edit", {"file_path": "src/a.py", "old_string": "q", "new_string": "y"}),
            ("Bash", {"command": "cat src/a.py; exit 4"}),
            ("Grep", {"pattern": "y", "output_mode": "content", "-C": 1}),
            ("Grep", {"pattern": r"a\|b"}),
            ("Grep", {"pattern": "= ", "output_mode": "content", "head_limit": 1, "offset": 1}),
            ("Grep", {"pattern": "= ", "output_mode": "content", "offset": 9}),
            ("Glob", {"pattern": "**/*.py"}),
            ("Glob", {"pattern": "*.rs"}),
        )
    ]
    assert transcript == [
        ("Created src/a.py (18 bytes).", False),
        ("     2\ty = 2\n\n[PARTIAL view: lines 2-2 of 3. Continue with offset=3.]", False),
        (
            "Changed src/a.py at line 2:\n     1\tx = 1\n     2\ty = 5\n     3\tz = 3\n     4\t",
            False,
        ),
        ("old_string was not found in src/a.py, nor anything like it: Read the file again.", True),
        ("Exit code 4\nx = 1\ny = 5\nz = 3", True),
        ("src/a.py-1-x = 1\nsrc/a.py:2:y = 5\nsrc/a.py-3-z = 3", False),
        (
            "No matches. Alternatives are separated by `|` without a backslash here: try `a|b`.",
            False,
        ),
        ("src/a.py:2:y = 5\n[Lines 2-2 of 3; continue with offset=2.]", False),
        ("Nothing beyond offset 9: 3 lines.", False),
        ("src/a.py", False),
        ("No files found.", False),
    ]


async def test_read_shows_media_and_empty_files(sandbox: Sandbox, root: Path) -> None:
    data = b"\x89PNG\r\n\x1a\n\0"
    (root / "a.png").write_bytes(data)
    (root / "empty").touch()
    (root / "nul").write_bytes(b"x" * 8192 + b"\n\0a\n")
    source = {
        "type": "base64",
        "media_type": "image/png",
        "data": base64.b64encode(data).decode(),
    }
    assert await run(sandbox, "Read", {"file_path": "a.png"}) == (
        [{"type": "image", "source": source}],
        False,
    )
    assert await run(sandbox, "Read", {"file_path": "empty"}) == ("(the file is empty)", False)
    text, _ = await run(sandbox, "Read", {"file_path": "nul", "offset": 2})
    assert text.startswith("     2\ta\n")


async def test_markers_become_signals(sandbox: Sandbox, tmp_path: Path) -> None:
    command = f"echo finished > {tmp_path}/complete/TASK-1.done"
    result = await Toolkit(sandbox).run(ToolCall("1", "Bash", {"command": command}))
    assert result == ToolResult("1", "(no output)", signals=(Signal("TASK-1.done", "finished\n"),))


async def test_a_command_outside_the_patterns_of_bash_never_reaches_the_sandbox() -> None:
    sandbox = Answers(bash_result(output="ok"))
    kit = Toolkit(sandbox, scopes=("git:*",))
    refused = await kit.run(ToolCall("1", "Bash", {"command": "git status; rm -r x"}))
    assert (refused.is_error, sandbox.calls) == (True, [])
    assert refused.content == "Only commands within `git:*` may be run; 'rm' is not among them."
    allowed = await kit.run(ToolCall("2", "Bash", {"command": "git status"}))
    assert (allowed.is_error, allowed.content) == (False, "ok")
    assert not (await kit.run(ToolCall("3", "Bash", {"command": "git log"}))).is_error
