"""The lines that a change adds: those of its files that did not stand in the base's version."""

from collections import Counter
from collections.abc import Iterable, Iterator

from agentflow.frozen import record
from agentflow.results import Change
from agentflow.workspace.git import Git
from agentflow.workspace.objects import contents, sizes

MAX_BASE = 10 * 1024 * 1024
"""Bytes of a file of the base. Of a larger one every line of the new version counts as added."""
_BATCH = 8 * 1024 * 1024
"""Bytes that are in memory at a time, if no file is larger."""
_GITLINK = "160000"


@record
class Added:
    """What one version of a file adds."""

    path: str
    lines: tuple[tuple[int, str], ...]
    """Number in the new version, from 1, and text without its end."""


def added_lines(state: Git, base: str, changes: Iterable[Change]) -> Iterator[Added]:
    """The added lines of every version of every file among the changes.

    A line that was moved within its file is not new. Of a file whose path the base does not hold,
    lines of the files that the change deletes are not new either: it may have been renamed.
    """
    present = [c for c in dict.fromkeys(changes) if c.status != "D" and c.mode != _GITLINK]
    deleted = {c.path for c in changes if c.status == "D"}
    old = _blobs(state, base, {c.path for c in present} | deleted)
    gone = _counted(contents(state, {old[path] for path in deleted & old.keys()}).values())
    for batch in _batches(present, sizes(state, {c.blob for c in present})):
        names = {c.blob for c in batch} | {old[c.path] for c in batch if c.path in old}
        texts = contents(state, names)
        for change in batch:
            before = _counted([texts[old[change.path]]]) if change.path in old else gone.copy()
            lines = _lines(texts[change.blob])
            yield Added(change.path, tuple(_new(lines, before)))


def _batches(changes: list[Change], bytes_of: dict[str, int]) -> Iterator[list[Change]]:
    batch: list[Change] = []
    total = 0
    for change in changes:
        if batch and total + bytes_of[change.blob] > _BATCH:
            yield batch
            batch, total = [], 0
        batch.append(change)
        total += bytes_of[change.blob]
    if batch:
        yield batch


def _blobs(state: Git, base: str, paths: set[str]) -> dict[str, str]:
    """The names of the base's files at these paths, as far as they are not too large."""
    listing = state.text("ls-tree", "-r", "-l", "-z", "--full-tree", base) if paths else ""
    entries = ((meta.split(), path) for meta, _, path in map(_parted, listing.split("\0")) if path)
    return {
        path: blob
        for (_, kind, blob, size), path in entries
        if path in paths and kind == "blob" and int(size) <= MAX_BASE
    }


def _parted(entry: str) -> tuple[str, str, str]:
    return entry.partition("\t")


def _lines(data: bytes) -> list[str]:
    """The lines of a file, a UTF-16 one included, whatever it holds."""
    encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"
    return [line.removesuffix("\r") for line in data.decode(encoding, "replace").split("\n")]


def _counted(files: Iterable[bytes]) -> Counter[str]:
    return Counter(line for data in files for line in _lines(data))


def _new(lines: Iterable[str], before: Counter[str]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, 1):
        if before[line] > 0:
            before[line] -= 1
        elif line:
            yield number, line
