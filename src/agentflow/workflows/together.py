"""Linked parts judged together: the superproject's own gates on a checkout that has all of them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentflow.folders import remove_folder, temporary_folder
from agentflow.interfaces import Emit
from agentflow.records import Json, Task
from agentflow.settings import CONFIG, load_settings
from agentflow.subjects import Question
from agentflow.trust import read_trust
from agentflow.verify import verify_commits
from agentflow.workspace.joint import Joined, make_joint
from agentflow.workspace.repository import Repository
from agentflow.world import World

_SHARED = ("sandbox",)
"""Flags of the parts that count here too: gates given for a part are not the superproject's."""


async def verify_together(
    home: Repository,
    joined: Sequence[Joined],
    flags: Mapping[str, Any],
    world: World,
    emit: Emit,
) -> Json | None:
    """What the superproject's gates say of all parts together; None if it has none.

    Raises `EnvironmentFailure`.
    """
    if not await asyncio.to_thread(_has_gates, home, world):
        return None
    folder = await asyncio.to_thread(temporary_folder, world.cache / home.key, "joint-")
    try:
        place = folder / home.root.name
        base, tip = await asyncio.to_thread(make_joint, place, home, joined)
        shared = {name: flags[name] for name in _SHARED if name in flags}
        question = Question(tip, base, shared, home=home)
        return await verify_commits(question, replace(world, directory=Path(place)), emit)
    finally:
        await asyncio.to_thread(remove_folder, folder)


def _has_gates(home: Repository, world: World) -> bool:
    config = home.read(home.head, CONFIG)
    trust = read_trust(home.common_dir, world.environment)
    return bool(load_settings({}, world.environment, config, Task("-", "", ""), trust).commands)
