"""The setup gate: can what the change asks for be installed?"""

from collections.abc import Awaitable, Callable

from agentflow.errors import EnvironmentFailure
from agentflow.frozen import record
from agentflow.results import Candidate, Evidence

Install = Callable[[Candidate], Awaitable[bool]]
"""Installs what a candidate asks for; False if that is what the base asks for. Raises
`EnvironmentFailure`."""


@record
class SetupGate:
    """Runs setup on the change, if its key files are not those of the base."""

    install: Install
    name: str = "setup"

    async def measure(self, candidate: Candidate) -> Evidence:
        """Fail with the last lines of setup's output. It reached the base's dependencies before,
        so the change is what the agent can mend."""
        try:
            installed = await self.install(candidate)
        except EnvironmentFailure as failure:
            summary, _, output = failure.message.partition("\n")
            return Evidence(self.name, "failed", summary, f"{output}\n{failure.hint}".strip())
        told = (
            "the change's dependencies are installed" if installed else "installed as on the base"
        )
        return Evidence(self.name, "passed", told)
