"""Pre-flight: the gates on the base, what is remembered, and what stops a run."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agentflow.environment import Environment, Service, Variables
from agentflow.errors import EnvironmentFailure
from agentflow.events import BaseCheckFinished, BaseCheckStarted, Event
from agentflow.file_locks import INTERVAL
from agentflow.gates.command import Commands
from agentflow.interfaces import Sandbox
from agentflow.order import Order
from agentflow.plan import make_plan
from agentflow.preflight import check_base, surroundings
from agentflow.records import BuildCommand
from agentflow.redaction import redactor
from agentflow.results import Evidence
from agentflow.sandbox.policy import Provided
from agentflow.workbench import Workbench
from tests.patience import PATIENCE
from tests.run.project import GATE, Project

pytestmark = pytest.mark.sandbox


class Base:
    """A base, and the gates that are run on it."""

    def __init__(self, bench: Workbench, folder: Path) -> None:
        self.bench = bench
        self.cache = folder
        self.events: list[Event] = []

    async def check(
        self,
        *gates: BuildCommand,
        around: str = "",
        allow_red: bool = False,
        commands: Commands | None = None,
    ) -> Mapping[str, Evidence]:
        own = Commands(self.bench.checkout, self.bench.state, redactor(["s3cret"]))
        return await check_base(
            gates,
            commands or own,
            self.bench.plan.base,
            cache=self.cache,
            around=around,
            emit=self.events.append,
            allow_red=allow_red,
        )

    @property
    def measured(self) -> list[str]:
        """The gates that were run and not remembered."""
        found = [e for e in self.events if isinstance(e, BaseCheckFinished) and not e.cached]
        self.events.clear()
        return [each.evidence.gate for each in found]


@pytest.fixture
async def base(project: Project, tmp_path: Path) -> Base:
    flags = {"gates": [GATE], "prompt": "plain", "base_url": "http://127.0.0.1:1"}
    plan = await make_plan(Order("TASK-1", flags=flags), project.world)
    bench = Workbench(plan, project.world, project.world.cache / "run")
    await bench.prepare()
    return Base(bench, tmp_path / "results")


GREEN = BuildCommand("green", "test -e app/main.py")
RED = BuildCommand("red", "echo the s3cret is out; seq 100; exit 3")


async def test_a_green_base_is_measured_once(base: Base) -> None:
    ci = BuildCommand("e2e", "false", where="ci")
    filtered = BuildCommand("filtered", "test -z $AGENTFLOW_CHANGED_FILES", paths=("web/**",))

    found = await base.check(GREEN, ci, filtered)

    assert {name: evidence.status for name, evidence in found.items()} == {
        "green": "passed",
        "filtered": "passed",
    }
    assert base.events == [
        BaseCheckStarted("green"),
        BaseCheckFinished(found["green"], cached=False),
        BaseCheckStarted("filtered"),
        BaseCheckFinished(found["filtered"], cached=False),
    ]
    base.events.clear()
    assert await base.check(GREEN, ci, filtered) == found
    assert base.measured == []


@pytest.mark.parametrize(
    ("gate", "around"),
    [
        (BuildCommand("green", "test -e app/main.py && true"), ""),
        (BuildCommand("green", "test -e app/main.py", cwd="."), ""),
        (BuildCommand("green", "test -e app/main.py", timeout=5), ""),
        (GREEN, "another toolchain"),
    ],
)
async def test_another_gate_or_place_is_measured_anew(
    base: Base, gate: BuildCommand, around: str
) -> None:
    await base.check(GREEN)
    assert base.measured == ["build:green"]

    await base.check(gate, around=around)
    assert base.measured == ["build:green"]


async def test_a_red_base_stops_the_run(base: Base) -> None:
    with pytest.raises(EnvironmentFailure) as caught:
        await base.check(RED, GREEN, BuildCommand("also", "exit 4"))

    name = base.bench.plan.base[:12]
    first, *lines = caught.value.message.splitlines()
    assert first == (
        f"the gate red fails on the base {name}: `{RED.command.replace('s3cret', '[redacted]')}` "
        f"ended with exit code 3; the gate also fails on the base {name}: `exit 4` ended with exit "
        "code 4"
    )
    assert lines == ["build:red:", *(str(number) for number in range(89, 101))]
    assert "--allow-red-base" in caught.value.hint
    assert base.measured == ["build:red", "build:green", "build:also"]


async def test_what_stops_a_run_is_measured_every_time(base: Base) -> None:
    for _ in range(2):
        with pytest.raises(EnvironmentFailure):
            await base.check(RED)
        assert base.measured == ["build:red"]


async def test_a_red_base_can_be_allowed(base: Base) -> None:
    found = await base.check(RED, GREEN, allow_red=True)

    assert (found["red"].status, found["green"].status) == ("failed", "passed")
    assert len(found["red"].fingerprint) == 64
    assert base.measured == ["build:red", "build:green"]
    assert await base.check(RED, GREEN, allow_red=True) == found
    assert base.measured == []
    with pytest.raises(EnvironmentFailure):
        await base.check(RED)


async def test_what_must_fail_before_the_change(base: Base) -> None:
    shows = BuildCommand("shows", "test -e app/hello.txt", must_fail_on_base=True)
    shown = await base.check(shows)
    assert shown["shows"].status == "failed"
    assert base.events[-1] == BaseCheckFinished(shown["shows"], cached=False, must_fail=True)
    assert base.measured == ["build:shows"]
    await base.check(shows)
    assert base.measured == []

    passing = BuildCommand("passing", "true", must_fail_on_base=True)
    for _ in range(2):
        with pytest.raises(EnvironmentFailure) as caught:
            await base.check(passing, allow_red=True)
        assert caught.value.message == "the gate passing should fail before the change, and passes"
        assert base.measured == ["build:passing"]


async def test_a_flaky_pass_is_a_pass(base: Base) -> None:
    flaky = BuildCommand("flaky", "test $((RANDOM % 3)) = 0", retries=60)

    found = await base.check(flaky)

    assert found["flaky"].status == "passed"
    base.events.clear()
    assert await base.check(flaky) == found
    assert base.measured == []


async def test_of_several_runs_at_once_one_measures(base: Base) -> None:
    found = await asyncio.gather(*(base.check(GREEN) for _ in range(3)))

    assert found == [found[0]] * 3
    assert base.measured == ["build:green"]


async def test_several_runs_at_once_share_a_red_base_and_a_later_one_looks_again(
    base: Base,
) -> None:
    failed = await asyncio.gather(*(base.check(RED) for _ in range(3)), return_exceptions=True)

    assert [type(each) for each in failed] == [EnvironmentFailure] * 3
    assert base.measured == ["build:red"]
    with pytest.raises(EnvironmentFailure, match="the gate red fails on the base"):
        await base.check(RED)
    assert base.measured == ["build:red"]


async def test_nobody_waits_for_more_than_one_who_gets_no_result(base: Base) -> None:
    opened, together = list[str](), asyncio.Barrier(2)

    @asynccontextmanager
    async def broken(commit: str, variables: Mapping[str, str]) -> AsyncGenerator[Sandbox]:
        opened.append(commit)
        if len(opened) == 1:
            await asyncio.sleep(3 * INTERVAL)  # the others wait for it by now
        else:
            await together.wait()
        if opened:
            raise EnvironmentFailure("the service is not ready")
        async with base.bench.checkout(commit, variables) as sandbox:
            yield sandbox

    commands = Commands(broken, base.bench.state, redactor([]))
    async with asyncio.timeout(PATIENCE):
        failed = await asyncio.gather(
            *(base.check(GREEN, commands=commands) for _ in range(3)), return_exceptions=True
        )

    assert [str(each) for each in failed] == ["the service is not ready"] * 3


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"gate": 1}', '{"status": "skipped"}', "\0", "[" * 2000]
)
async def test_a_damaged_result_is_measured_anew(base: Base, text: str) -> None:
    await base.check(GREEN)
    (file,) = base.cache.glob("*.json")
    whole = json.loads(file.read_text())
    base.events.clear()
    for damaged in (text, json.dumps({**whole, "status": text}), json.dumps({**whole, text: 1})):
        file.write_text(damaged)
        assert (await base.check(GREEN))["green"].status == "passed"
        assert base.measured == ["build:green"]


async def test_no_secret_is_written_down(base: Base) -> None:
    await base.check(RED, allow_red=True)

    written = "".join(file.read_text() for file in base.cache.iterdir())
    assert "redacted" in written
    assert "s3cret" not in written


def test_surroundings_name_everything_but_secret_values(tmp_path: Path) -> None:
    provided = (Provided(tmp_path / "a", "node_modules", (".cache",)),)
    service = Service("db", "postgres", "true", {"PORT": "1"})
    one = Environment(services=(service,), gates=Variables({"A": "1"}, {"TOKEN": "secret"}))
    text = surroundings(one, "python 3", provided)

    assert "secret" not in text
    others = [
        surroundings(Environment(gates=one.gates), "python 3", provided),
        surroundings(Environment(services=(service,)), "python 3", provided),
        surroundings(one, "python 4", provided),
        surroundings(one, "python 3", ()),
    ]
    assert len({text, *others}) == 5
