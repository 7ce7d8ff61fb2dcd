"""A gate's command: run in a fresh checkout, tried again if it may fail, judged by its exit code.

What a command finds in its environment, beside the configured variables:

- `AGENTFLOW_BASE`: the commit that the change starts from;
- `AGENTFLOW_HEAD`: the change's last commit. A run with files of the base has a child of it
  checked out;
- `AGENTFLOW_CHANGED_FILES`: the changed paths, relative to the root, one a line. If they are longer
  than 100,000 bytes (the kernel takes 131,072 for one variable), it is `@` and the path of a file
  in the scratch folder that holds them.

The history of the commit is there, read-only: `git diff "$AGENTFLOW_BASE"` works.
"""

import asyncio
import posixpath
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Protocol

from agentflow.errors import ServiceFailure, ToolFailure
from agentflow.frozen import record
from agentflow.gates.fetching import fetch
from agentflow.gates.reports import judge_report, remove_report
from agentflow.gates.sameness import fingerprint
from agentflow.interfaces import Sandbox
from agentflow.records import BuildCommand, Json
from agentflow.redaction import Redact
from agentflow.results import Evidence
from agentflow.workspace.git import Git

DETAIL_LINES = 60
"""Last lines of an output that the agent and the user read."""
FLAKY_LINES = 5
"""Last lines of the first failure that a flaky pass reports."""
MAX_LINE = 1000
"""Characters of one such line."""
MAX_LIST = 100_000
"""Bytes of changed paths in a variable."""
MAX_COMPARED = 1_000_000
"""Bytes of an output that are compared with those of the base."""
_CUT = "\n[… the middle of "
"""How the toolbox marks a cut."""

_LONG_LIST = """\
export AGENTFLOW_CHANGED_FILES="@${TMPDIR:-/tmp}/agentflow-changed-files"
git diff -z --no-renames --name-only "$AGENTFLOW_BASE" "$AGENTFLOW_HEAD" | tr '\\0' '\\n' \
> "${AGENTFLOW_CHANGED_FILES#@}" || exit
"""


class Checkout(Protocol):
    """Opens a fresh sandbox on a fresh checkout of a commit, with these variables added."""

    def __call__(
        self, commit: str, variables: Mapping[str, str], /
    ) -> AbstractAsyncContextManager[Sandbox]: ...


@record
class Change:
    """What a command is told about the change that it judges."""

    base: str
    head: str
    paths: tuple[str, ...] = ()

    @property
    def is_long(self) -> bool:
        """Whether the paths are too long for a variable."""
        return len("\n".join(self.paths).encode("utf-8", "surrogateescape")) > MAX_LIST

    @property
    def variables(self) -> dict[str, str]:
        """The variables; a long list is made inside."""
        told = {"AGENTFLOW_BASE": self.base, "AGENTFLOW_HEAD": self.head}
        return told if self.is_long else {**told, "AGENTFLOW_CHANGED_FILES": "\n".join(self.paths)}


@record
class Commands:
    """Runs gates' commands."""

    checkout: Checkout
    state: Git
    redact: Redact

    async def run(
        self, command: BuildCommand, commit: str, change: Change, circumstances: str = ""
    ) -> Evidence:
        """Run a command on a commit, again if it fails and may; each try in a fresh checkout.

        `circumstances` is added to the summary. Nothing in the evidence shows a secret value.
        """
        name = f"build:{command.name}"
        problem = await asyncio.to_thread(folder_problem, self.state, commit, command.cwd)
        if problem:
            return Evidence(name, "failed", problem, fingerprint=fingerprint(problem, ""))
        tries = command.retries + 1
        failures: list[Evidence] = []
        for number in range(1, tries + 1):
            evidence = await self._try(command, commit, change, circumstances)
            if evidence.status == "failed":
                failures.append(evidence)
            elif failures:
                return _flaky(evidence, failures[0], f"passed on try {number} of {tries}")
            else:
                return evidence
        again = f" ({tries} times)" if tries > 1 else ""
        return replace(failures[0], summary=f"{failures[0].summary}{again}")

    async def _try(
        self, command: BuildCommand, commit: str, change: Change, circumstances: str
    ) -> Evidence:
        name, line = f"build:{command.name}", f"`{command.command}`"
        lacks = tests = ""
        try:
            async with self.checkout(commit, change.variables) as sandbox:
                await remove_report(sandbox, command)
                result = await call(sandbox, command, change)
                passed = result["exit_code"] == 0
                output = "" if passed else await _whole_output(sandbox, result)
                if passed and command.report:
                    lacks, tests = await judge_report(sandbox, command)
        except ToolFailure as failure:
            return Evidence(name, "failed", self.redact(f"could not be run: {failure}"))
        except ServiceFailure as failure:
            if change.head == change.base:  # nobody has changed anything yet
                raise
            said, _, tail = self.redact(failure.message).partition("\n")
            return Evidence(name, "failed", f"could not be run: {said}", tail)
        if passed and not lacks:
            return Evidence(name, "passed", self.redact(f"{line} passed{tests}{circumstances}"))
        reason = lacks or _reason(command, result)
        tail = self.redact(end_of(result)).splitlines()[-DETAIL_LINES:]
        return Evidence(
            name,
            "failed",
            self.redact(f"{line} {reason}{circumstances}"),
            "\n".join(tail),
            fingerprint="" if output is None else fingerprint(reason, self.redact(output)),
        )


async def call(sandbox: Sandbox, command: BuildCommand, change: Change) -> Json:
    """Run a command once in a sandbox; return the toolbox's result. Raises `ToolFailure`."""
    text = f"{_LONG_LIST}{command.command}" if change.is_long else command.command
    folder = {"cwd": posixpath.normpath(command.cwd)} if command.cwd else {}
    return await sandbox.call("Bash", {"command": text, "timeout": command.timeout, **folder})


def folder_problem(state: Git, commit: str, folder: str) -> str:
    """Why a command cannot start in this folder of a commit; empty if it can.

    A link is no folder: what it leads to could be anywhere.
    """
    if not folder:
        return ""
    path = posixpath.normpath(folder)
    if path.startswith(("/", "../")) or path == "..":
        return f"cwd {folder!r} is not a folder within the repository"
    if path == "." or state.succeeds("cat-file", "tree", f"{commit}:{path}"):
        return ""
    return f"there is no folder {folder!r} to run it in"


def several(paths: Iterable[str], noun: str) -> str:
    """The only path, else their number."""
    listed = tuple(paths)
    return listed[0] if len(listed) == 1 else f"{len(listed)} {noun}"


def end_of(result: Json) -> str:
    """The output of a Bash call, or what is after the cut in its middle: whole lines, or so far
    from the cut that no part of a secret is left."""
    output = str(result["output"])
    return output.rpartition(_CUT)[2].partition("\n")[2] if result["truncated"] else output


def _reason(command: BuildCommand, result: Json) -> str:
    if result["killed"] == "timeout":
        return f"took longer than {command.timeout:g} s"
    if result["killed"]:
        return f"was stopped: {result['reason']}"
    missing = ": the command was not found in the sandbox" if result["exit_code"] == 127 else ""
    return f"ended with exit code {result['exit_code']}{missing}"


def _flaky(passed: Evidence, failed: Evidence, said: str) -> Evidence:
    """A pass after a failure, with the failure's last lines."""
    lines = [line[:MAX_LINE] for line in failed.detail.splitlines()[-FLAKY_LINES:]]
    return replace(
        passed,
        summary=f"{passed.summary} (flaky: {said})",
        notices=(f"flaky: {said}; before, {failed.summary}", *lines),
    )


async def _whole_output(sandbox: Sandbox, result: Json) -> str | None:
    """A command's output without the cut in its middle; None if it is too long to compare."""
    path = result["full_output"]
    if not result["truncated"]:
        return str(result["output"])
    whole = await fetch(sandbox, path, MAX_COMPARED) if path else None
    return None if whole is None else whole.decode("utf-8", "replace")
