"""Opens paths beneath the work tree without following any link of the repository."""

import os
import stat
from pathlib import Path

from agentflow.errors import EnvironmentFailure, UsageError

_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def open_tree(tree: Path) -> int:
    """Return a descriptor (O_PATH) of the work tree's directory. The caller closes it.

    Raises `EnvironmentFailure` if it is missing, a link, or no directory.
    """
    try:
        return os.open(tree, _STEP | os.O_DIRECTORY)
    except OSError as error:
        raise EnvironmentFailure(
            f"the work tree {tree} cannot be opened: {error.strerror}"
        ) from error


def open_beneath(tree: int, path: str, *, create: bool = False) -> int:
    """Return a descriptor (O_PATH) of a path relative to the tree. The caller closes it.

    One component at a time, so that no link in the repository leads a mount elsewhere. With
    `create`, missing directories are made on the way and the path must be a directory. Raises
    `UsageError` for a path with a link in it or that leaves the tree, and `FileNotFoundError`.
    """
    current = os.dup(tree)
    walked: list[str] = []
    try:
        for name in _components(path):
            walked.append(name)
            following = _step(current, name, "/".join(walked), create=create)
            os.close(current)
            current = following
        if create:
            _check_directory(current, path)
    except BaseException:
        os.close(current)
        raise
    return current


def _components(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if not path or path.startswith("/") or ".." in parts or "\0" in path:
        raise UsageError(
            f"{path!r} does not name a path inside the repository",
            hint="write it relative to the repository's root, without '..'",
        )
    return parts


def _step(parent: int, name: str, walked: str, *, create: bool) -> int:
    try:
        if create and not _exists(parent, name):
            os.mkdir(name, 0o755, dir_fd=parent)
        following = os.open(name, _STEP, dir_fd=parent)
    except NotADirectoryError as error:
        parent_path = walked.rpartition("/")[0]
        raise UsageError(f"{parent_path!r} in the repository is a file, not a directory") from error
    except FileNotFoundError:
        raise
    except OSError as error:
        raise EnvironmentFailure(
            f"{walked!r} in the work tree cannot be opened: {error.strerror}"
        ) from error
    if stat.S_ISLNK(os.fstat(following).st_mode):
        os.close(following)
        raise UsageError(
            f"{walked!r} in the repository is a symbolic link, and neither a boundary nor a "
            "provided directory may cross one",
            hint="name the directory that the link leads to",
        )
    return following


def _check_directory(descriptor: int, path: str) -> None:
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        raise UsageError(f"{path!r} is a file, and only directories are writable or provided")


def _exists(parent: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
