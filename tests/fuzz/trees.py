"""Generated folders: hostile ones, as a repository may bring them along."""

from collections.abc import Iterator
from pathlib import Path

from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "c", ".git"])
TARGETS = st.sampled_from([
    *("a", "b", "./c", "a/b", "..", "../..", "../outside", "../../outside", "b/../../outside"),
    *("/", "/etc", "/proc/self/root", "/oldroot/etc", "loop", "."),
])
Tree = str | None | dict[str, "Tree"]
"""A link's target, a file, or a folder."""
TREES: st.SearchStrategy[dict[str, Tree]] = st.dictionaries(
    NAMES,
    st.recursive(
        st.one_of(st.none(), TARGETS), lambda inner: st.dictionaries(NAMES, inner, max_size=3)
    ),
    max_size=3,
)


def build(folder: Path, tree: dict[str, Tree]) -> None:
    """Make the folder with what lies in it."""
    folder.mkdir()
    for name, each in tree.items():
        if isinstance(each, dict):
            build(folder / name, each)
        elif each is None:
            (folder / name).write_text("original\n")
        else:
            (folder / name).symlink_to(each)


def is_folder(tree: dict[str, Tree], path: str) -> bool:
    """Whether a path of the tree is a folder, as git says it: a link is none."""
    found: Tree = tree
    for name in path.split("/"):
        found = found.get(name) if isinstance(found, dict) else None
    return isinstance(found, dict)


def everything(folder: Path) -> Iterator[tuple[str, str]]:
    """All that lies in a folder, and what files and links hold."""
    for path in sorted(folder.rglob("*")):
        held = str(path.readlink()) if path.is_symlink() else ""
        yield str(path), held if held or path.is_dir() else path.read_text()
