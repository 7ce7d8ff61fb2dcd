"""The tamper gate: was the measure changed instead of the code?

A path that an allow entry of the task names literally may be changed as the task likes.
"""

import asyncio
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from agentflow.boundaries import matches
from agentflow.gates.runners import SKIPS, is_gate_input, is_test
from agentflow.records import Boundaries, Candidate, Change, Evidence
from agentflow.workspace.git import Git
from agentflow.workspace.importer import changes_between


def touched_measures(state: Git, candidate: Candidate, boundaries: Boundaries) -> tuple[str, ...]:
    """Paths that judged the base and were changed: existing tests, and gate inputs old and new."""
    return tuple(
        change.path
        for change in _unnamed_changes(state, candidate, boundaries)
        if is_gate_input(change.path) or (is_test(change.path) and change.status != "A")
    )


def _unnamed_changes(state: Git, candidate: Candidate, boundaries: Boundaries) -> list[Change]:
    """What differs between base and result, without the paths that the task names literally."""
    return [
        change
        for change in changes_between(state, candidate.base, candidate.tip)
        if change.path not in boundaries.allow
    ]


@dataclass(frozen=True, slots=True)
class TamperGate:
    """Compares the base and the result as a whole."""

    state: Git
    boundaries: Boundaries
    base_paths: frozenset[str]
    name: str = "tamper"

    async def measure(self, candidate: Candidate) -> Evidence:
        """Fail on deleted tests, added skip or only markers and changed gate inputs."""
        return await asyncio.to_thread(self._measure, candidate)

    def _measure(self, candidate: Candidate) -> Evidence:
        changes = _unnamed_changes(self.state, candidate, self.boundaries)
        deleted, moved = _deleted_tests(self.state, candidate.base, changes)
        inputs = [c for c in changes if is_gate_input(c.path)]
        fresh = [c for c in inputs if c.status == "A" and not self._had_folder(c.path)]
        problems = [
            *(f"deleted test: {path}" for path in deleted),
            *(f"changed gate input: {c.path}" for c in inputs if c not in fresh),
            *_added_skips(self.state, candidate, [c.path for c in changes if is_test(c.path)]),
        ]
        notices = (
            *(f"moved test: {path}" for path in moved),
            *(f"new gate input in a new folder: {c.path}" for c in fresh),
            *(f"changed test: {c.path}" for c in changes if c.status == "M" and is_test(c.path)),
        )
        if not problems:
            return Evidence(self.name, "passed", "no test was weakened", notices=notices)
        return Evidence(
            self.name,
            "failed",
            problems[0] if len(problems) == 1 else f"{len(problems)} problems",
            "\n".join(problems) + "\nUndo this: only a task whose `allow` names the path itself "
            "may change it.",
            notices=notices,
        )

    def _had_folder(self, path: str) -> bool:
        folder = posixpath.dirname(path)
        return not folder or any(known.startswith(f"{folder}/") for known in self.base_paths)


def _deleted_tests(state: Git, base: str, changes: Sequence[Change]) -> tuple[list[str], list[str]]:
    """Tests that are gone, and tests whose content turned up at another path."""
    added = {c.blob for c in changes if c.status == "A" and is_test(c.path)}
    gone = [c.path for c in changes if c.status == "D" and is_test(c.path)]
    moved = [path for path in gone if state.text("rev-parse", f"{base}:{path}") in added]
    return [path for path in gone if path not in moved], moved


def _added_skips(state: Git, candidate: Candidate, tests: Sequence[str]) -> list[str]:
    """Lines of tests that hold a skip or only marker and did not stand there before."""
    found: list[str] = []
    for runner, (files, marker) in SKIPS.items():
        paths = [path for path in tests if matches(files, path)]
        if not paths:
            continue
        diff = state.run("diff", "-U0", "--no-renames", candidate.base, candidate.tip, "--", *paths)
        lines = [
            line for line in diff.decode("utf-8", "replace").splitlines() if marker.search(line)
        ]
        removed = [line[1:].strip() for line in lines if line.startswith("-")]
        for line in (line[1:].strip() for line in lines if line.startswith("+")):
            if line in removed:
                removed.remove(line)
            else:
                found.append(f"added skip or only marker ({runner}): {line[:200]}")
    return found
