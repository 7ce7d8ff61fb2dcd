"""The superproject's pointers: moved to what landed in its submodules, by agentflow alone."""

from agentflow.errors import UsageError
from agentflow.handoff_parts import Prepared
from agentflow.records import Json
from agentflow.workspace.current import swap
from agentflow.workspace.land import branch_tip, check_target
from agentflow.workspace.pointers import pointer_commit
from agentflow.workspace.recreate import Authorship, trailers_for
from agentflow.workspace.repository import open_repository
from agentflow.workspace.signing import find_signing
from agentflow.world import World


def check_bump(prepared: Prepared, landing: object) -> None:
    """Refuse before any spend what has no pointer to move. Raises `UsageError`."""
    if not any(part.submodule for part in prepared.parts):
        raise UsageError("--bump moves the pointer to a submodule, and the work is in none")
    if landing == "none":
        raise UsageError("--bump needs what landed, and --land none lands nothing")


def bump(prepared: Prepared, reports: list[Json], branch: str | None, world: World) -> Json | None:
    """Move the pointers of submodules to what landed there, in one commit on a branch of the
    superproject; None if they are there already.

    Raises `Conflict` if the branch moved or is checked out, `EnvironmentFailure` if the commit
    cannot be signed.
    """
    landed = {each["task"]: each["landed"]["tip"] for each in reports}
    pointers = {part.submodule: landed[part.task.id] for part in prepared.parts if part.submodule}
    repository = open_repository(world.directory, world.environment)
    target = branch or f"agentflow/{prepared.id}"
    tip = branch_tip(repository, target)
    base = tip or repository.head
    check_target(repository, "branch", target, base, replaceable=None)
    name, email = repository.identity()
    run = str(reports[-1]["run"])
    authorship = Authorship(
        name=name,
        email=email,
        seconds=int(world.now().timestamp()),
        trailers=trailers_for(prepared.id, run, "", "", None),
        rest_message="",
        signing=find_signing(repository, None),
    )
    message = f"chore({prepared.id}): move {', '.join(sorted(pointers))}"
    commit = pointer_commit(repository.git, base, pointers, message, authorship)
    if commit is None:
        return None
    swap(repository, f"refs/heads/{target}", commit, tip or "0" * len(commit), run)
    return {"branch": target, "commit": commit, "pointers": pointers}
