"""The API contract audit: does the change declare the shapes that the handoff's contract expects?

Read from the result's files as git has them; nothing of them is run or imported.
"""

import asyncio
from collections.abc import Iterable, Sequence
from itertools import islice

from agentflow.frozen import record
from agentflow.gates.runners import is_test
from agentflow.gates.shapes.declared import declared_shapes, is_read, named_files
from agentflow.gates.shapes.expected import expected_shapes
from agentflow.gates.shapes.matching import Match, Matcher
from agentflow.gates.shapes.shape import Shape
from agentflow.neutral import one_line
from agentflow.results import Candidate, Evidence, Fault
from agentflow.words import counted
from agentflow.workspace.git import Git
from agentflow.workspace.objects import blobs_at, changes_between, contents, sizes

MAX_EXPECTED = 50
"""Shapes of a contract that are compared."""
MAX_DECLARED = 3_000
"""Shapes that they are compared with, the first ones by path."""
MAX_FILES = 200
"""Files that are read, the changed ones first."""
MAX_FILE = 1024 * 1024
MAX_BYTES = 4 * 1024 * 1024
"""Of one file, and of all."""


@record
class ApiContractAudit:
    """Compares the contract's shapes with those of the changed files and the files they import."""

    contract: str
    state: Git
    name: str = "api-contract"

    async def compare(self, candidate: Candidate, measured: Sequence[Evidence]) -> Evidence:
        """Fail naming the field that differs; skipped is what cannot be compared, with the reason."""
        return await asyncio.to_thread(self._compare, candidate)

    def _compare(self, candidate: Candidate) -> Evidence:
        expected = expected_shapes(self.contract)[:MAX_EXPECTED]
        if not expected:
            return self._not_checked("the contract describes no shape of a body")
        declared = shapes_of_change(self.state, candidate)
        if not declared:
            return self._not_checked(
                "the change declares no OpenAPI document, DTO class, interface, zod schema or "
                + "Pydantic model"
            )
        matcher = Matcher(declared)
        found = [(shape, matcher.matches(shape)) for shape in expected]
        matches = [match for _, several in found for match in several]
        missed = tuple(
            one_line(f"not checked: {_title(shape)}: nothing declared has its name or fields", 300)
            for shape, several in found
            if not several
        )
        if not matches:
            return self._not_checked("nothing declared has the name or fields of what is expected")
        return self._judged(matches, missed)

    def _judged(self, matches: Sequence[Match], notices: tuple[str, ...]) -> Evidence:
        wrong = [match for match in matches if match.differences]
        if not wrong:
            places = ", ".join(_place(match.declared) for match in matches[:5])
            summary = one_line(f"{counted(len(matches), 'shape')} as expected: {places}", 200)
            return Evidence(self.name, "passed", summary, notices=notices)
        faults = tuple(
            Fault(
                one_line(f"{_place(match.declared)}: {difference} ({_title(match.expected)})", 300),
                match.declared.path,
                match.declared.line,
            )
            for match in wrong
            for difference in match.differences
        )
        lines = [fault.text for fault in faults]
        advice = "Declare what the contract of the handoff expects, or say why it cannot be so."
        summary = one_line(f"{_place(wrong[0].declared)}: {wrong[0].differences[0]}", 200)
        return Evidence(
            self.name,
            "failed",
            summary,
            "\n".join((*lines, advice)),
            notices=notices,
            faults=faults,
        )

    def _not_checked(self, reason: str) -> Evidence:
        return Evidence(self.name, "skipped", f"not checked: {reason}")


def shapes_of_change(state: Git, candidate: Candidate) -> list[Shape]:
    """What the changed files declare, and the files that they import, by path."""
    declared = (
        shape
        for path, text in _sources(state, candidate).items()
        for shape in declared_shapes(path, text)
    )
    return list(islice(declared, MAX_DECLARED))


def _title(shape: Shape) -> str:
    words = (shape.endpoint, shape.direction, shape.name)
    return " ".join(filter(None, words)) or f"line {shape.line} of the contract"


def _place(shape: Shape) -> str:
    return f"{shape.name or shape.endpoint} ({shape.path}:{shape.line})"


def _sources(state: Git, candidate: Candidate) -> dict[str, str]:
    """The texts of the changed files, tests aside, and of those that they import."""
    changed = [
        change.path
        for change in changes_between(state, candidate.base, candidate.tip)
        if change.status != "D" and change.mode.startswith("100")
    ]
    texts = _texts(state, candidate.tip, changed, 0)
    named = (name for path, text in texts.items() for name in named_files(path, text))
    return texts | _texts(
        state, candidate.tip, [name for name in named if name not in texts], len(texts)
    )


def _texts(state: Git, commit: str, paths: Iterable[str], before: int) -> dict[str, str]:
    wanted = {path for path in paths if is_read(path) and not is_test(path)}
    blobs = blobs_at(state, commit, wanted)
    bytes_of = sizes(state, blobs.values()) if blobs else {}
    kept, total = dict[str, str](), 0
    for path, blob in sorted(blobs.items())[: MAX_FILES - before]:
        total += bytes_of[blob] if bytes_of[blob] <= MAX_FILE else 0
        if bytes_of[blob] <= MAX_FILE and total <= MAX_BYTES:
            kept[path] = blob
    data = contents(state, kept.values()) if kept else {}
    return {path: data[blob].decode("utf-8", "replace") for path, blob in kept.items()}
