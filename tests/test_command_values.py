"""Values of `[variables]` that commands print in a sandbox on the base."""

import asyncio
from pathlib import Path

import pytest

from agentflow.command_values import command_values
from agentflow.errors import AgentflowError, EnvironmentFailure, UsageError
from agentflow.order import Order
from agentflow.plan import Plan, make_plan
from tests.patience import PATIENCE, patiently
from tests.run.project import GATE, Project, make_project

pytestmark = pytest.mark.sandbox

PROMPT = "---\nname: own\nagentflow: {variables: [$TEAM, $CURRENT_PHASE]}\n---\nT=$TEAM P=$CURRENT_PHASE\n"
FLAGS = {"gates": [GATE], "prompt": "own"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path)
    made.write(".orchestrator/prompts/own.md", PROMPT)
    return made


def configure(project: Project, text: str) -> None:
    project.write(".orchestrator/config.toml", f"[variables]\n{text}\n")
    project.commit()


async def planned(project: Project, **flags: object) -> Plan:
    return await make_plan(Order("TASK-1", flags={**FLAGS, **flags}), project.world, command_values)


async def test_a_command_sees_the_base_and_nothing_else(project: Project) -> None:
    line = "git ls-files app; git log --format=%s; ls outside || echo -n $((6*7)); echo noise >&2"
    configure(project, f'TEAM = {{ command = "{line}" }}\nCURRENT_PHASE = "9"')
    project.write("app/later.py", "x = 1\n")
    project.write("outside", "x")
    found = await planned(project)
    assert found.rendered.system == "T=app/main.py\nmore\nfeat: start\n42 P=9\n"
    assert not list(project.world.cache.glob("*/variables-*"))


async def test_a_value_is_no_placeholder_and_nothing_printed_says_so(project: Project) -> None:
    configure(
        project,
        "TEAM = { command = \"printf '%s' '$CURRENT_PHASE {TASK_ID}'\" }\n"
        'CURRENT_PHASE = { command = "true" }',
    )
    found = await planned(project)
    assert found.rendered.system == "T=$CURRENT_PHASE {TASK_ID} P=none recorded\n"


async def test_it_has_no_network_no_variables_and_its_writes_are_gone(project: Project) -> None:
    project.write(
        ".orchestrator/config.toml",
        "[environment.variables]\nSECRETIVE = 'x'\n[variables]\n"
        'TEAM = { command = "echo ${SECRETIVE-unset}; touch app/x; cat /proc/net/route | wc -l" }\n'
        'CURRENT_PHASE = { command = "ls app" }\n',
    )
    project.commit()
    found = await planned(project)
    assert found.rendered.system == "T=unset\n1 P=main.py\n"


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ('"echo no such team >&2; exit 3"', "ended with exit code 3: no such team"),
        ('"sleep 1000", timeout = "200ms"', None),
        ('"sleep 1000", timeout = 0.3', "took longer than 0.3 s"),
        ('"yes | head -c 40000"', "printed more than a value may hold"),
        ("\"printf 'a\\\\0b'\"", "printed what is no text"),
    ],
)
async def test_a_command_that_gives_no_value_stops_the_run(
    project: Project, said: str, message: str | None
) -> None:
    configure(project, f"TEAM = {{ command = {said} }}")
    with pytest.raises(AgentflowError) as caught:
        await asyncio.wait_for(planned(project), PATIENCE)
    if message is None:
        assert isinstance(caught.value, UsageError)
    else:
        assert isinstance(caught.value, EnvironmentFailure)
        assert caught.value.message.startswith("[variables] TEAM: `")
        assert message in caught.value.message


async def test_a_command_that_no_placeholder_asks_for_is_not_run(project: Project) -> None:
    configure(project, 'TEAM = "a"\nCURRENT_PHASE = "b"\nOTHER = { command = "exit 1" }')
    assert (await planned(project)).rendered.system == "T=a P=b\n"


async def test_without_a_sandbox_no_command_runs(project: Project, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    configure(project, f'TEAM = {{ command = "touch {canary}" }}')
    with pytest.raises(EnvironmentFailure, match="runs only in a sandbox"):
        await planned(project, sandbox="none")
    with pytest.raises(UsageError, match="no sandbox is at hand"):
        await make_plan(Order("TASK-1", flags=FLAGS), project.world)
    assert not canary.exists()


def test_who_is_told_to_stop_leaves_nothing(project: Project) -> None:
    configure(project, 'TEAM = { command = "sleep 1000" }')
    seen: list[Path] = []

    async def stopped() -> None:
        planning = asyncio.create_task(planned(project))
        while not seen and not planning.done():
            seen.extend(project.world.cache.glob("*/variables-*/gate-1/tree/app"))
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        planning.cancel()

    with patiently():
        asyncio.run(stopped())
    assert seen
    assert not list(project.world.cache.glob("*/variables-*"))
