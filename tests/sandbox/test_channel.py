"""The channel, against stand-ins that answer well, late, wrongly or not at all."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from agentflow.errors import EnvironmentFailure, ToolFailure
from agentflow.records import ProcessLimits
from agentflow.sandbox.answers import RESULTS
from agentflow.sandbox.channel import Channel
from agentflow.sandbox.policy import Session
from agentflow.sandbox.program import Program

SESSION = Session("/workspace", None, "/tmp", ProcessLimits(), {"cwd": "/workspace/a", "read": []})

START = """
import json, os, sys, time
configuration = json.loads(sys.stdin.readline())
def say(message): print(json.dumps(message), flush=True)
def ask(): return json.loads(sys.stdin.readline())
say({"ready": True, "pid": os.getpid()})
"""

ECHO = """
for line in sys.stdin:
    call = json.loads(line)
    say({"id": call["id"], "result": {"tool": call["tool"], **call["arguments"]}})
"""


def _program(script: str) -> Program:
    return Program((sys.executable, "-I", "-S", "-c", script), {"PATH": os.defpath}, "/")


@contextlib.asynccontextmanager
async def channel(script: str, patience: float = 20.0) -> AsyncGenerator[Channel]:
    opened = await Channel.start("none", _program(script), SESSION, patience)
    try:
        yield opened
    finally:
        await opened.close()


def _descriptors() -> list[str]:
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


async def test_a_call_returns_the_raw_result_and_signals() -> None:
    script = """
call = ask()
say({"id": call["id"], "result": {"lines": ["a"]}, "signals": [{"name": "T.done", "text": "ok"}]})
ask()
"""
    async with channel(START + script) as opened:
        result = await opened.call("T", {"file_path": "x"})
    assert result == {"lines": ["a"], "signals": [{"name": "T.done", "text": "ok"}]}


async def test_the_configuration_is_the_session() -> None:
    script = "call = ask(); say({'id': call['id'], 'result': configuration}); ask()"
    async with channel(START + script) as opened:
        result = await opened.state()
    assert result == {
        "root": "/workspace",
        "completion": None,
        "scratch": "/tmp",
        "limits": {
            "memory": 4294967296,
            "processes": 1024,
            "cpu": 28800,
            "file_size": 2147483648,
            "open_files": 4096,
            "disk": 10737418240,
            "inodes": 1000000,
        },
        "state": {"cwd": "/workspace/a", "read": []},
        "listener": None,
        "record": None,
        "disks": [],
        "signals": [],
    }


async def test_overlapping_calls_get_their_own_answers() -> None:
    script = """
calls = [ask() for _ in range(20)]
for call in reversed(calls): say({"id": call["id"], "result": call["arguments"]})
ask()
"""
    async with channel(START + script) as opened:
        results = await asyncio.gather(*(opened.call("T", {"n": n}) for n in range(20)))
    assert results == [{"n": n, "signals": []} for n in range(20)]


async def test_a_large_answer_and_strange_text_pass() -> None:
    async with channel(START + ECHO) as opened:
        for text in ("x" * 20_000_000, "\ud800 \0 \u2028 \u00e9\n"):
            assert (await opened.call("T", {"text": text}))["text"] == text


async def test_an_error_is_for_the_model_and_keeps_the_signals() -> None:
    script = """
call = ask()
say({"id": call["id"], "error": "no such file", "signals": [{"name": "T.failed", "text": ""}]})
call = ask()
say({"id": call["id"], "result": {}})
ask()
"""
    async with channel(START + script) as opened:
        with pytest.raises(ToolFailure, match=r"^no such file$"):
            await opened.call("T", {})
        assert await opened.call("T", {}) == {"signals": [{"name": "T.failed", "text": ""}]}


async def test_a_cancelled_call_leaves_the_channel_usable() -> None:
    script = """
first, second = ask(), ask()
say({"id": first["id"], "result": {"n": 1}, "signals": [{"name": "T.done", "text": "late"}]})
say({"id": second["id"], "result": {"n": 2}})
ask()
"""
    async with channel(START + script) as opened:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(opened.call("T", {}), 0.05)
        assert await opened.call("T", {}) == {
            "n": 2,
            "signals": [{"name": "T.done", "text": "late"}],
        }


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("ask(); sys.exit('out of memory')", "ended unexpectedly: out of memory"),
        ("ask(); os.kill(os.getpid(), 9)", "ended unexpectedly: exit status -9"),
        ("ask(); print('nonsense', flush=True); sys.stdin.read()", "no line of its protocol"),
        *(
            (f"ask(); print('{line}', flush=True); sys.stdin.read()", "no line of its protocol")
            for line in (
                "[1]",
                '{"id": [1]}',
                '{"id": 1, "result": [1]}',
                '{"id": 1, "error": 3}',
                '{"id": 1, "signals": 3}',
                '{"id": 1, "signals": [{"name": "T.done"}]}',
            )
        ),
        ("ask(); print('[' * 100_000, flush=True); sys.stdin.read()", "nests too deeply"),
    ],
)
async def test_a_lost_process_fails_all_calls_with_its_last_words(script: str, reason: str) -> None:
    async with channel(START + script) as opened:
        failures = await asyncio.gather(
            *(opened.call("T", {"n": n}) for n in range(3)), return_exceptions=True
        )
        failures += await asyncio.gather(opened.call("T", {}), return_exceptions=True)
    assert [type(failure) for failure in failures] == [EnvironmentFailure] * 4
    assert all(reason in str(failure) for failure in failures)


@pytest.mark.parametrize("tool", sorted(RESULTS))
async def test_what_is_no_result_of_its_tool_ends_the_sandbox(tool: str) -> None:
    async with channel(START + ECHO) as opened:
        for _ in range(2):
            with pytest.raises(EnvironmentFailure, match=f"answered {tool} with what is no result"):
                await opened.call(tool, {"output": 1, "kind": ["text"]})


async def test_what_is_never_answered_ends_the_sandbox() -> None:
    async with channel(START + "ask(); time.sleep(60)", patience=0.1) as opened:
        with pytest.raises(EnvironmentFailure, match="did not answer T within 0 seconds"):
            await opened.call("T", {"timeout": 0.1})
        with pytest.raises(EnvironmentFailure, match="did not answer T"):
            await opened.call("T", {})


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import sys; sys.exit('no namespaces')", "did not start: no namespaces"),
        ("print('hello')", "did not start: exit status 0"),
        ("print('{}')", "did not start: exit status 0"),
        ("import sys; sys.stderr.write('x' * 60000)", "did not start: xxxx"),
    ],
)
async def test_a_process_that_does_not_get_ready_is_explained(script: str, reason: str) -> None:
    with pytest.raises(EnvironmentFailure, match=reason) as caught:
        async with channel(script):
            pass
    assert len(caught.value.message) < 5000


async def test_a_missing_program_is_explained() -> None:
    with pytest.raises(EnvironmentFailure, match="/nonexistent cannot be started"):
        await Channel.start("none", Program(("/nonexistent",), {}, "/"), SESSION)


async def test_a_flood_on_standard_error_is_bounded() -> None:
    script = """
try:
    for _ in range(100): os.write(2, b"y" * 10000)
except OSError as error: problem = error.strerror
call = ask()
say({"id": call["id"], "result": {"problem": problem, "size": os.fstat(2).st_size}})
ask()
"""
    async with channel(START + script) as opened:
        assert await opened.call("T", {}) == {
            "problem": "Operation not permitted",
            "size": 65536,
            "signals": [],
        }


async def test_closing_twice_leaks_nothing_and_fails_waiting_calls() -> None:
    async with channel(START + ECHO):
        pass
    before = _descriptors()
    async with channel(START + "ask(); sys.stdin.read()") as opened:
        waiting = asyncio.create_task(opened.call("T", {}))
        await asyncio.sleep(0)
        await asyncio.gather(opened.close(), opened.close())
        with pytest.raises(EnvironmentFailure, match="the sandbox is closed"):
            await waiting
        with pytest.raises(EnvironmentFailure, match="the sandbox is closed"):
            await opened.call("T", {})
    assert _descriptors() == before


async def test_a_cancelled_start_leaves_no_process(tmp_path: Path) -> None:
    script = f"import os, sys; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"

    async def start() -> None:
        async with channel(script + "sys.stdin.read()"):
            pass

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(start(), 0.3)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize("turns", range(8))
async def test_a_start_that_is_cancelled_at_once_leaves_nothing_open(turns: int) -> None:
    """Each turn of the loop is another moment of the start."""
    async with channel(START + ECHO):
        pass
    before = _descriptors()
    never_ready = _program("import sys; sys.stdin.read()")
    start = asyncio.create_task(Channel.start("none", never_ready, SESSION))
    for _ in range(turns):
        await asyncio.sleep(0)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert _descriptors() == before
