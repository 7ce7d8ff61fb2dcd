"""What stands around a run: dependencies, variables, services, hooks. No I/O."""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from agentflow.frozen import record


@record
class Variables:
    """Environment variables of one place: literal ones, and secrets of the user's environment."""

    literal: Mapping[str, str] = field(default_factory=dict[str, str])
    secret: Mapping[str, str] = field(default_factory=dict[str, str])
    """Never written down: every text that leaves the place is redacted by these values."""

    @property
    def all(self) -> dict[str, str]:
        """Both kinds; a secret is the stronger one."""
        return {**self.literal, **self.secret}


@record
class Setup:
    """A command that installs what git does not hold, on a clean checkout of a commit."""

    command: str
    """A line for bash, run at the root of the checkout."""
    key: tuple[str, ...] = ()
    """Globs of the files whose content decides whether it must run again."""
    provides: tuple[str, ...] = ()
    """Globs of the directories that it makes and that are kept, as `**/node_modules`."""
    scratch: tuple[str, ...] = ()
    """Directories within the provided ones that every sandbox may write to, for itself."""
    network: tuple[str, ...] = ()
    """Hosts that it may reach: `name`, `*.name`, with `:port` if it is neither 80 nor 443."""
    host_network: bool = False
    """Whether it may reach everything that this machine reaches."""
    timeout: float = 1800.0
    """Seconds."""
    variables: Variables = Variables()
    files: tuple[str, ...] = ()
    """Files of the user's home folder that it may read, relative to it, as `.npmrc`."""


@record
class Service:
    """A program that runs beside the agent, and again beside each gate."""

    name: str
    command: str
    """A line for bash that stays in the foreground, run at the root of the checkout."""
    ready: str
    """A line for bash, tried until it ends with 0."""
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    """For the service, the agent and the gates, as `DATABASE_URL`."""
    timeout: float = 60.0
    """Seconds until it must be ready."""


HookEvent = Literal[
    "run.started", "tool.before", "tool.after", "gate.finished", "run.finished", "run.blocked"
]
HookedTool = Literal["Read", "Write", "Edit", "Bash", "Grep", "Glob", "AskUserQuestion"]


@record
class Hook:
    """A command that is run outside the sandbox, with the user's rights, when something happens."""

    on: tuple[HookEvent, ...]
    command: str
    """A line for bash."""
    tools: tuple[HookedTool, ...] = ()
    """Of `tool.before` and `tool.after` only these tools; empty means all."""
    timeout: float = 60.0
    """Seconds."""
    advisory: bool = False
    """Whether its end decides nothing."""


@record
class Environment:
    """Everything that stands around the agent and the gates."""

    setup: Setup | None = None
    services: tuple[Service, ...] = ()
    agent: Variables = Variables()
    agent_network: tuple[str, ...] = ()
    """Hosts that the agent may reach, and the services beside it; as `Setup.network`."""
    gates: Variables = Variables()

    @property
    def secrets(self) -> frozenset[str]:
        """All values that no text may show."""
        setup = self.setup.variables if self.setup else Variables()
        return frozenset(
            value for place in (setup, self.agent, self.gates) for value in place.secret.values()
        )

    @property
    def service_variables(self) -> dict[str, str]:
        """The variables of all services together."""
        return {name: value for each in self.services for name, value in each.variables.items()}
