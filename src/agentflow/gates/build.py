"""The build gate: a configured command, in a fresh sandbox on a fresh checkout of the result."""

import asyncio
import posixpath
import re
import shlex
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from agentflow.errors import ToolFailure
from agentflow.gates.tamper import touched_measures
from agentflow.interfaces import Sandbox
from agentflow.records import Boundaries, BuildCommand, Candidate, Evidence, Json
from agentflow.workspace.git import Git
from agentflow.workspace.recreate import with_files_of

Checkout = Callable[[str], AbstractAsyncContextManager[Sandbox]]
"""Opens a fresh sandbox on a fresh checkout of a commit."""

_INTERPRETER = re.compile(
    r"(?:\S*/)?(?:sh|bash|dash|zsh|env|python[\d.]*|node|ruby|perl|php|deno|bun|time|exec)"
)

DETAIL_LINES = 60
"""Last lines of an output that the agent and the user read."""


@dataclass(frozen=True, slots=True)
class BuildGate:
    """Runs one command; 0 passes.

    If the change touched existing tests, gate inputs or the script that the command starts, the
    command must also pass on the result with those files as they are in the base.
    """

    command: BuildCommand
    checkout: Checkout
    state: Git
    boundaries: Boundaries

    @property
    def name(self) -> str:
        """`build:` and the command's name."""
        return f"build:{self.command.name}"

    async def measure(self, candidate: Candidate) -> Evidence:
        """Fail on any exit code but 0, on a timeout, and if the command cannot be run."""
        evidence = await self._run(candidate.tip, "")
        touched = await asyncio.to_thread(
            touched_measures, self.state, candidate, self.boundaries, own_scripts(self.command)
        )
        if evidence.status == "failed" or not touched:
            return evidence
        restored = await asyncio.to_thread(
            with_files_of, self.state, candidate.tip, candidate.base, touched
        )
        return await self._run(restored, f", also with {_several(touched)} as in the base")

    async def _run(self, commit: str, circumstances: str) -> Evidence:
        try:
            async with self.checkout(commit) as sandbox:
                result = await sandbox.call(
                    "Bash", {"command": self.command.command, "timeout": self.command.timeout}
                )
        except ToolFailure as failure:
            return Evidence(self.name, "failed", f"could not be run: {failure}")
        return self._judge(result, circumstances)

    def _judge(self, result: Json, circumstances: str) -> Evidence:
        line = f"`{self.command.command}`"
        if result["exit_code"] == 0:
            return Evidence(self.name, "passed", f"{line} passed{circumstances}")
        reason = f"ended with exit code {result['exit_code']}"
        if result["killed"] == "timeout":
            reason = f"took longer than {self.command.timeout:g} s"
        elif result["killed"]:
            reason = f"was stopped ({result['killed']} limit)"
        if result["exit_code"] == 127:
            reason += ": the command was not found in the sandbox"
        tail = "\n".join(str(result["output"]).splitlines()[-DETAIL_LINES:])
        return Evidence(self.name, "failed", f"{line} {reason}{circumstances}", tail)


def own_scripts(command: BuildCommand) -> frozenset[str]:
    """The files of the repository that the command starts, as far as its words say so.

    What a script itself sources or calls cannot be seen.
    """
    lexer = shlex.shlex(command.command, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    try:
        words = list(lexer)
    except ValueError:
        return frozenset()
    found: set[str] = set()
    fresh = True  # at the start of a simple command, or right after its interpreter
    for word in words:
        if set(word) <= set("();<>|&\n"):
            fresh = True
        elif fresh and not ("=" in word or word.startswith("-")):
            fresh = bool(_INTERPRETER.fullmatch(word))
            found |= set() if fresh else {posixpath.normpath(word)}
    return frozenset(found)


def _several(paths: tuple[str, ...]) -> str:
    return paths[0] if len(paths) == 1 else f"{len(paths)} tests or gate inputs"
