"""The files gate: do the files that the task declares exist in the result, and are not empty?

Files that it declares as deleted must be gone, and something that it declares must be changed.
"""

import asyncio
from collections.abc import Sequence

from agentflow.frozen import record
from agentflow.records import Candidate, Evidence
from agentflow.words import counted
from agentflow.workspace.git import Git

LINK = "120000"
"""The mode of a symbolic link."""
NOWHERE = -1
"""The size of a link that leads to no file of the commit."""
_STATES = {None: "missing", 0: "empty", NOWHERE: "a link to nothing"}


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
            f"{path} is {_STATES[sizes.get(path)]}"
            for path in self.files
            if sizes.get(path) in _STATES
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
    """Bytes of the files among these paths, of a link those of the file that it leads to, else
    `NOWHERE`; a folder's files stand for themselves."""
    listing = state.text("ls-tree", "-r", "-l", "-z", "--full-tree", commit, "--", *paths)
    entries = [entry.split("\t", 1) for entry in listing.split("\0") if entry]
    modes = {path: meta.split() for meta, path in entries}
    sizes = {path: int(size) for path, (_, _, _, size) in modes.items() if size != "-"}
    links = [path for path, (mode, *_) in modes.items() if mode == LINK]
    return {**sizes, **{path: _led_to(state, commit, path) for path in links}}


def _led_to(state: Git, commit: str, link: str) -> int:
    """Bytes of the file that a link leads to, as the commit has it, else `NOWHERE`: what lies
    outside of the commit's tree does not count."""
    form = "--batch-check=%(objecttype) %(objectsize)"
    given = f"{commit}:{link}\n".encode("utf-8", "surrogateescape")
    answer = state.run("cat-file", form, "--follow-symlinks", stdin=given)
    kind, _, size = answer.decode("ascii", "replace").split("\n", 1)[0].partition(" ")
    return int(size) if kind == "blob" and "\n" not in link else NOWHERE
