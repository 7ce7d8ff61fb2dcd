"""What a worker needs of its machine, beside the database."""

from agentflow.errors import AgentflowError
from agentflow.records import Task
from agentflow.sandbox import choose
from agentflow.settings import load_settings
from agentflow.workspace.git import as_user
from agentflow.workspace.mirror import check_address
from agentflow.world import World

TIMEOUT = 20.0
"""Seconds for the state remote to answer."""


def local_weaknesses(world: World) -> list[str]:
    """What should be mended here; each a sentence."""
    found: list[str] = []
    settings = load_settings({}, world.environment, None, Task("", "", ""))
    git = as_user(world.directory, world.environment)
    if settings.state_remote is None:
        found.append("no state remote is configured: state_remote = … in your config.toml")
    else:
        try:
            url = check_address(settings.state_remote)
            git.run("ls-remote", "--quiet", "--", url, "refs/agentflow/*", timeout=TIMEOUT)
        except AgentflowError as error:
            found.append(f"the state remote cannot be read: {error.message}")
    for key, value in (("name", settings.commit.name), ("email", settings.commit.email)):
        if not value and not git.succeeds("config", f"user.{key}"):
            found.append(f"commits would have no {key}: commit.{key} = … in your config.toml")
    problem = choose(settings.sandbox.backend).problem
    return [*found, *([problem] if problem else [])]
