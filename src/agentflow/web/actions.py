"""What a person may do with a run: the same commands as on the command line, as processes of their
own, which outlive the dashboard."""

import asyncio
from collections.abc import Mapping

from agentflow.cancelling import cancel
from agentflow.errors import UsageError
from agentflow.run_processes import RunProcesses
from agentflow.runs import started_at
from agentflow.workspace.repository import open_repository
from agentflow.world import World

STREAM = ("--output-format", "stream-json")


class LocalActions:
    """Changes runs of the repository of a world."""

    def __init__(self, world: World) -> None:
        self._processes = RunProcesses(world.directory, world.environment)
        self._locks = open_repository(world.directory, world.environment).locks(world.cache)

    async def cancel(self, run: str, form: Mapping[str, str]) -> str:
        """Interrupt its process. Raises `UsageError` if none proves to be its own."""
        await asyncio.to_thread(cancel, self._locks, task_of(run))
        return run

    async def resume(self, run: str, form: Mapping[str, str]) -> str:
        """Let it go on."""
        return await self.start(["resume", *STREAM, "--", run])

    async def retry(self, run: str, form: Mapping[str, str]) -> str:
        """Begin its task anew."""
        return await self.start(["run", "--fresh", *STREAM, "--", task_of(run)])

    async def answer(self, run: str, form: Mapping[str, str]) -> str:
        """Give it the `text` of a person; it goes on."""
        text = form.get("text", "").replace("\r\n", "\n")
        return await self.start(["answer", *STREAM, "--", run, "-"], text)

    async def start(self, command: list[str], given: str = "") -> str:
        """Start a command; return the run that it names. Raises `UsageError` if there is none."""
        said = await self._processes.start(command, given)
        if not said.get("run"):
            raise UsageError(
                str(said.get("reason") or "no run was begun"), hint=str(said.get("hint") or "")
            )
        return str(said["run"])


def task_of(run: str) -> str:
    """The task of a run. Raises `UsageError` for what is no run's name."""
    if started_at(run) is None:
        raise UsageError(f"{run!r} is no run")
    return run.rsplit("-", 2)[0]
