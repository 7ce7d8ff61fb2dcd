"""The work tree as mounts: what is writable in it, what is not after all, what is provided."""

import contextlib
import itertools
import os
import posixpath
import stat
from collections.abc import Iterator
from pathlib import Path

from agentflow.errors import EnvironmentFailure, UsageError
from agentflow.records import WORKSPACE
from agentflow.sandbox.descriptors import Descriptors
from agentflow.sandbox.mountpoints import open_beneath, open_tree
from agentflow.sandbox.policy import Policy, Provided

COMPLETION_SIZE = 4 * 1024**2
"""Bytes, in memory."""

ENTRIES = 4096
"""How many entries of a mounted directory are looked at for a socket."""


class TreeMounts:
    """Bubblewrap's options for the work tree, in the order in which they cover each other."""

    def __init__(self, policy: Policy, descriptors: Descriptors, *, by_descriptor: bool) -> None:
        self._policy = policy
        self._descriptors = descriptors
        self._by_descriptor = by_descriptor
        self._tree = descriptors.hold(open_tree(policy.tree))

    def options(self) -> Iterator[str]:
        """Yield the options. Raises `UsageError` for a path that crosses a link or leaves the
        tree, `EnvironmentFailure` for a provided directory that is not as the policy says."""
        policy = self._policy
        yield from self._bind(".", writable="." in policy.writable)
        for path in policy.writable if "." not in policy.writable else ():
            yield from self._bind(path, writable=True)
        for path in (*policy.protected, ".git"):
            # What is missing, or behind a link (`.cursorrules -> AGENTS.md` is usual), cannot be
            # protected by a mount; the import check refuses a change of it.
            with contextlib.suppress(FileNotFoundError, UsageError):
                yield from self._bind(path, writable=False)
        for provided in policy.provided:
            yield from self._provide(provided)
        if policy.completion:
            os.close(open_beneath(self._tree, policy.completion, create=True))
            yield from _memory(f"{WORKSPACE}/{policy.completion}", COMPLETION_SIZE)

    def _bind(self, path: str, *, writable: bool) -> tuple[str, str, str]:
        opened = open_beneath(self._tree, path, create=writable)
        source = Path(os.path.normpath(self._policy.tree / path))
        return self._mount(opened, source, path, writable=writable)

    def _provide(self, provided: Provided) -> Iterator[str]:
        path = provided_path(provided)
        os.close(open_beneath(self._tree, path, create=True))
        source = open_provided(provided)
        try:
            check_scratch(provided, source)
            yield from self._mount(os.dup(source), provided.source, path, writable=False)
        finally:
            os.close(source)
        for name in provided.scratch:
            target = posixpath.normpath(f"{WORKSPACE}/{path}/{name}")
            yield from _memory(target, self._policy.scratch_size)

    def _mount(
        self, opened: int, source: Path, path: str, *, writable: bool
    ) -> tuple[str, str, str]:
        target = posixpath.normpath(f"{WORKSPACE}/{path}")
        option = "--bind" if writable else "--ro-bind"
        if self._by_descriptor:
            return (f"{option}-fd", self._descriptors.give(opened), target)
        os.close(opened)
        return (option, str(source), target)


def provided_path(provided: Provided) -> str:
    """Return where it is shown, relative to the tree. Raises `UsageError` for the tree itself and
    for git's directory; whether the path leaves the tree is seen when it is opened."""
    path = posixpath.normpath(provided.path)
    if path == "." or path.split("/", 1)[0].casefold() == ".git":
        raise UsageError(
            f"nothing can be provided at {provided.path!r}",
            hint="name a directory in the repository in environment.provides",
        )
    return path


def open_provided(provided: Provided) -> int:
    """Return a descriptor (O_PATH) of the directory that is provided. The caller closes it.

    Raises `EnvironmentFailure` if it is missing, no directory, or holds a socket.
    """
    refuse_sockets(provided.source)
    try:
        return os.open(provided.source, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise EnvironmentFailure(
            f"{provided.source}, which is provided at {provided.path!r}, cannot be opened: "
            f"{error.strerror}"
        ) from error


def check_scratch(provided: Provided, source: int) -> None:
    """See to it that each scratch directory exists in the source (a descriptor), without a link.

    Raises `EnvironmentFailure`: on a read-only mount nothing can be created.
    """
    for name in provided.scratch:
        try:
            opened = open_beneath(source, name)
        except (FileNotFoundError, UsageError) as error:
            raise _no_scratch(provided, name) from error
        is_directory = stat.S_ISDIR(os.fstat(opened).st_mode)
        os.close(opened)
        if not is_directory or posixpath.normpath(name) == ".":
            raise _no_scratch(provided, name)


def refuse_sockets(source: Path, *, contents: bool = True) -> None:
    """Refuse to show a socket: who can see it can connect to it, read-only or not.

    Looks at the path itself and, with `contents`, at the first `ENTRIES` entries of a directory;
    what lies deeper is not looked at. Raises `EnvironmentFailure`.
    """
    found = [source] if source.is_socket() else []
    if contents and source.is_dir():
        with contextlib.suppress(OSError), os.scandir(source) as entries:
            # `is_file` and `is_dir` answer from the listing: what is neither is rare.
            found += [
                Path(entry)
                for entry in itertools.islice(entries, ENTRIES)
                if not entry.is_file(follow_symlinks=False)
                and not entry.is_dir(follow_symlinks=False)
                and stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode)
            ]
    if found:
        raise EnvironmentFailure(
            f"{found[0]} is a socket of this machine, and a sandbox must not show one",
            hint="take its folder out of what the sandbox may read",
        )


def _no_scratch(provided: Provided, name: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        f"{name!r}, which environment.scratch names, is no directory in {provided.path!r}",
        hint="let the setup command create it",
    )


def _memory(target: str, size: int) -> tuple[str, ...]:
    return ("--perms", "0755", "--size", str(size), "--tmpfs", target)
