"""The build gate: a configured command, in a fresh sandbox on a fresh checkout of the result."""

import asyncio
import posixpath
import re
import shlex
from collections.abc import Iterable
from dataclasses import replace

from agentflow.frozen import record
from agentflow.gates.command import Change, Checkout, Commands, several
from agentflow.gates.pinned import pinned_manifests
from agentflow.gates.tamper import touched_measures
from agentflow.globs import matches
from agentflow.records import Boundaries, BuildCommand
from agentflow.redaction import Redact, value_redactor
from agentflow.results import LEFT_TO_CI, Candidate, Evidence
from agentflow.workspace.git import Git
from agentflow.workspace.objects import changes_between
from agentflow.workspace.recreate import with_files_of
from agentflow.workspace.substitute import with_contents

_INTERPRETER = re.compile(
    r"(?:\S*/)?(?:sh|bash|dash|zsh|env|python[\d.]*|node|ruby|perl|php|deno|bun|time|exec"
    r"|timeout|nice|nohup|stdbuf|command|builtin|source|\.|uv|poetry|pdm|pipenv|hatch|rye|tsx|ts-node"
    r"|npx|xargs|sudo|if|then|else|elif|while|until|do|!|\{)"
)
"""A word after which a command or its script follows."""
_ASIDE = re.compile(r"run|exec|\d+(?:\.\d+)?[smhd]?")
"""What may stand between such a word and a script: a subcommand, a number."""
_WITH_VALUE = frozenset({
    *("-W", "-X", "-k", "-s", "-n", "-r", "--require", "--import", "--with", "--group", "--extra"),
    *("--python", "--package", "--signal", "--kill-after"),
})  # fmt: skip
"""Options of interpreters after which a value stands."""
_AS_IT_IS = value_redactor(())


@record
class BuildGate:
    """Runs one command; 0 passes.

    If the change touched existing tests, gate inputs or the script that the command starts, the
    command must also pass on the result with those files as they are in the base.
    """

    command: BuildCommand
    checkout: Checkout
    state: Git
    boundaries: Boundaries
    redact: Redact = _AS_IT_IS
    on_base: Evidence | None = None
    """How the command ended on the base. The same failure on the result is none of the change."""

    @property
    def name(self) -> str:
        """`build:` and the command's name."""
        return f"build:{self.command.name}"

    async def measure(self, candidate: Candidate) -> Evidence:
        """Fail on any exit code but 0, on a timeout, and if the command cannot be run.

        Skipped is what a CI job runs, what the change does not concern, and what failed in the same
        way before it.
        """
        change = await asyncio.to_thread(change_of, self.state, candidate)
        reason = left_out(self.command, change)
        if reason:
            return Evidence(self.name, "skipped", reason)
        commands = Commands(self.checkout, self.state, self.redact)
        evidence = await commands.run(self.command, candidate.tip, change)
        if evidence.status == "failed":
            return self._compared(evidence)
        restored, touched = await asyncio.to_thread(self._restored, candidate)
        if not touched:
            return self._compared(evidence)
        circumstances = f", also with {several(touched, 'tests or gate inputs')} as in the base"
        # Tests that the task adds to a file of the base are not there now.
        whole = replace(self.command, tests=())
        again = await commands.run(whole, restored, change, circumstances)
        return self._compared(replace(again, notices=(*again.notices, *evidence.notices)))

    def _restored(self, candidate: Candidate) -> tuple[str, tuple[str, ...]]:
        """A commit like the result with what judges it as in the base, and the paths of that.

        A manifest keeps the dependencies that the task may have added.
        """
        state, base, tip = self.state, candidate.base, candidate.tip
        scripts = own_scripts(self.command)
        touched = touched_measures(state, candidate, self.boundaries, scripts)
        pinned = pinned_manifests(state, base, tip)
        whole = [path for path in touched if path not in pinned]
        commit = with_files_of(state, tip, base, whole) if whole else tip
        if pinned:
            commit = with_contents(state, commit, pinned)
        return commit, tuple(dict.fromkeys((*touched, *pinned)))

    def _compared(self, evidence: Evidence) -> Evidence:
        """Excuse a failure that the base has too, unless the task is about it."""
        before = self.on_base.fingerprint if self.on_base else ""
        if self.command.must_fail_on_base or not before or before != evidence.fingerprint:
            return evidence
        return replace(evidence, status="skipped", summary="fails as on the base")


def change_of(state: Git, candidate: Candidate) -> Change:
    """What a gate's command is told about a candidate; of work that the base holds already, what the
    commit changed that brought it."""
    found = {c.path for c in changes_between(state, candidate.base, candidate.tip)}
    if candidate.tip == candidate.base:
        found = {change.path for commit in candidate.commits for change in commit.changes}
    return Change(candidate.base, candidate.tip, tuple(sorted(found)))


def left_out(command: BuildCommand, change: Change) -> str:
    """Why a command is not run on a change; empty if it is."""
    if command.where == "ci":
        return LEFT_TO_CI
    if command.paths and not _any_matches(command.paths, change.paths):
        return f"nothing under {', '.join(command.paths)} changed"
    return ""


def _any_matches(globs: Iterable[str], paths: Iterable[str]) -> bool:
    listed = tuple(paths)
    return any(matches(glob, path) for glob in globs for path in listed)


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
    folder = command.cwd
    fresh = True  # at the start of a simple command, or after its interpreter
    before = ""  # the word before, in the same command
    led = False  # whether an interpreter stood before
    for word in words:
        if set(word) <= set("();<>|&\n"):
            fresh, led, before = True, False, ""
            continue
        if before == "cd":
            folder = posixpath.join(folder, word)
        elif fresh and not ("=" in word or word.startswith("-")):
            is_interpreter = bool(_INTERPRETER.fullmatch(word))
            is_value = before in _WITH_VALUE and not set("./") & set(word)
            fresh = is_interpreter or (led and (is_value or bool(_ASIDE.fullmatch(word))))
            led = led or is_interpreter
            if not is_interpreter:
                found.add(posixpath.normpath(posixpath.join(folder, word)))
        before = word
    return frozenset(found)
