"""One submitted run on this worker: its work tree, what others did of it, and going on."""

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from agentflow.cluster.database import URL
from agentflow.cluster.submission import Submission
from agentflow.errors import EnvironmentFailure
from agentflow.frozen import record
from agentflow.interfaces import Emit
from agentflow.order import Order
from agentflow.plan import make_plan
from agentflow.prompts.context import Measure
from agentflow.records import Json
from agentflow.resuming import order_of, said_in, state_folder
from agentflow.run import Connect, run_task
from agentflow.workspace.clone import make_repository
from agentflow.workspace.git import isolated
from agentflow.workspace.land import branch_tip, pin_base
from agentflow.workspace.mirror import mirror_of
from agentflow.workspace.relay import Relay
from agentflow.workspace.repository import open_repository
from agentflow.world import World

MAX_STARTS = 5
"""Workers in a row that may begin or go on with a run at the same moment of it; then the run is why
they die."""


@record
class Site:
    """Where this worker's runs happen, and how."""

    world: World
    """Its cache is this worker's alone."""
    owner: str
    state_remote: str
    target: str
    """The branch on which all runs land; empty if each lands on its own."""
    connect: Connect
    measure: Measure
    sinks: Callable[[str], Sequence[Emit]]


async def execute(
    site: Site, run: str, made: Submission, facts: Mapping[str, Any], note: Callable[[Json], None]
) -> Json:
    """Begin a run, or go on with it from where the last worker left it; return its report.

    `facts` are what is known of the run, and `note` writes further ones down. Raises `Fenced` if
    another worker went on with it, and every other error for a run that cannot begin here.
    """
    place = await asyncio.to_thread(_placed, site, run, made, facts, note)
    plan = await make_plan(place.order, place.world, site.measure)
    sinks = site.sinks(made.task.id)
    report = await run_task(plan, place.world, site.connect, sinks, None, place.relay)
    await asyncio.to_thread(_left, place)
    return {**report, "work_tree": None}


@record
class _Place:
    """A run's place on this machine."""

    world: World
    order: Order
    relay: Relay
    kept: Path
    """What lies in the cache."""
    leave: Callable[[], None]


def _placed(
    site: Site, run: str, made: Submission, facts: Mapping[str, Any], note: Callable[[Json], None]
) -> _Place:
    environment = {name: value for name, value in site.world.environment.items() if name != URL}
    mirror = mirror_of(site.world.cache, made.repository, environment)
    mirror.update()
    relay = Relay(site.state_remote, made.repository, mirror.git_dir, environment, site.owner)
    tree = mirror.add_tree(run, made.base)
    world = replace(site.world, directory=tree, environment=environment)
    repository = open_repository(tree, environment)
    folder = state_folder(repository, world.cache, run)
    if not folder.is_dir():
        make_repository(folder, repository, repository.object_stores)
    tip = relay.fetch(isolated(folder), run)
    check_progress(facts.get("starts"), tip or "", note)
    if tip:
        pin_base(repository, run, str(facts.get("begun_at") or made.base))
        order = order_of(repository, world.cache, run)
        said = said_in(repository, world.cache, run)
        order = replace(order, answer=due_answer(facts.get("answer"), said, note))
    else:
        base = (branch_tip(repository, site.target) if site.target else None) or made.base
        note({"begun_at": base})
        order = Order(base=base, made=made.task, named=run, shared_target=bool(site.target))
    return _Place(world, order, relay, folder.parent, lambda: mirror.remove_tree(tree))


def check_progress(earlier: Any, tip: str, note: Callable[[Json], None]) -> None:
    """Count this start. Raises `EnvironmentFailure` if too many came no further."""
    before = cast(Json, earlier) if isinstance(earlier, dict) else {}
    count = int(before.get("count", 0)) if before.get("at") == tip else 0
    if count >= MAX_STARTS:
        raise EnvironmentFailure(
            f"{count} workers in a row ended at the same moment of this run",
            hint="Look at their logs; then: agentflow cluster retry",
        )
    note({"starts": {"count": count + 1, "at": tip}})


def due_answer(stored: Any, said: int, note: Callable[[Json], None]) -> str | None:
    """What a person answered, as long as the agent has not been told: the conversation, in which
    somebody spoke `said` times, is as long as when the answer was first to be given."""
    answer = cast(Json, stored) if isinstance(stored, dict) else {}
    if not isinstance(answer.get("text"), str):
        return None
    if "said" not in answer:
        note({"answer": {**answer, "said": said}})
    return answer["text"] if answer.get("said", said) == said else None


def _left(place: _Place) -> None:
    """Remove what lies here of a run that ended: what counts has been pushed."""
    place.leave()
    shutil.rmtree(place.kept, ignore_errors=True)
