"""Values of `[variables]` that commands print, each in a sandbox on a fresh checkout of the base.

A command may come from the repository, so it never runs outside of a sandbox, whatever the run's
own commands do. It has no network, no services, nothing that setup made, and none of the variables
that agent and gates get.
"""

import asyncio

from agentflow.checkouts import Checkouts
from agentflow.environment import Environment
from agentflow.errors import EnvironmentFailure, ToolFailure
from agentflow.folders import remove_folder, temporary_folder
from agentflow.interfaces import Sandbox
from agentflow.neutral import one_line
from agentflow.prompts.context import Measured
from agentflow.prompts.references import MAX_TEXT
from agentflow.prompts.variables import NONE, Commands
from agentflow.records import BuildCommand, Json
from agentflow.sandbox import require
from agentflow.setting_tables import CommandVariable

_SCRIPT = """\
exec 2> "${TMPDIR:-/tmp}/agentflow-errors"
"""
_ERRORS = 'tail -c 300 "${TMPDIR:-/tmp}/agentflow-errors"'


async def command_values(commands: Commands, where: Measured) -> dict[str, str]:
    """What each command prints on standard output, without the line ends around it.

    Raises `EnvironmentFailure` without a sandbox, and for a command that fails, takes too long or
    prints what can be no value: more than `MAX_TEXT` characters, or no text.
    """
    repository, settings, world = where.base.repository, where.settings, where.world
    if settings.sandbox.backend == "none":
        raise EnvironmentFailure(
            f"[variables] {min(commands)} is a command, which runs only in a sandbox",
            hint="Run with a sandbox, or give the variable as text in your own config.toml.",
        )
    folder = await asyncio.to_thread(temporary_folder, world.cache / repository.key, "variables-")
    try:
        checkouts = Checkouts(
            folder,
            repository,
            world,
            backend=require(settings.sandbox.backend),
            limits=settings.sandbox.limits,
            readable=settings.readable,
            environment=Environment(),
            gates=[BuildCommand(name, each.command) for name, each in commands.items()],
        )
        await asyncio.to_thread(checkouts.prepare)
        found: dict[str, str] = {}
        for name, command in commands.items():
            async with checkouts.open(where.base.commit) as sandbox:
                found[name] = await _value(name, command, sandbox)
        return found
    finally:
        await asyncio.to_thread(remove_folder, folder)


async def _value(name: str, command: CommandVariable, sandbox: Sandbox) -> str:
    place = f"[variables] {name}: `{one_line(command.command)}`"
    try:
        result = await sandbox.call(
            "Bash", {"command": _SCRIPT + command.command, "timeout": command.timeout}
        )
        problem = _problem(result, command)
        if problem:
            said = (await sandbox.call("Bash", {"command": _ERRORS}))["output"]
            raise EnvironmentFailure(
                f"{place} {problem}: {one_line(said, 300)}" if said else f"{place} {problem}",
                hint="It runs on a checkout of the base, in a sandbox without network. Mend it, or "
                + "give the variable as text or as a file.",
            )
    except ToolFailure as failure:
        raise EnvironmentFailure(f"{place} could not be run: {failure}") from failure
    return str(result["output"]).strip("\r\n") or NONE


def _problem(result: Json, command: CommandVariable) -> str:
    """Why what a command did gives no value; empty if it does."""
    output = str(result["output"])
    if result["killed"] == "timeout":
        return f"took longer than {command.timeout:g} s"
    if result["killed"] or result["truncated"] or len(output) > MAX_TEXT:
        return "printed more than a value may hold"
    if result["exit_code"] != 0:
        return f"ended with exit code {result['exit_code']}"
    return "printed what is no text" if "\0" in output else ""
