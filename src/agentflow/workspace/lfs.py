"""Git LFS without git-lfs: contents that the user has are placed, new ones are refused by name.

In git stands a pointer: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
"""

import hashlib
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from agentflow.frozen import record
from agentflow.results import Commit
from agentflow.workspace.git import Git
from agentflow.workspace.objects import contents, sizes
from agentflow.workspace.repository import Repository

MAX_PLACED = 8 * 1024**3
"""Bytes of all contents in one checkout: many small pointers may name one large object."""
REFUSED = (
    "is tracked by Git LFS; new content cannot be taken, only files that the base or the LFS "
    + "storage already holds"
)

_MAX_POINTER = 1024
"""Bytes, as in the specification."""
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (\d{1,15})\n"
)
_MAX_ATTRIBUTES = 1024 * 1024
"""Bytes of one `.gitattributes` that is looked at."""
_MENTION = b"filter=lfs"
_CHUNK = 1024 * 1024

_CLEAN = r"""
set -eu
f=$(mktemp)
trap 'rm -f "$f"' EXIT
cat > "$f"
n=$(($(wc -c < "$f")))
if [ "$n" = 0 ]; then exit 0; fi
if [ "$n" -le 1024 ] && grep -q '^version https://git-lfs' "$f"; then cat "$f"; exit 0; fi
sum=$(sha256sum < "$f")
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %s\n' "${sum%  -}" "$n"
"""
"""The filter of the clone: a placed content is its pointer again, so nothing appears changed. Git
takes `%%` and `%f` out of it."""


@record
class Pointer:
    """What git holds in place of a content."""

    oid: str
    """SHA-256 of the content, in hexadecimal."""
    size: int

    def find(self, stores: Iterable[Path]) -> Path | None:
        """The file in one of the stores that has this name and size; its content is not read."""
        for store in stores:
            path = store / self.oid[:2] / self.oid[2:4] / self.oid
            if path.is_file() and path.stat().st_size == self.size:
                return path
        return None


def content_stores(repository: Repository) -> tuple[Path, ...]:
    """The folders that may hold LFS objects of this repository: its own, then borrowed ones."""
    configured = ""
    if "lfs.storage" in repository.settings:
        configured = repository.git.text("config", "--type=path", "--default", "", "lfs.storage")
    own = repository.common_dir / (configured or "lfs")
    borrowed = (store.parent / "lfs" for store in repository.object_stores)
    return tuple(dict.fromkeys(folder / "objects" for folder in (own, *borrowed)))


def place_contents(
    git: Git, repository: Repository, tree: Path, environment: Mapping[str, str]
) -> int:
    """Replace the pointers of a fresh checkout by their contents, where the user has them.

    `git` works in the checkout's private git directory, `environment` names the tree; no process
    of an agent has seen them yet. Returns how many pointers stay.
    """
    if not _mentions(git, _attributes(git, environment)):
        return 0
    entries = _entries(git, "HEAD")
    regular = [path for path, (mode, _) in entries.items() if mode.startswith("100")]
    tracked = _tracked(git, regular, environment)
    pointers = _pointers(git, {entries[path][1] for path in tracked})
    raw = {path for path in tracked if entries[path][1] not in pointers}
    _set_filter(git, raw)
    wanted = {path: pointers[entries[path][1]] for path in tracked if path not in raw}
    placed = _place_all(wanted, content_stores(repository), tree, git.directory / "lfs-incoming")
    # Added again, not refreshed: git takes another size for a change without a look at it.
    names = "".join(f"{path}\0" for path in placed).encode("utf-8", "surrogateescape")
    git.run("update-index", "-z", "--stdin", stdin=names, environment=environment)
    return len(wanted) - len(placed)


def _place_all(
    wanted: Mapping[str, Pointer], stores: Sequence[Path], tree: Path, incoming: Path
) -> list[str]:
    """Place what is there and what there is room for; return its paths."""
    placed: list[str] = []
    left = MAX_PLACED
    for path, pointer in wanted.items():
        if pointer.size <= left and _place(pointer, stores, tree / path, incoming):
            left -= pointer.size
            placed.append(path)
    return placed


def _place(pointer: Pointer, stores: Sequence[Path], target: Path, incoming: Path) -> bool:
    """Copy a content over its pointer, if it is what the pointer says. Never a link to it: what
    an agent writes must not reach the user's object."""
    source = pointer.find(stores)
    if source is None:
        return False
    digest = hashlib.sha256()
    with source.open("rb") as reader, incoming.open("wb") as writer:
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
            writer.write(chunk)
    if digest.hexdigest() != pointer.oid:
        incoming.unlink()
        return False
    shutil.copymode(target, incoming)
    incoming.replace(target)
    return True


def _set_filter(git: Git, raw: Iterable[str]) -> None:
    """Filter contents to pointers in this clone, but not files that the base holds as they are."""
    settings = {"clean": _CLEAN, "smudge": "cat", "required": "true"}
    for key, value in settings.items():
        git.run("config", f"filter.lfs.{key}", value)
    lines = b"".join(b"%s -filter\n" % _pattern(path) for path in sorted(raw))
    info = git.directory / "info"
    info.mkdir(exist_ok=True)
    (info / "attributes").write_bytes(lines)


def _pattern(path: str) -> bytes:
    """A path as a quoted pattern of git's attribute files."""
    escaped = "".join(f"\\{c}" if c in "\\*?[" else c for c in path)
    quoted = "".join(
        f"\\{ord(c):03o}" if ord(c) < 0x20 else f"\\{c}" if c in '\\"' else c for c in escaped
    )
    return f'"/{quoted}"'.encode("utf-8", "surrogateescape")


def new_contents(
    state: Git, base: str, walked: Sequence[Commit], stores: Sequence[Path]
) -> frozenset[tuple[str, str]]:
    """Which files, as tree and path, Git LFS should keep but neither base nor stores hold."""
    before = _entries(state, base)
    attributes = {blob for path, (_, blob) in before.items() if _holds_attributes(path)}
    attributes |= {
        change.blob
        for commit in walked
        for change in commit.changes
        if _holds_attributes(change.path) and change.mode.startswith("100")
    }
    if not _mentions(state, attributes):
        return frozenset()
    files = list(_tracked_changes(state, walked))
    blobs = {blob for _, _, blob in files}
    empty = {blob for blob, size in sizes(state, blobs).items() if not size}
    known = {blob for _, blob in before.values()}
    accepted = empty | {
        blob
        for blob, pointer in _pointers(state, blobs).items()
        if blob in known or pointer.find(stores)
    }
    return frozenset((tree, path) for tree, path, blob in files if blob not in accepted)


def _tracked_changes(state: Git, walked: Sequence[Commit]) -> Iterable[tuple[str, str, str]]:
    """Tree, path and blob of each changed file that its own commit's attributes give to LFS."""
    index = state.directory / "lfs-index"
    environment = {"GIT_INDEX_FILE": str(index)}
    for commit in walked:
        files = {c.path: c.blob for c in commit.changes if c.mode.startswith("100")}
        if files:
            state.run("read-tree", commit.tree, environment=environment)
            for path in _tracked(state, list(files), environment):
                yield commit.tree, path, files[path]
    index.unlink(missing_ok=True)


def _entries(git: Git, commit: str) -> dict[str, tuple[str, str]]:
    """Mode and object by path."""
    rows = (entry.split("\t", 1) for entry in _listing(git, commit))
    return {path: (meta.split(" ")[0], meta.split(" ")[2]) for meta, path in rows}


def _attributes(git: Git, environment: Mapping[str, str]) -> set[str]:
    """The blobs of the checkout's attribute files. Most repositories have few, and many other
    files: only these are taken apart."""
    listing = git.text("ls-files", "--stage", "-z", environment=environment)
    held = (entry for entry in listing.split("\0") if entry.endswith(".gitattributes"))
    rows = (entry.split("\t", 1) for entry in held)
    return {meta.split(" ")[1] for meta, path in rows if _holds_attributes(path)}


def _listing(git: Git, commit: str) -> list[str]:
    listing = git.text("ls-tree", "-r", "-z", "--full-tree", commit)
    return [entry for entry in listing.split("\0") if entry]


def _holds_attributes(path: str) -> bool:
    return path.rpartition("/")[2] == ".gitattributes"


def _mentions(git: Git, blobs: Iterable[str]) -> bool:
    """Whether one of these attribute files gives files to LFS."""
    return any(_MENTION in text for text in _small(git, blobs, _MAX_ATTRIBUTES).values())


def _pointers(git: Git, blobs: Iterable[str]) -> dict[str, Pointer]:
    """Those of the blobs that are pointers."""
    found = (
        (blob, _POINTER.fullmatch(text)) for blob, text in _small(git, blobs, _MAX_POINTER).items()
    )
    return {blob: Pointer(match[1].decode(), int(match[2])) for blob, match in found if match}


def _small(git: Git, blobs: Iterable[str], limit: int) -> dict[str, bytes]:
    wanted = set(blobs)
    if not wanted:
        return {}
    return contents(git, {blob for blob, size in sizes(git, wanted).items() if size <= limit})


def _tracked(git: Git, paths: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Those of the index's paths that its attributes give to LFS."""
    output = git.text(
        "check-attr",
        "--cached",
        "--stdin",
        "-z",
        "filter",
        stdin="".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape"),
        environment=environment,
    )
    fields = output.split("\0")
    return [path for path, value in zip(fields[::3], fields[2::3], strict=False) if value == "lfs"]
