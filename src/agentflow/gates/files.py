"""The files gate: do the files that the task declares exist in the result, and are not empty?

Files that it declares as deleted must be gone, and something that it declares must be changed.
"""

import asyncio
import io
from collections.abc import Mapping, Sequence

from agentflow.frozen import record
from agentflow.globs import matches
from agentflow.neutral import one_line
from agentflow.results import Candidate, Evidence
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
    areas: tuple[str, ...] = ()
    """Folders and globs in which the result must hold a file that is not empty."""
    unplaced: tuple[str, ...] = ()
    """What is declared and has no place in the repository: told, as it cannot be measured."""
    name: str = "files"

    async def measure(self, candidate: Candidate) -> Evidence:
        """Fail naming each declared file that is missing, empty or still there."""
        notices = tuple(f"not checked, it has no place here: {one_line(each, 200)}"
                        for each in self.unplaced)  # fmt: skip
        declared = (*self.files, *self.deleted, *self.areas)
        if not declared:
            told = (
                "none of what is declared has a place" if notices else "the task declares no files"
            )
            return Evidence(self.name, "skipped", told, notices=notices)
        paths = () if self.areas else declared
        sizes = await asyncio.to_thread(_sizes, self.state, candidate.tip, paths)
        problems = [
            f"{path} is {_STATES[sizes.get(path)]}"
            for path in self.files
            if sizes.get(path) in _STATES
        ]
        problems += [f"{path} is still there" for path in self.deleted if path in sizes]
        problems += [f"no file in {area}" for area in self.areas if not _within(area, sizes)]
        changed = {change.path for commit in candidate.commits for change in commit.changes}
        touched = not changed.isdisjoint(declared) or any(
            matches(area, path) for area in self.areas for path in changed
        )
        if self.touched and not touched:
            problems.append(f"no commit changes any of {', '.join(declared[:10])}")
        if problems:
            listed = "\n".join(problems)
            return Evidence(self.name, "failed", "; ".join(problems), listed, notices=notices)
        return Evidence(self.name, "passed", self._told(), notices=notices)

    def _told(self) -> str:
        parts = [counted(len(self.files), "declared file") + " there"] if self.files else []
        parts += [f"{counted(len(self.areas), 'declared area')} not empty"] if self.areas else []
        noun = "other" if parts else "declared file"
        parts += [f"{counted(len(self.deleted), noun)} gone"] if self.deleted else []
        return ", ".join(parts)


def _within(area: str, sizes: Mapping[str, int]) -> bool:
    return any(size > 0 and matches(area, path) for path, size in sizes.items())


def _sizes(state: Git, commit: str, paths: Sequence[str]) -> dict[str, int]:
    """Bytes of the files among these paths, of all without any; of a link those of the file that it
    leads to, else `NOWHERE`; a folder's files stand for themselves."""
    listing = state.text("ls-tree", "-r", "-l", "-z", "--full-tree", commit, "--", *paths)
    entries = [entry.split("\t", 1) for entry in listing.split("\0") if entry]
    modes = {path: meta.split() for meta, path in entries}
    sizes = {path: int(size) for path, (_, _, _, size) in modes.items() if size != "-"}
    links = [path for path, (mode, *_) in modes.items() if mode == LINK]
    return {**sizes, **_led_to(state, commit, links)}


def _led_to(state: Git, commit: str, links: Sequence[str]) -> dict[str, int]:
    """Bytes of the files that links lead to, as the commit has them, else `NOWHERE`: what lies outside
    of the commit's tree does not count.

    git answers with a line, and for a link that leads to no object with a second text, whose length
    the line tells (git-cat-file(1), `--follow-symlinks`).
    """
    found = dict.fromkeys(links, NOWHERE)
    asked = [path for path in links if "\n" not in path]
    if not asked:
        return found
    given = "".join(f"{commit}:{path}\n" for path in asked).encode("utf-8", "surrogateescape")
    form = "--batch-check=%(objecttype) %(objectsize)"
    answer = io.BytesIO(state.run("cat-file", form, "--follow-symlinks", stdin=given))
    for path in asked:
        kind, _, size = answer.readline().rpartition(b" ")
        if kind in {b"dangling", b"symlink", b"loop", b"notdir"}:
            answer.seek(int(size) + 1, io.SEEK_CUR)
        elif kind == b"blob":
            found[path] = int(size)
    return found
