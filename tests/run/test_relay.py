"""Runs that may move: what they push, what fences them, and where another machine goes on."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agentflow.errors import Fenced
from agentflow.events import Event, LandingDone, ToolFinished, Verified
from agentflow.models.anthropic import open_model
from agentflow.models.scripted import ScriptedServer, read_script
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from agentflow.records import Json
from agentflow.resuming import order_of, state_folder
from agentflow.run import OpenModel, run_task
from agentflow.workspace.checkpoint import read_checkpoints, ref_of, write_checkpoint
from agentflow.workspace.clone import make_repository
from agentflow.workspace.git import Git, isolated
from agentflow.workspace.land import pin_base
from agentflow.workspace.relay import Relay
from agentflow.workspace.repository import open_repository
from tests.run.project import GATE, HELLO, Project, bash, turn

pytestmark = pytest.mark.sandbox

RUN = "TASK-1-20261128T100000-abcd"
STORY = [
    turn(bash("echo 1 >> app/log.txt")),
    turn(bash("echo 2 >> app/log.txt")),
    turn(HELLO),
    turn(),
]
Watch = Callable[[Event], None]


def bare(folder: Path) -> Git:
    folder.mkdir()
    git = isolated(folder)
    git.run("init", "--quiet", "--bare")
    return git


@dataclass
class Place:
    """A machine with the repository, and what it shares with others."""

    project: Project
    state: Git
    origin: Git
    name: str = "one"

    @property
    def relay(self) -> Relay:
        """This machine's."""
        environment = self.project.world.environment
        mirror = self.project.root / ".git"
        there = (str(self.state.directory), str(self.origin.directory))
        return Relay(*there, mirror, environment, self.name, patience=0.0)

    async def run(self, server: ScriptedServer, order: Order, watch: Watch | None = None) -> Json:
        """Begin or go on with the run."""
        flags = {"base_url": server.url, "gates": [GATE], "prompt": "plain"}
        plan = await make_plan(replace(order, flags=flags), self.project.world)
        sinks = [watch] if watch else []
        return await run_task(plan, self.project.world, _connect, sinks, None, self.relay)

    def second(self) -> "Place":
        """Another machine with the same remotes, and its own cache and work tree."""
        folder = self.project.root.parent / "second"
        self.project.git("clone", "--quiet", str(self.project.root), str(folder))
        for key, value in (("user.name", "Ada"), ("user.email", "ada@example.com")):
            isolated(folder / ".git").run("config", key, value)
        cache = folder.parent / "second-cache"
        world = replace(self.project.world, directory=folder, cache=cache)
        return replace(self, project=Project(folder, world), name="two")

    def taken_over(self) -> Order:
        """The order to go on with what another machine pushed."""
        world = self.project.world
        repository = open_repository(world.directory, world.environment)
        folder = state_folder(repository, world.cache, RUN)
        state = make_repository(folder, repository, repository.object_stores)
        assert self.relay.fetch(state, RUN)
        pin_base(repository, RUN, repository.head)
        return order_of(repository, world.cache, RUN)


@pytest.fixture
def place(project: Project, tmp_path: Path) -> Place:
    return Place(project, bare(tmp_path / "state"), bare(tmp_path / "origin"))


def _connect(plan: Plan) -> OpenModel:
    return lambda: open_model(
        base_url=plan.base_url, api_key=None, sleep=lambda _: asyncio.sleep(0)
    )


def served(turns: Sequence[Json]) -> ScriptedServer:
    return ScriptedServer(read_script({"turns": list(turns)}))


BEGIN = Order("TASK-1", named=RUN)


def on(kind: type[Event], deed: Callable[[], object], number: int = 1) -> Watch:
    """Do something when an event of a kind comes for the given time."""
    seen: list[Event] = []

    def watch(event: Event) -> None:
        if isinstance(event, kind):
            seen.append(event)
            if len(seen) == number:
                deed()

    return watch


def branch(place: Place) -> str:
    return place.origin.text("for-each-ref", "--format=%(objectname)", "refs/heads")


async def test_another_machine_goes_on_and_asks_for_nothing_again(place: Place) -> None:
    async with served(STORY) as server:
        task = asyncio.create_task(
            place.run(server, BEGIN, on(ToolFinished, lambda: task.cancel(), 2))
        )
        first = await task
        assert first["outcome"] == "interrupted"
        asked, there = len(server.requests), place.second()
        second = await there.run(server, there.taken_over())
        assert second["outcome"] == "done", second
        assert len(server.requests) == len(STORY)
        assert asked == 2
    tip = second["landed"]["tip"]
    assert branch(place) == tip
    assert place.origin.text("show", f"{tip}:app/log.txt") == "1\n2"
    owners = [each.owner for each in read_checkpoints(place.state, RUN, second["base"])]
    assert owners[0] == "one"
    assert owners[-1] == "two"


@pytest.mark.parametrize("moment", [ToolFinished, Verified])
async def test_who_was_overtaken_stops_and_lands_nothing(place: Place, moment: type[Event]) -> None:
    def overtake() -> None:
        base = place.project.git("rev-parse", "HEAD")
        last = read_checkpoints(place.state, RUN, base)[-1]
        write_checkpoint(place.state, RUN, last, replace(last, owner="two", journal=b""), 1)

    async with served(STORY) as server:
        with pytest.raises(Fenced):
            await place.run(server, BEGIN, on(moment, overtake))
    assert branch(place) == ""
    assert place.project.marker("done") is None


async def test_a_process_that_died_between_landing_and_report_lands_once(place: Place) -> None:
    class Died(BaseException):
        pass

    def die() -> None:
        raise Died

    there = place.second()
    async with served(STORY) as server:
        with pytest.raises(Died):
            await place.run(server, BEGIN, on(LandingDone, die))
        landed = branch(place)
        assert landed
        report = await there.run(server, there.taken_over())
        assert len(server.requests) == len(STORY)
    assert report["outcome"] == "done"
    assert report["landed"]["tip"] == branch(place) == landed


async def test_a_secret_ends_the_run_and_is_not_pushed(place: Place) -> None:
    key = "ghp_" + "a1B2c3D4e5" * 3 + "a1B2c3"
    halves = f"printf '%s%s' {key[:20]} {key[20:]} > app/key.txt"
    async with served([
        turn(bash("echo 1 >> app/log.txt")),
        turn(bash(halves)),
        turn(HELLO),
    ]) as server:
        report = await place.run(server, BEGIN)
    assert report["outcome"] == "environment"
    assert "app/key.txt holds a secret" in report["reason"]
    listing = place.state.text("rev-list", "--objects", ref_of(RUN))
    assert "app/log.txt" in listing
    assert "app/key.txt" not in listing
