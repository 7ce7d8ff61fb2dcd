"""The examples in sandboxes: setup by the listed network, kept, services, and every gate."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agentflow.checkouts import Checkouts
from agentflow.events import Event, SetupFinished
from agentflow.plan import Order, Plan, make_plan
from agentflow.provisions import Provisions
from agentflow.redaction import redactor
from tests.examples.conftest import need
from tests.examples.example import Example, Recipe, build
from tests.examples.make_project import MAKE
from tests.examples.node import NODE
from tests.examples.python_service import PYTHON
from tests.examples.registry import Registry

pytestmark = pytest.mark.sandbox

PROGRAMS = {
    "node": ("node", "npm"),
    "python": ("initdb", "postgres", "pg_isready"),
    "make": ("make", "cc"),
}


@dataclass
class Installed:
    """An example's checkouts and what setup provides for them, as a run has them."""

    plan: Plan
    checkouts: Checkouts
    provisions: Provisions
    events: list[Event] = field(default_factory=list[Event])

    async def check_gates(self, commit: str) -> None:
        """Let each gate's command pass on a commit."""
        self.checkouts.provide = self.provisions.of
        for gate in self.plan.gates:
            async with self.checkouts.open(commit) as channel:
                result = await channel.call("Bash", {"command": gate.command, "timeout": 120.0})
                assert result["exit_code"] == 0, f"{gate.name}: {result['output']}"

    @property
    def setups(self) -> list[SetupFinished]:
        """Every end of a setup."""
        return [event for event in self.events if isinstance(event, SetupFinished)]


async def _installed(example: Example, folder: str) -> Installed:
    plan = await make_plan(Order(example.recipe.feature.task), example.project.world)
    environment = plan.settings.surroundings(example.project.world.environment)
    assert environment.setup is not None
    checkouts = Checkouts(
        example.root.parent / folder,
        plan.repository,
        example.project.world,
        backend="bubblewrap",
        environment=environment,
        gates=plan.gates,
    )
    checkouts.folder.mkdir()
    checkouts.prepare()
    events: list[Event] = []
    provisions = Provisions(
        environment.setup,
        example.root.parent / "store",
        checkouts.state,
        checkouts.toolchain,
        checkouts.setup,
        events.append,
        redactor(()),
    )
    return Installed(plan, checkouts, provisions, events)


@pytest.mark.parametrize("recipe", [NODE, PYTHON, MAKE], ids=lambda recipe: recipe.name)
async def test_gates_work_on_what_setup_provides(
    recipe: Recipe, tmp_path: Path, registry: Registry, bwrap: str
) -> None:
    need(*PROGRAMS[recipe.name])
    example = build(recipe, tmp_path, host=registry.host)
    example.trust()
    first = await _installed(example, "first")
    await first.check_gates(first.plan.base)
    asked = len(registry.requests)
    second = await _installed(example, "second")
    again = await second.provisions.of(second.plan.base)

    assert [each.cached for each in first.setups] == [False]
    assert [(each.cached, len(again)) for each in second.setups] == [(True, 1)]
    assert second.setups[0].seconds <= first.setups[0].seconds / 10
    assert len(registry.requests) == asked
