"""A store of provided directories: a folder for each key, there as a whole or not at all.

`<store>/<key>/manifest.json` names the directories `<store>/<key>/0`, `1`, …; `<key>.lock` is held
while somebody makes them, in `<key>.partial-<random>/`.
"""

import asyncio
import json
import os
import stat
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import asynccontextmanager, suppress
from pathlib import Path, PurePosixPath

from agentflow import file_locks
from agentflow.environment import Setup
from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.frozen import record
from agentflow.globs import is_path, matches
from agentflow.journal import open_regular
from agentflow.prompts.base_tree import is_environment_file
from agentflow.sandbox.mountpoints import open_beneath, open_tree
from agentflow.sandbox.policy import Provided
from agentflow.strict_json import parse_object

MANIFEST = "manifest.json"
MAX_MANIFEST = 4 * 1024**2
"""Bytes."""


@record
class Bounds:
    """How much one setup may leave behind."""

    size: int = 20 * 1024**3
    """Bytes on the disk."""
    entries: int = 2_000_000
    """Files and directories."""
    directories: int = 500
    """Each is a mount of its own in every sandbox."""


BOUNDS = Bounds()


def read(store: Path, key: str) -> tuple[Provided, ...] | None:
    """What is kept under a key; None if nothing is, or if it is damaged."""
    place = store / key
    try:
        with open_regular(place / MANIFEST) as file:
            listed = parse_object(file.read(MAX_MANIFEST))["directories"]
        found = tuple(
            Provided(place / str(number), each["path"], tuple(each["scratch"]))
            for number, each in enumerate(listed)
        )
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return found if all(_is_directory(each.source) for each in found) else None


@asynccontextmanager
async def locked(store: Path, key: str, waiting: Callable[[], None]) -> AsyncGenerator[None]:
    """Hold a key's lock. While another process holds it, tell `waiting` once and wait.

    The kernel lets go of it when the process dies. What crashed ones left half made is removed.
    Raises OSError.
    """
    await asyncio.to_thread(_prepare, store)
    async with file_locks.locked(_lock(store, key), waiting):
        yield


def _lock(store: Path, key: str) -> Path:
    return store / f"{key}.lock"


def _prepare(store: Path) -> None:
    """Make the store, and remove what is half made and nobody is at work on."""
    store.mkdir(parents=True, exist_ok=True)
    for partial in store.glob("*.partial-*"):
        descriptor = file_locks.open_lock(_lock(store, partial.name.partition(".")[0]))
        try:
            if file_locks.try_lock(descriptor):
                discard(partial)
        finally:
            os.close(descriptor)


def fill(
    store: Path,
    key: str,
    tree: Path,
    setup: Setup,
    tracked: Mapping[str, str],
    bounds: Bounds,
    secret_files: Sequence[str] = (),
) -> tuple[Provided, ...]:
    """Move what `setup.provides` names out of a tree and keep it under a key.

    Call with the key's lock held, and when nothing that could change the tree is alive. `tracked`
    are the paths that git holds; what matches a glob of `secret_files` is removed. Raises `EnvironmentFailure` naming what is missing or too large,
    and OSError.
    """
    paths = find_directories(tree, setup.provides, tracked)
    if len(paths) > bounds.directories:
        raise EnvironmentFailure(
            f"the setup command made {len(paths)} directories that `provides` names, and at most "
            + f"{bounds.directories} can be shown",
            hint="Name fewer directories in `provides`, or one above them.",
        )
    _measure(tree, paths, bounds, secret_files)
    partial = Path(tempfile.mkdtemp(prefix=f"{key}.partial-", dir=store))
    try:
        kept = [_move(tree / path, partial / str(n), path, setup) for n, path in enumerate(paths)]
        _publish(partial, store / key, kept)
    except BaseException:
        discard(partial)
        raise
    return tuple(
        Provided(store / key / str(n), each.path, each.scratch) for n, each in enumerate(kept)
    )


def find_directories(
    tree: Path, globs: Sequence[str], tracked: Mapping[str, str]
) -> tuple[str, ...]:
    """The topmost directories of a tree that globs name, in order; no links, and nothing of git's.

    What a glob with wildcards names and git tracks is left out: it comes with each checkout.
    Raises `EnvironmentFailure` for a plain path that is tracked or is no directory.
    """
    held = {str(each) for path in tracked for each in (path, *PurePosixPath(path).parents)}
    plain = [glob for glob in globs if is_path(glob)]
    for path in plain:
        if _is_held(path, held, tracked):
            raise EnvironmentFailure(
                f"`provides` names {path}, which git tracks",
                hint="Name only directories that the setup command makes.",
            )
    named = _topmost(tree, globs)
    found = sorted(path for path in named if not _is_held(path, held, tracked))
    for path in plain:
        if not any(f"{path}/".startswith(f"{each}/") for each in found):
            raise EnvironmentFailure(
                f"the setup command did not make the directory {path}, which `provides` names",
                hint="Correct `provides`, or the command. A link to a directory is none.",
            )
    return tuple(found)


def _topmost(tree: Path, globs: Sequence[str]) -> Iterator[str]:
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        for name in _folders(tree / folder):
            path = f"{folder}/{name}" if folder else name
            if any(matches(glob, path) for glob in globs):
                yield _printable(path)
            else:
                waiting.append(path)


def _folders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return [
            each.name
            for each in entries
            if each.is_dir(follow_symlinks=False) and each.name != ".git"
        ]


def _is_held(path: str, held: Set[str], tracked: Mapping[str, str]) -> bool:
    """Whether git tracks the path, something in it, or a file, link or submodule above it."""
    return path in held or any(str(each) in tracked for each in PurePosixPath(path).parents)


def _printable(path: str) -> str:
    if not path.isprintable():
        raise EnvironmentFailure(f"the setup command made a directory with the name {path!r}")
    return path


def _measure(tree: Path, paths: Iterable[str], bounds: Bounds, secret_files: Sequence[str]) -> None:
    """Refuse what is too large; remove pipes and sockets, which would join sandboxes, and `.env`
    and other secret files: setup had credentials, and every sandbox sees what it leaves."""
    size = 0
    for count, (entry, status) in enumerate(_entries(tree / path for path in paths), start=1):
        size += status.st_blocks * 512
        if size > bounds.size or count > bounds.entries:
            raise EnvironmentFailure(
                "the setup command made more than can be kept: over "
                + f"{bounds.size / 1024**3:.3g} GB or {bounds.entries:,} files",
                hint="Name fewer directories in `provides`, or let the command clean up.",
            )
        kind = stat.S_IFMT(status.st_mode)
        foreign = kind not in {stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK}
        path = os.path.relpath(entry.path, tree) if secret_files else ""
        secret = is_environment_file(entry.name) or any(matches(g, path) for g in secret_files)
        if foreign or (kind != stat.S_IFDIR and secret):
            Path(entry.path).unlink()


def _entries(folders: Iterable[Path]) -> Iterator[tuple["os.DirEntry[str]", os.stat_result]]:
    waiting = [str(folder) for folder in folders]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield entry, entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


def _move(source: Path, target: Path, path: str, setup: Setup) -> Provided:
    """Move one directory and make its scratch directories."""
    source.chmod(stat.S_IMODE(source.stat().st_mode) | stat.S_IRWXU)
    # Not Python's own move: between file systems that copies by recursion, as deep as it is.
    subprocess.run(["mv", "-T", "--", str(source), str(target)], capture_output=True, check=True)
    scratch = tuple(scratch_within(path, setup.scratch))
    for each in scratch:
        _make_beneath(target, each)
    return Provided(target, path, scratch)


def _make_beneath(folder: Path, path: str) -> None:
    opened = open_tree(folder)
    try:
        os.close(open_beneath(opened, path, create=True))
    except UsageError as error:
        raise EnvironmentFailure(
            f"the scratch directory {path} cannot be made: it is a file, or behind a link",
            hint="Correct `scratch`.",
        ) from error
    finally:
        os.close(opened)


def scratch_within(path: str, globs: Iterable[str]) -> list[str]:
    """The directories beneath a provided one that scratch globs name, relative to it.

    `**/node_modules/.cache` names `.cache` in `web/node_modules`.
    """
    found: list[str] = []
    for glob in globs:
        names = glob.split("/")
        splits = (("/".join(names[:n]), "/".join(names[n:])) for n in range(1, len(names)))
        found += [end for head, end in splits if is_path(end) and _names(head, path)]
    return list(dict.fromkeys(found))


def _names(glob: str, path: str) -> bool:
    """Whether a glob names just this directory: not one above it, and not any."""
    above = path.rpartition("/")[0]
    if glob.endswith("**"):
        return False
    covers_more = is_path(glob.rpartition("/")[2])  # all that lies in a directory of that name
    return matches(glob, path) and not (covers_more and above and matches(glob, above))


def _publish(partial: Path, place: Path, kept: Iterable[Provided]) -> None:
    """Write the manifest, wait for the disk, and give the folder its name."""
    listed = [{"path": each.path, "scratch": each.scratch} for each in kept]
    (partial / MANIFEST).write_text(json.dumps({"directories": listed}) + "\n", "utf-8")
    # Package trees have a hundred thousand files: one wait for all of them, not one for each.
    subprocess.run(["sync", "--file-system", str(partial)], capture_output=True, check=True)
    discard(place)
    partial.rename(place)


def discard(folder: Path) -> None:
    """Delete a folder; what it holds may be read-only (a Go module cache) or nested deeply."""
    for command in (["rm", "-rf"], ["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
        if _is_directory(folder):
            subprocess.run([*command, "--", str(folder)], capture_output=True, check=False)


def _is_directory(path: Path) -> bool:
    with suppress(OSError):
        return stat.S_ISDIR(path.lstat().st_mode)
    return False
