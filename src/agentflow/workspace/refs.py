"""Refs of a repository of ours, moved without a git: one for each turn of a run.

The format is git's own (gitrepository-layout(5)), and so is the lock: a git that works in the same
repository meanwhile waits, or is refused, as we are. Our repositories pack no refs.
"""

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from agentflow.disk import synced, telling
from agentflow.errors import EnvironmentFailure

CANDIDATE = "refs/agentflow/candidate"
"""The result that is judged, and lands if it is good."""


_PLAIN = re.compile(r"(?!HEAD$|.*\.lock(?:/|$))[A-Za-z0-9_](?:[A-Za-z0-9_-]|[./](?=[A-Za-z0-9_]))*")


def is_plain(branch: str) -> bool:
    """Whether nothing can be wrong with a branch's name; about others git is asked."""
    return _PLAIN.fullmatch(branch) is not None


class RefMoved(EnvironmentFailure):
    """A ref that somebody else has moved, or is moving."""


def move_ref(git_dir: Path, ref: str, new: str, old: str | None = None) -> None:
    """Set a ref to a commit's name; the disk has it when this returns. With `old` only if that is what
    it was; an empty one says that there is no such ref yet.

    Raises `RefMoved` if it was something else, `EnvironmentFailure` if the disk refuses.
    """
    path = git_dir / ref
    with telling("make", path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path, ref) as lock:
        if old is not None and (was := _read(path)) != old:
            raise RefMoved(
                f"{ref} is at {was[:12] or 'nothing'}, and not at {old[:12] or 'nothing'}"
            )
        with telling("write", path):
            with lock.open("w", encoding="ascii") as file:
                file.write(f"{new}\n")
                file.flush()
                os.fsync(file.fileno())
            lock.replace(path)
            synced(path.parent)


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError:
        return ""


@contextmanager
def _locked(path: Path, ref: str) -> Generator[Path]:
    """Hold git's lock of a ref; yields its file, which becomes the ref if it is moved there."""
    lock = path.with_name(f"{path.name}.lock")
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    except FileExistsError as error:
        raise RefMoved(f"{ref} is being moved by another process") from error
    except OSError as error:
        raise EnvironmentFailure(f"cannot lock {path}: {error.strerror}") from error
    try:
        yield lock
    finally:
        lock.unlink(missing_ok=True)
