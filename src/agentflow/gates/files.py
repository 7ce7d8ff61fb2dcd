"""The files gate: do the files that the task declares exist in the result, and are not empty?

Files that it declares as deleted must be gone, and something that it declares must be changed.
"""

import asyncio
from collections.abc import Sequence

from agentflow.frozen import record
from agentflow.records import Candidate, Evidence
from agentflow.words import counted
from agentflow.workspace.git import Git


@record
class FilesGate:
    """Looks into the re-created commit's tree, not into the agent's."""

    state: Git
    files: tuple[str, ...]
    deleted: tuple[str, ...] = ()
    """Files that the result may not hold."""
    touched: bool = False
    """Whether a commit must change at least one of all these."""
    name: str = "files"

    async def measure(self, candidate: Candidate) -> Evidence:
        """Fail naming each declared file that is missing, empty or still there."""
        declared = (*self.files, *self.deleted)
        if not declared:
            return Evidence(self.name, "skipped", "the task declares no files")
        sizes = await asyncio.to_thread(_sizes, self.state, candidate.tip, declared)
        problems = [
            f"{path} is {'empty' if path in sizes else 'missing'}"
            for path in self.files
            if not sizes.get(path)
        ]
        problems += [f"{path} is still there" for path in self.deleted if path in sizes]
        changed = {change.path for commit in candidate.commits for change in commit.changes}
        if self.touched and changed.isdisjoint(declared):
            problems.append(f"no commit changes any of {', '.join(declared[:10])}")
        if problems:
            return Evidence(self.name, "failed", "; ".join(problems), "\n".join(problems))
        return Evidence(self.name, "passed", self._told())

    def _told(self) -> str:
        gone = f", {counted(len(self.deleted), 'other')} gone" if self.deleted else ""
        return f"{counted(len(self.files), 'declared file')} there{gone}"


def _sizes(state: Git, commit: str, paths: Sequence[str]) -> dict[str, int]:
    """Bytes of the files among these paths; a folder's files stand for themselves."""
    listing = state.text("ls-tree", "-r", "-l", "-z", "--full-tree", commit, "--", *paths)
    entries = (entry.split("\t", 1) for entry in listing.split("\0") if entry)
    return {path: int(meta.split()[3]) for meta, path in entries if meta.split()[3] != "-"}
