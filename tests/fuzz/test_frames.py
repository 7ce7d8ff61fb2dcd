"""Any frames between agentflow and its toolbox, both ways: no crash, and the next call is served."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentflow.errors import EnvironmentFailure
from agentflow.messages import ToolCall, ToolResult
from agentflow.records import WORKSPACE, Json, ProcessLimits
from agentflow.sandbox import bubblewrap
from agentflow.sandbox.answers import is_result, read_answer, read_object
from agentflow.sandbox.channel import Channel
from agentflow.sandbox.descriptors import Descriptors
from agentflow.sandbox.policy import SCRATCH, TOOLBOX_DIRECTORY, Policy, Session
from agentflow.sandbox.program import Program, toolbox_command
from agentflow.tools import Toolkit
from tests.effort import FACTOR

ATOMS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    st.sampled_from(["apps", "f", "apps/../f", "\0", "\ud800", "*", "text", "image", "x" * 5000]),
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(
    st.sampled_from([
        *("file_path", "content", "old_string", "new_string", "replace_all", "offset", "limit"),
        *("pattern", "path", "glob", "output_mode", "head_limit", "name", "text", "services"),
        *("-i", "-A", "multiline", "type", "timeout", "cwd"),
    ]),
    VALUES,
    max_size=5,
)  # fmt: skip
CALLS = st.fixed_dictionaries(
    {},
    optional={
        "id": VALUES,
        "tool": st.one_of(
            st.sampled_from(["Read", "Write", "Edit", "Grep", "Glob", "State", "Keep"]), VALUES
        ),
        "arguments": st.one_of(ARGUMENTS, ARGUMENTS, VALUES),
    },
)
"""Never a command: what commands can do is the attacks' matter."""
LINES = st.one_of(
    CALLS.map(json.dumps).map(str.encode),
    VALUES.map(json.dumps).map(str.encode),
    st.binary(max_size=40).map(lambda data: data.replace(b"\n", b" ")),
)


class Inside:
    """A toolbox in a sandbox, by its pipes."""

    def __init__(self, executable: str, tree: Path) -> None:
        policy = Policy(tree, completion=None)
        with Descriptors() as descriptors:
            command = toolbox_command(TOOLBOX_DIRECTORY)
            program = bubblewrap.prepare(executable, policy, command, descriptors)
            self.process = subprocess.Popen(
                program.argv,
                env=dict(program.environment),
                pass_fds=program.descriptors,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            session = Session(WORKSPACE, None, SCRATCH, ProcessLimits())
            assert self.ask(json.dumps(asdict(session)).encode())["ready"]

    def ask(self, line: bytes) -> Json:
        """Send a line; the answer."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        """End it."""
        with self.process:
            assert self.process.stdin
            self.process.stdin.close()


@pytest.mark.sandbox
def test_the_toolbox_answers_every_line(bwrap: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("original\n")
    inside = Inside(bwrap, tmp_path)

    @given(LINES)
    @example(b"[" * 100_000)
    @example(b"")
    @example(b'{"id": 1, "tool": ["Read"], "arguments": {}}')
    def trial(line: bytes) -> None:
        answer = inside.ask(line)
        assert ("result" in answer) != ("error" in answer)
        with contextlib.suppress(ValueError):
            sent = read_object(line)
            assert json.dumps(answer["id"]) == json.dumps(sent.get("id"))  # NaN is not NaN

    try:
        trial()
        read = inside.ask(b'{"id": 7, "tool": "Read", "arguments": {"file_path": "f"}}')
        assert read["id"] == 7
        assert len(read["result"]["lines"]) == 1
    finally:
        inside.close()


@given(st.one_of(LINES, st.binary(max_size=80)))
@example(b'{"id": 1, "signals": [{"name": "a", "text": "b"}]}')
def test_a_line_is_an_answer_or_refused(line: bytes) -> None:
    try:
        answer = read_answer(line)
    except ValueError:
        return
    assert isinstance(answer.id, int)
    assert answer.error is None or isinstance(answer.error, str)
    assert isinstance(answer.result, dict)
    assert all(isinstance(each[part], str) for each in answer.signals for part in ("name", "text"))
    if is_result("Bash", answer.result):
        assert isinstance(answer.result["output"], str)
    if is_result("Read", answer.result):
        assert "lines" in answer.result or isinstance(answer.result["data"], str)


SAYS = """
import json, sys
sys.stdin.readline()
print('{"ready": true}', flush=True)
for line in sys.stdin:
    number = json.loads(line)["id"]
    with open(sys.argv[1], "rb") as file:
        sys.stdout.buffer.write(file.read().replace(b'"@"', str(number).encode()) + b"\\n")
    print(json.dumps({"id": number, "error": "the end"}), flush=True)
"""
"""Answers each call with what a file holds, its own number for "@", and then with an error."""
FIELDS = {
    "Read": ("kind", "lines", "start", "total", "partial", "size", "media_type", "data"),
    "Write": ("path", "created", "bytes"),
    "Edit": ("path", "replacements", "start", "snippet", "snippet_start"),
    "Bash": ("exit_code", "killed", "reason", "output", "truncated", "full_output", "notes"),
    "Grep": ("lines", "total", "truncated", "hint"),
    "Glob": ("paths", "truncated"),
}
GIVEN = {
    "Read": {"file_path": "f"}, "Write": {"file_path": "f", "content": ""},
    "Edit": {"file_path": "f", "old_string": "a", "new_string": "b"}, "Bash": {"command": "true"},
    "Grep": {"pattern": "x"}, "Glob": {"pattern": "*"},
}  # fmt: skip
LIKELY = st.one_of(
    *(ATOMS, VALUES, st.lists(st.text(max_size=5), max_size=2), st.booleans()),
    st.sampled_from(["text", "image", 1]),
)


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, bytes]:
    """A tool, and a line as a toolbox might say it."""
    tool = draw(st.sampled_from(sorted(FIELDS)))
    if draw(st.integers(0, 9)) == 0:
        return tool, draw(LINES)
    said: Json = {"id": "@", "result": {name: draw(LIKELY) for name in FIELDS[tool]}}
    if draw(st.integers(0, 3)) == 0:
        said[draw(st.sampled_from(["id", "error", "result", "signals"]))] = draw(VALUES)
    return tool, json.dumps(said).encode()


WHOLE: Json = {
    "output": "",
    "exit_code": 0,
    "killed": None,
    "reason": None,
    "truncated": False,
    "full_output": None,
    "notes": [],
}


def test_whatever_a_toolbox_answers_is_a_result_or_its_end(tmp_path: Path) -> None:
    said = tmp_path / "said"
    program = Program(
        (sys.executable, "-I", "-S", "-c", SAYS, str(said)), {"PATH": os.defpath}, "/"
    )
    session = Session(WORKSPACE, None, SCRATCH, ProcessLimits())
    channels = list[Channel]()
    ended = dict.fromkeys((ToolResult, EnvironmentFailure), 0)

    async def asked(tool: str, line: bytes) -> None:
        if not channels:
            channels.append(await Channel.start("none", program, session, patience=20))
        await asyncio.to_thread(said.write_bytes, line)
        try:
            result = await Toolkit(channels[0]).run(ToolCall("1", tool, dict(GIVEN[tool])))
        except EnvironmentFailure:
            ended[EnvironmentFailure] += 1
            await channels.pop().close()
        else:
            ended[ToolResult] += 1
            json.dumps(result.content)

    with asyncio.Runner() as runner:

        @given(answers())
        @example(("Bash", json.dumps({"id": "@", "result": WHOLE}).encode()))
        @example(("Bash", json.dumps({"id": "@", "result": [], "signals": 1}).encode()))
        @example(("Glob", b'{"id": [1]}'))
        @example(("Grep", b"[" * 100_000))
        @settings(max_examples=12 * FACTOR)
        def trial(answer: tuple[str, bytes]) -> None:
            runner.run(asked(*answer))

        try:
            trial()
        finally:
            for channel in channels:
                runner.run(channel.close())
    assert all(ended.values()), ended
