"""What is submitted: a task with all its words, the commit to start from, and the repository.

It counts as repository for a worker, as every task does: what its owner's configuration says stands.
It holds no flags, no path of the submitter's machine and no secret.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.frozen import record
from agentflow.models.endpoint import keys
from agentflow.order import Order
from agentflow.outline import found_for
from agentflow.plan_checks import check_dependencies
from agentflow.records import BuildCommand, Json, Task
from agentflow.redaction import redactor
from agentflow.setting_tables import GateSetting
from agentflow.settings import settings_at
from agentflow.words import word
from agentflow.workspace.mirror import (
    check_address,
    is_published,
    remote_address,
    repository_key,
)
from agentflow.workspace.repository import Repository, open_repository
from agentflow.world import World

FORMAT = 1
MAX_SIZE = 4 << 20
"""Bytes of one submission."""


@record
class Submission:
    """One task for a worker."""

    repository: str
    """The address of its remote, as workers fetch it."""
    base: str
    task: Task

    @property
    def key(self) -> str:
        """What the repository is known by, by whichever address somebody submits."""
        return repository_key(self.repository)

    @property
    def as_json(self) -> Json:
        """As it is stored."""
        task = {**asdict(self.task), "path": None}
        return {
            "format": FORMAT,
            "repository": self.repository,
            "base": self.base,
            "task": json.loads(json.dumps(task)),
        }


def read_submission(stored: Json) -> Submission:
    """A submission as a worker finds it. Raises `EnvironmentFailure` for what is none."""
    from pydantic import TypeAdapter

    if stored.get("format") != FORMAT:
        raise EnvironmentFailure(
            f"this run was submitted by another version of agentflow ({stored.get('format')!r})",
            hint="Update this worker, or submit the task again.",
        )
    try:
        task: Task = TypeAdapter(Task).validate_python(stored["task"])
        address = check_address(str(stored["repository"]))
        return Submission(address, str(stored["base"]), replace(task, path=None))
    except (LookupError, TypeError, ValueError, UsageError) as error:
        raise EnvironmentFailure(f"what was submitted cannot be read: {error}") from error


def find_submissions(
    names: list[str], base: str | None, remote: str, wishes: Mapping[str, Any], world: World
) -> list[Submission]:
    """What the named tasks mean here, and now. `wishes` are settings by name, as flags give them.

    Raises `UsageError` for what no worker could run, `EnvironmentFailure` if the remote is away.
    """
    repository = open_repository(world.directory, world.environment)
    url = remote_address(repository, remote)
    found = [_submission(name, base, url, wishes, repository, world) for name in names]
    for commit in dict.fromkeys(each.base for each in found):
        if not is_published(repository, url, commit):
            raise UsageError(
                f"no branch of {remote} is known to hold the base {commit[:12]}",
                hint=f"Push it: git push {word(remote)} HEAD",
            )
    return found


def _submission(
    name: str,
    base: str | None,
    url: str,
    wishes: Mapping[str, Any],
    repository: Repository,
    world: World,
) -> Submission:
    task, _, start = found_for(Order(name, base=base), repository, world)
    if task.depends_on:
        documents = settings_at(repository, start.commit, world.environment).documents
        check_dependencies(task, repository, start.commit, documents, committed=True)
    made = Submission(url, start.commit, wished(task, wishes))
    text = json.dumps(made.as_json, ensure_ascii=False)
    if redactor(keys(world.environment))(text) != text:
        raise UsageError(
            f"{task.id} holds a secret, which would be stored in the database",
            hint="Take it out of the task. What gates and agents need comes from the worker.",
        )
    if len(text.encode("utf-8", "replace")) > MAX_SIZE:
        raise UsageError(f"{task.id} is too large to be submitted (more than {MAX_SIZE} bytes)")
    return made


def wished(task: Task, wishes: Mapping[str, Any]) -> Task:
    """The task with what its submitter asks for besides: the same words as in its header."""
    fields = {
        name: wishes[name]
        for name in ("prompt", "profile", "model", "max_turns", "max_cost", "timeout")
        if name in wishes
    }
    allow = tuple(wishes.get("allow", task.boundaries.allow))
    deny = (*task.boundaries.deny, *wishes.get("deny", ()))
    given = [GateSetting(**gate) for gate in wishes.get("gates", ())]
    gates = {gate.name: gate for gate in task.gates}
    gates |= {gate.name: BuildCommand(**dict(gate)) for gate in given}
    boundaries = replace(task.boundaries, allow=allow, deny=deny)
    return replace(task, **fields, boundaries=boundaries, gates=tuple(gates.values()))
