"""`agentflow mcp` and what is no message; sessions that nobody uses any more."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.cli.shell import Shell
from tests.cli.test_mcp import HANDSHAKE
from tests.forks.programs import agentflow

TOKEN = "a-token-for-the-tests"
SERVE = f"""
from agentflow.mcp_server import serve_http
from agentflow.world import World

serve_http(World(), 0, {TOKEN!r}, lambda url: print(url, flush=True), idle=0.5)
"""
PING = '{"jsonrpc": "2.0", "id": 7, "method": "ping"}'
PARSE_ERROR, INVALID_REQUEST = -32700, -32600
"""Of JSON-RPC 2.0, 5.1."""


def test_a_line_that_is_no_message_is_answered(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    odd = ("help", '{"jsonrpc": "2.0"', "\udcff\udcfe", '{"id": 1}', "[]", "[" * 100_000)
    lines = "\n".join((*odd, "", "  ", PING, "")).encode("utf-8", "surrogateescape")
    with subprocess.Popen(
        agentflow("mcp"),
        cwd=shell.project.root,
        env=shell.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(lines)
        process.stdin.flush()
        said = [process.stdout.readline()]
        while b'"id":7' not in said[-1]:  # at the end of its input it answers no more
            said.append(process.stdout.readline())
        process.stdin.close()
        assert (process.stdout.read(), process.stderr.read()) == (b"", b"")
    assert process.returncode == 0
    *errors, pong = map(json.loads, said)
    assert pong == {"jsonrpc": "2.0", "id": 7, "result": {}}
    assert [(each["id"], each["error"]["code"]) for each in errors] == [
        *((None, code) for code in (PARSE_ERROR,) * 3),
        *((None, code) for code in (INVALID_REQUEST,) * 2),
        (None, PARSE_ERROR),
    ]
    assert all(len(line) < 500 for line in said)


@contextmanager
def forgetful(shell: Shell) -> Generator[str]:
    """A server whose sessions end after half a second; its URL."""
    with subprocess.Popen(
        [sys.executable, "-c", SERVE],
        cwd=shell.project.root,
        env=shell.environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().strip()
        finally:
            process.kill()


async def expired(client: httpx2.AsyncClient, url: str, session: str) -> bool:
    """Ask in a session, after longer and longer silence, until it has ended."""
    for seconds in (1, 2, 4, 8, 16):
        await asyncio.sleep(seconds)
        answer = await client.post(url, content=PING, headers={"Mcp-Session-Id": session})
        if answer.status_code == 404:
            return True
        assert answer.status_code == 200
    return False


async def test_a_session_that_nobody_uses_ends_and_one_that_listens_does_not(
    tmp_path: Path,
) -> None:
    """A client of today's protocol has no session; one that begins with a handshake has."""
    headers = {
        "Authorization": f"Bearer {TOKEN}",
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
    }
    sessions: list[str] = []
    listens = asyncio.Event()

    async def note(response: httpx2.Response) -> None:
        sessions.extend(response.headers.get_list("mcp-session-id"))
        if response.request.method == "GET" and response.status_code == 200:
            listens.set()

    with forgetful(Shell(tmp_path)) as url:
        async with httpx2.AsyncClient(
            headers=headers, timeout=60, event_hooks={"response": [note]}
        ) as connection:
            transport = streamable_http_client(
                url, http_client=connection, terminate_on_close=False
            )
            async with Client(transport, mode="legacy") as client:
                assert not (await client.call_tool("list_tasks", {})).is_error
                await listens.wait()
                mine = sessions[0]
                begun = await connection.post(url, json=HANDSHAKE)
                assert await expired(connection, url, begun.headers["mcp-session-id"])
                assert not (await client.call_tool("list_tasks", {})).is_error
                assert set(sessions) == {mine, begun.headers["mcp-session-id"]}

            assert await expired(connection, url, mine)
            again = streamable_http_client(url, http_client=connection)
            async with Client(again, mode="legacy") as client:
                assert not (await client.call_tool("list_tasks", {})).is_error
