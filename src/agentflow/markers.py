"""Markers: `.orchestrator/complete/<TASK>.done`, `.failed` or `.blocked`, one at a time."""

import glob
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from agentflow.disk import FREE
from agentflow.errors import EnvironmentFailure

FOLDER = ".orchestrator/complete"
Kind = Literal["done", "failed", "blocked"]
_TEMPORARY = ".agentflow"
"""What the names of files end with that are not yet whole."""
KINDS: tuple[Kind, ...] = ("done", "failed", "blocked")


def marker_path(root: Path, task: str, kind: Kind) -> Path:
    """Where a task's marker of this kind is."""
    return root / FOLDER / f"{task}.{kind}"


def read_marker(root: Path, task: str) -> Kind | None:
    """Which marker a task has."""
    return next((kind for kind in KINDS if marker_path(root, task, kind).is_file()), None)


def write_marker(root: Path, task: str, kind: Kind) -> Path:
    """Write the marker atomically: it holds its kind as text, all of it or nothing is there.

    Call with the task's lock held. Raises `EnvironmentFailure` if the folder cannot be used.
    """
    own_folder(root, FOLDER)
    path = marker_path(root, task, kind)
    _remove(root, task, tuple(other for other in KINDS if other != kind))
    write_atomically(path, kind, alone=True)
    return path


def remove_markers(root: Path, task: str) -> None:
    """Remove what an earlier run left. Call with the task's lock held.

    Raises `EnvironmentFailure` if the folder cannot be used.
    """
    own_folder(root, FOLDER)
    _remove(root, task, KINDS)


def _remove(root: Path, task: str, kinds: tuple[Kind, ...]) -> None:
    for kind in kinds:
        path = marker_path(root, task, kind)
        with _told("remove", path):
            path.unlink(missing_ok=True)


def own_folder(root: Path, name: str) -> Path:
    """Make a folder of ours in the work tree, which git ignores, and return it.

    Raises `EnvironmentFailure` if a link of the repository leads it elsewhere.
    """
    folder = root / name
    with _told("use", folder):
        # before anything is made: what a link leads to is not ours
        if folder.resolve() != root.resolve() / name:
            raise EnvironmentFailure(
                f"{folder} leads to {folder.resolve()}", hint="Remove the link from the repository."
            )
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError), (folder / ".gitignore").open("x", encoding="utf-8") as file:
            file.write("*\n")
    return folder


def write_atomically(path: Path, text: str, *, mode: int = 0o644, alone: bool = False) -> None:
    """Write a file that is there as a whole or not at all, and is on the disk when this returns.

    `alone` says that nobody else writes it now, as a lock is held: what a process left that was killed
    while it wrote is then removed. Raises `EnvironmentFailure` if the disk refuses.
    """
    with _told("write", path):
        for left in path.parent.glob(f".{glob.escape(path.name)}.*{_TEMPORARY}") if alone else ():
            left.unlink(missing_ok=True)
        descriptor, name = tempfile.mkstemp(_TEMPORARY, f".{path.name}.", path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(mode)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync(path.parent)


@contextmanager
def _told(verb: str, path: Path) -> Generator[None]:
    """Turn the disk's refusals into one sentence."""
    try:
        yield
    except OSError as error:
        raise EnvironmentFailure(f"cannot {verb} {path}: {error.strerror}", hint=FREE) from error
    except RuntimeError as error:  # what Path.resolve raises up to Python 3.12
        raise EnvironmentFailure(f"cannot {verb} {path}: its links lead in a circle") from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
