"""How much a tree is on the disk: its files, each as often as it would be written."""

from collections.abc import Collection, Iterator, Mapping

from agentflow.frozen import record
from agentflow.workspace.git import Git
from agentflow.workspace.objects import contents, sizes

_TREE, _LINK = b"40000", b"160000"
"""Modes of an entry that is a tree, and of one that is a commit of a submodule."""


@record
class Extent:
    """What a tree becomes when it is checked out."""

    files: int = 0
    """Folders too."""
    size: int = 0
    """Bytes."""


def extents(state: Git, trees: Collection[str], most: int) -> Mapping[str, Extent]:
    """The extents of trees, given by their full names, and of those below them. Nothing is
    written, and equal trees are read once.

    Raises `GitError` for what is not there, `ValueError` if the trees themselves are more than
    `most` bytes.
    """
    roots = "".join(f"{tree}\n" for tree in trees).encode()
    listing = state.text("rev-list", "--objects", "--no-object-names", "--stdin", stdin=roots)
    kinds = state.text("cat-file", "--batch-check=%(objecttype)", stdin=f"{listing}\n".encode())
    pairs = zip(listing.split(), kinds.split(), strict=True)
    size_of = sizes(state, listing.split())
    names = [name for name, kind in pairs if kind == "tree"]
    if sum(size_of[name] for name in names) > most:
        raise ValueError(f"its trees are more than {most} bytes")
    entries = {
        name: list(_entries(raw, len(name) // 2)) for name, raw in contents(state, names).items()
    }
    found: dict[str, Extent] = {}
    waiting = list(trees)
    while waiting:
        tree = waiting[-1]
        below = {name for mode, name in entries[tree] if mode == _TREE and name not in found}
        if below:
            waiting += below
        else:
            found[waiting.pop()] = _sum(entries[tree], found, size_of)
    return found


def _sum(
    entries: list[tuple[bytes, str]], found: Mapping[str, Extent], size_of: Mapping[str, int]
) -> Extent:
    files = size = 0
    for mode, name in entries:
        files += 1 + (found[name].files if mode == _TREE else 0)
        if mode != _LINK:
            size += found[name].size if mode == _TREE else size_of[name]
    return Extent(files, size)


def _entries(raw: bytes, width: int) -> Iterator[tuple[bytes, str]]:
    """Mode and object of each entry of a tree; `width`: bytes of a name."""
    place = 0
    while place < len(raw):
        mode = raw[place : raw.index(b" ", place)]
        place = raw.index(b"\0", place) + 1 + width
        yield mode, raw[place - width : place].hex()
