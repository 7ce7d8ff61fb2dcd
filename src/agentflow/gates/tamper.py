"""The tamper gate: was the measure changed instead of the code?

A path that an allow entry of the task names literally may be changed as the task likes.
"""

import asyncio
import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from agentflow.frozen import record
from agentflow.gates.runners import (
    SKIPS,
    holds_tests,
    is_gate_input,
    is_test,
    shadows_a_module,
    steers_from_anywhere,
)
from agentflow.globs import matches
from agentflow.records import Boundaries
from agentflow.results import Candidate, Change, Evidence, Fault
from agentflow.workspace.git import Git
from agentflow.workspace.objects import blobs_at, changes_between, contents

MAX_LINE = 2000
"""Characters of a line that are searched for a marker; a test's marker stands at its start."""


def touched_measures(
    state: Git,
    candidate: Candidate,
    boundaries: Boundaries,
    scripts: frozenset[str] = frozenset(),
) -> tuple[str, ...]:
    """Paths that judged the base and were changed: existing tests, gate inputs, a gate's scripts.

    A new gate input counts if its folder is old: it then steers what was there before.
    """
    return tuple(
        change.path
        for change in _unnamed_changes(state, candidate, boundaries)
        if (change.status != "A" and (is_test(change.path) or change.path in scripts))
        or (_is_input(change) and not _stands_apart(state, candidate.base, change))
    )


def _is_input(change: Change) -> bool:
    return is_gate_input(change.path) or (change.status == "A" and shadows_a_module(change.path))


def _stands_apart(state: Git, base: str, change: Change) -> bool:
    """Whether the path is new, in a folder that the base does not have, and acts only there."""
    folder = posixpath.dirname(change.path)
    new = change.status == "A" and bool(folder) and not steers_from_anywhere(change.path)
    return new and not state.succeeds("cat-file", "-e", f"{base}:{folder}")


def _unnamed_changes(state: Git, candidate: Candidate, boundaries: Boundaries) -> list[Change]:
    """What differs between base and result, without the paths that the task names literally."""
    return [
        change
        for change in changes_between(state, candidate.base, candidate.tip)
        if change.path not in boundaries.allow
    ]


@record
class TamperGate:
    """Compares the base and the result as a whole."""

    state: Git
    boundaries: Boundaries
    name: str = "tamper"

    async def measure(self, candidate: Candidate) -> Evidence:
        """Fail on deleted tests, added skip or only markers and changed gate inputs."""
        return await asyncio.to_thread(self._measure, candidate)

    def _measure(self, candidate: Candidate) -> Evidence:
        changes = _unnamed_changes(self.state, candidate, self.boundaries)
        deleted, moved = _deleted_tests(self.state, candidate.base, changes)
        inputs = [c for c in changes if _is_input(c)]
        fresh = [c for c in inputs if _stands_apart(self.state, candidate.base, c)]
        faults = (
            *(Fault(f"deleted test: {path}", path) for path in deleted),
            *(Fault(f"changed gate input: {c.path}", c.path) for c in inputs if c not in fresh),
            *_added_skips(self.state, candidate.base, changes),
        )
        problems = [fault.text for fault in faults]
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
            faults=faults,
        )


def _deleted_tests(state: Git, base: str, changes: Sequence[Change]) -> tuple[list[str], list[str]]:
    """Tests that are gone, and tests whose content turned up at another path."""
    added = {c.blob for c in changes if c.status == "A" and is_test(c.path)}
    gone = [c.path for c in changes if c.status == "D" and is_test(c.path)]
    blobs = blobs_at(state, base, gone)
    moved = [path for path in gone if blobs.get(path) in added]
    return [path for path in gone if path not in moved], moved


def _added_skips(state: Git, base: str, changes: Sequence[Change]) -> list[Fault]:
    """Lines that hold a skip or only marker and did not stand in a changed test before."""
    tests = [change for change in changes if holds_tests(change.path)]
    old = blobs_at(state, base, [c.path for c in tests if c.status != "A"])
    new = {c.path: c.blob for c in tests if c.status != "D" and c.mode != "160000"}
    data = contents(state, {*old.values(), *new.values()})
    texts = {blob: text.decode("utf-8", "replace").splitlines() for blob, text in data.items()}
    found: list[Fault] = []
    for runner, (files, marker) in SKIPS.items():
        before, after = (
            [
                Fault(line.strip(), path, number)
                for path, blob in side.items()
                if matches(files, path)
                for number, line in enumerate(texts[blob], 1)
                if marker.search(line[:MAX_LINE])
            ]
            for side in (old, new)
        )
        found += [
            replace(each, text=f"added skip or only marker ({runner}): {each.text[:200]}")
            for each in _added(before, after)
        ]
    return found


def _added(before: Sequence[Fault], after: Sequence[Fault]) -> list[Fault]:
    """The lines that are there more often than before; a line that was moved is not new."""
    left = Counter(each.text for each in before)
    own = Counter((each.text, each.path) for each in before)
    added: list[Fault] = []
    # Lines that stood in the same file come first: they are the old ones.
    for each in sorted(after, key=lambda each: not own[each.text, each.path]):
        if left[each.text]:
            left[each.text] -= 1
        else:
            added.append(each)
    return sorted(added, key=lambda each: (each.path, each.line))
