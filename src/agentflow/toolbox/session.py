"""What a toolbox knows: its places, the working directory and which files the model has seen."""

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from agentflow.toolbox.watchdog import Watchdog

TYPE_CHECKING = False
"""Checkers take it for true: `typing` itself is a twentieth of what a sandbox's start takes."""

if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]
else:
    Json = dict

MARKERS = (".done", ".failed", ".blocked")
MARKER_CHARACTERS = 4000
MARKER_COUNT = 100
"""Markers looked at after one call; an agent that writes more is not signalling."""


class Refusal(Exception):
    """A call that cannot be done; the message is one sentence for the model."""


class Session:
    """The state that outlives a call. A later toolbox continues from `state()`."""

    def __init__(self, configuration: Json) -> None:
        state: Json = configuration.get("state") or {}
        completion: str | None = configuration.get("completion")
        self.root = Path(configuration["root"]).resolve()
        self.completion = Path(completion).resolve() if completion else None
        self.scratch = Path(configuration.get("scratch") or "/tmp").resolve()  # noqa: S108  (the sandbox's own)
        self.limits: Mapping[str, int] = configuration.get("limits") or {}
        self.watchdog = Watchdog(self.limits, configuration.get("disks") or ())
        self.cwd = Path(state.get("cwd") or self.root)
        self._read = set[str](state.get("read") or ())
        self._partial = set[str](state.get("partial") or ())
        self._reported = set[tuple[str, int, int]]()

    def state(self) -> Json:
        """What a later toolbox needs: the working directory and the files read."""
        return {
            "cwd": str(self.cwd),
            "read": sorted(self._read),
            "partial": sorted(self._partial),
        }

    def mark_read(self, path: Path, complete: bool) -> None:
        """Remember that the model has seen a file; a part of it does not undo the whole."""
        name = str(real(path))
        if complete:
            self._read.add(name)
            self._partial.discard(name)
        elif name not in self._read:
            self._partial.add(name)

    def was_read(self, path: Path, complete: bool) -> bool:
        """Tell whether the model has seen the file: all of it, or at least a part."""
        name = str(real(path))
        return name in self._read or (not complete and name in self._partial)

    def resolve(self, path: str) -> Path:
        """Return the absolute path that a model's path means, dots removed, links kept.

        Relative paths start at the root. Models write `/docs/x` for `docs/x`: an absolute path
        that does not exist means one below the root, if that exists or if nothing of the name
        is at `/`.
        """
        if not path or "\0" in path or not _is_encodable(path):
            raise Refusal("A path is not empty and holds neither NUL nor lone surrogates.")
        absolute = Path(os.path.normpath(self.root / path))
        if not path.startswith("/") or self.is_inside(absolute) or os.path.lexists(absolute):
            return absolute
        below = Path(os.path.normpath(self.root / path.lstrip("/")))
        if self.is_inside(below) and (
            os.path.lexists(below) or not os.path.lexists(Path("/", absolute.parts[1]))
        ):
            return below
        return absolute

    def is_inside(self, path: Path) -> bool:
        """Tell whether the path lies in the work tree, the scratch or the completion directory."""
        return any(path.is_relative_to(p) for p in (self.root, self.scratch, self.completion) if p)

    def writable(self, path: str) -> Path:
        """Return the real path to write to, links followed.

        This check serves the message: what keeps a write inside is the sandbox's mounts.
        """
        target = real(self.resolve(path))
        if not self.is_inside(target):
            raise Refusal(
                f"{path} is outside this task's boundaries: write below {self.root} or {self.scratch}."
            )
        return target

    def shown(self, path: Path) -> str:
        """Return the path as the model should see it: relative to the root where it is inside."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)

    def signals(self) -> list[Json]:
        """Return the marker files that are new or changed since the last call."""
        if self.completion is None:
            return []
        try:
            names = sorted(p.name for p in self.completion.iterdir() if p.suffix in MARKERS)
        except OSError:
            return []
        read = (self._signal(name) for name in names[:MARKER_COUNT])
        return [signal for signal in read if signal is not None]

    def _signal(self, name: str) -> Json | None:
        try:
            descriptor = os.open(
                f"{self.completion}/{name}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            )
        except OSError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            identity = (name, facts.st_ino, facts.st_mtime_ns)
            if not stat.S_ISREG(facts.st_mode) or identity in self._reported:
                return None
            self._reported.add(identity)
            text = file.read(4 * MARKER_CHARACTERS).decode("utf-8", "replace")
        return {"name": name, "text": text[:MARKER_CHARACTERS]}


def _is_encodable(path: str) -> bool:
    try:
        return bool(os.fsencode(path))
    except UnicodeEncodeError:
        return False


def real(path: Path) -> Path:
    """Return the path with links followed; one that ends in a loop of links stays as it is."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # RuntimeError: a loop of links, before Python 3.13
        return path


def explain(error: OSError, shown: str) -> Refusal:
    """Turn an operating system's error on a path into a sentence for the model."""
    if error.errno in {errno.EROFS, errno.EBUSY, errno.EACCES, errno.EPERM}:
        return Refusal(f"{shown} is outside this task's boundaries (read-only).")
    if error.errno == errno.ELOOP:
        return Refusal(f"{shown} is a loop of symbolic links.")
    return Refusal(f"{shown}: {os.strerror(error.errno or 0)}.")
