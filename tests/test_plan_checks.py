"""What a plan is refused for, in words that name the next step."""

from dataclasses import replace
from pathlib import Path

import pytest

from agentflow.errors import UsageError
from agentflow.order import Order
from agentflow.plan import make_plan
from tests.run.project import Project, make_project

CONFIG = ".orchestrator/config.toml"
GATES = "[[gates]]\nname = 'test'\ncommand = 'true'\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


async def refused(project: Project, base: str | None = None) -> tuple[str, str]:
    """The sentence and the hint by which TASK-1 is refused."""
    with pytest.raises(UsageError) as caught:
        await make_plan(Order("TASK-1", base=base, flags={"prompt": "plain"}), project.world)
    return caught.value.message, caught.value.hint


async def test_a_repository_that_nobody_prepared_needs_init(project: Project) -> None:
    message, hint = await refused(project)
    assert message == "no gate is configured, so nothing could be verified"
    assert "`agentflow init`" in hint


async def test_a_configuration_without_gates_needs_one(project: Project) -> None:
    project.write(CONFIG, "max_cost = 5.0\n")
    project.commit()
    message, hint = await refused(project)
    assert message == "no gate is configured, so nothing could be verified"
    assert f"Add [[gates]] to {CONFIG} and commit it" in hint
    assert "init" not in hint


async def test_gates_that_only_ci_runs_verify_nothing_here(project: Project) -> None:
    project.write(CONFIG, GATES.replace("[[gates]]", '[[gates]]\nwhere = "ci"'))
    project.commit()
    message, hint = await refused(project)
    assert message == "every gate is left to CI, so nothing could be verified here"
    assert "without `where`" in hint


@pytest.mark.parametrize("before", ["", "max_cost = 5.0\n"])
async def test_gates_that_are_not_committed_are_told(project: Project, before: str) -> None:
    if before:
        project.write(CONFIG, before)
        project.commit()
    project.write(CONFIG, GATES)
    message, hint = await refused(project)
    base = project.git("rev-parse", "--short=12", "HEAD")
    assert message.startswith(f"the gates of {CONFIG} are not committed")
    assert message.endswith(f"the gates of its base {base}, which has none")
    assert "git add .orchestrator && git commit" in hint
    project.world = replace(project.world, directory=project.root / "app")
    assert "git add ../.orchestrator && git commit" in (await refused(project))[1]


async def test_a_configuration_that_is_not_committed_and_has_no_gate(project: Project) -> None:
    project.write(CONFIG, "# [[gates]]\n")
    message, hint = await refused(project)
    assert message == "no gate is configured, so nothing could be verified"
    assert f"Add [[gates]] to {CONFIG} and commit it" in hint


async def test_gates_that_came_after_the_base_are_told(project: Project) -> None:
    project.write(CONFIG, GATES)
    project.commit()
    message, hint = await refused(project, base="HEAD~1")
    assert f"its base {project.git('rev-parse', '--short=12', 'HEAD~1')}" in message
    assert "--base" in hint
    assert "git commit" not in hint
