"""The files gate: do the files that the task declares exist in the result, and are not empty?"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from agentflow.records import Candidate, Evidence
from agentflow.words import counted
from agentflow.workspace.git import Git


@dataclass(frozen=True, slots=True)
class FilesGate:
    """Looks into the re-created commit's tree, not into the agent's."""

    state: Git
    files: tuple[str, ...]
    name: str = "files"

    async def measure(self, candidate: Candidate) -> Evidence:
        """Fail naming each declared file that is missing or empty."""
        if not self.files:
            return Evidence(self.name, "skipped", "the task declares no files")
        sizes = await asyncio.to_thread(_sizes, self.state, candidate.tip, self.files)
        problems = [
            f"{path} is {'empty' if path in sizes else 'missing'}"
            for path in self.files
            if not sizes.get(path)
        ]
        if problems:
            return Evidence(self.name, "failed", "; ".join(problems), "\n".join(problems))
        return Evidence(self.name, "passed", f"{counted(len(self.files), 'declared file')} there")


def _sizes(state: Git, commit: str, paths: Sequence[str]) -> dict[str, int]:
    """Bytes of the files among these paths; a folder's files stand for themselves."""
    listing = state.text("ls-tree", "-r", "-l", "-z", "--full-tree", commit, "--", *paths)
    entries = (entry.split("\t", 1) for entry in listing.split("\0") if entry)
    return {path: int(meta.split()[3]) for meta, path in entries if meta.split()[3] != "-"}
