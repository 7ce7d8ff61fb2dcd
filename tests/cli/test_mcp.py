"""`agentflow mcp`: work handed over by the SDK's own client, over both transports."""

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from agentflow.mcp_server import MAX_SESSIONS
from agentflow.mcp_tools import Question, RunState, TaskState
from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.records import Json
from tests.cli.shell import Shell
from tests.cli.test_handoff import BLOCK
from tests.forks.programs import agentflow
from tests.run.project import HELLO, call, turn

TOKEN = "a-token-for-the-tests"
HANDSHAKE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
"""What a client of the protocol of 2025 says first."""
CONFIG = """prompt = "plain"
[[gates]]
name = "test"
command = "test -s app/hello.txt || test -s services/mail/mail.dto.ts"
must_fail_on_base = true
"""
DTO = "export class MailDto { @IsDefined() to: string; tags?: string[] }\n"
ASKED = BLOCK.replace('"to": string', "to: string, tags?: string[]")

SAID = """## Implemented
- GET /v1/mails

## Files
- services/mail/mail.dto.ts

## For the frontend
- GET /v1/mails: the mails
"""


class Desk:
    """A client, and what it gets."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def call(self, name: str, *, told: Path | None = None, **arguments: Any) -> Any:
        """Call a tool; `told` is a file that is made when progress is told."""

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            assert message == f"turn {progress:.0f}: {(message or '').partition(': ')[2]}"
            if told is not None:
                await asyncio.to_thread(told.touch)

        result = await self.client.call_tool(name, arguments, progress_callback=tell)
        assert not result.is_error, result.content
        content: Any = result.structured_content
        return content["result"] if content.keys() == {"result"} else content

    async def refused(self, name: str, **arguments: Any) -> str:
        result = await self.client.call_tool(name, arguments)
        assert result.is_error
        return str(getattr(result.content[0], "text", ""))


class Place:
    """A repository that is served, beside a scripted model."""

    def __init__(self, folder: Path) -> None:
        self.shell = Shell(folder)
        self.project = self.shell.project
        self.project.write(".orchestrator/config.toml", CONFIG)
        self.project.write("services/mail/main.ts", "export {}\n")
        self.project.commit()

    def holding(self) -> Path:
        """Let every run wait, when it has begun, for the file that is returned."""
        folder = Path(self.shell.environment["XDG_CONFIG_HOME"]) / "agentflow"
        folder.mkdir(parents=True)
        (folder / "config.toml").write_text(
            "[[hooks]]\non = ['run.started']\ntimeout = '5m'\n"
            "command = 'until test -e go; do sleep 0.1; done'\n"
        )
        return folder / "go"

    @asynccontextmanager
    async def model(self, *turns: Json) -> AsyncGenerator[ScriptedServer]:
        async with ScriptedServer(read_script({"turns": list(turns)})) as server:
            self.shell.environment["AGENTFLOW_BASE_URL"] = server.url
            yield server

    @asynccontextmanager
    async def stdio(self) -> AsyncGenerator[Desk]:
        command, *arguments = agentflow("mcp")
        parameters = StdioServerParameters(
            command=command,
            args=arguments,
            env=self.shell.environment,
            cwd=self.project.root,
        )
        async with Client(parameters) as client:
            yield Desk(client)

    def _server(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            agentflow("mcp", "--http"),
            cwd=self.project.root,
            env={**self.shell.environment, "AGENTFLOW_MCP_TOKEN": TOKEN},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[str]:
        process = self._server()
        try:
            assert process.stderr
            word, url = process.stderr.readline().split()
            assert word == "serving"
            assert TOKEN not in process.stderr.readline()
            yield url
        finally:
            os.killpg(process.pid, signal.SIGINT)  # as a Ctrl-C on its terminal
            process.communicate(timeout=30)

    @asynccontextmanager
    async def http(self) -> AsyncGenerator[Desk]:
        async with (
            self.listening() as url,
            httpx2.AsyncClient(headers=bearer(TOKEN), timeout=60) as connection,
            Client(streamable_http_client(url, http_client=connection)) as client,
        ):
            yield Desk(client)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def place(tmp_path: Path, bwrap: str) -> Place:
    return Place(tmp_path)


@pytest.mark.sandbox
@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_a_task_is_run_asked_about_and_answered(place: Place, transport: str) -> None:
    ask = call("Write", file_path=".orchestrator/complete/TASK-1.blocked", content="Which words?")
    connect = place.stdio if transport == "stdio" else place.http
    go = place.holding()
    async with place.model(turn(ask), turn(HELLO), turn(text="I wrote them.")) as model:
        async with connect() as desk:
            tools = {tool.name for tool in (await desk.client.list_tools()).tools}
            assert tools == {"handoff", "run_task", "get_run", "answer", "list_tasks"}
            assert await desk.call("list_tasks") == [
                {"id": "TASK-1", "title": "Say hello", "source": "file", "state": "new",
                 "run": None, "problem": None}
            ]  # fmt: skip
            begun = await desk.call("run_task", task="TASK-1")
            assert (begun["state"], begun["task"]) == ("running", "TASK-1")
            assert begun["run"].startswith("TASK-1-")
            refusal = await desk.refused("run_task", task="TASK-1", fresh=True)
            assert "another run of TASK-1 is at work" in refusal
            assert (await desk.call("list_tasks"))[0]["state"] == "running"

        # That server and its client are gone; the run is not.
        async with connect() as desk:
            blocked = await desk.call("get_run", told=go, run="TASK-1", wait_seconds=120)
            assert (blocked["state"], blocked["question"]) == ("blocked", "Which words?")
            assert blocked["run"] == begun["run"]
            assert go.exists()

            assert await desk.refused("answer", run="TASK-1", text=" ") == (
                "Error executing tool answer: the answer is empty. Give the words of the person who "
                "was asked."
            )
            schema = "The tool's input schema says what it takes."
            assert await desk.refused("get_run", run="TASK-1", wait_seconds=-5) == (
                f"get_run: wait_seconds must be greater than or equal to 0 (given: -5). {schema}"
            )
            assert await desk.refused("get_run") == f"get_run: run is missing. {schema}"
            done = await desk.call("answer", run="TASK-1", text="Say hello.", wait_seconds=120)
            assert (done["state"], done["outcome"], done["exit_code"]) == ("done", "done", 0)
            assert done["landed"] == place.project.git("rev-parse", "agentflow/TASK-1")
            assert {"gate": "build:test", "status": "passed"}.items() <= done["gates"][-1].items()
            assert "Say hello." in str(model.requests[-2].body["messages"])
            asked = len(model.requests)
            again = await desk.call("run_task", task="TASK-1")
            assert (again["state"], again["run"]) == ("done", done["run"])
            assert len(model.requests) == asked


@pytest.mark.sandbox
async def test_a_handoff_gives_questions_and_then_its_contract(place: Place) -> None:
    write = call("Write", file_path="services/mail/mail.dto.ts", content=DTO)
    block = ASKED.replace("**Service(s)**: mail", "**Service(s)**:")
    async with place.model(turn(write), turn(text=SAID)) as model, place.stdio() as desk:
        assert "no run or task 'TASK-9'" in await desk.refused("get_run", run="TASK-9")
        assert "there is no task" in await desk.refused("run_task", task="TASK-9")
        for name in ("../../etc/passwd", "--help", "a b"):
            assert "task id" in await desk.refused("run_task", task=name)
        assert "no run or task 'TASK-1'" in await desk.refused("answer", run="TASK-1", text="x")
        open_ = await desk.call("handoff", block=block)
        assert open_["run"]["state"] == "blocked"
        assert "services" in {each["id"] for each in open_["questions"]}
        assert all(each["question"] and each["why"] for each in open_["questions"])
        assert not model.requests

        told = {"services": "mail"}
        handed = await desk.call("handoff", block=block, answers=told, wait_seconds=120)

        run = handed["run"]
        assert run["run"] == open_["run"]["run"]
        assert (handed["questions"], run["state"], run["reason"]) == ([], "done", "")
        assert run["reply"]["services"] == [{"name": "mail", "folder": "services/mail"}]
        assert run["reply"]["contract"]["openapi"]
        assert "FRONTEND" in run["reply_block"].upper()


async def test_only_who_knows_the_token_and_the_place_is_heard(place: Place) -> None:
    accepted = {"Accept": "application/json, text/event-stream"}
    async with place.listening() as url, httpx2.AsyncClient(timeout=30) as client:
        codes: list[int] = []
        for headers in (
            {},
            bearer("wrong"),
            {**bearer(TOKEN), "Host": "evil.example"},
            {**bearer(TOKEN), "Origin": "http://evil.example"},
            bearer(TOKEN),
        ):
            answer = await client.post(url, json=HANDSHAKE, headers={**accepted, **headers})
            codes.append(answer.status_code)
        assert codes == [401, 401, 421, 403, 200]
        for method in ("GET", "DELETE", "OPTIONS"):
            assert (await client.request(method, url)).status_code == 401
        in_address = await client.post(f"{url}?token={TOKEN}", json=HANDSHAKE, headers=accepted)
        assert in_address.status_code == 401
        giant = b'"' + b"x" * (16 << 20) + b'"'
        kind = {**accepted, "Content-Type": "application/json"}
        refused = await client.post(url, content=giant, headers={**kind, **bearer(TOKEN)})
        assert refused.status_code == 413
        for odd in (b"", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000):
            answer = await client.post(url, content=odd, headers={**kind, **bearer(TOKEN)})
            assert answer.status_code == 400
        again = await client.post(url, json=HANDSHAKE, headers={**accepted, **bearer(TOKEN)})
        assert again.status_code == 200
        own = {**accepted, **bearer(TOKEN)}
        session = {**own, "Mcp-Session-Id": again.headers["mcp-session-id"]}
        opened = [
            (await client.post(url, json=HANDSHAKE, headers=own)).status_code for _ in range(80)
        ]
        assert opened == [200] * (MAX_SESSIONS - 2) + [503] * (82 - MAX_SESSIONS)
        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        assert (await client.post(url, json=ping, headers=session)).status_code == 200
        assert (await client.delete(url, headers=session)).status_code == 200
        assert (await client.post(url, json=ping, headers=session)).status_code == 404
        assert (await client.post(url, json=HANDSHAKE, headers=own)).status_code == 200
        assert url.startswith("http://127.0.0.1:")


def test_every_tool_and_field_is_documented() -> None:
    document = (Path(__file__).parents[2] / "docs" / "mcp.md").read_text("utf-8")
    words = {*RunState.model_fields, *TaskState.model_fields, *Question.model_fields}
    missing = {word for word in words if f"`{word}`" not in document}
    assert not missing


def test_a_bad_token_or_port_is_one_sentence(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    short = shell.run("mcp", "--http", AGENTFLOW_MCP_TOKEN="short")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = shell.run("mcp", "--http", "--port", str(taken.getsockname()[1]))
    assert (short.returncode, busy.returncode) == (2, 5)
    assert "AGENTFLOW_MCP_TOKEN needs 16 printable ASCII characters" in short.stderr
    assert "cannot listen on 127.0.0.1:" in busy.stderr
    assert "Traceback" not in short.stderr + busy.stderr
