"""Runs that may reach hosts: what the agent is told, what is counted, what a dead process sent."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import pytest

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.events import ConnectionClosed, Event, ToolStarted
from agentflow.order import Order
from agentflow.plan import make_plan
from agentflow.records import Json
from agentflow.resuming import order_of
from agentflow.workspace.repository import open_repository
from tests.run.project import HELLO, Project, bash, turn

pytestmark = pytest.mark.sandbox

REPEATED = "interrupted earlier, outcome of network effects unknown"


@contextlib.asynccontextmanager
async def site() -> AsyncGenerator[tuple[int, list[str]]]:
    """A web server on loopback: its port, and the paths that it was asked for."""
    asked = list[str]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split()[1].decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], asked


async def resumed(project: Project, run: str, turns: list[Json], **flags: Any) -> Json:
    """Go on with a run; the model's address is the new one."""
    repository = open_repository(project.root, project.world.environment)
    order = order_of(repository, project.world.cache, run)
    given = {name: order.flags[name] for name in order.flags if name not in {"base_url", *flags}}
    return await project.run(turns, order=replace(order, flags=given), **flags)


async def test_connections_of_setup_and_agent_are_in_the_report(project: Project) -> None:
    async with site() as (port, asked):
        host = f"127.0.0.1:{port}"
        environment = {
            "setup": f"mkdir deps && curl -sSf -o deps/got http://{host}/setup",
            "provides": ["deps"],
            "key": ["README.md"],
            "network": [host],
            "agent": {"network": [host, "*.listed.test"]},
        }
        fetch = bash(f"curl -sS http://{host}/agent; curl -sS http://other.test/")
        report = await project.run(
            [turn(fetch), turn(HELLO), turn(text="Done.")], environment=environment
        )

    assert report["outcome"] == "done"
    assert asked == ["/setup", "/agent"]
    message = project.requests[0]["messages"][0]["content"]
    assert f"The network reaches only `{host}`, `*.listed.test`, through a proxy" in str(message)
    said = str(project.requests[1]["messages"][-1])
    assert "hello" in said
    assert "other.test:80 is not listed in environment.agent.network" in said
    told = [
        (each["place"], each["host"], bool(each["refused"]), each["downloaded"])
        for each in report["network"]
    ]
    assert told == [
        ("setup", "127.0.0.1", False, 43),
        ("agent", "127.0.0.1", False, 43),
        ("agent", "other.test", True, 0),
    ]
    assert all(each["uploaded"] > 0 for each in report["network"][:2])


async def test_setup_s_list_is_not_the_agent_s(project: Project) -> None:
    async with site() as (port, asked):
        setup = {"setup": "mkdir deps && touch deps/x", "provides": ["deps"], "network": ["a.test"]}
        fetch = bash(f"curl -sS -m 5 http://127.0.0.1:{port}/ || curl -sS -m 5 http://a.test/")
        report = await project.run([turn(fetch), turn(HELLO), turn()], environment=setup)

    assert (report["outcome"], report["network"], asked) == ("done", [], [])
    assert "There is no network." in str(project.requests[0]["messages"][0])


async def test_a_call_that_a_dead_process_began_says_so_when_it_runs_again(
    project: Project,
) -> None:
    async with site() as (port, asked):
        host = f"127.0.0.1:{port}"
        flags: dict[str, Any] = {"environment": {"agent": {"network": [host]}}}
        slow = bash(f"curl -sS http://{host}/effect; sleep 1")
        turns = [
            turn(HELLO),
            turn(slow),
            turn(bash(f"curl -sS http://{host}/later")),
            turn(text="Done."),
        ]

        def watch(event: Event) -> None:
            if isinstance(event, ConnectionClosed):
                work.cancel(2)

        work = asyncio.create_task(project.run(turns, watch=watch, **flags))
        stopped = await work
        assert stopped["outcome"] == "interrupted"
        project.requests.clear()
        report = await resumed(project, stopped["run"], turns)

    assert report["outcome"] == "done"
    assert asked == ["/effect", "/effect", "/later"]
    again, later = (str(request["messages"][-1]) for request in project.requests[:2])
    assert REPEATED in again
    assert "hello" in again
    assert REPEATED not in later
    assert [each["connections"] for each in report["network"]] == [1, 1, 1]
    journal = project.journal(report["run"])
    assert journal[0]["network"] == [host]


async def test_without_a_network_a_repeated_call_is_as_if_it_had_never_begun(
    project: Project,
) -> None:
    def watch(event: Event) -> None:
        if isinstance(event, ToolStarted) and "sleep" in event.target:
            asyncio.get_running_loop().call_later(0.3, work.cancel, 2)

    turns = [turn(HELLO), turn(bash("echo again; sleep 1")), turn(text="Done.")]
    work = asyncio.create_task(project.run(turns, watch=watch))
    stopped = await work
    assert stopped["outcome"] == "interrupted"
    project.requests.clear()
    report = await resumed(project, stopped["run"], turns)

    assert report["outcome"] == "done"
    assert REPEATED not in str(project.requests)


async def test_the_quota_is_the_whole_run_s_also_when_it_goes_on(project: Project) -> None:
    async with site() as (port, asked):
        host = f"127.0.0.1:{port}"
        send = bash(
            f"for n in 1 2 3; do curl -sS -o /dev/null -w '%{{http_code}} ' -H 'X: {'x' * 400}' "
            f"http://{host}/; done"
        )
        flags: dict[str, Any] = {
            "environment": {"agent": {"network": [host]}},
            "sandbox": {"upload": 2200},
        }
        turns = [turn(send), turn(send), turn(HELLO), turn(text="Done.")]
        stopped = await project.run(turns, max_turns=1, **flags)
        report = await resumed(project, stopped["run"], turns, max_turns=10)

    assert stopped["outcome"] == "budget"
    assert report["outcome"] == "done"
    assert "200 403 403" in str(project.requests[-2]["messages"])
    assert len(asked) == 4
    sent = [each["uploaded"] for each in report["network"]]
    assert sum(sent) <= 2200
    assert sum(sent[:3]) == sum(each["uploaded"] for each in stopped["network"])


async def test_a_list_that_cannot_be_held_to_is_refused_before_any_spend(project: Project) -> None:
    def order(host: str, sandbox: str) -> Order:
        flags = {
            "base_url": "http://127.0.0.1:1",
            "gates": [{"name": "test", "command": "true"}],
            "prompt": "plain",
            "environment": {"agent": {"network": [host]}},
            "sandbox": sandbox,
        }
        return Order("TASK-1", flags=flags)

    with pytest.raises(
        EnvironmentFailure, match=r"Landlock sandbox has no network, and a list of hosts \(env"
    ):
        await make_plan(order("a.test", "landlock"), project.world)
    with pytest.raises(UsageError, match=r"environment\.agent\.network: 'a b' does not name a"):
        await make_plan(order("a b", "bubblewrap"), project.world)


async def test_a_repository_opens_nothing_for_the_agent_without_trust(project: Project) -> None:
    project.write(".orchestrator/config.toml", '[environment.agent]\nnetwork = ["a.example"]\n')
    project.commit()

    with pytest.raises(UsageError, match=r"may grant: environment\.agent\.network"):
        await project.run([turn(HELLO)])
